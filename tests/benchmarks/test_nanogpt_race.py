"""The benchmark runs, and judges as it says: tried small, with no claim about speed."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def race(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import nanogpt_race

    yield nanogpt_race
    sys.modules.pop("nanogpt_race")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    file = tmp_path / "input.txt"
    file.write_text("".join(f"{i} bottles of beer on the wall,\n" for i in range(2000)))
    return file


def test_both_sides_run(race: Any, text: Path, tmp_path: Path) -> None:
    ours = race.run_penjing(text, 0, tmp_path)
    theirs = race.run_transformers(text, 0, steps=3)
    assert ours["architecture"] == "Qwen3ForCausalLM"
    assert ours["loss"] < theirs["loss"] < 5
    assert ours["train_seconds"] > 0 and theirs["train_seconds"] > 0


def test_the_full_loss_is_a_mean_over_whole_windows(race: Any) -> None:
    ids = torch.arange(64 * 200 + 30)
    seen: list[int] = []

    def batch_loss(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        assert torch.equal(x + 1, y)
        seen.extend(y.flatten().tolist())
        return x.double().mean()

    assert race.full_loss(batch_loss, ids) == pytest.approx((64 * 200 - 1) / 2)
    assert seen == list(range(1, 64 * 200 + 1))


@pytest.mark.parametrize(
    ("loss", "architecture", "ratio", "passes"),
    [
        (1.88, "Qwen3ForCausalLM", 10, 1),
        (1.881, "Qwen3ForCausalLM", 30, 0),
        (1.8, "Qwen3ForCausalLM", 9.9, 0),
        (1.8, "GPT2LMHeadModel", 30, 0),
    ],
)
def test_the_judge(race: Any, loss: float, architecture: str, ratio: float, passes: int) -> None:
    row = {"penjing": {"loss": loss, "architecture": architecture}, "ratio": ratio}
    assert race.judge([row])["passed"] == passes
