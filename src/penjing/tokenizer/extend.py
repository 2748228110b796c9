"""More tokens for a vocabulary that a model knows already: old ids and old merges stay as they are.

New merges rank behind all old ones. So a text is cut as before, and then new tokens join what
stands side by side; a text without new tokens has the same ids.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer as Backend

from penjing.core.errors import TokenizerError
from penjing.core.table import Table
from penjing.tokenizer.alphabet import from_alphabet, require_unicode
from penjing.tokenizer.config import HanRule
from penjing.tokenizer.merging import learn_merges
from penjing.tokenizer.sample import sample_texts
from penjing.tokenizer.splits import WORD_END, cut
from penjing.tokenizer.tokenizer import Tokenizer

_PIECE = 2000  # characters that are cut into words at once; the time per character grows with it


@dataclass(frozen=True)
class Extension:
    """A vocabulary with more tokens at its end."""

    tokenizer: Tokenizer
    first: int  # the first new id: one more than the last old one
    pieces: tuple[tuple[int, ...], ...]  # of each new token in turn: the old ids that it replaces


@dataclass(frozen=True)
class _Wanted:
    n: int
    han: HanRule
    sample_bytes: int


def extend_tokenizer(
    tokenizer: Tokenizer,
    texts: Iterable[str],
    new_tokens: int,
    *,
    han: HanRule = "run",
    sample_bytes: int = 10_000_000,
) -> Extension:
    """Learn exactly `new_tokens` further tokens from the texts.

    A byte-level BPE goes on merging, within the words of its own split rule (`han` as in
    `TokenizerConfig`), on a sample of at most `sample_bytes`. A vocabulary of characters takes in
    the most frequent ones that it lacks; they replace `<unk>`, so they have no pieces.

    Raises:
        TokenizerError: another kind of tokenizer, no text, or a text that gives fewer tokens.
    """
    spec = json.loads(tokenizer.text)
    kind = tokenizer.kind
    if kind == "bpe" and not _is_byte_level(spec):
        kind = "bpe, but not on bytes"
    if kind not in EXTENDERS:
        raise TokenizerError(
            f"A tokenizer of the kind {kind!r} cannot be extended: its tokens are not merges of "
            "bytes. Set start.new_tokens to 0, so that it is used as it is."
        )
    first = tokenizer.vocab_size
    wanted = _Wanted(new_tokens, han, sample_bytes)
    backend = Backend.from_str(tokenizer.text)
    added = {token.content: id for id, token in backend.get_added_tokens_decoder().items()}
    # Who reads the file gives an added token that the model lacks an id by the model's size: so the
    # model must have them all, now that it has tokens after them. No merge leads to them.
    if isinstance(spec["model"]["vocab"], dict):
        spec["model"]["vocab"] |= added
    pieces = EXTENDERS[kind](tokenizer, spec["model"], texts, wanted)
    extended = tokenizer.with_text(json.dumps(spec, ensure_ascii=False, indent=2))
    for content, id in added.items():  # a rule of some files: a word of the vocabulary is a token
        if id in extended.encode(content) and id not in tokenizer.encode(content):
            raise TokenizerError(
                f"This tokenizer cannot be extended: the text {content!r} would turn into the "
                "added token of that name. Set start.new_tokens to 0."
            )
    return Extension(extended, first, tuple(pieces))


def _extend_bpe(
    tokenizer: Tokenizer, model: dict[str, Any], texts: Iterable[str], wanted: _Wanted
) -> Iterable[tuple[int, ...]]:
    """Merges after the last one (Sennrich et al. 2016)."""
    sample, sampled = sample_texts(texts, wanted.sample_bytes)
    if not sample:
        raise TokenizerError("There is no text to learn new tokens from: all documents are empty.")
    vocab, first = model["vocab"], tokenizer.vocab_size
    words = _count_words(Backend.from_str(tokenizer.text), sample)
    if wanted.han == "char":
        words = _apart(words, vocab)
    merges, new = learn_merges(words, vocab, first, wanted.n)
    if len(new) < wanted.n:
        raise _too_few(wanted.n, len(new), " (or a larger tokenizer.sample_bytes)" * sampled)
    names = {id: token for token, id in vocab.items()}
    pieces: dict[int, tuple[int, ...]] = {}
    old_form = bool(model["merges"]) and isinstance(model["merges"][0], str)
    for merge in merges:
        left, right = names[merge.left], names[merge.right]
        names.setdefault(merge.result, left + right)
        parts = (pieces.get(id, (id,)) for id in (merge.left, merge.right))
        pieces.setdefault(merge.result, sum(parts, ()))
        model["merges"].append(f"{left} {right}" if old_form else [left, right])
    model["vocab"] |= {token: first + i for i, token in enumerate(new)}
    return pieces.values()


def _extend_char(
    tokenizer: Tokenizer, model: dict[str, Any], texts: Iterable[str], wanted: _Wanted
) -> Iterable[tuple[int, ...]]:
    """The most frequent unknown characters; of those as frequent, the lower code point first."""
    counts: Counter[str] = Counter()
    for text in texts:
        require_unicode(text)
        counts.update(text)
    unknown = sorted((-n, char) for char, n in counts.items() if char not in model["vocab"])
    if len(unknown) < wanted.n:
        raise _too_few(wanted.n, len(unknown), "")
    for i, (_, char) in enumerate(unknown[: wanted.n]):
        model["vocab"][char] = tokenizer.vocab_size + i
    return [()] * wanted.n


def _extend_byte(
    tokenizer: Tokenizer, model: dict[str, Any], texts: Iterable[str], wanted: _Wanted
) -> Iterable[tuple[int, ...]]:
    raise TokenizerError(
        "There is nothing to add to a vocabulary of bytes: it has a token for each of the 256. Set "
        "start.new_tokens to 0."
    )


def _extend_pieces(
    tokenizer: Tokenizer, model: dict[str, Any], texts: Iterable[str], wanted: _Wanted
) -> Iterable[tuple[int, ...]]:
    raise TokenizerError(
        f"A tokenizer of the kind {tokenizer.kind!r} cannot be extended: with more pieces every "
        "text would be cut anew, also where none of them stands. Set start.new_tokens to 0, so "
        "that it is used as it is."
    )


_Extender = Callable[[Tokenizer, dict[str, Any], Iterable[str], _Wanted], Iterable[tuple[int, ...]]]
EXTENDERS: Table[_Extender] = Table(
    "tokenizer kind",
    {
        "bpe": _extend_bpe,
        "wordpiece": _extend_pieces,
        "unigram": _extend_pieces,
        "char": _extend_char,
        "byte": _extend_byte,
    },
)


def _is_byte_level(spec: Mapping[str, Any]) -> bool:
    """Whether its tokens are bytes in GPT-2's alphabet, and merges join nothing but them."""
    splitter, model = spec.get("pre_tokenizer") or {}, spec["model"]
    steps = splitter.get("pretokenizers", [splitter])
    return (
        (spec.get("decoder") or {}).get("type") == "ByteLevel"
        and any(step.get("type") == "ByteLevel" for step in steps)
        and not model.get("continuing_subword_prefix")
        and not model.get("end_of_word_suffix")
    )


