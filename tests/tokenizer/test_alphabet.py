"""The byte alphabet is GPT-2's; `tokenizers` is the oracle."""

from hypothesis import given
from hypothesis import strategies as st
from tokenizers import decoders, pre_tokenizers

from penjing.tokenizer.alphabet import BYTE_TO_CHAR, from_alphabet, printable


def test_it_is_the_librarys_alphabet() -> None:
    assert sorted(BYTE_TO_CHAR) == sorted(pre_tokenizers.ByteLevel.alphabet())
    assert len(set(BYTE_TO_CHAR)) == 256


@given(text=st.text(min_size=1))
def test_bytes_of_what_the_library_writes(text: str) -> None:
    splitter = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    ((token, _),) = splitter.pre_tokenize_str(text)
    assert token == "".join(BYTE_TO_CHAR[byte] for byte in text.encode())
    assert from_alphabet(token) == text.encode()


@given(token=st.text(min_size=1))
def test_any_token_is_read_as_the_library_decodes_it(token: str) -> None:
    decoded = from_alphabet(token).decode("utf-8", errors="replace")
    assert decoded == decoders.ByteLevel().decode([token])


def test_shown_bytes() -> None:
    assert printable("a人\n".encode()) == "a人\n"
    assert printable(b"\xe4\xbaa\xff") == r"\xE4\xBAa\xFF"
