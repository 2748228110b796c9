"""A model directory. It *is* a Hugging Face directory: `transformers` reads it without our code.

config.json              the architecture and its sizes
model.safetensors        the weights (or shards with an index)
tokenizer.json, tokenizer_config.json
generation_config.json   end token and sampling defaults
penjing.json             ours: where the model comes from, one line an operation
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from penjing.core.config import from_dict, to_dict
from penjing.core.errors import CheckpointError, ConfigError
from penjing.core.files import atomic_directory
from penjing.model.base import LanguageModel
from penjing.model.config import ModelConfig
from penjing.model.families import FAMILIES, retie
from penjing.model.weights import export_tensors, import_tensors
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.version import __version__

OWN_MODEL_TYPE = "penjing"  # a form that Hugging Face has no class for: it refuses, not guesses


@dataclass(frozen=True)
class Lineage:
    """One operation in a model's life."""

    operation: str  # "pretrain", "quantize", ...
    settings: Mapping[str, Any] = field(default_factory=dict)
    parent: str | None = None  # SHA-256 of the weights it started from
    data: str | None = None  # SHA-256 of the tokens it saw
    figures: Mapping[str, Any] = field(default_factory=dict)
    version: str = __version__


class TensorFiles(Mapping[str, Tensor]):
    """The tensors of one or more safetensors files, by name, read when asked for."""

    def __init__(self, files: list[Path], canonical: Any) -> None:
        self._where: dict[str, tuple[Path, str]] = {}
        for path in files:
            with _reading(path), safe_open(path, framework="pt") as file:
                self._where |= {canonical(name): (path, name) for name in file.keys()}  # noqa: SIM118

    def __getitem__(self, name: str) -> Tensor:
        path, stored = self._where[name]
        with _reading(path), safe_open(path, framework="pt") as file:
            tensor: Tensor = file.get_tensor(stored)
            return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def __len__(self) -> int:
        return len(self._where)


