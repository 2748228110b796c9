"""A model of another form as a directory of ours: Hugging Face's form, with one line of lineage."""

from collections import Counter
from pathlib import Path
from typing import Literal

import torch

from penjing.formats.gguf.checkpoint import GgufCheckpoint
from penjing.model.checkpoint import Checkpoint, Lineage
from penjing.model.saving import save_checkpoint
from penjing.model.tensor_files import TensorFiles

Precision = Literal["auto", "float32", "bfloat16", "float16"]


def import_checkpoint(source: Checkpoint, out: str | Path, dtype: Precision = "auto") -> Checkpoint:
    """Write the model of `source` to a new directory, with plain weights.

    Args:
        dtype: the precision of the weights; "auto" keeps the stored one, and makes float32 of
            quantized weights, so that nothing is lost.

    Raises:
        CheckpointError, TokenizerError: the source is damaged, or parts of it do not fit.
        StorageError: `out` exists already, or the disk refuses.
    """
    precision = None if dtype == "auto" else getattr(torch, dtype)
    if precision is None and source.quantization is not None:
        precision = torch.float32
    tokenizer = source.tokenizer  # what can be wrong with it is better said before the weights
    model = source.load_model(dtype=precision)
    line = Lineage(
        "import",
        settings={
            "source": source.path.name,
            "types": stored_types(source),
            "dtype": str(next(model.parameters()).dtype).removeprefix("torch."),
        },
        parent=source.digest,
    )
    return save_checkpoint(
        out,
        model=model,
        tokenizer=tokenizer,
        lineage=(*source.lineage, line),
        generation=source.generation,
    )


def stored_types(source: Checkpoint) -> dict[str, int]:
    """How many tensors are stored in each type: {"Q4_1": 210, "F32": 61, "Q8_0": 1}."""
    quantization = source.quantization
    if quantization is not None:
        types = Counter([*quantization.schemes.values(), *quantization.kept.values()])
    elif isinstance(source, GgufCheckpoint):
        types = Counter(tensor.type for tensor in source.file.tensors.values())
    else:
        headers = TensorFiles(source.path, str).headers  # the weights themselves are not read
        types = Counter(header.dtype for header in headers.values())
    return dict(types.most_common())
