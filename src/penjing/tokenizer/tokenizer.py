"""One tokenizer, whatever trained it: a tokenizer.json and what its tokens mean."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Backend

from penjing.core.errors import TokenizerError
from penjing.core.files import atomic_file
from penjing.tokenizer.alphabet import printable, require_unicode
from penjing.tokenizer.pieces import pieces_of
from penjing.tokenizer.splits import ANYWHERE, LINE_START, cut, split_name

_PIECE = 1 << 16  # characters of a long text that are encoded at once
_BATCH = 1 << 19  # characters: an encoding takes some 200 bytes a token until its ids are out


class Tokenizer:
    """Text to ids and back, over a `tokenizers` file that every other runtime reads too.

    Ids are 0 to `vocab_size` - 1. Safe to use from several threads.

    Args:
        text: the content of tokenizer.json; it is kept and saved as it is.
        settings: the content of tokenizer_config.json.
        source: where they came from, for errors.

    Raises:
        TokenizerError: the content is not a tokenizer's, or names an end token it has not.
    """

    def __init__(
        self,
        text: str,
        settings: Mapping[str, Any] | None = None,
        *,
        source: str = "tokenizer.json",
    ) -> None:
        spec = _parse(text, source)
        self._text = text
        self._settings = dict(settings or {})
        self._plain = _backend(text, source)
        self._plain.encode_special_tokens = True

        self.fingerprint = hashlib.sha256(text.encode("utf-8")).hexdigest()  # of tokenizer.json
        self.kind = _kind(spec)  # "bpe", "char" or "byte"; for others the model's type
        self.split = split_name(spec.get("pre_tokenizer"))  # a name of SPLITS, or None
        self.pieces = pieces_of(spec.get("decoder"))
        self.vocab_size = (
            max(self._plain.get_vocab(with_added_tokens=True).values(), default=-1) + 1
        )
        added = self._plain.get_added_tokens_decoder()
        self.special_tokens = {token.content: id for id, token in added.items() if token.special}
        self.eos_id = self._role("eos_token")
        self.bos_id = self._role("bos_token")
        self.pad_id = self._role("pad_token")
        self.chat_template: str | None = self._settings.get("chat_template")
        self._boundary = self._safe_boundary(spec)
        named = self._settings.get("eos_token")
        if named is not None and self.eos_id is None:
            raise TokenizerError(
                f"{source}: the settings beside it name the end token {named!r}, which is not in "
                "the vocabulary. The two files do not belong together; save both again."
            )

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """The tokenizer of a model directory, or of a tokenizer.json.

        tokenizer_config.json and special_tokens_map.json are read when they lie beside it.

        Raises:
            TokenizerError: a file is missing, damaged, or not a tokenizer's.
        """
        file = path / "tokenizer.json" if path.is_dir() else path
        settings = _read_settings(file.parent)
        return cls(_read(file), settings, source=str(file))

    def save(self, folder: Path, *, model_max_length: int | None = None) -> None:
        """Write tokenizer.json and tokenizer_config.json, such that `transformers` agrees.

        `model_max_length` is the context length in tokens that others are told.

        Raises:
            StorageError: the disk refuses.
        """
        settings: dict[str, Any] = {
            **self._settings,
            # The generic class takes tokenizer.json as it is; a model's own may rebuild parts.
            "tokenizer_class": "PreTrainedTokenizerFast",
            "clean_up_tokenization_spaces": False,
        }
        settings.pop("auto_map", None)  # names remote code
        if model_max_length is not None:
            settings["model_max_length"] = model_max_length
        content = json.dumps(settings, ensure_ascii=False, indent=2) + "\n"
        for name, text in (("tokenizer.json", self._text), ("tokenizer_config.json", content)):
            with atomic_file(folder / name) as scratch:
                scratch.write_bytes(text.encode("utf-8"))

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """The ids of a text. "<|endoftext|>" in it is plain text, unless `allow_special`.

        No begin or end token is added.

        Raises:
            TokenizerError: the text is not valid Unicode.
        """
        return self.encode_batch([text], allow_special=allow_special)[0]

    def encode_batch(self, texts: Iterable[str], *, allow_special: bool = False) -> list[list[int]]:
        """The ids of each text; the same as `encode` on each, but in parallel.

        Raises:
            TokenizerError: a text is not valid Unicode.
        """
        backend = self._matching if allow_special else self._plain
        boundary = None if allow_special else self._boundary
        rows: list[list[int]] = []
        for batch in _batches(_numbered_pieces(texts, boundary)):
            pieces = [piece for _, piece in batch]
            encodings = backend.encode_batch_fast(pieces, add_special_tokens=False)
            for (number, _), encoding in zip(batch, encodings, strict=True):
                if number == len(rows):
                    rows.append([])
                rows[number].extend(encoding.ids)
        return rows

    def decode(self, ids: Iterable[int], *, skip_special: bool = True) -> str:
        """The text of ids; bytes that are not UTF-8 become U+FFFD.

        Raises:
            TokenizerError: there is no such id.
        """
        ids = list(ids)
        for id in (min(ids), max(ids)) if ids else ():
            self._check(id)
        return self._plain.decode(ids, skip_special_tokens=skip_special)

    def token_bytes(self, id: int) -> bytes:
        """The bytes that a token stands for, which may be part of a character.

        Raises:
            TokenizerError: there is no such id.
        """
        return self.pieces.to_bytes(self._check(id))

    def token_text(self, id: int) -> str:
        r"""A token for showing: its text, with the bytes of a half character as `\xE4`.

        Raises:
            TokenizerError: there is no such id.
        """
        return printable(self.token_bytes(id))

    def id_of(self, token: str) -> int | None:
        """The id of a token as the vocabulary writes it ("Ġthe", "<|endoftext|>"), if it has it."""
        return self._plain.token_to_id(token)

    @cached_property
    def _matching(self) -> Backend:
        """The instance that matches special tokens: a second one, for the switch is not a
        parameter of a call, and threads would turn it for each other."""
        return _backend(self._text, "tokenizer.json")

    def __len__(self) -> int:
        return self.vocab_size

    def __repr__(self) -> str:
        return f"Tokenizer({self.kind}, {self.vocab_size} tokens, {self.fingerprint[:12]})"

    def _check(self, id: int) -> str:
        """The token as the vocabulary writes it."""
        token = self._plain.id_to_token(id) if 0 <= id < self.vocab_size else None
        if token is None:
            raise TokenizerError(
                f"There is no token {id}: this vocabulary has {self.vocab_size} ids, from 0. "
                "Do the model and the tokenizer belong together?"
            )
        return token

    def _role(self, role: str) -> int | None:
        named = self._settings.get(role)
        content = named.get("content") if isinstance(named, dict) else named
        return self.id_of(content) if isinstance(content, str) else None

    def _safe_boundary(self, spec: Mapping[str, Any]) -> re.Pattern[str] | None:
        """Where a long text may be cut without changing its ids; None: nowhere that we know."""
        if spec.get("normalizer") is not None:
            return None
        if self.kind in ("char", "byte"):
            return ANYWHERE
        return LINE_START if self.split is not None else None


def _numbered_pieces(
    texts: Iterable[str], boundary: re.Pattern[str] | None
) -> Iterator[tuple[int, str]]:
    """Each text, in pieces if it is long and may be cut, with the number of the text."""
    for number, text in enumerate(texts):
        require_unicode(text)
        pieces = [text] if boundary is None else cut(text, _PIECE, boundary)
        for piece in pieces:
            yield number, piece


def _batches(pieces: Iterator[tuple[int, str]]) -> Iterator[Sequence[tuple[int, str]]]:
    batch: list[tuple[int, str]] = []
    size = 0
    for number, piece in pieces:
        batch.append((number, piece))
        size += len(piece)
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _backend(text: str, source: str) -> Backend:
    try:
        backend = Backend.from_str(text)
    except Exception as error:  # the library raises no narrower class
        raise TokenizerError(f"{source} is not a tokenizer.json: {error}.") from error
    backend.no_truncation()
    backend.no_padding()
    return backend


def _parse(text: str, source: str) -> dict[str, Any]:
    try:
        spec = json.loads(text)
    except ValueError as error:
        raise TokenizerError(
            f"{source} is damaged, it is not JSON: {error}. Copy or save it again."
        ) from error
    if not isinstance(spec, dict) or not isinstance(spec.get("model"), dict):
        raise TokenizerError(f'{source} is not a tokenizer.json: it has no "model".')
    return spec


def _kind(spec: Mapping[str, Any]) -> str:
    model = spec["model"]
    if model.get("type", "BPE") != "BPE":
        return str(model["type"]).lower()
    if model.get("merges"):
        return "bpe"
    return "byte" if (spec.get("decoder") or {}).get("type") == "ByteLevel" else "char"


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        raise TokenizerError(
            f"There is no tokenizer at {file}. Name a model directory that holds a tokenizer.json, "
            "or the file itself."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise TokenizerError(f"{file} cannot be read: {error}.") from error


def _read_settings(folder: Path) -> dict[str, Any]:
    """tokenizer_config.json over special_tokens_map.json; a chat template may have its own file."""
    settings: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if (folder / name).is_file():
            source = folder / name
            try:
                settings |= json.loads(_read(source))
            except (ValueError, TypeError) as error:
                raise TokenizerError(f"{source} is damaged, no JSON object: {error}.") from error
    template = folder / "chat_template.jinja"
    if template.is_file():
        settings["chat_template"] = _read(template)
    elif isinstance(named := settings.get("chat_template"), list):  # the older form: several, named
        settings["chat_template"] = {t["name"]: t["template"] for t in named}.get("default")
    return settings
