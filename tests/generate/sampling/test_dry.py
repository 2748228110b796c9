"""DRY against llama.cpp's steps, written out without its shortcuts."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penjing.core.errors import GenerationError
from penjing.core.types import SamplingParams
from penjing.generate.sampling.dry import Breaks
from penjing.generate.sampling.sampler import Sampler
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer

BYTES = train_tokenizer([], TokenizerConfig(kind="byte"))
V = BYTES.vocab_size


def llama_cpp(text: list[int], p: SamplingParams, breakers: list[list[int]]) -> dict[int, float]:
    """The penalty of each token: `llama_sampler_dry_apply`, with breakers as lists of ids."""
    last = text[-p.dry_window :]
    limit = len(last)
    for i in range(len(last)):  # the breaker nearest to the end
        tail = last[len(last) - 1 - i :]
        found = [len(b) for b in breakers if tail[: len(b)] == b]
        if found:
            limit = i + 1 - max(found)
            break
    if limit < p.dry_allowed_length:
        return {}
    longest: dict[int, int] = {}
    for end in range(1, len(last)):  # how much of the text's end does last[:end] end with?
        n = 0
        while n < end and last[end - 1 - n] == last[-1 - n]:
            n += 1
        n = min(n, limit)
        if n >= p.dry_allowed_length:
            longest[last[end]] = max(n, longest.get(last[end], 0))
    return {
        id: p.dry_multiplier * p.dry_base ** (n - p.dry_allowed_length)
        for id, n in longest.items()
        if [id] not in breakers
    }


def penalty(text: list[int], params: SamplingParams, n_prompt: int | None = None) -> dict:
    """What our step takes off the logits after `text`, of which the prompt is the beginning."""
    n_prompt = len(text) if n_prompt is None else n_prompt
    sampler = Sampler(params, V, text[:n_prompt], tokenizer=BYTES)
    zeros = np.zeros(V, np.float32)
    for id in text[n_prompt:]:
        sampler.state.advance(id, zeros)
    after = sampler.steps["dry"].apply(zeros, params, sampler.state)
    return {id: -float(after[id]) for id in np.flatnonzero(after).tolist()}


texts = st.lists(st.sampled_from([*b"abc\n:"]), max_size=60)


@given(
    texts,
    st.integers(0, 60),
    st.integers(1, 4),
    st.integers(0, 30),
    st.floats(1, 3),
    st.sampled_from([(), ("\n",), ("\n", ":"), ("\n", "ca"), ("abc",)]),
)
def test_as_llama_cpp(text, n_prompt, allowed, window, base, breakers):
    params = SamplingParams(
        dry_multiplier=0.8,
        dry_base=base,
        dry_allowed_length=allowed,
        dry_window=window,
        dry_sequence_breakers=breakers,
    )
    expected = llama_cpp(text, params, [list(b.encode()) for b in breakers])
    n_prompt = len(text) if window else n_prompt  # a breaker cut by the window's edge is theirs
    assert penalty(text, params, n_prompt) == pytest.approx(expected, rel=1e-5)


def test_by_hand():
    params = SamplingParams(dry_multiplier=1, dry_base=2, dry_sequence_breakers=())
    # "abc" came before "d" and "bc" before "e": three repeated tokens weigh more than two.
    said = penalty([*b"abcd.bce.abc"], params)
    assert said == {ord("d"): 2.0, ord("e"): 1.0}


def test_no_repeat_reaches_over_a_breaker():
    text = [*b"xy\nabcd..xy\nab"]
    free = SamplingParams(dry_multiplier=1, dry_base=2, dry_sequence_breakers=())
    assert penalty(text, free) == {ord("c"): 8.0}  # five tokens, "xy\nab"
    broken = SamplingParams(dry_multiplier=1, dry_base=2)
    assert penalty(text, broken) == {ord("c"): 1.0}  # two, "ab"


def test_breakers_are_found_across_tokens_and_within_them():
    merged = train_tokenizer(["ab ab ab\n"] * 50, TokenizerConfig(vocab_size=259))
    (ab,) = merged.encode("ab")
    breaks = Breaks(merged, ("b",), [ab])
    assert breaks.since == 0 and breaks.is_breaker(ab)
    breaks.add(97)
    assert breaks.since == 1 and not breaks.is_breaker(97)
    apart = Breaks(BYTES, ("天",), [*"地天".encode()])
    assert apart.since == 0
    apart.add(97)
    assert apart.since == 1


def test_a_long_repeat_does_not_overflow():
    params = SamplingParams(dry_multiplier=1, dry_base=10, dry_sequence_breakers=())
    (weight,) = penalty([97] * 3000, params).values()
    assert 1e37 < weight < math.inf


def test_it_needs_the_tokenizer_for_breakers_alone():
    with pytest.raises(GenerationError, match=r"dry_sequence_breakers .* tokenizer"):
        Sampler(SamplingParams(dry_multiplier=1), 9)
    Sampler(SamplingParams(dry_multiplier=1, dry_sequence_breakers=()), 9)
