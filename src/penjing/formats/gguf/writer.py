"""A checkpoint as a GGUF file, for llama.cpp and all that is built on it, such as Ollama."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from penjing.core.errors import CheckpointError, ConfigError
from penjing.core.files import atomic_file
from penjing.core.table import suggest
from penjing.formats.gguf.checkpoint import LINEAGE, GgufCheckpoint
from penjing.formats.gguf.config import config_metadata
from penjing.formats.gguf.encode import ALIGNMENT, Plain, header
from penjing.formats.gguf.reader import TensorInfo
from penjing.formats.gguf.rope import FACTORS, rope_factors
from penjing.formats.gguf.tokenizer_writer import tokenizer_metadata
from penjing.formats.gguf.weights import Place, by_pairs, places
from penjing.model.checkpoint import Checkpoint
from penjing.model.config import ModelConfig
from penjing.model.weights import Stored
from penjing.quantization.floats import to_float32
from penjing.quantization.ggml import (
    FLOAT_TYPES,
    QUANTIZED_OUT,
    pack_blocks,
    pack_floats,
    refit,
    round_to_blocks,
    unpack_floats,
)
from penjing.quantization.tensor import QuantizedTensor

KEEP = "keep"  # each tensor as it is stored
TYPES = ("F32", "F16", "BF16", *QUANTIZED_OUT)
_FILE_TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "BF16": 32}  # llama_ftype

How = Literal["exact", "float16 scales", "rounded"]


@dataclass(frozen=True)
class Written:
    """What a tensor became.

    `how` is "exact" (its very values), "float16 scales" (the same integers, but scales rounded to
    float16), or "rounded".
    """

    name: str  # llama.cpp's: "blk.0.attn_q.weight"
    hf: str
    shape: tuple[int, ...]
    type: str
    how: How


def write_gguf(
    checkpoint: Checkpoint, file: str | Path, scheme: str = "Q8_0", *, table: str | None = None
) -> list[Written]:
    """Write one GGUF file: whole, or not at all. What each tensor became is returned.

    Args:
        scheme: the type of all matrices: F32, F16, BF16, Q8_0, Q4_0 or Q4_1; or "keep", which
            keeps what is quantized already, in the smallest of these that holds its integers, and
            floats in their own type. Vectors are always F32, as llama.cpp wants them.
        table: the type of the embeddings and the head; None: Q8_0 for the schemes of 4 bits, as
            these rows are used one at a time and suffer most; else the scheme.

    Raises:
        ConfigError: there is no such scheme.
        CheckpointError: llama.cpp computes no such model, or a matrix cannot be had in the scheme:
            rows are no multiple of 32, weights that cannot be quantized as they are not finite,
            or are beyond float16.
        TokenizerError: llama.cpp has no such tokenizer.
        StorageError: the disk refuses.
    """
    for name in (scheme, table or scheme):
        if name not in (KEEP, *TYPES):
            raise ConfigError(f"Unknown GGUF type {name!r}.{suggest(name, [KEEP, *TYPES])}")
    if table is None:
        table = "Q8_0" if scheme in ("Q4_0", "Q4_1") else scheme
    architecture, settings = config_metadata(checkpoint.config)
    metadata: dict[str, Plain] = {
        "general.architecture": architecture,
        "general.type": "model",
        "general.name": _name(checkpoint.path),
        "general.quantization_version": 2,
        **({"general.file_type": _FILE_TYPES[scheme]} if scheme in _FILE_TYPES else {}),
        **settings,
        **_vocabulary(checkpoint),
    }
    if checkpoint.lineage:
        metadata[LINEAGE] = json.dumps([asdict(row) for row in checkpoint.lineage], default=str)
    plan = _plan(checkpoint.config, architecture)
    with atomic_file(Path(file)) as scratch, scratch.open("wb") as out:
        return _write(out, metadata, plan, checkpoint, (scheme, table))


def _name(path: Path) -> str:
    """That of the file, or of the directory; a run's is not "model"."""
    path = path.absolute()
    return path.parent.name if path.name == "model" else path.stem


