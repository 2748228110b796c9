"""The tasks ask what they say, with answers that a plain program finds too."""

import math

import pytest
import torch
from torch.nn import functional as F

from penjing.data.batches import IGNORED
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.study.order import CHARACTERS, FIRST, PHRASES, SECOND, _permutations
from penjing.study.tasks import Order, Recall, RecallShape


@pytest.fixture
def recall() -> Recall:
    return Recall(RecallShape(pairs=6, values=5), rows=64, seed=3)


def test_each_question_has_the_value_that_its_key_had(recall):
    n, values = recall.shape.pairs, recall.shape.values
    batch, distances = recall.draw_with_distances(64, torch.Generator().manual_seed(0))
    for inputs, targets, apart in zip(batch.inputs, batch.targets, distances, strict=True):
        memory: dict[int, tuple[int, int]] = {}
        asked = 0
        for place, token in enumerate(inputs.tolist()):
            if token >= values + n:  # a pair
                key, value = divmod(token - values - n, values)
                assert key not in memory and targets[place] == IGNORED
                memory[key] = (value, place)
            else:
                answer, told = memory.pop(token - values)
                assert targets[place] == answer and apart[place] == place - told
                asked += 1
        assert asked == n and not memory


def test_values_are_drawn_evenly_and_distances_reach_from_end_to_end(recall):
    batch, distances = recall.draw_with_distances(4000, torch.Generator().manual_seed(0))
    counts = batch.targets[batch.targets != IGNORED].bincount()
    assert len(counts) == 5 and (counts - counts.float().mean()).abs().max() < 0.05 * counts.max()
    assert distances[distances > 0].min() == 1
    assert distances.max() == recall.shape.length - 1
    assert batch.inputs.max() == recall.shape.vocab_size - 1


def test_a_seed_repeats_and_batches_differ():
    shape = RecallShape(pairs=4, values=4)
    one, two = Recall(shape, 8, seed=1), Recall(shape, 8, seed=1)
    first = one.batch(0)
    assert torch.equal(first.inputs, two.batch(0).inputs)
    assert not torch.equal(first.inputs, one.batch(1).inputs)


def test_the_loss_is_that_of_the_questions_alone(recall):
    config = ModelConfig(
        vocab_size=recall.shape.vocab_size, context_length=12, n_layer=1, n_embd=16, n_head=1
    )
    model = build_model(config, seed=1)
    batch = recall.batch(0)
    whole = F.cross_entropy(model(batch.inputs).flatten(0, 1), batch.targets.flatten())
    assert recall.loss(model, batch).item() == pytest.approx(whole.item(), abs=1e-5)
    assert whole.item() == pytest.approx(math.log(config.vocab_size), abs=0.1)


def test_order_asks_for_the_first_of_two():
    task = Order(CHARACTERS, FIRST, SECOND, _permutations()[0], rows=50, seed=0)
    batch = task.batch(0)
    for inputs, targets in zip(batch.inputs, batch.targets, strict=True):
        text = "".join(CHARACTERS[id] for id in inputs[:-1])
        assert sorted(text) == sorted(CHARACTERS) and inputs[-1] == len(CHARACTERS)
        first = min(FIRST, SECOND, key=text.index)
        assert CHARACTERS[targets[-1]] == first and (targets[:-1] == IGNORED).all()


def test_the_two_phrases_are_permutations_that_are_not_trained_on():
    assert sorted(PHRASES[0]) == sorted(PHRASES[1]) and PHRASES[0][-1] == PHRASES[1][-1]
    known, unknown = _permutations()
    rows = {tuple(row) for row in known.tolist()} | {tuple(row) for row in unknown.tolist()}
    assert len(known) + len(unknown) == len(rows) == math.factorial(len(CHARACTERS))
    for phrase in PHRASES:
        ids = [CHARACTERS.index(character) for character in phrase]
        assert ids not in known.tolist() and ids in unknown.tolist()
