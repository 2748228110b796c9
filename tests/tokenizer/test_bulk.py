"""Large inputs go to the compiled encoder, and nobody sees a difference."""

import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from copy import deepcopy

import numpy as np
import pytest

from penjing.core.errors import TokenizerError
from penjing.tokenizer import bulk
from penjing.tokenizer.tokenizer import Tokenizer

_TEXTS = ["Happiness and unhappiness, 今天天气不错。\n" * 2000, "", "x<|endoftext|>y " * 3000, "z"]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(bulk, "LARGE", 0)
    monkeypatch.setattr(bulk, "_SMALL", 0)
    yield


def fresh(tokenizer: Tokenizer) -> Tokenizer:
    return Tokenizer(tokenizer.text, tokenizer.settings)


def slow(
    tokenizer: Tokenizer, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> list[list[int]]:
    with monkeypatch.context() as patch:
        patch.setattr(bulk, "LARGE", 1 << 60)
        return fresh(tokenizer).encode_batch(texts)


def test_same_ids_for_every_kind(tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = slow(tokenizer, _TEXTS, monkeypatch)
    assert fresh(tokenizer).encode_batch(_TEXTS) == expected


def test_bpe_takes_the_compiled_encoder(bpe: Tokenizer) -> None:
    tokenizer = fresh(bpe)
    pieces = list(tokenizer.encode_arrays(_TEXTS))
    assert tokenizer._bulk._encoder is not None
    assert {ids.dtype for ids, _ in pieces} == {np.dtype(np.uint32)}
    assert [end for _, end in pieces].count(True) == len(_TEXTS)
    assert tokenizer.decode(np.concatenate([ids for ids, _ in pieces]).tolist()) == "".join(_TEXTS)


def test_added_tokens_are_found_where_they_are_asked_for(
    bpe: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = fresh(bpe)
    assert tokenizer.eos_id not in tokenizer.encode(_TEXTS[2])
    assert tokenizer.encode(_TEXTS[2], allow_special=True).count(tokenizer.eos_id or 0) == 3000


@pytest.mark.parametrize("normalizer", [{"type": "NFC"}, {"type": "Sequence", "normalizers": []}])
def test_normal_form_c(
    bpe: Tokenizer, normalizer: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Qwen's tokenizers begin with it, and DeepSeek's with nothing, said at length."""
    tokenizer = Tokenizer(json.dumps(json.loads(bpe.text) | {"normalizer": normalizer}))
    texts = [*_TEXTS, "e\u0301 a\u030a"]
    expected = slow(tokenizer, texts, monkeypatch)
    assert tokenizer.encode_batch(texts) == expected
    assert tokenizer._bulk._encoder is not None


def test_few_texts_need_no_compiled_code(bpe: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "LARGE", 1000)
    tokenizer = fresh(bpe)
    tokenizer.encode("a" * 900)
    assert "_encoder" not in vars(tokenizer._bulk)
    tokenizer.encode("a" * 200)
    assert tokenizer._bulk._encoder is not None


def test_a_copy_encodes_too(bpe: Tokenizer) -> None:
    tokenizer = fresh(bpe)
    expected = tokenizer.encode_batch(_TEXTS)
    assert deepcopy(tokenizer).encode_batch(_TEXTS) == expected


def test_numba_is_loaded_late() -> None:
    code = "import sys, penjing.tokenizer.tokenizer; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "change",
    [
        {"normalizer": {"type": "Lowercase"}},
        {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "use_regex": True}},
    ],
)
def test_other_tokenizers_stay_with_the_library(
    bpe: Tokenizer, change: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = json.loads(bpe.text)
    if "pre_tokenizer" in change:
        change = {"pre_tokenizer": change["pre_tokenizer"] | {"trim_offsets": True}}  # type: ignore[operator]
    tokenizer = Tokenizer(json.dumps(spec | change))
    expected = slow(tokenizer, _TEXTS, monkeypatch)
    assert tokenizer.encode_batch(_TEXTS) == expected
    assert not tokenizer._bulk.wants(1 << 30)


def test_where_nothing_can_be_compiled(bpe: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    from penjing.tokenizer.fast.encoder import BulkEncoder

    def fail(self: BulkEncoder) -> None:
        raise RuntimeError("no such processor\nmore of it")

    expected = slow(bpe, _TEXTS, monkeypatch)
    monkeypatch.setattr(BulkEncoder, "compile", fail)
    tokenizer = fresh(bpe)
    with pytest.warns(RuntimeWarning, match=r"here \(no such processor\); enc.* ids\.$") as told:
        assert tokenizer.encode_batch(_TEXTS) == expected
    assert [warning.filename for warning in told] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is said once
        assert tokenizer.encode_batch(_TEXTS) == expected


def test_a_lone_surrogate(bpe: Tokenizer) -> None:
    with pytest.raises(TokenizerError, match=r"U\+DC00, at character 70001"):
        fresh(bpe).encode("ab" * 35_000 + "c\udc00")
