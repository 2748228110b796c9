"""Streaming says the same as decoding all at once, and never half a character."""

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, decoders, models

from penjing.core.errors import TokenizerError
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.pieces import NEEDLESS_SPACE
from penjing.tokenizer.stream import StreamDecoder
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.train import train_tokenizer


def stream(tokenizer: Tokenizer, ids: list[int], *, skip_special: bool = True) -> str:
    decoder = StreamDecoder(tokenizer, skip_special=skip_special)
    return "".join([*map(decoder.push, ids), decoder.flush()])


@given(data=st.data(), skip=st.booleans())
def test_any_ids(tokenizer: Tokenizer, data: st.DataObject, skip: bool) -> None:
    """Invalid UTF-8 too: random ids are rarely whole characters."""
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1)))
    said, decoded = (
        stream(tokenizer, ids, skip_special=skip),
        tokenizer.decode(ids, skip_special=skip),
    )
    if tokenizer.kind == "unigram" and "\ufffd" in said:  # see StreamDecoder
        skipped = tokenizer.special_tokens.values() if skip else ()
        raw = b"".join(tokenizer.token_bytes(id) for id in ids if id not in skipped)
        assert said == raw.decode("utf-8", errors="replace")
    else:
        assert said == decoded


@given(text=st.text())
def test_any_text_in_whole_characters(lossless: Tokenizer, text: str) -> None:
    decoder = StreamDecoder(lossless)
    said = ""
    for id in lossless.encode(text):
        said += decoder.push(id)
        assert text.startswith(said)  # a half character would show as U+FFFD
    assert said + decoder.flush() == text


def test_bytes_of_one_character_are_held_back() -> None:
    byte = train_tokenizer([], TokenizerConfig(kind="byte"))
    decoder = StreamDecoder(byte)
    assert [decoder.push(i) for i in byte.encode("𠮷a")] == ["", "", "", "𠮷", "a"]
    assert [decoder.push(i) for i in (0xE4, 0xBA, 0x41)] == ["", "", "\ufffdA"]
    assert decoder.push(0xE4) == ""
    assert decoder.flush() == "\ufffd"
    assert decoder.flush() == ""
    end = byte.special_tokens["<|endoftext|>"]
    assert [decoder.push(i) for i in (0xE4, end, 0xBA, 0xBA)] == ["", "", "", "人"]
    with pytest.raises(TokenizerError, match="no token 999"):
        decoder.push(999)


def sentencepiece_like(decoder: decoders.Decoder) -> Tokenizer:
    """A vocabulary as Llama 2 has it: words with ▁ for the space, and bytes to fall back on."""
    tokens = [
        "<unk>",
        "<s>",
        "▁",
        "▁hello",
        "▁the",
        "lo",
        "人",
        "▁▁",
        "lo▁",
        *(f"<0x{i:02X}>" for i in range(256)),
    ]
    backend = tokenizers.Tokenizer(
        models.BPE({t: i for i, t in enumerate(tokens)}, [], unk_token="<unk>", byte_fallback=True)
    )
    backend.decoder = decoder
    backend.add_special_tokens(["<unk>", "<s>"])
    return Tokenizer(backend.to_str())


SENTENCEPIECE = [
    decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(content=" ", left=1, right=0),
        ]
    ),
    decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]),
    decoders.Metaspace(),
    decoders.Metaspace(prepend_scheme="never"),
]


# Strips a space off each token, for they are not one text yet.
UNFUSED = decoders.Sequence([decoders.Replace("▁", " "), decoders.Strip(" ", 1, 0)])


def test_a_decoder_that_is_not_known() -> None:
    with pytest.raises(TokenizerError, match="cannot be read token by token"):
        StreamDecoder(sentencepiece_like(UNFUSED))


@pytest.mark.parametrize("decoder", SENTENCEPIECE, ids=str)
@given(words=st.lists(st.integers(1, 8)), skip=st.booleans())
def test_sentencepiece_words(decoder: decoders.Decoder, words: list[int], skip: bool) -> None:
    tokenizer = sentencepiece_like(decoder)
    expected = tokenizer.decode(words, skip_special=skip)
    assert stream(tokenizer, words, skip_special=skip) == expected


