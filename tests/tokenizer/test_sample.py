"""A sample is bounded, fair, in order, and the same each time."""

import tracemalloc
from collections.abc import Iterator

import pytest

from penjing.core.errors import TokenizerError
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.sample import Reservoir, draw_sample, sample_texts
from penjing.tokenizer.splits import SPLITS, training_splitter
from penjing.tokenizer.train import train_tokenizer


def test_a_text_that_fits_is_kept_whole() -> None:
    texts = ["first", "", "人工智能" * 9000, "last"]
    sample = draw_sample(texts, 10**6)
    assert "".join(sample.texts) == "".join(texts)
    assert not sample.sampled
    assert sample.n_bytes == sample.n_read == len("".join(texts).encode())
    assert sample_texts(texts, 10**6) == (list(sample.texts), False)


def test_a_sample_is_bounded_in_order_and_repeats() -> None:
    texts = [f"{i:04d}" for i in range(5000)]
    sample = draw_sample(iter(texts), 2000)
    assert sample.sampled and len(sample.pieces) == 500
    assert (sample.n_bytes, sample.n_read) == (2000, 20_000)
    assert sample.pieces == sorted(sample.pieces) == draw_sample(texts, 2000).pieces
    # Drawn from everywhere: each tenth of the texts has about a tenth of the sample.
    tenths = [sum(int(text) // 500 == tenth for text in sample.texts) for tenth in range(10)]
    assert min(tenths) > 25 and max(tenths) < 85


def test_long_texts_are_drawn_in_pieces() -> None:
    sample = draw_sample(["x" * 1_000_000], 100_000)
    assert 50_000 < sum(map(len, sample.texts)) <= 100_000


@pytest.mark.parametrize("split", SPLITS)
def test_a_long_text_is_cut_where_words_end(split: str) -> None:
    """So the words of a text that fits are those of the text."""
    line = "The cat sat, and it's raining. 今天天气不错，我们去公园散步。 x = 1234\n\n"
    text = line * 1500
    pieces = list(draw_sample([text], 10**7).texts)
    assert len(pieces) > 4 and "".join(pieces) == text
    words = training_splitter(split, "run").pre_tokenize_str
    expected = [word for word, _ in words(text)]
    assert [word for piece in pieces for word, _ in words(piece)] == expected


def test_reading_is_reported_in_bytes() -> None:
    seen: list[int] = []
    draw_sample(["ab", "人"], 100, seen.append)
    assert seen == [2, 5]


def test_it_can_be_asked_on_the_way() -> None:
    reservoir = Reservoir(100)
    reservoir.add("one")
    assert reservoir.sample().pieces == [b"one"]
    reservoir.add("two")
    assert reservoir.sample().pieces == [b"one", b"two"] and reservoir.n_read == 6


def test_given_away_pieces_are_kept_no_longer() -> None:
    sample = draw_sample(["one", "zwei", "三"], 100)
    texts = sample.given_away()
    assert next(texts) == "one" and len(sample.pieces) == 2
    assert list(texts) == ["zwei", "三"]
    assert not sample.pieces and sample.n_bytes == 10 and not sample.sampled


def test_lone_surrogates_are_refused() -> None:
    with pytest.raises(TokenizerError, match="surrogate"):
        draw_sample(["\udc00"], 100)


def test_memory_does_not_grow_with_the_text() -> None:
    def endless(n: int) -> Iterator[str]:
        return (f"{i}" * 4000 for i in range(n))

    peaks = []
    for n in (300, 1500):
        tracemalloc.start()
        draw_sample(endless(n), 500_000)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def test_one_line_of_megabytes_without_a_space() -> None:
    """Each kind of tokenizer learns from a bounded part of it, cut into words of bounded length."""
    line = "".join(chr(0x4E00 + i * i % 20_000) for i in range(2_000_000))
    tokenizer = train_tokenizer([line], TokenizerConfig(vocab_size=600, sample_bytes=300_000))
    assert tokenizer.record is not None
    assert tokenizer.record.n_bytes <= 300_000 < tokenizer.record.n_read == 6_000_000
