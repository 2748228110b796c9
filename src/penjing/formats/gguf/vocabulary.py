"""The vocabulary in a GGUF file: tokens, their types, and the merges that lead to them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from penjing.core.errors import TokenizerError

# Tokens that end an answer, by their text: few files name them all. From llama.cpp's list.
END_TOKENS = frozenset(
    (
        *(
            "<|eot_id|>",
            "<|im_end|>",
            "<|end|>",
            "<|return|>",
            "<|call|>",
            "<|flush|>",
            "<|calls|>",
        ),
        *("<end_of_turn>", "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]"),
        *("[EOS]", "<|end_of_text|>", "<end_of_utterance>", "<eos>", "<｜end▁of▁sentence｜>"),
        *("<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]", "<|file_sep|>"),
        *("<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"),
    )
)
_LONGEST = 512  # characters of one token; the merges of a longer one take too long to find


class TokenType(IntEnum):
    """`tokenizer.ggml.token_type`, as llama.cpp numbers them."""

    UNDEFINED = 0
    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by id."""

    tokens: tuple[str, ...]
    types: tuple[TokenType, ...]

    @cached_property
    def ids(self) -> dict[str, int]:
        """Each token's id."""
        return {token: id for id, token in enumerate(self.tokens)}

    def of_type(self, *types: TokenType) -> list[int]:
        """The ids of all tokens of these types."""
        return [id for id, kind in enumerate(self.types) if kind in types]


def read_vocabulary(metadata: Mapping[str, Any], source: str) -> Vocabulary:
    """The tokens and types of a file's metadata.

    Raises:
        TokenizerError: there are none, two are the same, or they are not what they should be.
    """
    tokens = texts(metadata, "tokens", source)
    if not tokens:
        raise TokenizerError(f"{source}: tokenizer.ggml.tokens is empty.")
    # llama.cpp's own name for a token without a text, so that ids are as there.
    tokens = [token or f"[EMPTY_{id}]" for id, token in enumerate(tokens)]
    if len(set(tokens)) < len(tokens):
        _refuse_twins(tokens, source)
    return Vocabulary(tuple(tokens), tuple(_types(metadata, tokens, source)))


def _refuse_twins(tokens: Sequence[str], source: str) -> None:
    """Raises TokenizerError that names the first token that is there twice."""
    first: dict[str, int] = {}
    for id, token in enumerate(tokens):
        if first.setdefault(token, id) != id:
            raise TokenizerError(
                f"{source}: the token {token!r:.60} is there twice, as {first[token]} and {id}."
            )


def _types(metadata: Mapping[str, Any], tokens: Sequence[str], source: str) -> list[TokenType]:
    """Each token's type; one that ends an answer is a control token, whatever the file says."""
    kinds: Sequence[float] = [TokenType.NORMAL] * len(tokens)
    if "tokenizer.ggml.token_type" in metadata:
        kinds = numbers(metadata, "token_type", source)
    if len(kinds) != len(tokens):
        raise TokenizerError(
            f"{source}: there are {len(tokens)} tokens, but {len(kinds)} entries in "
            "tokenizer.ggml.token_type."
        )
    known: dict[float, TokenType] = {int(kind): kind for kind in TokenType}
    types = [known.get(kind, TokenType.UNDEFINED) for kind in kinds]
    for id, token in enumerate(tokens):
        if token in END_TOKENS:
            types[id] = TokenType.CONTROL
    return types


def read_merges(
    metadata: Mapping[str, Any], vocabulary: Vocabulary, source: str
) -> list[tuple[str, str]]:
    """The merges of a byte-level BPE, best first.

    Raises:
        TokenizerError: they are missing, or join what is not in the vocabulary.
    """
    known = vocabulary.ids
    given = texts(metadata, "merges", source)
    merges = [(left, right) for left, _, right in (merge.partition(" ") for merge in given)]
    for rank, (left, right) in enumerate(merges):
        if not (left in known and right in known and left + right in known):
            raise TokenizerError(
                f"{source}: tokenizer.ggml.merges, entry {rank}, is {given[rank]!r:.60}: not two "
                "tokens of the vocabulary that give a third."
            )
    return merges


