"""Old text among new: the right share in every step, and the same again from any place."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from penjing.core.errors import DataError
from penjing.data.batches import RandomWindows, Tokens
from penjing.data.mixture import MixedWindows


def counting(first: int, n: int) -> Tokens:
    """Ids first, first + 1, ...: each id says where it stands, and in which text."""
    return Tokens(torch.arange(first, first + n), n_bytes=n, n_documents=1)


def mixed(fraction: float, batch_size: int = 4, *, seed: int = 0) -> MixedWindows:
    generator = torch.Generator().manual_seed(seed)
    new, old = counting(0, 200), counting(1000, 150)
    return MixedWindows(old, fraction, new, batch_size, 8, generator)


@given(st.floats(0, 0.99), st.integers(1, 9), st.integers(0, 5))
def test_every_step_has_its_share(fraction: float, batch_size: int, seed: int) -> None:
    source = mixed(fraction, batch_size, seed=seed)
    wanted, total = fraction * batch_size, 0
    for step in range(1, 40):
        batch = source.next()
        assert batch.inputs.shape == batch.targets.shape == (batch_size, 8)
        n_old = int((batch.inputs[:, 0] >= 1000).sum())
        assert n_old in (math.floor(wanted), math.ceil(wanted))
        total += n_old
        assert abs(total - step * wanted) <= 0.5 + 1e-9


def test_a_row_is_a_slice_of_one_text() -> None:
    source = mixed(0.3)
    for _ in range(50):
        batch = source.next()
        expected = batch.inputs[:, :1] + torch.arange(9)
        assert torch.equal(batch.inputs, expected[:, :-1])
        assert torch.equal(batch.targets, expected[:, 1:])
        ends = batch.targets[:, -1]
        assert bool(((ends < 200) | ((ends >= 1000) & (ends < 1150))).all())


def test_both_texts_are_seen_whole() -> None:
    source = mixed(0.25)
    seen = torch.cat([source.next().targets.flatten() for _ in range(150)])
    assert set(seen.tolist()) == {*range(1, 200), *range(1001, 1150)}


def test_without_replay_it_is_the_new_text_alone() -> None:
    source = mixed(0.0)
    generator = torch.Generator().manual_seed(0)
    alone = RandomWindows(counting(0, 200), 4, 8, generator)
    assert all(torch.equal(source.next().inputs, alone.next().inputs) for _ in range(30))


def test_the_seed_decides() -> None:
    one, same, other = mixed(0.3), mixed(0.3), mixed(0.3, seed=1)
    batches = [(one.next().inputs, same.next().inputs, other.next().inputs) for _ in range(20)]
    assert all(torch.equal(a, b) for a, b, _ in batches)
    assert not all(torch.equal(a, c) for a, _, c in batches)


@given(st.integers(0, 40))
def test_it_goes_on_where_it_stopped(steps: int) -> None:
    generator = torch.Generator().manual_seed(3)
    new, old = counting(0, 200), counting(1000, 150)
    source = MixedWindows(old, 0.3, new, 4, 8, generator)
    for _ in range(steps):
        source.next()
    place, random_state = source.state(), generator.get_state()
    expected = [source.next().inputs for _ in range(30)]
    resumed_generator = torch.Generator()
    resumed = MixedWindows(old, 0.3, new, 4, 8, resumed_generator)
    resumed.restore(place)
    resumed_generator.set_state(random_state)
    assert all(torch.equal(resumed.next().inputs, ids) for ids in expected)


def test_another_texts_state_is_refused() -> None:
    source = mixed(0.3)
    for _ in range(9):
        source.next()
    short = MixedWindows(counting(0, 20), 0.3, counting(0, 200), 4, 8, torch.Generator())
    with pytest.raises(DataError, match="beyond the end of the text"):
        short.restore(source.state())
    with pytest.raises(KeyError):
        source.restore(RandomWindows(counting(0, 99), 4, 8, torch.Generator()).state())


def test_a_text_shorter_than_a_window() -> None:
    with pytest.raises(DataError, match=r"Replay .* has 5 tokens"):
        MixedWindows(counting(0, 5), 0.3, counting(0, 200), 4, 8, torch.Generator())
    with pytest.raises(DataError, match=r"^The training text has 5 tokens"):
        MixedWindows(counting(0, 200), 0.3, counting(0, 5), 4, 8, torch.Generator())
