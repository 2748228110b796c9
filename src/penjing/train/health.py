"""How each layer of a model does: gradients, weights, neurons, and where a number broke."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from penjing.data.batches import Batch
from penjing.generate.inference import inference
from penjing.model.base import LanguageModel
from penjing.model.trace import record, taps
from penjing.train.objectives import Objective

ACTIVATION = "feed_forward.activation"  # the observation point of a layer's neurons
CHUNK_TOKENS = 1024  # looked at together, so that the activations of all layers need little memory
ASLEEP = 1e-3  # of the peak that half of all neurons reach: one that stays below it adds nothing
ZERO = 1e-6  # the same where more than half of them are asleep
COSTLY = ("weights", "states")  # points at which listening changes how the values are computed


def look(model: LanguageModel, norms: Mapping[str, float], batch: Batch) -> dict[str, Any]:
    """The figures of a "health" event, from the gradient norm of each parameter (before clipping).

    `batch` is validation text: a neuron counts as dead if none of its tokens wakes it.
    """
    finite = all(map(math.isfinite, norms.values()))  # else the step was not made
    return {
        "gradients": by_part(norms) if finite else {},
        "weights": weight_norms(model),
        "dead": dead_neurons(model, batch),
    }


def by_part(norms: Mapping[str, float]) -> dict[str, float]:
    """Norms of parameters -> norms of the parts that they make up, in the order of the names.

    The parts are "embedding", "layers.0" and so on, "norm", "unembedding": squares add up.
    """
    squares: dict[str, float] = {}
    for name, norm in norms.items():
        part = part_of(name)
        squares[part] = squares.get(part, 0.0) + norm * norm
    return {part: math.sqrt(square) for part, square in squares.items()}


def part_of(name: str) -> str:
    """A parameter's layer ("layers.3"), or what stands beside the layers ("embedding")."""
    pieces = name.split(".")
    return ".".join(pieces[:2] if pieces[0] == "layers" else pieces[:1])


def weight_norms(model: LanguageModel) -> dict[str, float]:
    """The norm of each part's weights; a table that serves as embedding and head counts once."""
    named = {name: p.detach() for name, p in model.named_parameters()}
    norms = torch._foreach_norm(list(named.values()), 2, torch.float32)
    return by_part(dict(zip(named, torch.stack(norms).tolist(), strict=True)))


def dead_neurons(model: LanguageModel, batch: Batch) -> dict[str, float]:
    """For each layer, the share of feed-forward neurons that no token of `batch` wakes.

    A neuron is one channel of the wide layer, after the activation function. It sleeps on a token
    if its magnitude is below a thousandth of the peak that half of all the model's neurons reach.
    Families without such neurons (rnn, lstm) have none: {}.
    """
    points = [name for name in taps(model) if name.endswith(ACTIVATION)]
    if not points:
        return {}
    rows = max(1, CHUNK_TOKENS // batch.inputs.size(1))
    device = next(model.parameters()).device
    peaks: dict[str, Tensor] = {}  # (n_inner,) by layer
    with inference(model), record(model, *points) as seen:
        for inputs in torch.split(batch.inputs, rows):
            model.hidden(inputs.to(device))
            for name in points:
                peak = seen[name].abs().amax((0, 1)).float()
                peaks[name] = torch.maximum(peaks[name], peak) if name in peaks else peak
    threshold = max(ASLEEP * torch.cat(list(peaks.values())).median().item(), ZERO)
    return {part_of(name): (peak < threshold).float().mean().item() for name, peak in peaks.items()}


@dataclass(frozen=True)
class NonFinite:
    """Where the first NaN or infinity arose in a forward and backward pass."""

    where: Literal["weight", "activation", "loss", "gradient", "together"]
    tensor: str  # the parameter or the observation point; "" for the loss, and for all together
    layer: int | None  # None beside the layers
    rows: tuple[int, ...]  # of the batch, from 0; none for "together": no row does so by itself

    def __str__(self) -> str:
        if self.where == "together":
            return "No row of the batch gives such a number by itself, or when computed again."
        what = {
            "weight": f"The weight {self.tensor} holds numbers that are not finite",
            "activation": f"The activation {self.tensor} is the first that is not finite",
            "loss": "All activations are finite, but the loss is not",
            "gradient": f"The loss is finite; of the gradients that are not, that of {self.tensor} "
            "comes first",
        }[self.where]
        if self.where == "weight":
            return f"{what}."
        some = ", ".join(str(row + 1) for row in self.rows[:8])
        some += ", ..." if len(self.rows) > 8 else ""
        return f"{what}, in row{'s' if len(self.rows) > 1 else ''} {some} of the batch."


def locate_nonfinite(model: LanguageModel, objective: Objective, batch: Batch) -> NonFinite:
    """Find where numbers cease to be finite, by computing each row of the batch once more.

    Looked at in the order in which a NaN spreads: weights, activations from the first layer to the
    logits, the row's loss, gradients from the last layer to the first. The earliest such place is
    named, and all rows that have one. A table that serves as embedding and head has one gradient,
    and counts as the embedding. The model, its gradients and torch's generators stay as they are.
    """
    for name, parameter in model.named_parameters():
        if not parameter.isfinite().all():
            return NonFinite("weight", name, _layer(name), ())
    points = [name for name in taps(model) if not name.endswith(COSTLY)]
    places: dict[int, _Place] = {}
    with torch.random.fork_rng(), torch.enable_grad():
        for row in range(len(batch.inputs)):
            alone = Batch(batch.inputs[row : row + 1], batch.targets[row : row + 1])
            if (alone.targets >= 0).any() and (place := _first(model, objective, alone, points)):
                places[row] = place
    if not places:
        return NonFinite("together", "", None, ())
    first = min(places.values(), key=lambda place: place.order)
    return NonFinite(first.where, first.tensor, _layer(first.tensor), tuple(places))


@dataclass(frozen=True)
class _Place:
    order: int  # in which a pass comes by
    where: Literal["activation", "loss", "gradient"]
    tensor: str


def _first(
    model: LanguageModel, objective: Objective, batch: Batch, points: list[str]
) -> _Place | None:
    with record(model, *points) as seen:
        loss = objective.loss(model, batch)
    for i, name in enumerate(points):
        if name in seen and not seen[name].isfinite().all():
            return _Place(i, "activation", name)
    if not loss.isfinite():
        return _Place(len(points), "loss", "")
    named = _in_forward_order(model)
    gradients = torch.autograd.grad(loss, [p for _, p in named], allow_unused=True)
    found = zip(named, gradients, strict=True)
    bad = [i for i, (_, g) in enumerate(found) if g is not None and not g.isfinite().all()]
    if not bad:
        return None
    last = bad[-1]  # the gradients come in reverse
    return _Place(len(points) + len(named) - last, "gradient", named[last][0])


def _in_forward_order(model: LanguageModel) -> list[tuple[str, Tensor]]:
    """The trained parameters as they are registered, but an attention's output at its end.

    The norms of queries and keys come before it in a pass, and after it in the model.
    """
    ordered: list[tuple[str, Tensor]] = []
    outputs: list[tuple[str, Tensor]] = []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if ".attention.output." in name:
            outputs.append((name, parameter))
            continue
        if ".attention." not in name:
            ordered += outputs
            outputs = []
        ordered.append((name, parameter))
    return ordered + outputs


def _layer(name: str) -> int | None:
    part = part_of(name)
    return int(part.split(".")[1]) if "." in part else None
