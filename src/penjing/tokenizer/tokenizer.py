"""One tokenizer, whatever trained it: a tokenizer.json and what its tokens mean."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import Encoding
from tokenizers import Tokenizer as Backend

from penjing.core.errors import TokenizerError
from penjing.tokenizer.alphabet import printable, require_unicode
from penjing.tokenizer.backend import encoding_errors, open_backend
from penjing.tokenizer.batching import Piece, batches, pieces_of_texts
from penjing.tokenizer.bulk import Bulk
from penjing.tokenizer.facts import kind_of, largest_id, safe_boundary, unknown_id
from penjing.tokenizer.files import first_token, parse, read, read_settings, write
from penjing.tokenizer.instances import Instances
from penjing.tokenizer.pieces import pieces_of
from penjing.tokenizer.record import TrainingRecord, save_record
from penjing.tokenizer.splits import split_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Tokenizer:
    """Text to ids and back, over a `tokenizers` file that every other runtime reads too.

    Ids are 0 to `vocab_size` - 1. Safe to use from several threads.

    Args:
        text: the content of tokenizer.json; it is kept and saved as it is.
        settings: the content of tokenizer_config.json.
        source: where they came from, for errors.
        spec: what `text` says, where its parts are at hand: see `assemble`.
        backend: what the library makes of `text`, where it is at hand.

    Raises:
        TokenizerError: the content is not a tokenizer's, or names an end token it has not.
    """

    def __init__(
        self,
        text: str,
        settings: Mapping[str, Any] | None = None,
        *,
        source: str = "tokenizer.json",
        spec: Mapping[str, Any] | None = None,
        backend: Backend | None = None,
    ) -> None:
        parts, spec = spec, spec or parse(text, source)
        self.text = text  # the content of tokenizer.json
        self._settings = dict(settings or {})
        self.record: TrainingRecord | None = None  # of a BPE trained here, or read beside a run's
        self._backend = backend or open_backend(text, source, parts)
        self._instances = Instances(text, self._backend)

        self.fingerprint = hashlib.sha256(text.encode("utf-8")).hexdigest()  # of tokenizer.json
        self.kind = kind_of(spec)  # a name of KINDS, or the model's type
        self.split = split_name(spec.get("pre_tokenizer"))  # a name of SPLITS, or None
        self.pieces = pieces_of(spec.get("decoder"))
        self._token_bytes: dict[int, bytes] = {}  # of tokens that were asked for
        self.unknown_id = unknown_id(spec)  # what stands for all that it has no token for
        added = self._backend.get_added_tokens_decoder()
        self.vocab_size = max(largest_id(spec, self._backend), max(added, default=-1)) + 1
        self._has_gaps = self._backend.get_vocab_size() < self.vocab_size  # ids without a token
        self.added_tokens = {token.content: id for id, token in added.items()}
        self.special_tokens = {token.content: id for id, token in added.items() if token.special}
        self.eos_id = self._role("eos_token")
        self.bos_id = self._role("bos_token")
        self.pad_id = self._role("pad_token")
        first = first_token(spec, self._settings)  # a model may expect it before a text
        self.adds_bos = None not in (first, self.bos_id) and self.id_of(str(first)) == self.bos_id
        self.chat_template: str | None = self._settings.get("chat_template")
        self._bulk = Bulk(text, spec)
        self.boundary = safe_boundary(spec)  # where a long text may be cut; None: unknown
        named = self._settings.get("eos_token")
        if named is not None and self.eos_id is None:
            raise TokenizerError(
                f"{source}: the settings beside it name the end token {named!r}, which is not in "
                "the vocabulary. The two files do not belong together; save both again."
            )

    @classmethod
    def load(cls, path: str | Path) -> "Tokenizer":
        """The tokenizer of a model directory, or of a tokenizer.json.

        tokenizer_config.json and special_tokens_map.json are read when they lie beside it.

        Raises:
            TokenizerError: a file is missing, damaged, or not a tokenizer's.
        """
        path = Path(path)
        file = path / "tokenizer.json" if path.is_dir() else path
        settings = read_settings(file.parent)
        return cls(read(file), settings, source=str(file))

    @property
    def settings(self) -> dict[str, Any]:
        """The content of tokenizer_config.json."""
        return dict(self._settings)

    def with_text(self, text: str) -> "Tokenizer":
        """A tokenizer of another tokenizer.json with the settings and roles of this one."""
        return Tokenizer(text, self._settings)

    def save(self, folder: str | Path, *, model_max_length: int | None = None) -> None:
        """Write tokenizer.json and tokenizer_config.json, such that `transformers` agrees, and the
        `record` if there is one.

        `model_max_length` is the context length in tokens that others are told.

        Raises:
            StorageError: the disk refuses.
        """
        write(Path(folder), self.text, self._settings, model_max_length)
        if self.record is not None:
            save_record(folder, self.record)

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """The ids of a text; no begin or end token is added.

        Added tokens ("<|endoftext|>", "<think>"), special or not, are plain text, unless
        `allow_special`: a user's text cannot end a document or open a role.

        Raises:
            TokenizerError: the text is not valid Unicode.
        """
        return self.encode_batch([text], allow_special=allow_special)[0]

    def encode_batch(self, texts: Iterable[str], *, allow_special: bool = False) -> list[list[int]]:
        """The ids of each text; the same as `encode` on each, but in parallel.

        Raises:
            TokenizerError: a text is not valid Unicode.
        """
        rows: list[list[int]] = []
        row: list[int] = []
        for ids, is_last in self.encode_pieces(texts, allow_special=allow_special):
            if row:
                row += ids
            else:
                row = ids
            if is_last:
                rows.append(row)
                row = []
        return rows

    def encode_pieces(
        self, texts: Iterable[str], *, allow_special: bool = False
    ) -> Iterator[tuple[list[int], bool]]:
        """The ids of the texts in turn, a long text in pieces: so they never lie all in a list.

        Each piece comes with whether it is the last one of its text.

        Raises:
            TokenizerError: a text is not valid Unicode.
        """
        for ids, is_last in self._encode(texts, allow_special):
            yield ids if isinstance(ids, list) else ids.tolist(), is_last

    def encode_arrays(
        self, texts: Iterable[str], *, allow_special: bool = False
    ) -> Iterator[tuple["NDArray[np.uint32]", bool]]:
        """The same as arrays, which for large texts takes half the time of lists.

        Raises:
            TokenizerError: a text is not valid Unicode.
        """
        import numpy as np

        for ids, is_last in self._encode(texts, allow_special):
            yield np.asarray(ids, np.uint32), is_last

    def expect(self, characters: int) -> None:
        """Say how much will be encoded: for much, compiled code is loaded at the first text."""
        self._bulk.expect(characters)

    def _encode(
        self, texts: Iterable[str], allow_special: bool
    ) -> Iterator[tuple["list[int] | NDArray[np.uint32]", bool]]:
        pieces = pieces_of_texts(texts, None if allow_special else self.boundary)
        for batch in batches(pieces):
            if not allow_special and self._bulk.wants(sum(len(piece) for piece, _ in batch)):
                yield from self._bulk.encode(chain(batch, pieces))
                return
            yield from self._encode_few(batch, allow_special)

    def _encode_few(
        self, batch: Sequence[Piece], allow_special: bool
    ) -> Iterator[tuple[list[int], bool]]:
        pieces = [piece for piece, _ in batch]
        backend = self._instances.to_encode(pieces, allow_special=allow_special)
        with encoding_errors():
            encodings = backend.encode_batch_fast(pieces, add_special_tokens=False)
        for (_, is_last), encoding in zip(batch, encodings, strict=True):
            yield encoding.ids, is_last

    def trace(self, text: str, *, allow_special: bool = False) -> Encoding:
        """What `tokenizers` knows of an encoding besides the ids of `encode`: tokens as they are
        written, offsets in characters, and which word each belongs to.

        Raises:
            TokenizerError: the text is not valid Unicode.
        """
        require_unicode(text)
        backend = self._instances.to_encode([text], allow_special=allow_special)
        with encoding_errors():
            return backend.encode(text, add_special_tokens=False)

    def normalize(self, text: str) -> str:
        """The text as the model behind sees it: lower case for BERT, most often just the text."""
        normalizer = self._backend.normalizer
        return text if normalizer is None else str(normalizer.normalize_str(text))

    def cut_special(self, text: str) -> Iterator[tuple[str, int | None]]:
        """The text in pieces: added tokens with their ids, and the plain text between them.

        Raises:
            TokenizerError: the text is not valid Unicode.
        """
        encoding = self.trace(text, allow_special=True)
        start = 0
        added = self.are_added(text, encoding)
        for id, (begin, end), is_added in zip(encoding.ids, encoding.offsets, added, strict=True):
            if is_added and begin >= start:
                if start < begin:
                    yield text[start:begin], None
                yield text[begin:end], id
                start = end
        if start < len(text):
            yield text[start:], None

    def are_added(self, text: str, encoding: Encoding) -> list[bool]:
        """Of each token of `trace` with `allow_special`, whether it is an added one: "<unk>" may
        stand in the text, or for something else."""
        added = {id: token for token, id in self.added_tokens.items()}
        return [
            id in added and (id != self.unknown_id or text[start:end].strip() == added[id])
            for id, (start, end) in zip(encoding.ids, encoding.offsets, strict=True)
        ]

    def decode(self, ids: Iterable[int], *, skip_special: bool = True) -> str:
        """The text of ids; bytes that are not UTF-8 become U+FFFD.

        Raises:
            TokenizerError: there is no such id.
        """
        ids = list(ids)
        for id in set(ids) if self._has_gaps or not ids else {min(ids), max(ids)}:
            self._check(id)
        if skip_special:  # the library overlooks one whose text its normalizer changes
            skipped = frozenset(self.special_tokens.values())
            ids = ids if skipped.isdisjoint(ids) else [id for id in ids if id not in skipped]
        return self._backend.decode(ids, skip_special_tokens=False)

    def token_bytes(self, id: int) -> bytes:
        """The bytes that a token stands for, which may be part of a character.

        Raises:
            TokenizerError: there is no such id.
        """
        known = self._token_bytes.get(id)
        if known is None:
            known = self._token_bytes[id] = self.pieces.to_bytes(self._check(id))
        return known

    def token_text(self, id: int) -> str:
        r"""A token for showing: its text, with the bytes of a half character as `\xE4`.

        Raises:
            TokenizerError: there is no such id.
        """
        return printable(self.token_bytes(id))

    def token_of(self, id: int) -> str:
        """A token as the vocabulary writes it ("Ġthe", "<|endoftext|>"); `id_of` the other way.

        Raises:
            TokenizerError: there is no such id.
        """
        return self._check(id)

    def id_of(self, token: str) -> int | None:
        """The id of a token as the vocabulary writes it ("Ġthe", "<|endoftext|>"), if it has it."""
        try:
            return self._backend.token_to_id(token)
        except UnicodeEncodeError:  # a lone surrogate
            return None

    def __len__(self) -> int:
        return self.vocab_size

    def __repr__(self) -> str:
        return f"Tokenizer({self.kind}, {self.vocab_size} tokens, {self.fingerprint[:12]})"

    def _check(self, id: int) -> str:
        """The token as the vocabulary writes it."""
        token = self._backend.id_to_token(id) if 0 <= id < self.vocab_size else None
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
