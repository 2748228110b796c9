"""A quantized model written: as compressed-tensors, or as GGUF."""

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from penjing.core.errors import ConfigError, StorageError
from penjing.formats.gguf.checkpoint import GgufCheckpoint
from penjing.formats.gguf.writer import KEEP as AS_THEY_ARE
from penjing.formats.gguf.writer import write_gguf
from penjing.model.base import LanguageModel
from penjing.model.checkpoint import Checkpoint, Lineage
from penjing.model.config import ModelConfig
from penjing.model.families import rebuild
from penjing.model.forms import FORMS
from penjing.model.saving import save_checkpoint
from penjing.model.tensor_files import TensorFiles
from penjing.model.tensors import export_tensors, to_array
from penjing.model.weights import Stored
from penjing.quantization.scheme import Scheme
from penjing.report.units import size
from penjing.transform.config import Format
from penjing.transform.quantize import Quantized, stored_dtype

FITTING = "int8 (Q8_0), int4 (Q4_0) and int4-asym (Q4_1), best in groups of 32"


def check_format(form: Format, scheme: Scheme, config: ModelConfig) -> None:
    """See before the work whether the format can hold a scheme.

    Raises:
        ConfigError: it cannot; the message says what can.
    """
    if form == "compressed-tensors" and config.family == "gpt2":
        raise ConfigError(
            "compressed-tensors holds the weights of Linear layers, and GPT-2 has Conv1D in their "
            "place at Hugging Face. Write it with --format gguf."
        )
    if form == "gguf" and (scheme.activations or (scheme.bits == 8 and not scheme.symmetric)):
        why = "no rounded activations" if scheme.activations else "no asymmetric 8 bits"
        raise ConfigError(
            f"GGUF has {why}, so it cannot hold {scheme.name}. These schemes fit it: {FITTING}."
        )


def write(
    quantized: Quantized,
    source: Checkpoint,
    path: Path,
    *,
    form: Format = "compressed-tensors",
    data: str | None = None,
    figures: Mapping[str, Any] | None = None,
) -> None:
    """Write a new directory, or a new GGUF file.

    Args:
        data: SHA-256 of the calibration text's ids.
        figures: what was measured, for the lineage.

    Raises:
        CheckpointError: the format cannot hold a tensor.
        StorageError: something is at `path` already, or the disk refuses.
    """
    settings = asdict(quantized.config) | {"format": form}
    row = Lineage("quantize", settings, source.digest, data, figures or {})
    lineage = (*source.lineage, row)
    if form == "gguf":
        write_gguf(_InMemory(quantized, source, lineage), path, AS_THEY_ARE)
        return
    model = _as_stored(quantized, source)
    rules = FORMS[model.config.family].rules(model.config)
    ours = {name: rule.ours.removesuffix(".weight") for rule in rules for name in rule.theirs}
    save_checkpoint(
        path,
        model=model,
        tokenizer=source.tokenizer,
        lineage=lineage,
        generation=source.generation,
        quantized=quantized.tensors,
        activations=[name for name in quantized.tensors if ours[name] in quantized.inputs],
    )


def check_space(quantized: Quantized, source: Checkpoint, path: Path) -> None:
    """See before it is measured whether there is room for it.

    Raises:
        StorageError: there is not.
    """
    width = getattr(torch, stored_dtype(source)).itemsize
    n_weights = sum(tensor.q.size for tensor in quantized.tensors.values())
    kept = quantized.model.n_parameters() - n_weights
    needed = sum(tensor.n_bytes for tensor in quantized.tensors.values()) + kept * width
    place = next(parent for parent in path.absolute().parents if parent.exists())
    free = shutil.disk_usage(place).free
    if needed > free:
        raise StorageError(
            f"There is no room for the quantized model in {place}: it takes {size(needed)}, and "
            f"{size(free)} are free. Free some space, or choose another --out."
        )


def weight_bytes(path: Path) -> tuple[int, int]:
    """What the weights of a model take: the files on disk, and the numbers alone in them.

    `path` is a GGUF file (which holds the tokenizer too), or a directory with all its shards.
    """
    if path.is_file():
        tensors = GgufCheckpoint.open(path).file.tensors.values()
        return path.stat().st_size, sum(info.size for info in tensors)
    files = TensorFiles(path, str).paths
    whole = sum(file.stat().st_size for file in files)
    return whole, whole - sum(8 + _header(file) for file in files)


def _header(file: Path) -> int:
    """Bytes of the list of tensors that a safetensors file begins with."""
    with file.open("rb") as stream:
        return int.from_bytes(stream.read(8), "little")


def _as_stored(quantized: Quantized, source: Checkpoint) -> LanguageModel:
    """In the precision of the file. The model in memory, which is still measured, stays exact."""
    dtype, model = getattr(torch, stored_dtype(source)), quantized.model
    return rebuild(model.config, {n: t.to(dtype) for n, t in model.state_dict().items()})


class _InMemory(Checkpoint):
    """A quantized model as a checkpoint that lies nowhere."""

    def __init__(
        self, quantized: Quantized, source: Checkpoint, lineage: tuple[Lineage, ...]
    ) -> None:
        super().__init__(source.path, quantized.model.config, lineage)
        self._quantized, self._source = quantized, source
        self.tokenizer, self.generation = source.tokenizer, source.generation

    def weights(self) -> Mapping[str, Stored]:
        model = _as_stored(self._quantized, self._source)
        rules = FORMS[model.config.family].rules(model.config)
        tensors = export_tensors(model.state_dict(), rules)
        return {**{n: to_array(t) for n, t in tensors.items()}, **self._quantized.tensors}
