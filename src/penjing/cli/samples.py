"""What a verb measures: a text on the command line, files, folders, corpora, standard input."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.cells import cell_len, set_cell_size

from penjing.cli.prompt import read_prompt
from penjing.core.errors import DataError
from penjing.core.events import Listener
from penjing.core.meter import JobMeter
from penjing.data.corpora import CORPORA
from penjing.data.readers import READERS, read_documents
from penjing.data.sources import STDIN, extension

PATIENCE_S = 0.5  # what is done sooner needs no progress
_WIDE = 32  # columns of a text that is its own name


@dataclass(frozen=True)
class Sample:
    """Some texts under one name."""

    name: str
    texts: list[str]

    @property
    def n_bytes(self) -> int:
        """In UTF-8."""
        return sum(len(text.encode("utf-8", "surrogatepass")) for text in self.texts)


def read_sample(word: str, listener: Listener | None = None) -> Sample:
    """The documents of a source, or, where there is no such source, the word itself as a text.

    Raises:
        DataError: a source cannot be read, or a word looks like a file's name and there is none.
    """
    if not word.strip():
        raise DataError("There is no text to measure: it is empty.")
    if _is_source(word):
        documents = read_documents([word], listener=listener)
        return Sample(word.removeprefix("corpus:"), [document.text for document in documents])
    text = read_prompt(word)
    return Sample(_short(text), [text])


def _is_source(word: str) -> bool:
    if word == STDIN or word in CORPORA or word.startswith("corpus:"):
        return True
    with suppress(OSError, ValueError):  # a text may be longer than any name of a file
        if Path(word).expanduser().exists():
            return True
    if not any(map(str.isspace, word)) and extension(Path(word)) in READERS:
        raise DataError(
            f"There is no file {word}. If it is meant to be a text itself, put a space before it."
        )
    return False


def _short(text: str) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text.split())
    return f"“{line if cell_len(line) <= _WIDE else set_cell_size(line, _WIDE).rstrip() + '…'}”"


def watched(texts: Iterable[str], n_bytes: int, label: str, listener: Listener) -> Iterator[str]:
    """The same texts; the listener hears "job" events with the share that was taken.

    Args:
        n_bytes: of all texts in UTF-8; 0 if nobody knows.
    """
    meter, taken = JobMeter(listener), 0
    for text in texts:
        yield text
        taken += len(text.encode("utf-8", "surrogatepass"))
        if n_bytes and meter.seconds > PATIENCE_S:
            meter.tell(label, taken / n_bytes)
