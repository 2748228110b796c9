"""Steps that change single logits: by what was said already, or because somebody wants it so."""

from collections.abc import Mapping, Sequence
from copy import copy

import numpy as np
import numpy.typing as npt

from penjing.generate.sampling.draw import Ids, Logits

Counts = npt.NDArray[np.int32]  # (V,)


class History:
    """The tokens so far, and how often each comes in them.

    Args:
        window: how many of the last tokens are counted; 0 for all.
    """

    def __init__(self, vocab_size: int, prompt: Sequence[int] = (), window: int = 0) -> None:
        self.window = window
        self.length = 0  # tokens generated
        self.seen: Counts = np.zeros(vocab_size, np.int32)  # in the prompt or generated
        self.generated: Counts = np.zeros(vocab_size, np.int32)
        self._prompt = len(prompt)
        self._text = np.array(prompt, np.int32)  # grows by doubling
        np.add.at(self.seen, self.text[-window:], 1)

    @property
    def text(self) -> Counts:
        """The ids of prompt and output (T,)."""
        return self._text[: self._prompt + self.length]

    def add(self, id: int) -> None:
        """One more token is generated."""
        at = self._prompt + self.length
        if at == len(self._text):
            self._text = np.concatenate([self._text, np.empty(at + 64, np.int32)])
        self._text[at] = id
        self.length += 1
        self.seen[id] += 1
        self.generated[id] += 1
        gone = at - self.window  # the place that has just left the window
        if self.window and gone >= 0:
            self.seen[self._text[gone]] -= 1
            if gone >= self._prompt:
                self.generated[self._text[gone]] -= 1

    def fork(self) -> "History":
        """The same past, which goes on by itself."""
        twin = copy(self)
        twin.seen, twin.generated = self.seen.copy(), self.generated.copy()
        twin._text = self._text.copy()
        return twin


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
