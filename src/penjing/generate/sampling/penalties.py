"""Steps that change single logits: by what was said already, or because somebody wants it so."""

from collections.abc import Mapping, Sequence
from copy import copy

import numpy as np
import numpy.typing as npt

from penjing.generate.sampling.draw import Ids
from penjing.kernels.scores import Logits

Counts = npt.NDArray[np.int32]  # (V,)


class History:
    """The tokens so far, and how often each comes in them; counted when somebody asks.

    Args:
        window: how many of the last tokens are counted; 0 for all.
    """

    def __init__(self, vocab_size: int, prompt: Sequence[int] = (), window: int = 0) -> None:
        self.window = window
        self.length = 0  # tokens generated
        self._new: list[int] = []  # of them, not counted yet
        self._prompt = self._end = len(prompt)
        self._text = np.array(prompt, np.int32)  # (end,), and room: it grows by doubling
        self._seen: Counts = np.zeros(vocab_size, np.int32)
        self._generated: Counts = np.zeros(vocab_size, np.int32)
        np.add.at(self._seen, self._text[-window:], 1)

    def add(self, id: int) -> None:
        """One more token is generated."""
        self.length += 1
        self._new.append(id)

    @property
    def text(self) -> Counts:
        """The ids of prompt and output (T,)."""
        self._count()
        return self._text[: self._end]

    @property
    def seen(self) -> Counts:
        """How often each token is in the prompt or generated."""
        self._count()
        return self._seen

    @property
    def generated(self) -> Counts:
        """How often each token is generated."""
        self._count()
        return self._generated

    def fork(self) -> "History":
        """The same past, which goes on by itself."""
        twin = copy(self)
        twin._new, twin._text = self._new.copy(), self._text.copy()
        twin._seen, twin._generated = self._seen.copy(), self._generated.copy()
        return twin

    def _count(self) -> None:
        """Enter what is new."""
        for id in self._new:
            if self._end == len(self._text):
                self._text = np.resize(self._text, 2 * self._end + 64)
            self._text[self._end] = id
            self._seen[id] += 1
            self._generated[id] += 1
            gone = self._end - self.window  # the place that has just left the window
            if self.window and gone >= 0:
                self._seen[self._text[gone]] -= 1
                if gone >= self._prompt:
                    self._generated[self._text[gone]] -= 1
            self._end += 1
        self._new.clear()


def repetition_penalty(logits: Logits, seen: Counts, penalty: float) -> Logits:
    """Make tokens that were `seen` (V,), in the prompt or since, less likely (above 1).

    A positive logit is divided by `penalty` and a negative one multiplied (Keskar et al. 2019,
    "CTRL", with the mend for negative logits that `transformers` made).
    """
    ids = np.flatnonzero(seen > 0)
    theirs = logits[ids]
    return _replaced(logits, ids, np.where(theirs < 0, theirs * penalty, theirs / penalty))


def penalties(logits: Logits, counts: Counts, presence: float, frequency: float) -> Logits:
    """Subtract `presence` once and `frequency` by the count, for each token generated so far.

    `counts` (V,) says how often; the prompt does not count. The formula of the OpenAI API.
    """
    ids = np.flatnonzero(counts > 0)
    return _replaced(logits, ids, logits[ids] - presence - counts[ids] * frequency)


def logit_bias(logits: Logits, bias: Mapping[int, float]) -> Logits:
    """Add a number to the logits of some tokens; -100 in effect bans one."""
    ids = np.fromiter(bias, np.intp, len(bias))
    return _replaced(logits, ids, logits[ids] + np.fromiter(bias.values(), float, len(bias)))


def _replaced(logits: Logits, ids: Ids, values: npt.NDArray[np.floating]) -> Logits:
    changed = logits.copy()
    changed[ids] = values
    return changed