def merges_by_score(
    metadata: Mapping[str, Any], vocabulary: Vocabulary, source: str
) -> list[tuple[str, str]]:
    """The merges that SentencePiece's BPE does: any two tokens that give a token, best score first.

    Only ordinary tokens are joined, and come of it: no text turns into "<s>" or "<0xE4>".

    Raises:
        TokenizerError: the scores are missing or give no order.
    """
    scores = numbers(metadata, "scores", source)
    if len(scores) != len(vocabulary.tokens):
        raise TokenizerError(
            f"{source}: there are {len(vocabulary.tokens)} tokens, but {len(scores)} entries in "
            "tokenizer.ggml.scores."
        )
    ordinary = vocabulary.of_type(TokenType.NORMAL, TokenType.UNDEFINED)
    known = {vocabulary.tokens[id]: id for id in ordinary}
    parts: dict[int, list[tuple[str, str]]] = {}
    for id in ordinary:
        if pairs := list(_pairs(vocabulary.tokens[id], known, source)):
            parts[id] = pairs
    ranked = sorted(parts, key=lambda id: -scores[id])
    for before, after in pairwise(ranked):
        if not scores[before] > scores[after]:
            raise TokenizerError(
                f"{source}: the tokens {vocabulary.tokens[before]!r:.60} and "
                f"{vocabulary.tokens[after]!r:.60} have the scores {scores[before]} and "
                f"{scores[after]}: they do not say which is merged first. The file was converted "
                "from a tokenizer of another kind; convert it anew."
            )
    return [pair for id in ranked for pair in parts[id]]


def _pairs(token: str, known: Mapping[str, int], source: str) -> Iterator[tuple[str, str]]:
    """The ways to put a token together from two tokens, the longest left one first."""
    if len(token) > _LONGEST:
        raise TokenizerError(
            f"{source}: the token {token[:20]!r}... has {len(token)} characters: a damaged file."
        )
    for cut in range(len(token) - 1, 0, -1):
        left, right = token[:cut], token[cut:]
        if left in known and right in known:
            yield left, right
        elif (left in known or cut == 1) and (right in known or len(right) == 1):
            # llama.cpp would join the two, the one of them as a character without a token.
            raise TokenizerError(
                f"{source}: the token {token!r:.60} is made of characters that have no token of "
                "their own; such a vocabulary is not SentencePiece's and cannot be read."
            )


def texts(metadata: Mapping[str, Any], name: str, source: str) -> list[str]:
    """A list of texts, `tokenizer.ggml.{name}`.

    Raises:
        TokenizerError: it is missing, or holds something else.
    """
    values: list[str] = array(metadata, name, source)
    try:
        "".join(values).encode("utf-8")  # all at once: one by one only to say where
    except (TypeError, UnicodeEncodeError):
        _refuse_texts(values, name, source)
    return values


def _refuse_texts(values: Sequence[object], name: str, source: str) -> None:
    """Raises TokenizerError that names the first value that is no text, or not UTF-8."""
    for place, value in enumerate(values):
        if not isinstance(value, str):
            raise TokenizerError(
                f"{source}: tokenizer.ggml.{name}, entry {place}, is no text but {value!r:.40}."
            )
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise TokenizerError(
                f"{source}: tokenizer.ggml.{name}, entry {place}, is not UTF-8."
            ) from error


def array(metadata: Mapping[str, Any], name: str, source: str) -> Any:
    """A list of the metadata, `tokenizer.ggml.{name}`.

    Raises:
        TokenizerError: it is missing, or no list.
    """
    value = metadata.get(f"tokenizer.ggml.{name}")
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        said = "is missing" if value is None else "is not a list"
        raise TokenizerError(f"{source}: tokenizer.ggml.{name} {said}.")
    return list(value)


def numbers(metadata: Mapping[str, Any], name: str, source: str) -> list[float]:
    """A list of numbers, `tokenizer.ggml.{name}`.

    Raises:
        TokenizerError: it is missing, or holds something else.
    """
    values: list[float] = array(metadata, name, source)
    if all(issubclass(kind, int | float) for kind in set(map(type, values))):
        return values
    for place, value in enumerate(values):
        if not isinstance(value, int | float):
            raise TokenizerError(
                f"{source}: tokenizer.ggml.{name}, entry {place}, is no number but {value!r:.40}."
            )
    return values
