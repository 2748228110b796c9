"""A model directory. It *is* a Hugging Face directory: `transformers` reads it without our code.

config.json              the architecture and its sizes
model.safetensors        the weights (or shards with an index)
tokenizer.json, tokenizer_config.json
generation_config.json   end token and sampling defaults
penjing.json             ours: where the model comes from, one line an operation
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penjing.core.config import from_dict
from penjing.core.errors import CheckpointError, ConfigError
from penjing.model.compressed import CompressedWeights
from penjing.model.config import ModelConfig
from penjing.model.forms import FORMS
from penjing.model.tensor_files import TensorFiles, read_json
from penjing.model.weights import Rule, Stored, check_headers
from penjing.quantization.compressed_config import parse_config
from penjing.quantization.stored import Quantization
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.version import __version__

if TYPE_CHECKING:
    import torch

    from penjing.model.base import LanguageModel

CHECKPOINTS = "checkpoints"  # of a run: a directory for each saved step
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
        path = model_directory(Path(path))
        if not path.is_dir():
            raise CheckpointError(f"There is no model directory {path}.")
        config = read_config(path)
        return cls(path, config, read_lineage(path / "penjing.json"))

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """Raises TokenizerError when it is missing, and CheckpointError when it does not fit."""
        tokenizer = self._read_tokenizer()
        if tokenizer.vocab_size > self.config.vocab_size:
            raise CheckpointError(
                f"{self.path}: the tokenizer has {tokenizer.vocab_size} tokens but the model only "
                f"{self.config.vocab_size} embeddings: they do not belong together."
            )
        return tokenizer

    def _read_tokenizer(self) -> Tokenizer:
        return Tokenizer.load(self.path)

    @cached_property
    def generation(self) -> Mapping[str, Any]:
        """generation_config.json, or nothing."""
        file = self.path / "generation_config.json"
        return read_json(file) if file.exists() else {}

    def weights(self) -> Mapping[str, Stored]:
        """The stored weights by their Hugging Face names, each read when asked for.

        Quantized ones are (outputs, inputs), whatever the family; others are arrays as they are
        stored, bfloat16 as its bits in uint16.

        Raises:
            CheckpointError: no weights are there, a file is damaged, or the tensors' names, shapes
                or types do not fit the configuration.
        """
        form = FORMS[self.config.family]
        ignore = form.ignore + (("lm_head.weight",) if self.config.tie_embeddings else ())
        rules = form.rules(self.config)
        try:
            stored = self._stored(TensorFiles(self.path, form.canonical), rules)
            check_headers(stored.headers, rules, ignore)
        except CheckpointError as error:
            raise CheckpointError(f"{self.path}: {error}") from error
        return stored

    def _stored(self, files: TensorFiles, rules: list[Rule]) -> TensorFiles | CompressedWeights:
        config = read_json(self.path / "config.json").get("quantization_config")
        if not config:
            return files
        if not isinstance(config, dict):
            raise CheckpointError("config.json is damaged: quantization_config must be a table.")
        return CompressedWeights(files, parse_config(config), rules)

    @cached_property
    def quantization(self) -> Quantization | None:
        """Which weights are quantized, and which are not; None: none of them is.

        Raises:
            CheckpointError: see `weights`.
        """
        stored = self.weights()
        return stored.quantization if isinstance(stored, CompressedWeights) else None

    @cached_property
    def digest(self) -> str:
        """SHA-256 of model.safetensors, or of its shards in a row: a parent in a lineage."""
        digest = hashlib.sha256()
        for path in TensorFiles(self.path, str).paths:
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()

    def release(self) -> None:
        """Give back memory that reading the weights took; they can still be read."""

    def load_model(
        self, *, device: "torch.device | str" = "cpu", dtype: "torch.dtype | None" = None
    ) -> "LanguageModel":
        """The model in evaluation mode, in the stored precision unless `dtype` is given.

        Quantized weights become the numbers that they stand for. Where the inputs of a layer are
        quantized too, as with "w8a8", they are here as well.

        Raises:
            CheckpointError: see `weights`.
        """
        from penjing.model.loading import build  # with torch, which nothing else here needs

        rounded = self.quantization.activations if self.quantization is not None else ()
        return build(self.config, self.weights(), rounded, device=device, dtype=dtype)


def model_directory(path: Path) -> Path:
    """Where the model of a run lies; a model's own directory is itself.

    It is model/, or the newest checkpoint where a kill left no model/.
    """
    if (path / "model" / "config.json").is_file():
        return path / "model"
    steps = saved_steps(path)
    return steps[max(steps)] if steps else path


def saved_steps(run: Path) -> dict[int, Path]:
    """The whole checkpoints of a run, by step: what is not whole has another name."""
    found = (re.fullmatch(r"step-(\d+)", path.name) for path in (run / CHECKPOINTS).glob("step-*"))
    return {int(match[1]): run / CHECKPOINTS / match[0] for match in found if match}


def read_config(path: Path) -> ModelConfig:
    """The configuration of a model directory, in our terms.

    Raises:
        CheckpointError: config.json is missing or damaged, or asks for what we do not compute.
    """
    file = path / "config.json"
    data = read_json(file)
    kind = str(data.get("model_type"))
    try:
        if kind == OWN_MODEL_TYPE:
            return from_dict(ModelConfig, data["penjing"], where="penjing").resolve()
        known = [name for name, form in FORMS.items() if form.architecture]
        if kind not in known:
            raise CheckpointError(f"model_type {kind!r} is not one of ours ({', '.join(known)}).")
        form = FORMS[kind]
        for name, values in form.expected.items():
            if data.get(name, values[0]) not in values:
                raise CheckpointError(f"{name} = {data[name]!r} cannot be computed here.")
        settings = {"family": kind, **form.settings(data)}
        for name in ("n_embd", "n_head"):  # ours may leave them out; theirs may not
            if settings[name] == 0:
                raise CheckpointError(f"{name} is 0.")
        return from_dict(ModelConfig, settings, where="in our terms").resolve()
    except KeyError as error:
        raise CheckpointError(f"{file}: {error} is missing.") from error
    except (TypeError, ConfigError, CheckpointError) as error:
        raise CheckpointError(f"{file}: {error}") from error


def read_lineage(file: Path) -> tuple[Lineage, ...]:
    """Where a model comes from; nothing for one that is not ours.

    Raises:
        CheckpointError: the file is damaged.
    """
    rows = read_json(file).get("lineage", []) if file.exists() else []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise CheckpointError(f"{file} is damaged: lineage must be a list of tables.")
    try:
        return tuple(from_dict(Lineage, row, where="lineage") for row in rows)
    except ConfigError as error:
        raise CheckpointError(f"{file} is damaged: {error}") from error
