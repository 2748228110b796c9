"""Running a text through a model, one layer at a time, in the memory of one layer.

The hidden states of all windows enter a layer, and leave it for the next; a layer that has been
quantized meanwhile passes on what the quantized model computes, so that each layer is fitted to
what it will really be given.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from penjing.core.errors import DataError
from penjing.data.batches import Tokens
from penjing.model.base import LanguageModel, Pass
from penjing.transform.hessian import Gatherer, Inputs

ROWS = 4096  # tokens that go through a layer at once


def calibration_windows(tokens: Tokens, length: int, count: int, *, seed: int = 0) -> Tensor:
    """`count` windows (S, T) of a text, taken at random without overlap; all of them, if fewer.

    Raises:
        DataError: the text is shorter than one window.
    """
    whole = len(tokens.ids) // length
    if not whole:
        raise DataError(
            f"The calibration text has {len(tokens.ids)} tokens, and one window has {length}. Use "
            "a longer text (some 16,000 tokens are enough), or a smaller --window."
        )
    cut = tokens.ids[: whole * length].view(whole, length)
    chosen = torch.randperm(whole, generator=torch.Generator().manual_seed(seed))[:count]
    return cut[chosen.sort().values]


class _ReachedError(Exception):
    """The layer that was asked for has seen its inputs: nothing after it is needed."""


class Walk:
    """The hidden states of all windows on their way through the layers.

    Args:
        windows: (S, T) ids, all of one length.
        around: what the forward passes run in, such as rounding of activations.
    """

    def __init__(
        self,
        model: LanguageModel,
        windows: Tensor,
        around: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.model, self.layer = model, 0
        self._around = around
        self._layers: list[nn.Module] = list(model.get_submodule("layers").children())
        self._rows = max(1, ROWS // windows.size(1))
        entered = [self._enter(part) for part in torch.split(windows, self._rows)]
        self.hidden = torch.cat([x for x, _ in entered])  # (S, T, C) into layer `self.layer`
        self._shared = entered[0][1]

    def _enter(self, ids: Tensor) -> tuple[Tensor, Pass]:
        """What the first layer is given for ids (B, T)."""
        caught: list[tuple[Tensor, Pass]] = []

        def catch(_module: nn.Module, given: tuple[Tensor, Pass]) -> None:
            caught.append(given)
            raise _ReachedError

        handle = self._layers[0].register_forward_pre_hook(catch)
        try:
            with torch.no_grad(), self._around():
                self.model.hidden(ids)
        except _ReachedError:
            pass
        finally:
            handle.remove()
        return caught[0]

    def inputs(self, names: Sequence[str]) -> dict[str, Inputs]:
        """What the layer's matrices of these names are given, each a path in the model."""
        modules = {name: self.model.get_submodule(name) for name in names}
        gatherers = {name: Gatherer(_width(module)) for name, module in modules.items()}
        last = names[-1]

        def hook(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
            def gather(_module: nn.Module, given: tuple[Tensor, ...]) -> None:
                gatherers[name].add(given[0])
                if name == last:
                    raise _ReachedError

            return gather

        handles = [m.register_forward_pre_hook(hook(name)) for name, m in modules.items()]
        try:
            for part in torch.split(self.hidden, self._rows):
                try:
                    self._run(part)
                except _ReachedError:
                    continue
        finally:
            for handle in handles:
                handle.remove()
        return {name: gatherer.finish() for name, gatherer in gatherers.items()}

    def step(self) -> None:
        """Through the layer as it is now, to the next one; in place."""
        for part in torch.split(self.hidden, self._rows):
            part.copy_(self._run(part))
        self.layer += 1

    def restart(self, layer: int, hidden: Tensor) -> None:
        """Go on from the inputs (S, T, C) of some layer, which are overwritten."""
        self.layer, self.hidden = layer, hidden

    def head_inputs(self) -> Inputs:
        """What the head is given, after the last layer."""
        norm = self.model.get_submodule("norm")
        gatherer = Gatherer(self.hidden.size(-1))
        with torch.no_grad():
            for part in torch.split(self.hidden, self._rows):
                gatherer.add(norm(part))
        return gatherer.finish()

    def _run(self, x: Tensor) -> Tensor:
        with torch.no_grad(), self._around():
            y: Tensor = self._layers[self.layer](x, self._shared)
        return y


def _width(module: nn.Module) -> int:
    assert isinstance(module, nn.Linear)
    return module.in_features
