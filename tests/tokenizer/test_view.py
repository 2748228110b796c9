"""Pieces, offsets and what they make together."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, normalizers, pre_tokenizers

from penjing.core.errors import TokenizerError
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.train import train_tokenizer
from penjing.tokenizer.view import TextView, view_text, visible

FAMILY = "👨‍👩‍👧‍👦"


@pytest.fixture(scope="module")
def byte() -> Tokenizer:
    return train_tokenizer([], TokenizerConfig(kind="byte"))


@pytest.fixture(scope="module")
def char() -> Tokenizer:
    return train_tokenizer(["今天 hello"], TokenizerConfig(kind="char"))


def slices(view: TextView) -> list[bytes]:
    return [view.text.encode()[piece.start : piece.end] for piece in view.pieces]


def test_ids_and_bytes_are_those_of_the_encoding(tokenizer: Tokenizer, tricky: str) -> None:
    view = view_text(tokenizer, tricky)
    assert view.ids == tokenizer.encode(tricky)
    known = [piece for piece in view.pieces if not piece.unknown]
    assert [piece.raw for piece in known] == [tokenizer.token_bytes(piece.id) for piece in known]
    assert [piece.token for piece in view.pieces] == [tokenizer.token_of(id) for id in view.ids]


def test_offsets_cut_the_text_into_the_bytes_of_the_tokens(
    lossless: Tokenizer, tricky: str
) -> None:
    view = view_text(lossless, tricky)
    if lossless.kind == "unigram":  # puts a space before the text
        assert b"".join(slices(view)) == tricky.encode()
    else:
        assert slices(view) == [piece.raw for piece in view.pieces]


@given(st.text())
def test_half_characters_are_joined_and_no_other(byte: Tokenizer, text: str) -> None:
    view = view_text(byte, text)
    for joined in view.joined:
        raw = b"".join(piece.raw for piece in view.pieces[joined.first : joined.last])
        assert raw.decode() == joined.text
    inside = {n for joined in view.joined for n in range(joined.first, joined.last)}
    alone = [piece for n, piece in enumerate(view.pieces) if n not in inside]
    assert all(piece.raw.isascii() for piece in alone)


def test_a_family_and_a_rare_character(byte: Tokenizer) -> None:
    view = view_text(byte, f"a{FAMILY}𠮷e\u0301")
    assert [joined.text for joined in view.joined] == [FAMILY, "𠮷", "e\u0301"]
    family = view.joined[0]
    assert (family.first, family.last) == (1, 26)
    assert view.pieces[1].text == r"\xF0"


def test_a_row_of_flags(byte: Tokenizer) -> None:
    """A letter may end one flag or begin another: that hangs on all letters before it."""
    flags = "🇨🇳🇯🇵a🇧🇷"
    view = view_text(byte, flags * 300)
    assert [each.text for each in view.joined] == ["🇨🇳", "🇯🇵", "🇧🇷"] * 300


def test_nothing_shown_is_broken_or_invisible(tokenizer: Tokenizer, tricky: str) -> None:
    for piece in view_text(tokenizer, tricky).pieces:
        assert "\ufffd" not in piece.text or "\ufffd" in tricky
        assert piece.text and all(c.isprintable() or c == "\u200d" for c in piece.text)


def test_unknown_characters(char: Tokenizer) -> None:
    view = view_text(char, "今𠮷o")
    assert [piece.unknown for piece in view.pieces] == [False, True, False]
    unknown = view.pieces[1]
    assert (unknown.text, unknown.raw, unknown.start, unknown.end) == ("<unk>", b"", 3, 7)


def test_an_unknown_token_that_is_written_is_not_unknown(char: Tokenizer) -> None:
    view = view_text(char, "今<unk>龘", allow_special=True)
    assert view.ids == char.encode("今<unk>龘", allow_special=True)
    assert [piece.unknown for piece in view.pieces] == [False, False, True]
    assert [piece.word is None for piece in view.pieces] == [False, True, False]
    assert [view.source(piece) for piece in view.pieces] == ["今", "<unk>", "龘"]


def test_words_and_added_tokens(bpe: Tokenizer) -> None:
    text = "unhappiness 今天<|endoftext|>a b"
    plain, special = view_text(bpe, text), view_text(bpe, text, allow_special=True)
    assert plain.ids == bpe.encode(text) and special.ids == bpe.encode(text, allow_special=True)
    assert None not in {piece.word for piece in plain.pieces}
    added = [piece for piece in special.pieces if piece.word is None]
    assert [piece.text for piece in added] == ["<|endoftext|>"]
    words = [
        b"".join(piece.raw for piece in special.pieces[first:last])
        for first, last in special.words()
    ]
    assert words == [b"unhappiness", " 今天".encode(), b"a", b" b"]


def test_a_changed_text_has_offsets_of_whole_characters() -> None:
    backend = Backend(models.WordPiece({"[UNK]": 0, "un": 1, "##happy": 2}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    view = view_text(Tokenizer(backend.to_str()), "Ünhappy 𠮷")
    assert [piece.text for piece in view.pieces] == ["un", "##happy", "[UNK]"]
    assert slices(view) == ["Ün".encode(), b"happy", "𠮷".encode()]
    assert [piece.unknown for piece in view.pieces] == [False, False, True]


def test_what_was_composed_first_is_joined_all_the_same(byte: Tokenizer) -> None:
    spec = json.loads(byte.text) | {"normalizer": {"type": "NFC"}}
    tokenizer = Tokenizer(json.dumps(spec))
    view = view_text(tokenizer, "xe\u0301今")
    assert view.ids == [*b"x", *"é今".encode()]
    assert [joined.text for joined in view.joined] == ["e\u0301", "今"]
    assert all(piece.end > piece.start for piece in view.pieces)


def test_a_space_that_is_put_before_the_text_has_no_place() -> None:
    vocab = [("<unk>", 0.0), ("▁", -1.0), ("▁a", -1.0), ("b", -2.0)]
    backend = Backend(models.Unigram(vocab, unk_id=0))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    view = view_text(Tokenizer(backend.to_str()), "ab b")
    assert [piece.text for piece in view.pieces] == ["␣a", "b", "␣", "b"]
    assert [(piece.start, piece.end) for piece in view.pieces] == [(0, 1), (1, 2), (2, 3), (3, 4)]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (" a\tb\r\n", "␣a⇥b␍⏎"),
        ("\u200d", r"\u200d"),
        (FAMILY, FAMILY),
        ("\u0301", "◌\u0301"),
        ("\x00\x85\u3000\U000e0001", r"\x00\x85\u3000\U000e0001"),
        ("", ""),
    ],
)
def test_visible(text: str, seen: str) -> None:
    assert visible(text) == seen


def test_json_holds_all_of_it(bpe: Tokenizer) -> None:
    data = json.loads(json.dumps(view_text(bpe, "龘 a").to_json()))
    assert [piece["id"] for piece in data["pieces"]] == bpe.encode("龘 a")
    raw = "".join(piece["raw"] for piece in data["pieces"])
    assert bytes.fromhex(raw).decode() == "龘 a" and data["joined"][0]["text"] == "龘"


def test_a_lone_surrogate_is_refused(bpe: Tokenizer) -> None:
    with pytest.raises(TokenizerError, match="lone surrogate"):
        view_text(bpe, "a\ud800")
