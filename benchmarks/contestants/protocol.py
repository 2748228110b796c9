"""How a contestant is asked: one JSON object a line on standard input, one answer a line back.

Each contestant is a process that holds one model in memory and sleeps until it is asked, so that
several can take turns on a quiet machine. Questions are methods; what prints to standard output
otherwise is sent to standard error, lest it be taken for an answer.
"""

import json
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO


class Contestant(ABC):
    """What every contestant can be asked. Token ids are the same for all."""

    @abstractmethod
    def prefill(self, ids: Sequence[int]) -> float:
        """Seconds to read a prompt from nothing, until its last logits are there."""

    @abstractmethod
    def decode(self, ids: Sequence[int], n: int) -> float:
        """Seconds to make `n` tokens after the prompt `ids`, one after the other, greedily."""

    @abstractmethod
    def batch(self, prompts: Sequence[Sequence[int]], n: int) -> float:
        """Seconds to make `n` tokens after each prompt, all of them at once, prompts included."""

    def memory(self) -> float:
        """Bytes of memory that the process takes."""
        return resident()


def resident() -> float:
    """Bytes of memory that this process takes (its resident set)."""
    text = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
    rows = dict(line.split(":", 1) for line in text.splitlines()[1:])
    return 1024.0 * int(rows["Rss"].split()[0])


def answer(contestant: Contestant, replies: TextIO) -> None:
    """Answer until standard input ends."""
    print(json.dumps({"ready": True}), file=replies, flush=True)
    for line in sys.stdin:
        question: dict[str, Any] = json.loads(line)
        value = getattr(contestant, question.pop("ask"))(**question)
        print(json.dumps({"value": value}), file=replies, flush=True)


def own_output() -> TextIO:
    """Standard output for answers alone: what libraries print goes to standard error."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return replies
