"""Penalties and biases against float64 and transformers; the history with and without a window."""

from collections import Counter

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.generation import logits_process as hf

from penjing.generate.sampling import penalties as past
from penjing.generate.sampling.penalties import History

floats = st.floats(-30, 30, width=32)
V = 12
ids_lists = st.lists(st.integers(0, V - 1), max_size=40)


def row(values) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def history(prompt: list[int], output: list[int], window: int = 0) -> History:
    made = History(V, prompt, window)
    for id in output:
        made.add(id)
    return made


@given(ids_lists, ids_lists, st.integers(0, 50))
def test_the_history_counts_what_is_in_its_window(prompt, output, window):
    made = history(prompt, output, window)
    text = [*((id, False) for id in prompt), *((id, True) for id in output)][-window:]
    seen, generated = Counter(id for id, _ in text), Counter(id for id, ours in text if ours)
    assert made.seen.tolist() == [seen[id] for id in range(V)]
    assert made.generated.tolist() == [generated[id] for id in range(V)]
    assert made.text.tolist() == prompt + output and made.length == len(output)


def test_a_forked_history_goes_on_by_itself():
    made = history([1, 2], [3])
    twin = made.fork()
    made.add(4)
    twin.add(5)
    assert made.text.tolist() == [1, 2, 3, 4] and twin.text.tolist() == [1, 2, 3, 5]
    assert made.seen[5] == 0 and twin.generated[4] == 0


@given(
    st.lists(st.tuples(floats, st.integers(0, 5)), min_size=1, max_size=50),
    st.floats(-2, 2),
    st.floats(-2, 2),
)
def test_penalties_follow_the_formula_of_openai(rows, presence, frequency):
    logits, counts = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    ours = past.penalties(row(logits), counts.astype(np.int32), presence, frequency)
    expected = logits - counts * frequency - (counts > 0) * presence
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5)


@given(st.lists(floats, min_size=V, max_size=V), ids_lists, ids_lists, st.floats(0.5, 2))
def test_repetition_penalty_as_transformers(values, prompt, output, penalty):
    ours = past.repetition_penalty(row(values), history(prompt, output).seen, penalty)
    ids = torch.tensor([prompt + output], dtype=torch.int64)
    processor = hf.RepetitionPenaltyLogitsProcessor(penalty)
    theirs = processor(ids, torch.tensor([values]))[0] if ids.numel() else row(values)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_logit_bias_adds_and_does_not_touch_the_input():
    logits = row([1, 2, 3])
    assert past.logit_bias(logits, {0: 2.5, 2: -100}).tolist() == [3.5, 2, -97]
    assert logits.tolist() == [1, 2, 3]
