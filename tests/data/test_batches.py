"""Windows for training and for evaluation, against plain Python slices."""

import tracemalloc
from collections.abc import Iterable, Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from penjing.core.errors import DataError
from penjing.core.types import Document
from penjing.data.batches import IGNORED, RandomWindows, Tokens, encode_documents, windows
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer


class Bytes:
    """A tokenizer of bytes, with an end token."""

    def __init__(self, eos_id: int | None) -> None:
        self.eos_id = eos_id

    def encode_arrays(self, texts: Iterable[str]) -> Iterator[tuple[NDArray[np.uint8], bool]]:
        """Two pieces a text: bytes are ids as they are."""
        for text in texts:
            raw = np.frombuffer(text.encode(), np.uint8)
            yield raw[:1], False
            yield raw[1:], True


def counting(n: int) -> Tokens:
    """Ids 0, 1, 2, ...: each id says where it stands."""
    return Tokens(torch.arange(n), n_bytes=n, n_documents=1)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_each_document_is_followed_by_the_end_token() -> None:
    docs = [Document("ab", "1"), Document("今", "2")]
    tokens = encode_documents(docs, Bytes(eos_id=256))
    assert tokens.ids.tolist() == [97, 98, 256, *"今".encode(), 256]
    assert (tokens.n_bytes, tokens.n_documents, tokens.ids.dtype) == (5, 2, torch.int64)
    assert encode_documents(docs, Bytes(eos_id=None)).ids.tolist() == [97, 98, *"今".encode()]
    assert len(encode_documents([], Bytes(eos_id=None)).ids) == 0


def test_a_long_text_never_lies_in_memory_as_a_list() -> None:
    """A list of all ids alone would be as large as the tensor."""
    tokenizer = train_tokenizer([], TokenizerConfig(kind="byte"))
    text = "床前明月光。\n" * 50_000
    tracemalloc.start()
    tokens = encode_documents([Document(text, "1")], tokenizer)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert tokens.n_bytes == len(tokens.ids) - 1 == 950_000
    assert peak < 2 * tokens.ids.nbytes


@given(st.integers(2, 200), st.integers(1, 20), st.integers(1, 5))
def test_every_target_is_predicted_exactly_once(n: int, context: int, batch_size: int) -> None:
    seen = []
    for batch in windows(counting(n), context, batch_size):
        assert batch.inputs.shape == batch.targets.shape
        assert batch.inputs.shape[0] <= batch_size and batch.inputs.shape[1] == context
        kept = batch.targets != IGNORED
        assert torch.equal(batch.inputs[kept] + 1, batch.targets[kept])
        seen += batch.targets[kept].tolist()
    assert seen == list(range(1, n))


def test_a_text_of_one_token_cannot_be_evaluated() -> None:
    with pytest.raises(DataError, match="has 1 tokens; at least 2"):
        next(windows(counting(1), 8, 2))


@given(st.integers(2, 100), st.integers(1, 12), st.integers(1, 7), st.integers(0, 9))
def test_training_windows_are_slices_of_the_text(
    n: int, context: int, batch_size: int, seed: int
) -> None:
    if n < context + 1:
        with pytest.raises(DataError, match=f"has {n} tokens; .* at least {context + 1}"):
            RandomWindows(counting(n), batch_size, context, seeded(seed))
        return
    source = RandomWindows(counting(n), batch_size, context, seeded(seed))
    for _ in range(5):
        batch = source.next()
        assert batch.inputs.shape == batch.targets.shape == (batch_size, context)
        expected = batch.inputs[:, :1] + torch.arange(context + 1)
        assert torch.equal(batch.inputs, expected[:, :-1])
        assert torch.equal(batch.targets, expected[:, 1:])
        assert batch.inputs.min() >= 0 and batch.targets.max() < n


def test_an_epoch_shows_no_target_twice() -> None:
    source = RandomWindows(counting(101), 1, 10, seeded())
    for epoch in range(20):
        seen: list[int] = []
        while True:
            seen += source.next().targets[0].tolist()
            if source.state()["place"][1] == len(source.state()["starts"]):
                break
        assert source.epoch == epoch
        assert len(seen) == len(set(seen)) >= 90


def test_over_epochs_every_target_is_seen() -> None:
    source = RandomWindows(counting(50), 4, 16, seeded())
    seen = torch.cat([source.next().targets.flatten() for _ in range(100)])
    assert set(seen.tolist()) == set(range(1, 50))


def test_the_same_seed_gives_the_same_batches() -> None:
    first, second, other = (RandomWindows(counting(500), 4, 8, seeded(s)) for s in (1, 1, 2))
    batches = [(first.next().inputs, second.next().inputs, other.next().inputs) for _ in range(40)]
    assert all(torch.equal(a, b) for a, b, _ in batches)
    assert not all(torch.equal(a, c) for a, _, c in batches)


@given(st.integers(0, 40))
def test_a_run_goes_on_where_it_stopped(steps: int) -> None:
    generator = seeded()
    source = RandomWindows(counting(200), 3, 8, generator)
    for _ in range(steps):
        source.next()
    place, random_state = source.state(), generator.get_state()
    expected = [source.next().inputs for _ in range(30)]
    resumed_generator = seeded(99)
    resumed = RandomWindows(counting(200), 3, 8, resumed_generator)
    resumed.restore(place)
    resumed_generator.set_state(random_state)
    assert all(torch.equal(resumed.next().inputs, ids) for ids in expected)
    assert resumed.epoch == source.epoch


def test_a_place_in_another_text_is_refused() -> None:
    source = RandomWindows(counting(500), 4, 8, seeded())
    source.next()
    with pytest.raises(DataError, match="beyond the end of the text"):
        RandomWindows(counting(100), 4, 8, seeded()).restore(source.state())


def test_a_damaged_place_is_refused() -> None:
    source = RandomWindows(counting(500), 4, 8, seeded())
    source.next()
    state = source.state() | {"starts": torch.empty(0, dtype=torch.int64)}
    with pytest.raises(DataError, match="beyond the end of the text"):
        source.restore(state)
