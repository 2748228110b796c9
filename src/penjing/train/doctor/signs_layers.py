"""Signs in single layers, from the "health" events."""

from collections.abc import Iterable

from penjing.train.doctor.history import Data, Finding, History

EXPLODED = 1.0  # of the layer's weights: in healthy runs a gradient is 0.001 to 0.1 of them
VANISHED = 1 / 300  # of the largest layer's gradient: healthy ones lie within a factor of 10
DEAD = 0.25  # of a layer's neurons: healthy ones have hardly any
SHOWN = 6  # layers named in a sentence


def exploding_gradients(run: History) -> Finding | None:
    """A layer whose gradient is larger than its weights."""
    look = run.health[-1]
    found = {
        layer: norm
        for layer, norm in _layers(look).items()
        if norm > EXPLODED * look["weights"].get(layer, float("inf"))
    }
    if not found:
        return None
    described = (
        f"{layer} ({norm:.3g}, its weights {look['weights'][layer]:.3g})"
        for layer, norm in sorted(found.items(), key=lambda item: -item[1])
    )
    return Finding(f"Gradient norms at step {look['step']}: {_some(described)}.")


def vanishing_gradients(run: History) -> Finding | None:
    """Layers whose gradient is a tiny part of another layer's."""
    look = run.health[-1]
    layers = _layers(look)
    if len(layers) < 2 or exploding_gradients(run):
        return None
    largest = max(layers, key=lambda layer: layers[layer])
    found = [layer for layer, norm in layers.items() if norm < VANISHED * layers[largest]]
    if not found:
        return None
    described = (f"{layer} ({layers[layer]:.2g})" for layer in found)
    return Finding(
        f"Gradient norms at step {look['step']}: {_some(described)}; that of {largest} is "
        f"{layers[largest]:.2g}."
    )


def dead_neurons(run: History) -> Finding | None:
    """Layers many of whose neurons no token wakes."""
    look = run.health[-1]
    found = {layer: share for layer, share in look.get("dead", {}).items() if share > DEAD}
    if not found:
        return None
    described = (f"{share:.0%} in {layer}" for layer, share in found.items())
    return Finding(
        f"At step {look['step']} no token of the validation batch wakes these feed-forward "
        f"neurons: {_some(described)}."
    )


def _layers(look: Data) -> dict[str, float]:
    gradients: dict[str, float] = look["gradients"]
    return {part: float(norm) for part, norm in gradients.items() if part.startswith("layers.")}


def _some(items: Iterable[str]) -> str:
    listed = list(items)
    rest = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + rest
