"""What is taken for normal form C is that form, by the library's own tables."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import normalizers

from penjing.tokenizer.fast.batches import batch_of
from penjing.tokenizer.fast.settled import _unsettled, is_settled

NFC = normalizers.NFC()
_COMPOSING = "eEaoA\u0301\u0327\u0323\u212b가\u1100\u1161\u11a8か\u3099中é\u0f71\u0f72"
_WRITTEN = ("plain", "人工智能，今天天气不错。", "Ünïcödé é", "한국어", "🎉", "")
_UNSETTLED = ("e\u0301", "\u212b", "か\u3099", "\u1100\u1161", "\u0378", "\U0001e08f")


@settings(max_examples=500, deadline=None)
@given(text=st.text() | st.text(st.sampled_from(_COMPOSING)))
def test_settled_text_is_in_form_c(text: str) -> None:
    assert not is_settled(batch_of([text])) or NFC.normalize_str(text) == text


def test_every_settled_character() -> None:
    """In any company: between others, and each before and after the next one."""
    codes = np.flatnonzero(_unsettled() == 0)
    settled = [chr(code) for code in codes if not 0xD800 <= code < 0xE000]
    text = "".join(settled) + "".join(f"e{char}" for char in settled) + "".join(settled[::-1])
    assert NFC.normalize_str(text) == text


@pytest.mark.parametrize("text", _WRITTEN)
def test_what_people_write_is_settled(text: str) -> None:
    assert is_settled(batch_of([text, text]))
    assert unicodedata.is_normalized("NFC", text)


@pytest.mark.parametrize("text", _UNSETTLED)
def test_what_might_change_is_not(text: str) -> None:
    assert not is_settled(batch_of(["plain", text]))
