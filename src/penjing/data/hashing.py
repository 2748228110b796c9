"""Hashes of texts that come piece by piece, and of the files that they lie in."""

import hashlib
from pathlib import Path

BYTES = 16  # of a SHA-256 that are kept


class TextHash:
    """SHA-256 of a text, and of it without the white space around it, in flat memory."""

    def __init__(self) -> None:
        self._whole, self._core = hashlib.sha256(), hashlib.sha256()
        self._begun = False
        self._held = ""  # white space that may be the last

    def update(self, text: str) -> None:
        """The next piece."""
        self._whole.update(text.encode("utf-8"))
        if not self._begun:
            text = text.lstrip()
            self._begun = bool(text)
        text = self._held + text
        core = text.rstrip()
        self._core.update(core.encode("utf-8"))
        self._held = text[len(core) :]

    def digests(self) -> tuple[bytes, bytes]:
        """Of the text, and of its core: 16 bytes each."""
        return self._whole.digest()[:BYTES], self._core.digest()[:BYTES]


def text_hashes(text: str) -> tuple[bytes, bytes]:
    """The digests of a text that is there at once."""
    return hashes_of(text, text.encode("utf-8"))


def hashes_of(text: str, raw: bytes) -> tuple[bytes, bytes]:
    """The same, where its bytes in UTF-8 are there already."""
    whole = hashlib.sha256(raw).digest()[:BYTES]
    core = text.strip()
    if len(core) == len(text):
        return whole, whole
    return whole, hashlib.sha256(core.encode("utf-8")).digest()[:BYTES]


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, as `sha256sum` shows it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