def _count_words(backend: Backend, sample: Iterable[str]) -> dict[tuple[int, ...], int]:
    """Each distinct word, cut by the old merges, and how often it occurs."""
    words: Counter[str] = Counter()
    for text in _normal(backend, sample):
        words.update(word for word, _ in backend.pre_tokenizer.pre_tokenize_str(text))
    return {tuple(t.id for t in backend.model.tokenize(word)): n for word, n in words.items()}


def _normal(backend: Backend, sample: Iterable[str]) -> Iterator[str]:
    for text in sample:
        for piece in cut(text, _PIECE, WORD_END):
            normalizer = backend.normalizer
            yield piece if normalizer is None else normalizer.normalize_str(piece)


def _apart(words: Mapping[tuple[int, ...], int], vocab: Mapping[str, int]) -> Counter[Any]:
    """The words cut before and after each Han character, where the old tokens end there too."""
    raw = {id: from_alphabet(token) for token, id in vocab.items()}
    parts: Counter[tuple[int, ...]] = Counter()
    for word, count in words.items():
        start = 0
        for i in range(1, len(word)):
            if _is_han(raw[word[i]][:1]) or _is_han(raw[word[i - 1]][-3:-2]):
                parts[word[start:i]] += count
                start = i
        parts[word[start:]] += count
    return parts


def _is_han(lead: bytes) -> bool:
    """Whether a first byte is one of U+4000 to U+9FFF, where nearly all Han characters are."""
    return b"\xe4" <= lead <= b"\xe9"


def _too_few(asked: int, given: int, more: str) -> TokenizerError:
    return TokenizerError(
        f"{asked} new tokens were asked for, but this text gives at most {given}. Set "
        f"start.new_tokens to {given} or less, or give more text{more}."
    )
