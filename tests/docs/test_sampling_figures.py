"""The worked example of docs/sampling.md, row by row, as the sampler's own steps compute it."""

import ast
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from penjing.core.types import SamplingParams
from penjing.generate.sampling.sampler import Sampler

PAGE = (Path(__file__).parents[2] / "docs" / "sampling.md").read_text(encoding="utf-8")
WEATHER = ("晴天", "雨天", "阴天")
ROW = re.compile(r"^\| (?:`([^|]*)`)? *\|([^|]*)\| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", re.M)


def keywords(settings: str) -> dict[str, Any]:
    """`top_k=2, top_p=0.5` as Python reads it."""
    call = ast.parse(f"f({settings})", mode="eval").body
    assert isinstance(call, ast.Call)
    return {k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg}


def test_every_setting_of_a_step_has_its_row() -> None:
    named = " ".join(settings for settings, *_ in ROW.findall(PAGE))
    steps = ("temperature", "top_k", "top_p", "min_p", "typical_p", "xtc", "mirostat")
    steps += ("repetition_penalty", "presence_penalty", "frequency_penalty", "logit_bias")
    assert [step for step in steps if step not in named] == []


@pytest.mark.parametrize("row", ROW.findall(PAGE), ids=lambda row: row[0] or "model")
def test_a_row(row: tuple[str, ...]) -> None:
    settings, said, *expected = row
    params = SamplingParams(**keywords(settings))
    logits = np.array([2.3, -1.5, 0.7], np.float32)
    sampler = Sampler(params, 3)
    for word in said.split():
        sampler.state.advance(WEATHER.index(word), logits)
    left = logits
    for step in sampler.steps.values():
        left = step.apply(left, params, sampler.state)
    probabilities = np.exp(left - left.max()) / np.exp(left - left.max()).sum()
    assert probabilities.tolist() == pytest.approx([float(p) for p in expected], abs=5e-4)
