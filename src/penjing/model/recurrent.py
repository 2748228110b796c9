"""RNN and LSTM: read token by token, with a state of fixed size as all that is left of the past.

Elman 1990 (RNN); Hochreiter and Schmidhuber 1997 with the forget gate of Gers et al. 2000 (LSTM).
Layers are stacked as in a Transformer, with a norm before each and a residual around it: so deep
ones train well. Dropout lies between the layers, never on the recurrence (Zaremba et al. 2014).

Each cell is here twice: as torch's own kernel, which runs over a whole window, and written out one
step at a time, which shows the state after every token. A test holds the two equal.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from penjing.model.base import Stack
from penjing.model.cache import Cache, StateCache
from penjing.model.config import ModelConfig
from penjing.model.llama import RMSNorm
from penjing.model.trace import Tap


class Cell(nn.Module, ABC):
    """One recurrence, from left to right: (B, T, C) -> (B, T, C). The first state is the output."""

    n_states: int
    n_gates: int

    def __init__(self, width: int) -> None:
        super().__init__()
        self.input = nn.Linear(width, self.n_gates * width)
        self.recurrent = nn.Linear(width, self.n_gates * width, bias=False)
        self.states = Tap()  # (B, T, n_states, C)

    def forward(self, x: Tensor, cache: StateCache | None, layer: int) -> Tensor:
        if cache is None and not self.states.listening:
            return self.kernel(x)
        if cache is None:
            past = x.new_zeros(len(x), self.n_states, x.size(-1))
        else:
            past = cache.last(layer, x)
        states: Tensor = self.states(self.steps(x, past))
        if cache is not None:
            cache.append(layer, states)
        return states[:, :, 0]

    def steps(self, x: Tensor, state: Tensor) -> Tensor:
        """All states (B, T, n_states, C), going on from `state` (B, n_states, C)."""
        given = self.input(x)  # (B, T, n_gates * C): what does not wait for the past
        states = []
        for t in range(x.size(1)):
            state = self.step(given[:, t] + self.recurrent(state[:, 0]), state)
            states.append(state)
        return torch.stack(states, dim=1)

    @abstractmethod
    def step(self, gates: Tensor, state: Tensor) -> Tensor:
        """The next state (B, n_states, C), from the gates' sums (B, n_gates * C) and the last."""

    @abstractmethod
    def kernel(self, x: Tensor) -> Tensor:
        """The outputs (B, T, C) of a whole window from an empty past, by torch's own kernel."""

    def _arguments(self) -> tuple[list[Tensor], bool, int, float, bool, bool, bool]:
        """What torch's kernels take after the input and the first state."""
        bias = self.input.bias
        none = torch.zeros_like(bias)  # torch adds a second bias; one is enough
        weights = [self.input.weight, self.recurrent.weight, bias, none]
        has_biases, n_layers, dropout, both_ways, batch_first = True, 1, 0.0, False, True
        train = torch.is_grad_enabled()
        return weights, has_biases, n_layers, dropout, train, both_ways, batch_first


class RNNCell(Cell):
    """h = tanh(W x + U h + b)."""

    n_states, n_gates = 1, 1

    def step(self, gates: Tensor, state: Tensor) -> Tensor:
        return gates.tanh()[:, None]

    def kernel(self, x: Tensor) -> Tensor:
        empty = x.new_zeros(1, len(x), x.size(-1))
        return torch.rnn_tanh(x, empty, *self._arguments())[0]


class LSTMCell(Cell):
    """The memory c is kept, added to and read through gates that open between 0 and 1:

    c = forget * c + input * tanh(...);  h = output * tanh(c).
    """

    n_states, n_gates = 2, 4

    def step(self, gates: Tensor, state: Tensor) -> Tensor:
        opened, forget, new, shown = gates.chunk(4, dim=-1)
        c = forget.sigmoid() * state[:, 1] + opened.sigmoid() * new.tanh()
        h = shown.sigmoid() * c.tanh()
        return torch.stack((h, c), dim=1)

    def kernel(self, x: Tensor) -> Tensor:
        empty = x.new_zeros(1, len(x), x.size(-1))
        return torch.lstm(x, (empty, empty), *self._arguments())[0]


class Block(nn.Module):
    """A norm, a cell, and a residual around both."""

    def __init__(self, config: ModelConfig, cell: Cell, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.norm = RMSNorm(config.n_embd, eps=config.norm_eps)
        self.cell = cell
        self.dropout = nn.Dropout(config.dropout)
        self.residual = Tap()  # (B, T, C)

    def forward(self, x: Tensor, cache: StateCache | None) -> Tensor:
        x = x + self.dropout(self.cell(self.norm(x), cache, self.layer))
        residual: Tensor = self.residual(x)
        return residual


class Recurrent(Stack):
    """A stack of cells. Order is told by reading, so `positions` change nothing."""

    cell: type[Cell]

    def make_block(self, layer: int) -> Block:
        return Block(self.config, self.cell(self.config.n_embd), layer)

    def make_norm(self) -> RMSNorm:
        return RMSNorm(self.config.n_embd, eps=self.config.norm_eps)

    def new_cache(self, *, batch_size: int = 1, capacity: int | None = None) -> StateCache:
        weight = self.embedding.weight
        return StateCache(
            self.config,
            n_states=self.cell.n_states,
            batch_size=batch_size,
            capacity=capacity,
            dtype=weight.dtype,
            device=weight.device,
        )

    def hidden(
        self, ids: Tensor, positions: Tensor | None = None, cache: Cache | None = None
    ) -> Tensor:
        past = StateCache.expect(cache)
        if past is not None:
            past.make_room(ids.size(1))
        x = self.embedded(self.dropout(self.embedding(ids)))  # (B, T, C)
        for block in self.layers:
            x = block(x, past)
        if past is not None:
            past.finish(ids.size(1))
        normed: Tensor = self.normed(self.norm(x))
        return normed


class RNN(Recurrent):
    """The plain recurrent network of Elman 1990."""

    cell = RNNCell


class LSTM(Recurrent):
    """The long short-term memory."""

    cell = LSTMCell
