"""A torch model written as a model directory: whole, or not at all."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from penjing.core.config import to_dict
from penjing.core.files import atomic_directory
from penjing.model.base import LanguageModel
from penjing.model.checkpoint import OWN_MODEL_TYPE, Checkpoint, Lineage
from penjing.model.compressed_saving import compress
from penjing.model.forms import FORMS
from penjing.model.tensor_files import SINGLE
from penjing.model.tensors import export_tensors, save_tensors
from penjing.quantization.tensor import QuantizedTensor
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.version import __version__


def save_checkpoint(
    path: str | Path,
    *,
    model: LanguageModel,
    tokenizer: Tokenizer,
    lineage: tuple[Lineage, ...] = (),
    generation: Mapping[str, Any] | None = None,
    quantized: Mapping[str, QuantizedTensor] | None = None,
    activations: Collection[str] = (),
    replace: bool = False,
    beside: Callable[[Path], None] | None = None,
) -> Checkpoint:
    """Write a model directory: whole, or not at all. `beside` may add more files to it.

    `quantized` weights, by their names at Hugging Face, take the place of the model's own; the
    form is compressed-tensors. The inputs of those also named in `activations` are to be rounded
    to int8. What stays as it is, is listed in penjing.json.

    Raises:
        CheckpointError: the form cannot hold a quantized weight.
        StorageError: `path` exists and `replace` is false, or the disk refuses.
    """
    path = Path(path)
    config = model.config
    form = FORMS[config.family]
    tensors = export_tensors(model.state_dict(), form.rules(config))
    dtype = str(next(iter(tensors.values())).dtype).removeprefix("torch.")
    entry: dict[str, Any] = {}
    if quantized:
        tensors, entry["quantization_config"] = compress(tensors, quantized, activations, config)
    ends = {"bos_token_id": tokenizer.bos_id, "eos_token_id": tokenizer.eos_id}
    if form.native(config):
        data = {"architectures": [form.architecture], **form.to_config(config)}
    else:
        data = {"model_type": OWN_MODEL_TYPE, "penjing": to_dict(config)}
    with atomic_directory(path, replace=replace) as folder:
        save_tensors(tensors, folder / SINGLE, {"format": "pt"})
        tokenizer.save(folder, model_max_length=config.context_length)
        _write_json(folder / "config.json", data | ends | {"dtype": dtype} | entry)
        _write_json(folder / "generation_config.json", ends | dict(generation or {}))
        notes: dict[str, Any] = {"version": __version__, "lineage": [asdict(r) for r in lineage]}
        if quantized:
            notes["quantization"] = _listed(quantized, tensors)
        _write_json(folder / "penjing.json", notes)
        if beside is not None:
            beside(folder)
    return Checkpoint.open(path)


def _listed(
    quantized: Mapping[str, QuantizedTensor], tensors: Mapping[str, Tensor]
) -> dict[str, Any]:
    """What is quantized and how, and what is not: names by scheme and by type."""
    schemes: dict[str, list[str]] = {}
    for name, tensor in quantized.items():
        schemes.setdefault(tensor.scheme, []).append(name)
    modules = {name.removesuffix(".weight") for name in quantized}
    kept: dict[str, list[str]] = {}
    for name, plain in tensors.items():
        if name.rpartition(".")[0] not in modules:
            kept.setdefault(str(plain.dtype).removeprefix("torch."), []).append(name)
    return {"schemes": schemes, "kept": kept}


def _write_json(file: Path, data: Mapping[str, Any]) -> None:
    text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    file.write_text(text, encoding="utf-8", errors="backslashreplace")  # as JSON escapes surrogates
