"""Windows that grow, with as many tokens in every step."""

import torch

from penjing.data.batches import Tokens
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
