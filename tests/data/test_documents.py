"""The split keeps every text, leaks none, and does not depend on order."""

import hashlib
import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from penjing.core.errors import ConfigError, DataError
from penjing.core.types import Document
from penjing.data.documents import split_documents, summary
from penjing.data.limits import MAX_VALIDATION_FRACTION, MINIMUM_BYTES

texts = st.lists(st.text(st.sampled_from("abc 今天\n"), min_size=1, max_size=90), min_size=1)
fractions = st.floats(0.01, 0.5)


def least_hash(core: str, texts: list[str]) -> str:
    """Which of the texts that differ by the white space around them stays."""
    copies = [text for text in texts if text.strip() == core]
    return min(copies, key=lambda text: hashlib.sha256(text.encode()).digest())


def documents(texts: list[str]) -> list[Document]:
    return [Document(text, f"doc:{i}") for i, text in enumerate(texts)]


def size(docs: list[Document]) -> int:
    return sum(len(doc.text.encode()) for doc in docs)


def enough(texts: list[str]) -> bool:
    kept = {least_hash(text, texts) for text in {*map(str.strip, texts)} - {""}}
    return sum(len(text.encode()) for text in kept) >= MINIMUM_BYTES


@given(texts, fractions)
def test_every_text_is_kept_once_and_none_leaks(texts: list[str], fraction: float) -> None:
    assume(enough(texts))
    split = split_documents(documents(texts), validation_fraction=fraction)
    assert split.train and split.validation
    texts = [text for text in texts if text.strip()]
    kept = {least_hash(text, texts) for text in map(str.strip, texts)}
    assert split.duplicates == len(texts) - len(kept)
    train, validation = ([doc.text for doc in part] for part in (split.train, split.validation))
    if len(train) + len(validation) == len(kept):
        assert set(train) | set(validation) == kept
        assert not set(train) & set(validation)
    else:  # one document was cut in two
        (tail,) = validation
        whole = {text for text in kept if text.endswith(tail) and text[: -len(tail)] in train}
        assert any(set(train) - {text[: -len(tail)]} == kept - {text} for text in whole)


@given(texts, fractions, st.randoms(use_true_random=False))
def test_the_order_of_the_files_does_not_matter(
    texts: list[str], fraction: float, generator: random.Random
) -> None:
    assume(enough(texts))
    first = split_documents(documents(texts), validation_fraction=fraction)
    generator.shuffle(texts)
    second = split_documents(documents(texts), validation_fraction=fraction)
    assert {doc.text for doc in first.validation} == {doc.text for doc in second.validation}
    assert {doc.text for doc in first.train} == {doc.text for doc in second.train}


def test_texts_that_differ_by_white_space_around_them_are_duplicates() -> None:
    docs = documents([f"text {i % 40}" + "\n" * (i // 40) for i in range(80)])
    split = split_documents(docs, validation_fraction=0.2)
    train, validation = ({doc.text.strip() for doc in p} for p in (split.train, split.validation))
    assert not train & validation and len(train | validation) == 40
    assert split.duplicates == summary(docs).duplicates == 40


def test_the_share_is_of_bytes() -> None:
    docs = documents([f"{i} " * (1 + i % 50) for i in range(1000)])
    split = split_documents(docs, validation_fraction=0.1)
    assert size(split.validation) / size(docs) == pytest.approx(0.1, abs=0.001)


def test_order_of_the_source_is_kept() -> None:
    docs = documents([f"document number {i}" for i in range(100)])
    split = split_documents(docs, validation_fraction=0.2)
    for part in (split.train, split.validation):
        assert part == [doc for doc in docs if doc in part]


def test_one_document_is_cut_at_a_line_end() -> None:
    doc = Document("".join(f"line {i}\n" for i in range(100)), "a.txt")
    split = split_documents([doc], validation_fraction=0.1)
    (head,), (tail,) = split.train, split.validation
    assert head.text.endswith("\n") and head.text + tail.text == doc.text
    assert len(tail.text) == pytest.approx(0.1 * len(doc.text), abs=10)
    assert "from character" in tail.source


def test_one_long_line_is_cut_between_characters() -> None:
    split = split_documents([Document("天" * 100, "a.txt")], validation_fraction=0.1)
    assert [len(doc.text) for doc in (*split.train, *split.validation)] == [90, 10]


def test_a_few_large_documents_are_cut_not_left_whole() -> None:
    docs = documents(["a\n" * 500, "b\n" * 500, "c\n" * 1000])
    split = split_documents(docs, validation_fraction=0.1)
    assert len(split.train) == 3
    assert split.validation[0].text == "c\n" * 200


def test_the_exact_cut_is_that_of_nanogpt() -> None:
    text = "To be, or not to be:\nthat is the question.\n" * 7
    n = int(len(text) * 0.9)
    split = split_documents([Document(text, "a")], validation_fraction=0.1, exact=True)
    assert (split.train[0].text, split.validation[0].text) == (text[:n], text[n:])


def test_an_exact_cut_needs_one_document() -> None:
    with pytest.raises(DataError, match="there are 2"):
        split_documents(documents(["a" * 99, "b" * 99]), validation_fraction=0.1, exact=True)


def test_no_validation_when_none_is_asked_for() -> None:
    split = split_documents(documents(["a" * 99]), validation_fraction=0)
    assert split.validation == [] and size(split.train) == 99


@pytest.mark.parametrize("docs", [[], [Document("hello\n", "a")], documents(["same text"] * 50)])
def test_too_little_text_says_how_little(docs: list[Document]) -> None:
    with pytest.raises(DataError, match=r"too little text: \d bytes in [01] documents; at least"):
        split_documents(docs, validation_fraction=0.1)


@pytest.mark.parametrize("fraction", [-0.1, MAX_VALIDATION_FRACTION + 0.1, float("nan")])
def test_a_fraction_out_of_range(fraction: float) -> None:
    with pytest.raises(ConfigError, match="validation_fraction must be from 0"):
        split_documents(documents(["a" * 99]), validation_fraction=fraction)


def test_summary_counts() -> None:
    found = summary(documents(["今天\n天气", "ab", "ab", "a\nb\nc\n"]))
    assert (found.documents, found.duplicates, found.lines) == (4, 1, 7)
    assert (found.characters, found.bytes) == (15, 23)
    assert (found.shortest, found.median, found.longest) == (2, 5, 6)
    assert summary([]).documents == 0
