"""What training promises: sizes, order, determinism, and ids that are merge ranks."""

import json
import random
from pathlib import Path
from typing import Any, get_args

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

from penjing.core.errors import TokenizerError
from penjing.core.events import Event
from penjing.tokenizer.config import HanRule, KindName, SplitName, TokenizerConfig
from penjing.tokenizer.splits import SPLITS
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.train import KINDS, train_tokenizer


def test_the_settings_name_what_the_tables_hold() -> None:
    assert get_args(KindName) == tuple(KINDS)
    assert get_args(SplitName) == tuple(SPLITS)


@pytest.mark.parametrize("kind", KINDS)
def test_training_is_deterministic(kind: KindName, corpus: list[str]) -> None:
    config = TokenizerConfig(kind=kind, vocab_size=190 if kind == "wordpiece" else 450)
    first, second = (train_tokenizer(iter(corpus), config) for _ in range(2))
    assert first.fingerprint == second.fingerprint


@pytest.mark.parametrize("size", [257, 258, 300, 500])
@pytest.mark.parametrize("split", SPLITS)
def test_bpe_has_the_size_asked_for(size: int, split: SplitName, corpus: list[str]) -> None:
    config = TokenizerConfig(vocab_size=size, split=split)
    tokenizer = train_tokenizer(corpus, config)
    assert tokenizer.vocab_size == len(tokenizer) == size
    assert tokenizer.eos_id == size - 1
    assert [tokenizer.token_bytes(i) for i in range(256)] == [bytes([i]) for i in range(256)]
    assert len({tokenizer.token_bytes(i) for i in range(size)}) == size
    assert tokenizer.split == split


def test_a_size_that_the_text_cannot_fill() -> None:
    with pytest.raises(TokenizerError, match="gives at most 261") as caught:
        train_tokenizer(["hello"], TokenizerConfig(vocab_size=50_000))
    assert "vocab_size 261 or less" in str(caught.value)
    assert train_tokenizer(["hello"], TokenizerConfig(vocab_size=261)).vocab_size == 261


def test_a_size_below_the_bytes() -> None:
    with pytest.raises(TokenizerError, match="at least 258"):
        train_tokenizer(["x"], TokenizerConfig(vocab_size=257, special_tokens=("<|a|>", "<|b|>")))


LEARNED: list[KindName] = [kind for kind in KINDS if kind != "byte"]


@pytest.mark.parametrize("kind", LEARNED)
@pytest.mark.parametrize("texts", [[], [""], ["", ""]])
def test_no_text(kind: KindName, texts: list[str]) -> None:
    with pytest.raises(TokenizerError, match="no text"):
        train_tokenizer(texts, TokenizerConfig(kind=kind))


@pytest.mark.parametrize("kind", LEARNED)
def test_text_that_is_not_unicode(kind: KindName) -> None:
    with pytest.raises(TokenizerError, match="surrogate"):
        train_tokenizer(["fine", "not \ud800"], TokenizerConfig(kind=kind))


@pytest.mark.parametrize("special", [("<|a|>", "<|a|>"), ("",)])
@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_that_cannot_be(kind: KindName, special: tuple[str, ...]) -> None:
    with pytest.raises(TokenizerError, match="must differ and not be empty"):
        train_tokenizer(["x" * 9], TokenizerConfig(kind, 256, special_tokens=special))


@pytest.mark.parametrize("kind", KINDS)
def test_a_special_token_that_is_an_ordinary_one(kind: KindName) -> None:
    size = {"wordpiece": 8, "unigram": 285}.get(kind, 258)
    config = TokenizerConfig(kind=kind, vocab_size=size, special_tokens=("a",))
    with pytest.raises(TokenizerError, match="ordinary token"):
        train_tokenizer(["aaaa bbbb"], config)


@pytest.mark.parametrize("kind", KINDS)
def test_no_special_tokens(kind: KindName) -> None:
    size = {"wordpiece": 5, "unigram": 282, "char": 4}.get(kind, 256)
    tokenizer = train_tokenizer(["abc"], TokenizerConfig(kind, size, special_tokens=()))
    assert tokenizer.eos_id is None
    assert tokenizer.vocab_size == size


