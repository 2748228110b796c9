"""The same encoding under an engine: two workers of datatrove, and the shards are the same."""

from pathlib import Path

import pytest

from penjing.core.errors import DataError
from penjing.data.shards.assemble import assemble
from penjing.data.shards.at_scale import EncodeTasks
from penjing.data.shards.encode import encode_shards
from penjing.data.shards.plan import ShardConfig, make_plan
from penjing.tokenizer.tokenizer import Tokenizer

executors = pytest.importorskip("datatrove.executor")


def test_two_workers_of_datatrove(texts: Path, tokenizer: Tokenizer, tmp_path: Path) -> None:
    config = ShardConfig(task_bytes=2000)
    plan = make_plan([texts], tokenizer, tmp_path / "work", config)
    with pytest.raises(DataError, match="are not done yet"):
        assemble(plan, tmp_path / "out")
    executors.LocalPipelineExecutor(
        [EncodeTasks(str(plan.folder))],
        tasks=4,
        workers=2,
        logging_dir=str(tmp_path / "log"),
    ).run()
    assemble(plan, tmp_path / "out")
    encode_shards([texts], tokenizer, tmp_path / "same", config, workers=1)
    names = {path.name for path in (tmp_path / "same").iterdir()}
    assert names == {path.name for path in (tmp_path / "out").iterdir()}
    for name in names:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "same" / name).read_bytes()


def test_each_rank_does_its_own_and_nothing_twice(
    texts: Path, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    plan = make_plan([texts], tokenizer, tmp_path / "work", ShardConfig(task_bytes=2000))
    step = EncodeTasks(str(plan.folder))
    step(rank=0, world_size=2)
    done = {path: path.stat().st_mtime_ns for path in (plan.folder / "tasks").iterdir()}
    total = 3 * len(plan.tasks) + len(plan.cut_files)
    assert total / 3 < len(done) < total * 2 / 3
    step(rank=0, world_size=1)  # all of them: those that are there stay as they are
    assert len(list((plan.folder / "tasks").iterdir())) == total
    assert all(path.stat().st_mtime_ns == time for path, time in done.items())