def _vocabulary(checkpoint: Checkpoint) -> Mapping[str, Any]:
    """The entries `tokenizer.*`; those of a GGUF file as they are there."""
    if isinstance(checkpoint, GgufCheckpoint):
        found = checkpoint.file.metadata.items()
        own = {key: value for key, value in found if key.startswith("tokenizer.")}
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in own.items()}
    tokenizer = checkpoint.tokenizer
    out = dict(tokenizer_metadata(tokenizer, rows=checkpoint.config.vocab_size))
    ends = checkpoint.generation.get("eos_token_id")
    others = [id for id in ends if id != tokenizer.eos_id] if isinstance(ends, list) else []
    return out | ({"tokenizer.ggml.eot_token_id": others[0]} if others else {})


def _plan(config: ModelConfig, architecture: str) -> list[Place]:
    plan = places(config, architecture)
    if config.rope_scaling == "llama3":
        plan.append(Place(FACTORS, FACTORS, (config.head_dim // 2,), transpose=False, heads=0))
    return plan


def _write(
    out: BinaryIO,
    metadata: Mapping[str, Plain],
    plan: list[Place],
    checkpoint: Checkpoint,
    schemes: tuple[str, str],
) -> list[Written]:
    """The tensors one after the other, then the header before them, whose size was known."""
    blank = {place.theirs: TensorInfo(place.shape, "F32", 0, 0) for place in plan}
    start = len(header(metadata, blank, 0))
    out.seek(start)
    written: list[Written] = []
    infos: dict[str, TensorInfo] = {}
    for place, weight in _weights(checkpoint, plan):
        try:
            raw, kind, how = _encode(weight, place, schemes)
        except CheckpointError as error:
            raise CheckpointError(f"{checkpoint.path}, tensor {place.hf}: {error}") from error
        if place.heads:
            raw = by_pairs(raw.reshape(place.shape[0], -1), place.heads)
        infos[place.theirs] = TensorInfo(place.shape, kind, out.tell(), raw.nbytes)
        out.write(np.ascontiguousarray(raw).data)
        out.write(b"\0" * (-raw.nbytes % ALIGNMENT))
        written.append(Written(place.theirs, place.hf, place.shape, kind, how))
    out.seek(0)
    out.write(header(metadata, infos, start))
    return written


def _weights(checkpoint: Checkpoint, plan: list[Place]) -> Iterator[tuple[Place, Stored]]:
    """Each tensor as (N, K) or (N,), one at a time."""
    weights = checkpoint.weights()
    for place in plan:
        if place.hf == FACTORS:
            yield place, rope_factors(checkpoint.config)
            continue
        weight = weights[place.hf]
        if not isinstance(weight, QuantizedTensor) and place.transpose:
            weight = weight.T
        yield place, weight


def _encode(
    weight: Stored, place: Place, schemes: tuple[str, str]
) -> tuple[NDArray[np.uint8], str, How]:
    """Raw bytes, their type, and how they came about."""
    kind = _type(place, *schemes)
    if isinstance(weight, QuantizedTensor):
        choices = [kind] if kind != KEEP else ["Q4_0", "Q4_1", "Q8_0"]
        for choice in choices:
            if (fitted := refit(weight, choice)) is not None:
                tensor, same = fitted
                return pack_blocks(tensor, choice), choice, "exact" if same else "float16 scales"
        if kind == KEEP:
            raise CheckpointError(
                f"{weight.scheme} fits none of GGUF's {', '.join(QUANTIZED_OUT)}. Name one of them "
                "to have its weights rounded anew."
            )
        w = weight.dequantize()
    else:
        w = to_float32(weight)
        if kind == KEEP:
            kind = {"float16": "F16", "uint16": "BF16"}.get(weight.dtype.name, "F32")
    if kind in FLOAT_TYPES:
        raw = pack_floats(w, kind)
        same = np.array_equal(unpack_floats(raw, kind), w)
        return raw, kind, "exact" if same else "rounded"
    return pack_blocks(round_to_blocks(w, kind), kind), kind, "rounded"


def _type(place: Place, scheme: str, table: str) -> str:
    """The type that a tensor is asked to have."""
    if len(place.shape) == 1 or place.theirs == "position_embd.weight":
        return "F32"
    return table if place.theirs in ("token_embd.weight", "output.weight") else scheme