@pytest.mark.parametrize("decoder", SENTENCEPIECE[:2], ids=str)
@given(ids=st.lists(st.integers(0, 8 + 256)))
def test_any_ids_of_a_vocabulary_with_byte_fallback(
    decoder: decoders.Decoder, ids: list[int]
) -> None:
    """It is `decode` for valid UTF-8; else Python's own reading of the bytes is the oracle."""
    tokenizer = sentencepiece_like(decoder)
    raw = b"".join(tokenizer.token_bytes(id) for id in ids if id > 1)
    text = raw.decode("utf-8", errors="replace")
    strip = tokenizer.pieces.strip_left
    assert stream(tokenizer, ids) == (text[strip:] if text.startswith(" ") else text)
    if "\ufffd" not in text:
        assert stream(tokenizer, ids) == tokenizer.decode(ids)


def test_sentencepiece_bytes() -> None:
    tokenizer = sentencepiece_like(SENTENCEPIECE[0])
    byte = {i: tokenizer.id_of(f"<0x{i:02X}>") for i in range(256)}
    ids = [3, *(byte[b] or 0 for b in "𠮷".encode()), 4]
    assert tokenizer.token_bytes(ids[1]) == b"\xf0"
    assert tokenizer.token_text(ids[1]) == r"\xF0"
    assert stream(tokenizer, ids) == tokenizer.decode(ids) == "hello𠮷 the"


def wordpiece_like(decoder: decoders.Decoder) -> Tokenizer:
    tokens = [
        "[UNK]",
        "un",
        "##happy",
        "##",
        ".",
        "'",
        "n't",
        " ",
        "天",
        "##气",
        "，",
        "a ",
        "，b ",
    ]
    backend = tokenizers.Tokenizer(models.WordPiece({token: i for i, token in enumerate(tokens)}))
    backend.decoder = decoder
    backend.add_special_tokens(["[UNK]"])
    return Tokenizer(backend.to_str())


WORDPIECE = [
    decoders.WordPiece(),
    decoders.WordPiece(cleanup=False),
    decoders.WordPiece(prefix="@@"),
    decoders.Sequence(
        [
            decoders.WordPiece(),
            decoders.Fuse(),
            decoders.Replace(Regex(NEEDLESS_SPACE.pattern), ""),
        ]
    ),
]


@pytest.mark.parametrize("decoder", WORDPIECE, ids=str)
@given(ids=st.lists(st.integers(0, 12)), skip=st.booleans())
def test_wordpiece(decoder: decoders.Decoder, ids: list[int], skip: bool) -> None:
    tokenizer = wordpiece_like(decoder)
    assert stream(tokenizer, ids, skip_special=skip) == tokenizer.decode(ids, skip_special=skip)


def test_wordpiece_as_it_comes() -> None:
    tokenizer = wordpiece_like(WORDPIECE[3])
    decoder = StreamDecoder(tokenizer)
    said = [decoder.push(id) for id in (1, 2, 4, 8, 9, 10, 1, 11, 8)]
    assert said == ["un", "happy", ".", "天", "气", "，", "un", " a", " 天"]
    assert decoder.flush() == ""
    assert tokenizer.token_bytes(2) == b"happy"
    said = [decoder.push(id) for id in (11, 1)]
    assert said == ["a", "  un"] and decoder.flush() == ""
    assert [decoder.push(11), decoder.flush()] == ["a", " "]


def test_a_decoder_that_needs_all_tokens_at_once() -> None:
    backend = tokenizers.Tokenizer(models.BPE({"un": 0, "happy</w>": 1}, []))
    backend.decoder = decoders.BPEDecoder()
    tokenizer = Tokenizer(backend.to_str())
    assert tokenizer.token_bytes(1) == b"happy</w>"
    with pytest.raises(TokenizerError, match="all ids at once"):
        StreamDecoder(tokenizer)
