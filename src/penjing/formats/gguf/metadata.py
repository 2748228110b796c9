"""The metadata of a GGUF file: values by name, of the types that they are said to have."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar, overload

import numpy as np

from penjing.core.errors import CheckpointError
from penjing.formats.gguf.cursor import Value

D = TypeVar("D")
_REQUIRED = object()


class Metadata(Mapping[str, Value]):
    """What a file says of itself. `m.whole(key)` and its like also say that the type is right.

    Each raises CheckpointError for another type, and for a key that is missing if there is no
    default. `path` is the file's, for errors.
    """

    def __init__(self, values: Mapping[str, Value], path: Path) -> None:
        self._values, self.path = dict(values), path

    def __getitem__(self, key: str) -> Value:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    @overload
    def whole(self, key: str) -> int: ...
    @overload
    def whole(self, key: str, default: D) -> int | D: ...
    def whole(self, key: str, default: object = _REQUIRED) -> object:
        """A whole number."""
        return self._checked(key, default, (int,), "a whole number")

    @overload
    def number(self, key: str) -> float: ...
    @overload
    def number(self, key: str, default: D) -> float | D: ...
    def number(self, key: str, default: object = _REQUIRED) -> object:
        """A number; a float32 as the shortest decimal that means it: 1e-05, not 9.99999975e-06."""
        value = self._checked(key, default, (int, float), "a number")
        if not isinstance(value, float):
            return value
        with np.errstate(over="ignore"):
            narrow = np.float32(value)
        return float(str(narrow)) if float(narrow) == value else value

    @overload
    def text(self, key: str) -> str: ...
    @overload
    def text(self, key: str, default: D) -> str | D: ...
    def text(self, key: str, default: object = _REQUIRED) -> object:
        """A text."""
        return self._checked(key, default, (str,), "a text")

    @overload
    def flag(self, key: str) -> bool: ...
    @overload
    def flag(self, key: str, default: D) -> bool | D: ...
    def flag(self, key: str, default: object = _REQUIRED) -> object:
        """True or false."""
        return self._checked(key, default, (bool,), "true or false")

    def _checked(self, key: str, default: object, kinds: tuple[type, ...], what: str) -> object:
        if key not in self._values:
            if default is _REQUIRED:
                raise CheckpointError(f"{self.path}: the metadata {key!r} is missing.")
            return default
        value = self._values[key]
        if type(value) not in kinds:
            found = "a list of texts" if isinstance(value, list) else str(value)
            short = found if len(found) <= 40 else f"{found[:40]}..."
            raise CheckpointError(f"{self.path}: the metadata {key!r} must be {what}, not {short}.")
        return value
