"""Documents written to a file as they come, also those that come in parts."""

import gzip
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TextIO

from penjing.core.errors import ConfigError
from penjing.data.readers import Part

_FORMS = ".jsonl, .jsonl.gz or .txt"


class Writer(Protocol):
    """Takes documents in parts."""

    def add(self, part: Part, **more: str) -> None:
        """The next part; `more` is what else a row is to hold."""


class _Rows:
    """A JSON object a line: {"text", "source"}, and what else is given."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._begins = True

    def add(self, part: Part, **more: str) -> None:
        if self._begins:
            self._file.write('{"text": "')
        self._file.write(json.dumps(part.text, ensure_ascii=False)[1:-1])
        self._begins = part.ends
        if part.ends:
            rest = json.dumps({"source": part.source, **more}, ensure_ascii=False)
            self._file.write(f'", {rest[1:]}\n')


class _Plain:
    """The texts alone, with an empty line between documents."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._begins, self._first, self._last = True, True, ""

    def add(self, part: Part, **more: str) -> None:
        if self._begins and not self._first:
            self._file.write("\n" if self._last == "\n" else "\n\n")
        self._file.write(part.text)
        self._begins, self._first, self._last = part.ends, False, part.text[-1:] or self._last


@contextmanager
def open_writer(draft: Path, target: Path) -> Iterator[Writer]:
    """A writer into the file `draft`, of the form that the name of `target` says.

    Raises:
        ConfigError: there is no such form.
    """
    check_form(target)
    name = target.name.lower()
    with draft.open("wb") as raw:
        if name.endswith(".gz"):
            with (
                gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed,
                io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as file,
            ):
                yield _Rows(file)
        else:
            with io.TextIOWrapper(raw, encoding="utf-8", newline="\n") as file:
                yield _Plain(file) if name.endswith(".txt") else _Rows(file)


def check_form(target: Path) -> None:
    """Raises ConfigError for a file name of no known form."""
    if not target.name.lower().endswith((".jsonl", ".jsonl.gz", ".txt")):
        raise ConfigError(f"{target} must end in {_FORMS}.")
