"""Where a large file is cut: nowhere that would change a line, a character or an id."""

from pathlib import Path

import pytest
from tests.data.shards.conftest import LINES, ORDINARY, prose

from penjing.core.errors import DataError
from penjing.data.shards import stretches
from penjing.data.shards.stretches import count_lines, cut_lines, cut_text, read_text
from penjing.tokenizer.splits import ANYWHERE, WORD_END


@pytest.mark.parametrize("boundary", [WORD_END, ANYWHERE])
@pytest.mark.parametrize("window", [7, 50, 2**16])
def test_the_stretches_of_a_text_are_the_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, boundary, window: int
) -> None:
    monkeypatch.setattr(stretches, "WINDOW", window)
    raw = ("\r\n".join(LINES * 4) + "\r\n" + "霜" * 90 + "，" + "x" * 90).encode("utf-8-sig")
    path = tmp_path / "a.txt"
    path.write_bytes(raw)
    whole = raw.decode("utf-8-sig").replace("\r\n", "\n")
    for step in (1, 2, 3, 10, 64, 500):
        places = cut_text(path, len(raw), step, boundary)
        assert places == sorted(set(places))
        ends = [*places, len(raw)]
        parts = [read_text(path, *pair) for pair in zip([0, *places], ends, strict=True)]
        assert "".join(parts) == whole
        assert len(places) > 2 or step > 64
        assert all(b - a >= step for a, b in zip([0, *places], places, strict=False))


def test_lines_stay_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "WINDOW", 9)
    path = tmp_path / "a.jsonl"
    raw = prose(40).encode()
    path.write_bytes(raw)
    for step in (1, 30, 77, 1000):
        places = cut_lines(path, len(raw), step)
        assert all(raw[at - 1 : at] == b"\n" for at in places)
        assert len(places) == len(set(places)) > 0
    assert cut_lines(path, len(raw), len(raw)) == []


def test_what_cannot_be_cut_is_left_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for encoding in ("utf-16", "gb18030"):
        raw = (ORDINARY * 20).encode(encoding)
        path.write_bytes(raw)
        assert cut_text(path, len(raw), 100, WORD_END) == []
    path.write_text("plain text\n" * 90)
    assert cut_text(path, 990, 100, None) == []
    path.write_bytes("rows\n".encode("utf-16") * 90)
    assert cut_lines(path, path.stat().st_size, 100) == []


def test_a_file_that_goes_away_or_shrinks_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one\ntwo\n")
    assert count_lines(path, 5) == 1
    with pytest.raises(DataError, match=r"a\.txt has become shorter while it was read"):
        read_text(path, 4, 20)
    path.unlink()
    with pytest.raises(DataError, match=r"Cannot read .*a\.txt: No such file"):
        read_text(path, 0, 4)
