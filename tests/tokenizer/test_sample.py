"""A sample is bounded, fair, in order, and the same each time."""

import pytest

from penjing.core.errors import TokenizerError
from penjing.tokenizer.sample import sample_texts


def test_a_text_that_fits_is_kept_whole() -> None:
    texts = ["first", "", "人工智能" * 9000, "last"]
    sample, sampled = sample_texts(texts, 10**6)
    assert "".join(sample) == "".join(texts)
    assert not sampled


def test_a_sample_is_bounded_in_order_and_repeats() -> None:
    texts = [f"{i:04d}" for i in range(5000)]
    sample, sampled = sample_texts(iter(texts), 2000)
    assert sampled and len(sample) == 500
    assert sample == sorted(sample) == sample_texts(texts, 2000)[0]
    # Drawn from everywhere: each tenth of the texts has about a tenth of the sample.
    tenths = [sum(int(text) // 500 == tenth for text in sample) for tenth in range(10)]
    assert min(tenths) > 25 and max(tenths) < 85


def test_long_texts_are_drawn_in_pieces() -> None:
    sample, _ = sample_texts(["x" * 1_000_000], 100_000)
    assert 50_000 < sum(map(len, sample)) <= 100_000


def test_reading_is_reported_in_bytes() -> None:
    seen: list[int] = []
    sample_texts(["ab", "人"], 100, seen.append)
    assert seen == [2, 5]


def test_lone_surrogates_are_refused() -> None:
    with pytest.raises(TokenizerError, match="surrogate"):
        sample_texts(["\udc00"], 100)