class Checkpoint:
    """A model directory, checked, with its weights still on disk."""

    def __init__(self, path: Path, config: ModelConfig, lineage: tuple[Lineage, ...]) -> None:
        self.path, self.config, self.lineage = path, config, lineage

    @classmethod
    def open(cls, path: str | Path) -> "Checkpoint":
        """Read the small files of a model directory, or of the one in a run's directory.

        Raises:
            CheckpointError: it is missing, damaged, half-written, or of a form unknown to us.
        """
        path = Path(path)
        if not path.is_dir():
            raise CheckpointError(f"There is no model directory {path}.")
        if (path / "model" / "config.json").is_file():
            path = path / "model"  # a run's directory
        config = read_config(path)
        notes = _read_json(path / "penjing.json") if (path / "penjing.json").exists() else {}
        try:
            lineage = tuple(Lineage(**row) for row in notes.get("lineage", []))
        except TypeError as error:
            raise CheckpointError(f"{path / 'penjing.json'}: not a lineage ({error}).") from error
        return cls(path, config, lineage)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Raises TokenizerError when it is missing, and CheckpointError when it does not fit."""
        tokenizer = Tokenizer.load(self.path)
        if tokenizer.vocab_size > self.config.vocab_size:
            raise CheckpointError(
                f"{self.path}: the tokenizer has {tokenizer.vocab_size} tokens but the model only "
                f"{self.config.vocab_size} embeddings: they do not belong together."
            )
        return tokenizer

    @cached_property
    def generation(self) -> Mapping[str, Any]:
        """generation_config.json, or nothing."""
        file = self.path / "generation_config.json"
        return _read_json(file) if file.exists() else {}

    def tensors(self) -> Mapping[str, Tensor]:
        """The stored tensors by their Hugging Face names, each read when asked for.

        Raises:
            CheckpointError: no weights are there, or a file is damaged.
        """
        index = self.path / "model.safetensors.index.json"
        if index.exists():
            names = sorted(set(_read_json(index).get("weight_map", {}).values()))
            files = [self.path / name for name in names]
        else:
            files = [self.path / "model.safetensors"]
        for file in files:
            if not file.exists() or file.parent != self.path:
                raise CheckpointError(f"{self.path} has no weights: {file.name} is missing.")
        return TensorFiles(files, FAMILIES[self.config.family].canonical)

    def load_model(
        self, *, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
    ) -> LanguageModel:
        """The model in evaluation mode, in the stored precision unless `dtype` is given.

        Raises:
            CheckpointError: tensors are missing, unknown, or of another shape.
        """
        family = FAMILIES[self.config.family]
        ignore = family.ignore + (("lm_head.weight",) if self.config.tie_embeddings else ())
        try:
            state = import_tensors(self.tensors(), family.rules(self.config), ignore)
        except CheckpointError as error:
            raise CheckpointError(f"{self.path}: {error}") from error
        if self.config.tie_embeddings:
            state["unembedding.weight"] = state["embedding.weight"]
        with torch.device("meta"):
            model = family.build(self.config)
        for name, parameter in model.state_dict().items():
            if state[name].shape != parameter.shape:
                raise CheckpointError(
                    f"{self.path}: tensor {name} has the shape {tuple(state[name].shape)}, "
                    f"but config.json asks for {tuple(parameter.shape)}."
                )
        model.load_state_dict(state, assign=True)
        if self.config.tie_embeddings:
            retie(model)
        return model.to(device=device, dtype=dtype).eval().requires_grad_(False)


def read_config(path: Path) -> ModelConfig:
    """The configuration of a model directory, in our terms.

    Raises:
        CheckpointError: config.json is missing or damaged, or asks for what we do not compute.
    """
    file = path / "config.json"
    data = _read_json(file)
    kind = str(data.get("model_type"))
    try:
        if kind == OWN_MODEL_TYPE:
            return from_dict(ModelConfig, data["penjing"], where=str(file)).resolve()
        if kind not in FAMILIES:
            known = ", ".join(FAMILIES)
            raise CheckpointError(f"{file}: model_type {kind!r} is not one of ours ({known}).")
        family = FAMILIES[kind]
        for name, values in family.expected.items():
            if data.get(name, values[0]) not in values:
                raise CheckpointError(f"{file}: {name} = {data[name]!r} cannot be computed here.")
        return family.from_config(data).resolve()
    except KeyError as error:
        raise CheckpointError(f"{file}: {error} is missing.") from error
    except (TypeError, ValueError, ConfigError) as error:
        raise CheckpointError(f"{file}: {error}") from error


def save_checkpoint(
    path: str | Path,
    *,
    model: LanguageModel,
    tokenizer: Tokenizer,
    lineage: tuple[Lineage, ...] = (),
    generation: Mapping[str, Any] | None = None,
    replace: bool = False,
) -> Checkpoint:
    """Write a model directory: whole, or not at all.

    Raises:
        StorageError: `path` exists and `replace` is false, or the disk refuses.
    """
    path = Path(path)
    config = model.config
    family = FAMILIES[config.family]
    tensors = export_tensors(model.state_dict(), family.rules(config))
    dtype = str(next(iter(tensors.values())).dtype).removeprefix("torch.")
    ends = {"bos_token_id": tokenizer.bos_id, "eos_token_id": tokenizer.eos_id}
    if family.native(config):
        data = {"architectures": [family.architecture], **family.to_config(config)}
    else:
        data = {"model_type": OWN_MODEL_TYPE, "penjing": to_dict(config)}
    with atomic_directory(path, replace=replace) as folder:
        try:
            save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
            (folder / "model.safetensors").chmod(0o644)
        except SafetensorError as error:
            raise OSError(*_errno(error)) from error
        tokenizer.save(folder, model_max_length=config.context_length)
        _write_json(folder / "config.json", data | ends | {"dtype": dtype})
        _write_json(folder / "generation_config.json", ends | dict(generation or {}))
        notes = {"version": __version__, "lineage": [asdict(row) for row in lineage]}
        _write_json(folder / "penjing.json", notes)
    return Checkpoint.open(path)


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    try:
        yield
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{file} is damaged or was written only in part ({error}). Restore it from a copy."
        ) from error


def _errno(error: SafetensorError) -> tuple[int, str]:
    """safetensors hides the operating system's error number in its message."""
    text = str(error)
    number = text.rpartition("os error ")[2].partition(")")[0]
    return (int(number) if number.isdigit() else 5), text


def _read_json(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{file.parent} is not a whole model directory: {file.name} is missing."
        ) from error
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{file} is damaged: {error}.") from error
    if not isinstance(data, dict):
        raise CheckpointError(f"{file} is damaged: a JSON object was expected.")
    return data


def _write_json(file: Path, data: Mapping[str, Any]) -> None:
    text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    file.write_text(text, encoding="utf-8", errors="backslashreplace")  # as JSON escapes surrogates
