"""A .tiktoken file as a tokenizer.json with the same ids.

Such a file lists the tokens of a byte-level BPE, each with its rank, which is its id too; that two
tokens may be merged is not said, but follows: tiktoken merges whatever pair makes the token of the
lowest rank. A tokenizer.json lists the merges instead.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from penjing.core.errors import TokenizerError
from penjing.formats.tokenizer_json import added_token, bpe, byte_level, tokenizer_json
from penjing.tokenizer.alphabet import BYTE_TO_CHAR

Ranks = Mapping[bytes, int]  # each token's rank


def tiktoken_to_json(
    raw: bytes,
    pre_tokenizer: Mapping[str, Any],
    special: Mapping[str, int],
    *,
    normalizer: Mapping[str, Any] | None = None,
    source: str = "the .tiktoken file",
) -> str:
    """The text of a tokenizer.json that encodes as tiktoken does with this file.

    Args:
        raw: the file: on each line a token in Base64, a space, its rank.
        pre_tokenizer: how a text is cut into words, as a tokenizer.json says it.
        special: special tokens with their ids, which lie above all ranks.

    Raises:
        TokenizerError: the file is damaged, or its tokens are not those of a trained BPE.
    """
    ranks = read_ranks(raw, source)
    merges = [parts for token, rank in ranks.items() if (parts := _merge_of(token, rank, ranks))]
    if len(merges) != len(ranks) - 256:
        raise TokenizerError(
            f"{source}: {len(ranks) - 256 - len(merges)} tokens do not come about by merging two "
            "others, so that a tokenizer.json could not give the same ids."
        )
    spec = tokenizer_json(
        bpe(
            {_written(token): rank for token, rank in ranks.items()} | dict(special),
            [[_written(left), _written(right)] for left, right in merges],
        ),
        [added_token(id, token) for token, id in special.items()],
        normalizer=normalizer,
        pre_tokenizer=pre_tokenizer,
        decoder=byte_level(),
    )
    return json.dumps(spec, ensure_ascii=False, separators=(",", ":"))


def read_ranks(raw: bytes, source: str) -> dict[bytes, int]:
    """The tokens of a .tiktoken file in the order of their ranks, which are 0, 1, 2, ...

    Raises:
        TokenizerError: a line is damaged, or a rank or one of the 256 bytes is missing.
    """
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(raw.splitlines(), start=1):
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error) as error:
            raise TokenizerError(
                f"{source}, line {number}: not a token in Base64, a space and its rank."
            ) from error
    if sorted(ranks.values()) != list(range(len(ranks))):
        raise TokenizerError(f"{source}: the ranks are not 0 to {len(ranks) - 1}, each once.")
    if missing := [byte for byte in range(256) if bytes([byte]) not in ranks]:
        raise TokenizerError(
            f"{source}: {len(missing)} of the 256 bytes have no token, such as {missing[0]:#04x}."
        )
    return dict(sorted(ranks.items(), key=lambda item: item[1]))


def _merge_of(token: bytes, rank: int, ranks: Ranks) -> tuple[bytes, bytes] | None:
    """The pair that becomes the token, once all tokens of lower rank are merged.

    BPE brings a token about in one way only, whatever stands around it: any other pair that would
    give it is broken up by an earlier merge. So one merge a token is enough.
    """
    parts = [token[n : n + 1] for n in range(len(token))]
    while len(parts) > 2:
        found = [ranks.get(parts[n] + parts[n + 1], rank) for n in range(len(parts) - 1)]
        lowest = min(found)
        if lowest == rank:
            return None
        at = found.index(lowest)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return (parts[0], parts[1]) if len(parts) == 2 else None


def _written(token: bytes) -> str:
    """As the vocabulary of a tokenizer.json writes it: each byte as a printable character."""
    return "".join(BYTE_TO_CHAR[byte] for byte in token)