def test_characters_in_code_point_order() -> None:
    tokenizer = train_tokenizer(["ba\n𠮷", "人a"], TokenizerConfig(kind="char"))
    assert [tokenizer.token_text(i) for i in range(5)] == ["\n", "a", "b", "人", "𠮷"]
    assert tokenizer.special_tokens == {"<unk>": 5, "<|endoftext|>": 6}
    assert tokenizer.vocab_size == 7
    assert tokenizer.encode("a?人!!") == [1, 5, 3, 5, 5]
    assert tokenizer.encode("<unk>a") == [5, 5, 5, 5, 5, 1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_text_without_line_breaks(kind: KindName, corpus: list[str]) -> None:
    """Quadratic work would take minutes here."""
    text = "".join(corpus).replace("\n", "").replace("\r", "").replace(" ", "") * 200
    size = 160 if kind == "wordpiece" else 400
    tokenizer = train_tokenizer([text], TokenizerConfig(kind=kind, vocab_size=size))
    if kind != "wordpiece":  # to which words of more than 100 characters are unknown
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_one_endless_word_does_not_hold_up_training() -> None:
    word = "".join(random.Random(0).choices("ACGT", k=300_000))
    assert train_tokenizer([word], TokenizerConfig(vocab_size=300)).vocab_size == 300


@pytest.mark.parametrize("split", SPLITS)
def test_han_rules(split: SplitName, corpus: list[str]) -> None:
    def widest(han: HanRule) -> int:
        config = TokenizerConfig(vocab_size=420, split=split, han=han)
        tokenizer = train_tokenizer(corpus, config)
        texts = (tokenizer.token_bytes(i).decode(errors="replace") for i in range(420))
        return max(sum("\u4e00" <= char <= "\u9fff" for char in text) for text in texts)

    assert widest("char") == 1
    assert widest("run") > 1


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("han", get_args(HanRule))
def test_the_saved_rule_is_the_named_one(
    split: SplitName, han: HanRule, corpus: list[str], tmp_path: Path
) -> None:
    config = TokenizerConfig(vocab_size=400, split=split, han=han)
    train_tokenizer(corpus, config).save(tmp_path)
    saved = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    assert saved["normalizer"] is None
    steps = saved["pre_tokenizer"].get("pretokenizers", [saved["pre_tokenizer"]])
    patterns = [step["pattern"]["Regex"] for step in steps if step["type"] == "Split"]
    built_in = steps[-1]["use_regex"]  # GPT-2's
    assert steps[-1]["type"] == "ByteLevel" and len(patterns) == len(steps) - 1
    assert (*patterns, *([SPLITS["gpt2"].pattern] if built_in else [])) == SPLITS[split].patterns


def test_only_a_sample_is_learned_from() -> None:
    draw = random.Random(0)
    texts = ["".join(draw.choices("etaoin shrdlu", k=100)) for _ in range(500)]
    small, same, large = (
        train_tokenizer(texts, TokenizerConfig(vocab_size=300, sample_bytes=n)).fingerprint
        for n in (2_000, 2_000, 50_000)
    )
    assert small == same != large
    with pytest.raises(TokenizerError, match=r"or a larger sample_bytes"):
        train_tokenizer(texts, TokenizerConfig(vocab_size=4096, sample_bytes=2_000))
    with pytest.raises(TokenizerError, match=r"^sample_bytes must be at least 1"):
        train_tokenizer(texts, TokenizerConfig(sample_bytes=0))


def test_progress_is_told(corpus: list[str]) -> None:
    events: list[Event] = []
    train_tokenizer(
        corpus * 8000, TokenizerConfig(vocab_size=300, sample_bytes=5000), events.append
    )
    assert {event.kind for event in events} == {"tokenizer"}
    phases = [event.data["phase"] for event in events]
    assert phases[0] == "read" and phases[-2:] == ["merge", "done"]
    read = [event.data["bytes"] for event in events if event.data["phase"] == "read"]
    assert read == sorted(read)
    assert events[-1].data["vocab_size"] == 300


@pytest.fixture(scope="module", params=[n for n, r in SPLITS.items() if len(r.patterns) == 1])
def pair(request: Any, corpus: list[str]) -> tuple[Tokenizer, tiktoken.Encoding]:
    """Our tokenizer, and tiktoken's with our tokens as its ranks."""
    ours = train_tokenizer(corpus, TokenizerConfig(vocab_size=500, split=request.param))
    n_ordinary = ours.vocab_size - len(ours.special_tokens)
    oracle = tiktoken.Encoding(
        "ours",
        pat_str=SPLITS[request.param].pattern,
        mergeable_ranks={ours.token_bytes(i): i for i in range(n_ordinary)},
        special_tokens=ours.special_tokens,
    )
    return ours, oracle


def test_ids_are_tiktokens_ranks_on_tricky_texts(
    pair: tuple[Tokenizer, tiktoken.Encoding], tricky: str
) -> None:
    ours, oracle = pair
    assert ours.encode(tricky) == oracle.encode(tricky, disallowed_special=())
    assert ours.encode(tricky, allow_special=True) == oracle.encode(tricky, allowed_special="all")


_FAMILIAR = st.text(
    st.sampled_from("happines un今天气不错人工智能，。 \n\r\t'stDonlTE12345ë👨\u200d👩𠮷é")
)


@settings(max_examples=300)
@given(text=_FAMILIAR | st.text())
def test_ids_are_tiktokens_ranks(pair: tuple[Tokenizer, tiktoken.Encoding], text: str) -> None:
    ours, oracle = pair
    assert ours.encode(text) == oracle.encode(text, disallowed_special=())
