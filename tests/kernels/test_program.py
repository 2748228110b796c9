"""A whole pass: against float64, and the same bits however a text is cut and accompanied."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penjing.core.errors import GenerationError
from penjing.kernels.program import Program
from penjing.kernels.scores import Summary
from penjing.quantization.tensor import QuantizedTensor

FAMILIES = ["llama", "qwen3", "gpt2"]
slow_fixtures = settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def text(length: int, seed: int = 1) -> list[int]:
    return np.random.default_rng(seed).integers(0, 97, length).tolist()


def at_once(program: Program, ids: list[int]) -> np.ndarray:
    return program.forward([(program.new_cache(), ids, len(ids))])[0].logits


def round_to_four_bits(weight: np.ndarray, group: int) -> QuantizedTensor:
    """Asymmetric, with an offset of its own for each group."""
    n, k = weight.shape
    grouped = weight.reshape(n, k // group, group)
    low, high = grouped.min(-1), grouped.max(-1)
    scale = np.maximum((high - low) / 15, 1e-8).astype(np.float32)
    q = np.clip(np.rint((grouped - low[..., None]) / scale[..., None]), 0, 15).astype(np.uint8)
    return QuantizedTensor(q.reshape(n, k), scale, low.astype(np.float32), 4, group, "4 bits")


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_float64(
    family: str, form: Any, program: Callable[..., Program]
) -> None:
    model, ids = form(family), text(150)
    got, wanted = at_once(program(model.network(), 2), ids), model.logits(ids)
    assert np.abs(got - wanted).max() < 2e-5 * np.abs(wanted).max()


@pytest.mark.parametrize("family", FAMILIES)
def test_keys_and_values_in_float16_change_little(
    family: str, form: Any, program: Callable[..., Program]
) -> None:
    model, ids = form(family), text(150)
    got, wanted = at_once(program(model.network(half_cache=True)), ids), model.logits(ids)
    # Each number kept is off by 2**-11 at most, relatively.
    assert 1e-6 < np.abs(got - wanted).max() < 2e-3 * np.abs(wanted).max()


def test_alibi(form: Any, program: Callable[..., Program]) -> None:
    model, ids = form("llama"), text(150)
    slopes = (2.0 ** -np.arange(1, 7)).astype(np.float32)
    model.rope = None
    got = at_once(program(model.network(slopes=slopes, rope=None)), ids)
    wanted = model.logits(ids, slopes)
    assert np.abs(got - wanted).max() < 2e-5 * np.abs(wanted).max()


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("family", FAMILIES)
def test_token_by_token_has_the_same_bits(
    family: str, threads: int, form: Any, program: Callable[..., Program]
) -> None:
    model, ids = form(family), text(140)
    whole = at_once(program(model.network(half_cache=True)), ids)
    one_by_one = program(model.network(half_cache=True), threads)
    past = one_by_one.new_cache(140)
    rows = [one_by_one.forward([(past, [token], 1)])[0].logits for token in ids]
    np.testing.assert_array_equal(np.concatenate(rows), whole)


@slow_fixtures
@given(
    family=st.sampled_from(FAMILIES),
    threads=st.integers(1, 3),
    lengths=st.lists(st.integers(1, 150), min_size=1, max_size=4),
    longest=st.sampled_from([1, 3, 9, 90]),
    seed=st.integers(0, 1000),
)
def test_any_cut_in_any_company_has_the_same_bits(
    family: str,
    threads: int,
    lengths: list[int],
    longest: int,
    seed: int,
    form: Any,
    program: Callable[..., Program],
) -> None:
    """Several texts, each cut anywhere, advanced in any mixture of pieces in one call."""
    model = program(form(family).network(half_cache=True), threads)
    rng = np.random.default_rng(seed)
    texts = [text(length, seed=length) for length in lengths]
    wanted = [model.forward([(model.new_cache(), ids, len(ids))])[0] for ids in texts]
    pasts = [model.new_cache() for _ in texts]
    got: list[list[np.ndarray]] = [[] for _ in texts]
    summaries: list[list[Summary]] = [[] for _ in texts]
    while any(past.length < len(ids) for past, ids in zip(pasts, texts, strict=True)):
        rows, owners = [], []
        for i, (past, ids) in enumerate(zip(pasts, texts, strict=True)):
            count = int(rng.integers(0, min(longest, len(ids) - past.length) + 1))
            if count:
                rows.append((past, ids[past.length : past.length + count], count))
                owners.append(i)
        for i, scores in zip(owners, model.forward(rows), strict=True):
            got[i].append(scores.logits)
            summaries[i] += scores.summaries
    for i, whole in enumerate(wanted):
        np.testing.assert_array_equal(np.concatenate(got[i]), whole.logits)
        assert summaries[i] == whole.summaries


def test_only_the_last_logits_are_given(form: Any, program: Callable[..., Program]) -> None:
    model, ids = program(form("llama").network()), text(100)
    whole = at_once(model, ids)
    for wanted in (0, 1, 70, 100):
        (scores,) = model.forward([(model.new_cache(), ids, wanted)])
        assert len(scores.summaries) == wanted
        np.testing.assert_array_equal(scores.logits, whole[100 - wanted :])


def test_trim_and_fork(form: Any, program: Callable[..., Program]) -> None:
    model, ids = program(form("qwen3").network(), 2), text(60)
    whole, past = at_once(model, ids), model.new_cache()
    model.forward([(past, ids[:50], 0)])
    twin = past.fork(30, capacity=70)
    past.trim(20)
    (first,) = model.forward([(past, ids[20:], 40)])
    (second,) = model.forward([(twin, ids[30:], 30)])
    np.testing.assert_array_equal(first.logits, whole[20:])
    np.testing.assert_array_equal(second.logits, whole[30:])


def test_a_resized_cache_goes_on(form: Any, program: Callable[..., Program]) -> None:
    model, ids = program(form("llama").network()), text(60)
    past = model.new_cache(20)
    model.forward([(past, ids[:20], 0)])
    past.resize(60)
    (scores,) = model.forward([(past, ids[20:], 40)])
    np.testing.assert_array_equal(scores.logits, at_once(model, ids)[20:])


def test_mixed_kinds_of_weights(form: Any, program: Callable[..., Program]) -> None:
    """q of 4 bits, k in float16, v in bfloat16, up of 4 bits, gate in float32, at odd sizes."""
    quantized, plain = form("llama", width=64), form("llama", width=64)
    for mine, theirs in zip(quantized.layers, plain.layers, strict=True):
        for name in ("query", "up"):
            weight = round_to_four_bits(getattr(mine, name).weight, 32)
            object.__setattr__(getattr(mine, name), "weight", weight)
            object.__setattr__(getattr(theirs, name), "weight", weight.dequantize())
        half = mine.key.weight.astype(np.float16)
        object.__setattr__(mine.key, "weight", half)
        object.__setattr__(theirs.key, "weight", half.astype(np.float32))
        bits = (mine.value.weight.view(np.uint32) >> 16).astype(np.uint16)
        object.__setattr__(mine.value, "weight", bits)
        short = (bits.astype(np.uint32) << 16).view(np.float32)
        object.__setattr__(theirs.value, "weight", short)
    ids = text(70)
    got, wanted = at_once(program(quantized.network(), 2), ids), plain.logits(ids)
    # Rows are rounded to 8 bits before a product with integers: 1/254 of the largest in 32.
    error = np.sqrt(((got - wanted) ** 2).mean() / (wanted**2).mean())
    assert 1e-5 < error < 0.02


def test_what_is_no_number_stays_in_its_own_text(
    form: Any, program: Callable[..., Program]
) -> None:
    model = form("llama")
    model.embedding[7] = np.nan
    head = form("llama", seed=3).embedding
    net = program(model.network(head=lambda: head), 2)
    healthy, ill = [1, 2, 3, 4, 5, 6], [1, 2, 3, 7, 5, 6]
    alone = at_once(net, healthy)
    said = net.forward([(net.new_cache(), ids, 6) for ids in (ill, healthy, ill)])
    both = [scores.logits for scores in said]
    np.testing.assert_array_equal(both[1], alone)
    np.testing.assert_array_equal(both[0][:3], alone[:3])
    assert np.isnan(both[0][3:]).all()


@pytest.mark.parametrize(
    ("ids", "n_logits", "words"),
    [
        ([3, 97], 1, "Token 97 is not in the vocabulary"),
        ([-1], 1, "Token -1"),
        ([1, 2], 3, "Logits of 3"),
        ([], 0, "0 are given"),
        (list(range(60)), 1, "holds 50 positions"),
    ],
)
def test_errors_leave_everything_as_it_was(
    ids: list[int], n_logits: int, words: str, form: Any, program: Callable[..., Program]
) -> None:
    model = program(form("llama").network(), 2)
    past, other = model.new_cache(50), model.new_cache(50)
    model.forward([(past, [5, 6], 1)])
    with pytest.raises(GenerationError, match=words):
        model.forward([(other, [5, 6, 7], 1), (past, ids, n_logits)])
    assert (past.length, other.length) == (2, 0)
    (scores,) = model.forward([(past, [7], 1)])
    np.testing.assert_array_equal(scores.logits, at_once(model, [5, 6, 7])[2:])


def test_more_errors(form: Any, program: Callable[..., Program]) -> None:
    model, larger = program(form("llama").network()), program(form("qwen3").network())
    past = model.new_cache()
    with pytest.raises(GenerationError, match="given twice"):
        model.forward([(past, [1], 1), (past, [2], 1)])
    with pytest.raises(GenerationError, match="another model"):
        model.forward([(larger.new_cache(), [1], 1)])
    with pytest.raises(GenerationError, match="can read 600 tokens"):
        model.forward([(model.new_cache(1000), text(601), 1)])
    with pytest.raises(GenerationError, match="At least one thread"):
        program(form("llama").network(), 0)
    model.close()
    model.close()
    with pytest.raises(GenerationError, match="closed"):
        model.forward([(past, [1], 1)])


def test_a_summary_of_each_row_of_logits(form: Any, program: Callable[..., Program]) -> None:
    model = program(form("llama").network(), 3)
    texts = [text(5), text(70), text(9)]
    for scores in model.forward([(model.new_cache(), ids, len(ids) - 2) for ids in texts]):
        assert len(scores.summaries) == len(scores.logits)
        for row, summary in zip(scores.logits.astype(np.float64), scores.summaries, strict=True):
            assert (summary.top, summary.id) == (row.max(), row.argmax())
            assert summary.logsumexp == pytest.approx(np.log(np.exp(row).sum()), abs=1e-5)
