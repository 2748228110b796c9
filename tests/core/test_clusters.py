"""Characters as readers see them, against the regular expression \\X of `regex`."""

import pytest
import regex
from hypothesis import assume, given
from hypothesis import strategies as st

from penjing.core.clusters import characters, is_boundary

ALPHABET = (
    "ab \r\n\t今𠮷龘é©✂❤❤️👨👩👧👦👍\u200d\u200c\u0301\u0302\ufe0f\u20e3"
    "🇨🇳🇯🇵🏽🏿🏴\U000e0067\U000e007f각가나\u1100\u1161\u11a8か\u3099\uff9eน\u0e33ـا\u0903\u2028\x07\u202e\ufeff\u200b"
)


def boundaries(text: str) -> list[int]:
    ends = [0]
    for cluster in regex.findall(r"\X", text):
        ends.append(ends[-1] + len(cluster))
    return ends


@given(st.text(alphabet=ALPHABET, max_size=12))
def test_boundaries_are_those_of_unicode(text: str) -> None:
    # Which marks may stand between a picture and a joiner, only the full tables of Unicode tell.
    assume(
        not regex.search(r"[\p{Mc}\p{Me}\U000e0000-\U000e0fff\u0e33\uff9e\u200c\u200d]\u200d", text)
    )
    found = [at for at in range(len(text) + 1) if is_boundary(text, at)]
    assert found == ([0] if not text else boundaries(text))


@given(st.text(alphabet="🇨🇳a", max_size=12))
def test_flag_letters_may_be_counted_by_the_caller(text: str) -> None:
    for at in range(len(text) + 1):
        before = at - len(text[:at].rstrip("🇨🇳"))
        assert is_boundary(text, at, before) == is_boundary(text, at)


@pytest.mark.parametrize(
    ("text", "characters"),
    [
        ("👨‍👩‍👧‍👦", 1),
        ("👍🏽👍", 2),
        ("🇨🇳🇯🇵🇨", 3),
        ("e\u0301e", 2),
        ("❤️", 1),
        ("1️⃣", 1),
        ("\r\n\n", 2),
        ("\u1112\u1161\u11ab글", 2),
        ("か\u3099", 1),
        ("小处不可随便", 6),
        ("\ufeff\u0301", 2),
        ("a\u202e\u200db", 4),
    ],
)
def test_what_readers_count(text: str, characters: int) -> None:
    assert sum(is_boundary(text, at) for at in range(len(text))) == characters
    assert len(regex.findall(r"\X", text)) == characters


@given(st.text(alphabet="a今👨👩\u200d\u0301\ufe0f🇨🇳🇯", max_size=12))
def test_characters_end_at_the_boundaries(text: str) -> None:
    ends = [n for n in range(1, len(text)) if is_boundary(text, n)]
    pairs = zip([0, *ends], [*ends, len(text)], strict=True)
    assert list(characters(text)) == [text[a:b] for a, b in pairs if a < b]
