"""Hashes that come piece by piece are those of the whole."""

import hashlib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from penjing.data.hashing import TextHash, file_hash, text_hashes

pieces = st.lists(st.text(st.sampled_from("a 今\n\t\u3000"), max_size=5))


@given(pieces)
def test_pieces_hash_as_the_text(pieces: list[str]) -> None:
    text = "".join(pieces)
    whole = TextHash()
    for piece in pieces:
        whole.update(piece)
    wanted = tuple(hashlib.sha256(part.encode()).digest()[:16] for part in (text, text.strip()))
    assert whole.digests() == text_hashes(text) == wanted


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 10**5)
    assert file_hash(tmp_path / "a") == hashlib.sha256(b"abc" * 10**5).hexdigest()
