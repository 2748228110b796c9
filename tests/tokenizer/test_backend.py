"""A tokenizer.json from elsewhere: what is not known is named, and no file ends the process."""

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penjing.core.errors import TokenizerError
from penjing.tokenizer.tokenizer import Tokenizer

BASE = {"version": "1.0", "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"pre_tokenizer": {"type": "Fancy"}}, r"line 11: .* knows no pre_tokenizer 'Fancy'"),
        (
            {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Foo"}]}},
            r"line 17: .* knows no normalizer, step 2, 'Foo'",
        ),
        ({"model": {"type": "Nonsense"}}, r"line 4: .* knows no model 'Nonsense'"),
        ({"decoder": {"type": "WordPiece"}}, r"cannot read the decoder \(from line 10 on\): "),
        ({"sampler": 1}, r"line 10: .* knows no part 'sampler'"),
        ({"version": "2.0"}, "Unknown tokenizer version '2.0'"),
        (
            {"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}},
            r"cannot read the model \(from line 3 on\): Token `b` out of vocabulary",
        ),
    ],
)
def test_unknown_parts_are_named(parts: dict[str, Any], message: str, tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(BASE | parts, indent=1), encoding="utf-8")
    with pytest.raises(TokenizerError, match=message) as caught:
        Tokenizer.load(file)
    assert str(file) in str(caught.value) and "tokenizers 0." in str(caught.value)


@pytest.mark.parametrize(
    "decoder",
    [[], "Fuse", {"type": {}}, {"type": "Sequence", "decoders": [[]]}],
    ids=json.dumps,
)
def test_parts_that_the_library_would_guess(decoder: object) -> None:
    with pytest.raises(TokenizerError, match=r'tokenizer\.json is damaged: its "decoder" is, or'):
        Tokenizer(json.dumps(BASE | {"decoder": decoder}))


@pytest.mark.parametrize("merge", ["a b", ["a", "b"], ["a"], []])
def test_merges_that_would_end_the_process(merge: object) -> None:
    model = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [merge]}
    model["continuing_subword_prefix"] = "@@"
    with pytest.raises(TokenizerError, match=r"merge 0 is of a second token .* without the prefix"):
        Tokenizer(json.dumps(BASE | {"model": model}))


def test_a_vocabulary_without_its_unknown_token() -> None:
    model = {
        "type": "WordPiece",
        "vocab": {"a": 0},
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
    }
    tokenizer = Tokenizer(json.dumps(BASE | {"model": model}))
    assert tokenizer.encode("a") == [0]
    for use in (tokenizer.encode, tokenizer.trace):
        with pytest.raises(TokenizerError, match=r"cannot encode this text: .*\[UNK\]"):
            use("b")


def test_ids_between_those_of_tokens() -> None:
    model = {"type": "BPE", "vocab": {"a": 0, "b": 5}, "merges": []}
    tokenizer = Tokenizer(json.dumps(BASE | {"model": model}))
    assert tokenizer.vocab_size == 6 and tokenizer.decode([0, 5]) == "a b"
    for use in (tokenizer.token_of, lambda id: tokenizer.decode([0, id, 5])):
        with pytest.raises(TokenizerError, match="no token 3"):
            use(3)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict):
        items: Any = list(value.items())[:12]
    elif isinstance(value, list):
        items = list(enumerate(value))[:4]
    else:
        return
    for key, each in items:
        yield (*path, key)
        yield from places(each, (*path, key))


def test_a_damaged_file_is_refused_or_works(tokenizer: Tokenizer) -> None:
    """Each value left out, or replaced by another, one at a time."""
    spec = json.loads(tokenizer.text)
    draw = random.Random(0)
    values = [None, -1, 10**12, "x", "", [], {}, True]
    refused = 0
    for path in places(spec):
        changed = copy.deepcopy(spec)
        inner = changed
        for key in path[:-1]:
            inner = inner[key]
        if draw.random() < 0.2:
            del inner[path[-1]]
        else:
            inner[path[-1]] = draw.choice(values)
        try:
            damaged = Tokenizer(json.dumps(changed))
            damaged.decode(damaged.encode("hello 人工智能 𠮷", allow_special=draw.random() < 0.5))
        except TokenizerError:
            refused += 1
    assert refused > 5
