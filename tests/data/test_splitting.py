"""The choice from hashes against one that looks at the texts; the cut against the whole text."""

import hashlib

from hypothesis import assume, given
from hypothesis import strategies as st

from penjing.data.splitting import (
    DROPPED,
    TRAIN,
    VALIDATION,
    Documents,
    choose,
    nearest_line_end,
)

texts = st.lists(st.text(st.sampled_from("ab 今\n"), min_size=1, max_size=60), min_size=1)


@given(texts, st.floats(0.01, 0.5))
def test_the_choice_is_that_of_the_texts(texts: list[str], fraction: float) -> None:
    """Written down once more, plainly."""

    def digest(n: int) -> bytes:
        return hashlib.sha256(texts[n].encode()).digest()

    def size(n: int) -> int:
        return len(texts[n].encode())

    kept: dict[str, int] = {}
    some = [n for n, text in enumerate(texts) if text.strip()]
    for n in some:
        core = texts[n].strip()
        kept[core] = min(kept.get(core, n), n, key=lambda n: (digest(n), n))
    total = sum(map(size, kept.values()))
    assume(total >= 64)
    left, chosen = fraction * total, set()
    for n in sorted(kept.values(), key=digest):
        if size(n) < 2 * left:
            chosen.add(n)
            left -= size(n)
    choice = choose(Documents.of(texts), validation_fraction=fraction, exact=False)
    whole = left <= fraction * total / 2
    wanted = chosen if whole else set()
    assert {n for n, label in enumerate(choice.labels) if label == VALIDATION} == wanted
    assert {n for n, label in enumerate(choice.labels) if label != DROPPED} == set(kept.values())
    assert choice.duplicates == len(some) - len(kept)
    assert (choice.cut is None) == whole
    if choice.cut is not None:
        assert size(choice.cut) == max(map(size, kept.values()))
        assert choice.labels[choice.cut] == TRAIN
        assert 0 < choice.at < len(texts[choice.cut])


@given(st.text(st.sampled_from("ab\n"), min_size=2, max_size=80), st.data())
def test_the_nearest_line_end_does_not_depend_on_the_pieces(text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(1, len(text) - 1))
    cuts = data.draw(st.sets(st.integers(1, len(text) - 1)))
    starts = [0, *sorted(cuts)]
    pieces = [text[a:b] for a, b in zip(starts, [*starts[1:], len(text)], strict=True)]
    found = nearest_line_end(at, starts, len(text), pieces.__getitem__)
    assert found == nearest_line_end(at, [0], len(text), [text].__getitem__)
    reach = min(at, len(text) - at) // 2
    near = range(at - reach + 1, at + reach + 1)
    ends = [n for n in near if 0 < n < len(text) and text[n - 1] == "\n"]
    assert abs(found - at) == min((abs(n - at) for n in ends), default=0)
