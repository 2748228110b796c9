"""Longest matches of WordPiece, step by step."""

from penjing.tokenizer.longest import LongestMatch, Match, PieceTable

MODEL = {"vocab": {"un": 0, "##happi": 1, "##ness": 2, "happy": 3}, "max_input_chars_per_word": 20}


def test_what_is_tried_and_found() -> None:
    steps = PieceTable(MODEL).match("unhappiness")
    first, second, third = steps.matches
    assert [match.piece for match in steps.matches] == ["un", "##happi", "##ness"]
    assert first.tried[:2] == ("unhappiness", "unhappines") and first.tried[-1] == "unh"
    assert second == Match(2, 7, "##happi", ("##happiness", "##happines", "##happine", "##happin"))
    assert third == Match(7, 11, "##ness", ()) and not steps.unknown


def test_where_nothing_fits_the_word_is_unknown() -> None:
    steps = PieceTable(MODEL).match("unx")
    assert steps.matches[-1] == Match(2, 2, None, ("##x",)) and steps.unknown


def test_what_is_too_long_is_not_looked_at() -> None:
    assert PieceTable(MODEL).match("un" * 11) == LongestMatch("un" * 11, (), too_long=True)
    assert PieceTable(MODEL).match("un" * 11).unknown
