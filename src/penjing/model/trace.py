"""Observation points: named places in the model where one can listen, at no cost when nobody does.

A `Tap` returns what it is given. It sits in *the* model, so what one sees is what is computed.

    with record(model, "layers.*.attention.weights") as seen:
        model(ids)
    seen["layers.0.attention.weights"]  # (B, H, T, T)
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase

from torch import Tensor, nn

from penjing.core.errors import ConfigError
from penjing.core.table import suggest


class Tap(nn.Module):
    """The identity, with a name (its path in the model)."""

    @property
    def listening(self) -> bool:
        """Whether somebody listens: then a value that a fused kernel would hide is computed."""
        return bool(self._forward_hooks)

    def forward(self, x: Tensor) -> Tensor:
        return x


def taps(model: nn.Module) -> list[str]:
    """The names of all observation points, in the order of the forward pass."""
    return [name for name, module in model.named_modules() if isinstance(module, Tap)]


@contextmanager
def record(model: nn.Module, *patterns: str) -> Iterator[dict[str, Tensor]]:
    """Listen at the points whose names match a pattern ("*" for all) while the block runs.

    Yields a dictionary that holds, after each forward pass, that pass's detached values by name.

    Raises:
        ConfigError: a pattern matches no observation point.
    """
    names = taps(model)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ConfigError(f"No observation point matches {pattern!r}.{suggest(pattern, names)}")
    seen: dict[str, Tensor] = {}

    def listener(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
            seen[name] = output.detach()

        return hook

    handles = [
        model.get_submodule(name).register_forward_hook(listener(name))
        for name in names
        if any(fnmatchcase(name, pattern) for pattern in patterns)
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
