"""Windows that grow, with as many tokens in every step."""

from functools import partial

import torch

from penjing.data.batches import Tokens
from penjing.data.mixture import MixedWindows
from penjing.train.config import TrainConfig
from penjing.train.curriculum import Curriculum, stages


def test_the_stages() -> None:
    config = TrainConfig(steps=100, short_contexts=(32, 16), short_fraction=0.6)
    assert stages(config, 64) == [(0, 16), (30, 32), (60, 64)]
    assert stages(config, 32) == [(0, 16), (60, 32)]
    assert stages(TrainConfig(steps=100), 64) == [(0, 64)]


def test_every_step_has_as_many_tokens() -> None:
    config = TrainConfig(steps=10, batch_size=4, short_contexts=(16, 32), short_fraction=0.4)
    tokens = Tokens(torch.arange(1000), 1000, 1)
    curriculum = Curriculum(tokens, config, 64, torch.Generator().manual_seed(0))
    shapes = [tuple(curriculum.batch(step).inputs.shape) for step in range(10)]
    assert shapes == [(16, 16)] * 2 + [(8, 32)] * 2 + [(4, 64)] * 6
    batch = curriculum.batch(9)
    assert torch.equal(batch.inputs + 1, batch.targets)


def test_every_length_has_its_share_of_another_text() -> None:
    config = TrainConfig(steps=10, batch_size=4, short_contexts=(16, 32), short_fraction=0.4)
    new, old = Tokens(torch.arange(1000), 1000, 1), Tokens(torch.arange(5000, 6000), 1000, 1)

    def begun() -> Curriculum:
        generator = torch.Generator().manual_seed(0)
        return Curriculum(new, config, 64, generator, partial(MixedWindows, old, 0.25))

    curriculum = begun()
    batches = [curriculum.batch(step) for step in range(10)]
    assert [tuple(batch.inputs.shape) for batch in batches] == (
        [(16, 16)] * 2 + [(8, 32)] * 2 + [(4, 64)] * 6
    )
    shares = [int((batch.inputs[:, 0] >= 5000).sum()) for batch in batches]
    assert shares == [4, 4, 2, 2, 1, 1, 1, 1, 1, 1]
    first, second = begun(), begun()
    for step in range(3):  # into the second stage
        first.batch(step)
    second.restore(first.state())
    for step in range(3, 10):
        assert torch.equal(second.batch(step).inputs, batches[step].inputs)
