"""Stop strings against the simple oracle: look for them in the whole text."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penjing.generate.engine.stop import StopStrings
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.stream import StreamDecoder
from penjing.tokenizer.train import train_tokenizer

BYTES = train_tokenizer([], TokenizerConfig(kind="byte"))


def oracle(text: str, stops: list[str]) -> tuple[str, bool]:
    """The text cut before the stop string that ends first, the longest of those that end there."""
    for end in range(1, len(text) + 1):
        ending = [stop for stop in stops if text[:end].endswith(stop)]
        if ending:
            return text[: end - max(map(len, ending))], True
    return text, False


def run(pieces: list[str], stops: list[str]) -> tuple[str, bool]:
    filter = StopStrings(stops)
    out = "".join(filter.push(piece) for piece in pieces)
    return out + filter.flush(), filter.stopped


texts = st.lists(st.text("ab天", max_size=5), max_size=12)
stop_strings = st.lists(st.text("ab天", min_size=1, max_size=4), max_size=4)


@given(texts, stop_strings)
@settings(max_examples=500)
def test_as_in_the_whole_text(pieces, stops):
    assert run(pieces, stops) == oracle("".join(pieces), stops)


@given(texts, stop_strings)
def test_what_was_emitted_is_never_taken_back(pieces, stops):
    expected, _ = oracle("".join(pieces), stops)
    filter = StopStrings(stops)
    out = ""
    for piece in pieces:
        out += filter.push(piece)
        assert expected.startswith(out)


def test_one_stop_string_at_most_a_find():
    pieces = ["一二", "三四", "五"]
    assert run(pieces, ["三"]) == ("一二三四五"[: "一二三四五".find("三")], True)


def test_text_flows_at_once_when_it_cannot_be_a_stop_string():
    filter = StopStrings(["END"])
    assert [filter.push(c) for c in "a E1EN EEND!"] == [
        *("a", " ", "", "E1", "", "", "EN ", "", "E", "", "", "")
    ]
    assert filter.stopped
    assert filter.flush() == ""


def test_held_text_comes_at_the_end():
    filter = StopStrings(["\n\n"])
    assert filter.push("line\n") == "line"
    assert filter.flush() == "\n"
    assert filter.flush() == ""


@pytest.mark.parametrize("stops", [["abcd", "bc"], ["bc", "abcd"]])
@pytest.mark.parametrize("pieces", [["abcd"], ["ab", "cd"], list("abcd")])
def test_the_one_that_ends_first_wins_however_the_text_is_cut(stops, pieces):
    assert run(pieces, stops) == ("a", True)


@given(
    st.lists(st.sampled_from(["天", "地", "夫", "👩‍🚀", "é", "a"]), max_size=12).map("".join),
    st.lists(st.sampled_from(["天", "地a", "🚀", "\u200d", "é", "夫天"]), min_size=1, max_size=3),
)
def test_characters_that_come_byte_by_byte(text, stops):
    decoder, filter = StreamDecoder(BYTES), StopStrings(stops)
    pieces = [filter.push(decoder.push(id)) for id in text.encode()]
    out = "".join(pieces) + filter.flush()
    assert (out, filter.stopped) == oracle(text, stops)


def test_a_long_stop_string_costs_no_more_than_the_text():
    stops, began = StopStrings(["x" * 300_000]), time.perf_counter()
    assert "".join(stops.push("xy") for _ in range(20)) == "xy" * 20
    assert time.perf_counter() - began < 1  # by its own length: a minute
