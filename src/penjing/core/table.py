"""A table of named things: families, position encodings, sampler steps, readers, recipes.

What is registered is tested: the contract tests run over these tables.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Generic, TypeVar

from penjing.core.errors import ConfigError

T = TypeVar("T")


def suggest(name: str, known: list[str]) -> str:
    """A closing half-sentence for an error: the nearest known name, and all of them."""
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    meant = f" Did you mean {close[0]!r}?" if close else ""
    return f"{meant} Known: {', '.join(known)}."


class Table(Mapping[str, T], Generic[T]):
    """An ordered, named table; an unknown name says which was meant.

    `kind` is the word used in errors, such as "model family".
    """

    def __init__(self, kind: str, entries: Mapping[str, T]) -> None:
        self.kind = kind
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> T:
        if name not in self._entries:
            raise ConfigError(f"Unknown {self.kind} {name!r}.{suggest(name, list(self))}")
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
