"""One tensor of a checkpoint, found by its name or a part of it, and explained."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from penjing.core.errors import ConfigError
from penjing.core.table import suggest
from penjing.model.checkpoint import Checkpoint
from penjing.model.forms import FORMS
from penjing.quantization.explain import Explanation, explain
from penjing.quantization.floats import to_float32
from penjing.quantization.scheme import Scheme, parse_scheme
from penjing.quantization.tensor import QuantizedTensor

STORY = ("int8-tensor", "int8", "uint8", "int4-tensor", "int4", "int4-g32", "int4-asym-g32")


def explain_tensor(
    checkpoint: Checkpoint, wanted: str, schemes: Sequence[Scheme] = ()
) -> Explanation:
    """What `schemes` do to the tensor whose name is `wanted`, or contains it.

    Without any: those of `STORY` whose groups fill its rows. A tensor that is quantized already is
    explained by the numbers that it stands for.

    Raises:
        ConfigError: no tensor, or several, go by that name; or a scheme does not fit its columns.
        CheckpointError: the weights are missing or damaged, or it holds a NaN.
    """
    weights = checkpoint.weights()
    name = find_tensor(list(weights), wanted)
    tensor = weights[name]
    stored = tensor.scheme if isinstance(tensor, QuantizedTensor) else ""
    w = matrix(checkpoint, name)
    fitting = [s for s in map(parse_scheme, STORY) if w.shape[-1] % (s.group or 1) == 0]
    return explain(w, schemes or fitting, name=name, stored=stored)


def find_tensor(names: Sequence[str], wanted: str) -> str:
    """The name that is `wanted`, or the only one that contains it.

    Raises:
        ConfigError: there is none, or more than one.
    """
    found = [name for name in names if wanted in (name, name.removesuffix(".weight"))]
    found = found or [name for name in names if wanted in name and name.endswith(".weight")]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(
            f"{len(found)} tensors go by {wanted!r}: {', '.join(found[:4])}"
            f"{', ...' if len(found) > 4 else ''}. Name one of them."
        )
    close = suggest(wanted, list(names)).partition(" Known:")[0]
    raise ConfigError(
        f"There is no tensor {wanted!r}.{close} Some of them: {', '.join(list(names)[:6])}, ..."
    )


def matrix(checkpoint: Checkpoint, name: str) -> NDArray[np.float32]:
    """A tensor as float32 (outputs, inputs), whichever way the family stores it."""
    tensor = checkpoint.weights()[name]
    if isinstance(tensor, QuantizedTensor):
        return tensor.dequantize()
    rules = FORMS[checkpoint.config.family].rules(checkpoint.config)
    turned = any(rule.transpose and name in rule.theirs for rule in rules)
    return np.ascontiguousarray(to_float32(tensor.T if turned else tensor))
