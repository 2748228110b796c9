"""What TensorBoard itself reads from the files."""

import sys
from contextlib import closing
from pathlib import Path

import pytest

from penjing.core.errors import ConfigError
from penjing.core.events import Event
from penjing.train.tensorboard import TensorBoard

STEP = {"loss": 2.5, "bits_per_byte": 1.25, "rate": 0.5, "grad_norm": 0.75, "mfu": None}


def step(number: int, **more: object) -> Event:
    return Event("step", {"step": number, "tokens_per_second": 1e3, **STEP, **more}, 1e9 + number)


def read(folder: Path):
    """TensorBoard's own reader, over all files of a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), {"scalars": 0, "tensors": 0})
    found.Reload()
    return found


def scalars(found, name: str) -> list[tuple[int, float]]:
    return [(row.step, row.value) for row in found.Scalars(name)]


def test_curves_samples_and_layers(tmp_path):
    with closing(TensorBoard(tmp_path / "tb")) as board:
        for event in (
            Event("start", {"steps": 9}),
            Event("diagnosis", {"step": 0, "title": "few", "evidence": "e", "remedy": "r"}),
            step(1),
            step(2, loss=1.5, mfu=0.25),
            Event("eval", {"step": 2, "loss": 2.0, "perplexity": 7.5, "bits_per_byte": 1.0}),
            Event("health", {"step": 2, "gradients": {"layers.0": 0.5}, "dead": {}}),
            Event("sample", {"step": 2, "prompt": "床前", "text": "明月\n光"}),
        ):
            board(event)
    found = read(tmp_path / "tb")
    assert scalars(found, "loss/training") == [(1, 2.5), (2, 1.5)]
    assert scalars(found, "loss/validation") == [(2, 2.0)]
    assert scalars(found, "bits per byte/training") == [(1, 1.25), (2, 1.25)]
    assert scalars(found, "run/MFU") == [(2, 0.25)]  # None is left out
    assert scalars(found, "gradient norm/layers.0") == [(2, 0.5)]
    assert found.Scalars("loss/training")[0].wall_time == 1e9 + 1
    (sample,) = found.Tensors("sample/text_summary")
    assert sample.tensor_proto.string_val[0].decode() == "    床前明月\n    光"
    (diagnosis,) = found.Tensors("diagnosis/text_summary")
    assert diagnosis.tensor_proto.string_val[0].decode() == "**few**\n\ne\n\nr"


def test_a_resumed_run_is_one_curve(tmp_path):
    with closing(TensorBoard(tmp_path)) as board:
        for n in range(1, 6):
            board(step(n, loss=1.0))
    with closing(TensorBoard(tmp_path)) as board:
        board(Event("resume", {"step": 3, "path": "x"}))
        for n in range(4, 8):
            board(step(n, loss=2.0))
    found = scalars(read(tmp_path), "loss/training")
    assert found == [(1, 1.0), (2, 1.0), (3, 1.0), (4, 2.0), (5, 2.0), (6, 2.0), (7, 2.0)]


def test_nothing_is_made_before_the_first_step(tmp_path):
    with closing(TensorBoard(tmp_path / "run" / "tb")) as board:
        board(Event("diagnosis", {"step": 0, "title": "t", "evidence": "e", "remedy": "r"}))
    assert not (tmp_path / "run").exists()


def test_without_the_package_it_says_what_to_install(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("torch.utils.tensorboard")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ConfigError, match=r"penjing\[tensorboard\].*report.html"):
        TensorBoard(tmp_path)
