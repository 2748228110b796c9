"""A run keeps what the training of its tokenizer noted, in each checkpoint, resumed or not."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.train.stopped import Stopped, settings

from penjing.core.events import Event
from penjing.model.checkpoint import saved_steps
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.record import FILE, load_record
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.train.config import PretrainConfig
from penjing.train.pretrain import pretrain, resume


@pytest.fixture
def config(text: Path) -> PretrainConfig:
    return replace(settings(text), tokenizer=TokenizerConfig(vocab_size=270))


def test_the_merges_lie_beside_the_tokenizer(config: PretrainConfig, tmp_path: Path) -> None:
    run = pretrain(config, out=tmp_path / "run").path
    record = load_record(run / "model", Tokenizer.load(run / "model"))
    assert record is not None and len(record.merges) == 270 - 257
    assert record.n_bytes == record.n_read > 0
    counts = [merge.count for merge in record.merges]
    assert counts[0] == max(counts) > 1


def test_a_run_that_goes_on_keeps_them(config: PretrainConfig, tmp_path: Path) -> None:
    run = tmp_path / "run"

    def stop(event: Event) -> None:
        if event.kind == "step" and event.data["step"] == 7:
            raise Stopped

    with pytest.raises(Stopped):
        pretrain(config, out=run, listeners=[stop])
    noted = (run / "model" / FILE).read_bytes()
    resume(run)
    newest = max(saved_steps(run).items())
    assert newest[0] == 12
    assert (newest[1] / FILE).read_bytes() == (run / "model" / FILE).read_bytes() == noted
