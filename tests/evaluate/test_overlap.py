"""The overlap against a plain comparison of all passages."""

import numpy as np
import pytest
import torch

from penjing.data.batches import Tokens
from penjing.evaluate.overlap import PASSAGE_BYTES, overlap


def tokens(ids: np.ndarray, bytes_per_token: float = 1.0) -> Tokens:
    return Tokens(torch.from_numpy(ids), round(len(ids) * bytes_per_token), 1)


def random_ids(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 50, n)


def plainly(training: np.ndarray, validation: np.ndarray, length: int) -> float:
    seen = {tuple(training[i : i + length]) for i in range(len(training) - length + 1)}
    covered = np.zeros(len(validation), dtype=bool)
    for i in range(len(validation) - length + 1):
        if tuple(validation[i : i + length]) in seen:
            covered[i : i + length] = True
    return float(covered.mean())


@pytest.mark.parametrize(("bytes_per_token", "length"), [(1.0, 128), (4.0, 32), (3.0, 64)])
def test_as_a_plain_comparison_says(bytes_per_token: float, length: int) -> None:
    assert length / 2 * bytes_per_token < PASSAGE_BYTES <= length * bytes_per_token
    training, validation = random_ids(5000, 0), random_ids(1500, 1)
    validation[100:400] = training[3000:3300]  # two passages, and one a token too short
    validation[900 : 900 + length] = training[:length]
    validation[1200 : 1200 + length - 1] = training[500 : 500 + length - 1]
    found = overlap(tokens(training), tokens(validation, bytes_per_token))
    assert found == plainly(training, validation, length) == (300 + length) / 1500


def test_all_and_nothing() -> None:
    text, other = random_ids(3000, 0), random_ids(3000, 1)
    assert overlap(tokens(text), tokens(text[500:1500])) == 1
    assert overlap(tokens(text), tokens(other)) == 0
    assert overlap(tokens(text), tokens(text[:90])) == 0  # too short for a passage
    assert overlap(tokens(text[:90]), tokens(text)) == 0
