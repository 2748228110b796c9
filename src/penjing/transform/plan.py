"""What of a model will be quantized, how, and what will not, with the reason for each tensor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from penjing.core.errors import ConfigError
from penjing.model.base import LanguageModel
from penjing.model.forms import FORMS
from penjing.quantization.floats import FloatName
from penjing.quantization.scheme import Scheme
from penjing.transform.matrices import HEAD, TABLE, Matrix, matrices, select, weight_of
from penjing.transform.rounder import Rounder


@dataclass(frozen=True)
class Plan:
    """All tensors of a model, in one of two lists."""

    matrices: tuple[Matrix, ...]  # in the order of the forward pass, the table first if it is one
    rounders: Mapping[str, Rounder]  # by our name of the matrix
    kept: Mapping[str, str]  # tensor at Hugging Face -> why it stays as it is


def make_plan(
    model: LanguageModel,
    scheme: Scheme | Mapping[str, Scheme | None],
    *,
    keep: Sequence[str] = (),
    head: Scheme | None = None,
    table: Scheme | None = None,
    scale_dtype: FloatName = "float32",
    gguf: bool = False,
) -> Plan:
    """Which matrices get which scheme.

    Args:
        scheme: for all matrices of the layers, or by our name of the matrix (None: kept).
        keep: patterns of matrices that stay as they are.
        head: of the matrix to the logits, where that is a tensor of its own; None keeps it.
        table: of the embedding table, for formats that can hold it; None keeps it.

    Raises:
        ConfigError: it is no Transformer, a pattern matches nothing, or groups do not fill a row.
    """
    found = matrices(model)
    rule = next(r for r in FORMS[model.config.family].rules(model.config) if r.ours == _TABLE)
    whole = Matrix(TABLE, rule.theirs, (model.config.vocab_size,), None)
    named = select(keep, [whole, *found]) if keep else set()
    tied = model.config.tie_embeddings
    rounders: dict[str, Rounder] = {}
    kept: dict[str, str] = {}
    for matrix in (whole, *found):
        if matrix.name == TABLE:
            chosen, why = table, "the table of embeddings" + (", the head too" if tied else "")
        elif matrix.name == HEAD:
            chosen, why = head, "the head: see --head"
        elif isinstance(scheme, Mapping):
            chosen, why = scheme[matrix.name], "chosen by the budget"
        else:
            chosen, why = scheme, ""
        if matrix.name in named:
            chosen, why = None, "named by --keep"
        if chosen is None:
            kept.update(dict.fromkeys(matrix.theirs, why))
        else:
            _check_width(chosen, matrix, weight_of(model, matrix.name).size(1), gguf=gguf)
            rounders[matrix.name] = Rounder(chosen, scale_dtype, gguf)
    kept.update(_others(model, (whole, *found)))
    if not rounders:
        raise ConfigError("--keep names every matrix: nothing is left to quantize.")
    return Plan((whole, *found), rounders, kept)


_TABLE = f"{TABLE}.weight"


def _check_width(scheme: Scheme, matrix: Matrix, columns: int, *, gguf: bool) -> None:
    """Raises ConfigError where groups, or GGUF's blocks, do not fill a row."""
    stem = matrix.theirs[0].removesuffix(".weight").rpartition(".")[2]
    try:
        scheme.group_for(columns, matrix.theirs[0])
    except ConfigError as error:
        raise ConfigError(
            f"{error} Or keep such matrices as they are: --keep '*{stem}'."
        ) from error
    if gguf and columns % 32:
        raise ConfigError(
            f"GGUF's quantized types have blocks of 32 weights, and {matrix.theirs[0]} has rows of "
            f"{columns}. Keep such matrices as they are (--keep '*{stem}'), or write "
            "compressed-tensors with a scale for each channel."
        )


def _others(model: LanguageModel, covered: Sequence[Matrix]) -> dict[str, str]:
    """The tensors that are no matrix of a layer: vectors, and a table of positions."""
    done = {name for matrix in covered for name in matrix.theirs}
    shapes = {name: tensor.ndim for name, tensor in model.state_dict().items()}
    return {
        name: "a vector: small, and delicate" if shapes[rule.ours] == 1 else "a table of positions"
        for rule in FORMS[model.config.family].rules(model.config)
        for name in rule.theirs
        if name not in done
    }
