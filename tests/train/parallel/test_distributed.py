"""Several processes compute what one does, in float32 to 1e-5, and read what any number wrote.

All run on this machine through torchrun and gloo; what they do is in together.py and doomed.py.
"""

import json
import os
import runpy
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from penjing.core.errors import CheckpointError, ConfigError, TrainingError
from penjing.core.events import read_events
from penjing.data.batches import Batch
from penjing.train.parallel.distributed import World, join
from penjing.train.parallel.shards import SavedTensors
from penjing.train.state import load_state

pytestmark = pytest.mark.xdist_group("distributed")  # what is started once is not started twice

HERE = Path(__file__).parent
TOGETHER = runpy.run_path(str(HERE / "together.py"))
CASES = list(TOGETHER["CASES"])
losses: Callable[..., list[list[float]]] = TOGETHER["losses"]


def torchrun(n_processes: int, *words: object, restarts: int = 0) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--master-addr=127.0.0.1"]
    command += [f"--master-port={port}", f"--nproc-per-node={n_processes}"]
    command += [f"--max-restarts={restarts}", "--monitor-interval=0.1", *map(str, words)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("together")


@pytest.fixture(scope="module")
def by_two(folder: Path) -> dict[str, Any]:
    """What two processes did."""
    torchrun(2, HERE / "together.py", "train", folder)
    done: dict[str, Any] = json.loads((folder / "train.json").read_text())
    return done


@pytest.fixture(scope="module")
def by_three(by_two: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What three processes then did with it, and with the state of a single one."""
    losses("muon-fsdp-2", save=(20, folder / "alone"))
    torchrun(3, HERE / "together.py", "reload", folder)
    done: dict[str, Any] = json.loads((folder / "reload.json").read_text())
    return done


@pytest.mark.parametrize("case", CASES)
def test_two_processes_train_as_one_does(case: str, by_two: dict[str, Any]) -> None:
    alone = losses(case)
    assert len(alone) == 21  # 20 steps, and the loss on all tokens
    assert alone[0][1] > 0.3  # it was clipped
    for one, two in zip(alone, by_two[case], strict=True):
        assert two == pytest.approx(one, rel=0, abs=1e-5)


def test_three_processes_train_as_one_does(by_three: dict[str, Any]) -> None:
    for one, three in zip(losses("muon-fsdp-0"), by_three["losses"], strict=True):
        assert three == pytest.approx(one, rel=0, abs=1e-5)


@pytest.mark.parametrize("case", ["adamw-ddp-0", "muon-fsdp-0"])
def test_bf16_is_as_near_as_its_rounding_allows(case: str, by_two: dict[str, Any]) -> None:
    alone = losses(case, steps=10, dtype=torch.bfloat16)
    for one, two in zip(alone, by_two[f"{case} in bf16"], strict=True):
        assert two == pytest.approx(one, rel=2**-6)


@pytest.mark.parametrize("case", ["adamw-ddp-0", "muon-fsdp-0"])
def test_as_many_processes_go_on_to_the_last_bit(case: str, by_two: dict[str, Any]) -> None:
    """With dropout, whose generator differs from process to process."""
    straight, resumed = by_two[f"{case} resumed"]
    assert len(straight) == 7 and straight[3:] == resumed


@pytest.mark.parametrize("name", ["muon-ddp-2", "muon-fsdp-2", "adamw-fsdp-2", "alone"])
def test_another_number_of_processes_reads_the_same_bits(
    name: str, by_three: dict[str, Any], folder: Path
) -> None:
    """Saved by two processes (or one), loaded and saved by three, read by one."""
    first, second = SavedTensors(folder / name), SavedTensors(folder / f"{name} by 3")
    shared = {key for key in first if not key.startswith("random")}
    assert shared == {key for key in second if not key.startswith("random")}
    assert any(key.startswith("optimizer.master.layers.1.") for key in shared)
    for key in shared:
        assert torch.equal(first[key], second[key]), key


def test_one_process_goes_on_with_what_two_wrote(by_two: dict[str, Any], folder: Path) -> None:
    case = "muon-fsdp-0"
    rest = losses(case, steps=6, resume=folder / f"{case} after 3 steps")
    assert len(rest) == 4
    # Dropout, which the two had, is off: it only shows that the weights and moments were taken up.
    assert rest[0][0] == pytest.approx(by_two[f"{case} resumed"][0][3][0], abs=0.2)


def test_a_damaged_shard_is_refused(by_two: dict[str, Any], folder: Path) -> None:
    file = next((folder / "adamw-ddp-2").glob("shard-00002*"))
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CheckpointError, match=r"shard-00002.* is damaged: its SHA-256"):
        load_state(folder / "adamw-ddp-2")
    file.unlink()
    with pytest.raises(CheckpointError, match=r"not whole: shard-00002.* is missing"):
        load_state(folder / "adamw-ddp-2")
    file.write_bytes(whole)


def test_no_file_of_the_state_is_a_pickle(by_two: dict[str, Any], folder: Path) -> None:
    names = {file.name for file in (folder / "muon-fsdp-2").iterdir()}
    shards = {f"shard-0000{i}-model-00001-of-00001.safetensors" for i in (1, 2)}
    assert names == {"state.json", *shards}


def test_what_one_says_all_know(by_two: dict[str, Any]) -> None:
    assert by_two["rank 1 stops all"] == [True, False]
    assert by_two["told by rank 0"] == [{"é": 0}, {"é": 0}]


def test_a_killed_process_is_restarted_and_the_run_ends_as_if_undisturbed(tmp_path: Path) -> None:
    """The command itself, under torchrun; the undisturbed run is in one process."""
    from penjing.cli.main import main

    text = tmp_path / "text.txt"
    text.write_text("".join(f"{i} and {i * i} are numbers.\n" for i in range(400)))
    settings = {
        "data.sources": text,
        "tokenizer.kind": "char",
        "model.n-layer": 2,
        "model.n-embd": 32,
        "model.n-head": 2,
        "model.n-kv-head": 1,
        "model.context-length": 16,
        "train.steps": 12,
        "train.batch-size": 6,
        "train.precision": "float32",
        "train.save-every": 3,
        "train.eval-every": 6,
        "train.log-every": 1,
        "train.sample-tokens": 3,
        "train.parallel": "fsdp",
    }
    words = ["pretrain", "text", "--train.short-contexts"]
    words += [str(word) for name, value in settings.items() for word in (f"--{name}", value)]
    out = tmp_path / "together"
    torchrun(2, HERE / "doomed.py", *words, "--out", out, "--or-resume", restarts=1)
    assert main([*words, "--out", str(tmp_path / "alone")]) == 0
    together, alone = ends(out), ends(tmp_path / "alone")
    assert together["resumed at"] == [6] and alone["resumed at"] == []
    assert together["loss"] == pytest.approx(alone["loss"], rel=0, abs=1e-5)
    assert main(["pretrain", "--resume", str(out)]) == 1  # complete: read by one process


def ends(run: Path) -> dict[str, Any]:
    events = list(read_events(run / "events.jsonl"))
    return {
        "loss": events[-1].data["loss"],
        "resumed at": [e.data["step"] for e in events if e.kind == "resume"],
    }


def test_a_compiled_model_trains_as_an_eager_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """One graph of the whole model; the compiler proper takes too long for a test."""
    from torch._dynamo.utils import counters

    compile = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda module: compile(module, backend="aot_eager"))
    eager = losses("muon-ddp-0", steps=2)
    counters.clear()
    compiled = losses("muon-ddp-0", steps=2, compiled=True)
    assert counters["stats"]["unique_graphs"] > 0 and not counters["graph_break"]
    for one, other in zip(eager, compiled, strict=True):
        assert other == pytest.approx(one, rel=0, abs=1e-5)


def batch(n_rows: int) -> Batch:
    ids = torch.arange(n_rows)[:, None].expand(-1, 3).clone()
    return Batch(ids, ids.clone())


@pytest.mark.parametrize("n_rows", [3, 5, 8])
@pytest.mark.parametrize("micro", [0, 1, 2, 100])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_shares_of_a_batch_are_all_of_it(n_rows: int, micro: int, size: int) -> None:
    whole = batch(n_rows)
    whole.targets[1] = -100
    whole.targets[2, 1:] = -100
    shares = [World(rank, size).share(whole, micro) for rank in range(size)]
    assert len({len(parts) for parts in shares}) == 1  # as many meetings in each
    seen: list[int] = []
    mean = 0.0
    for part, weight in (each for parts in shares for each in parts):
        assert not micro or len(part.inputs) <= micro
        counted = part.targets[part.targets >= 0].double()
        mean += weight * counted.mean().item() / size
        seen += part.inputs[:, 0].tolist() if weight else []
    assert mean == pytest.approx(whole.targets[whole.targets >= 0].double().mean().item())
    assert len(seen) == len(set(seen)) and set(seen) >= set(range(n_rows)) - {1}


@pytest.mark.parametrize(
    "environment",
    [
        {"RANK": "0"},
        {"WORLD_SIZE": "2", "LOCAL_RANK": "0"},
        {"RANK": "2", "WORLD_SIZE": "2", "LOCAL_RANK": "0"},
        {"RANK": "x", "WORLD_SIZE": "2", "LOCAL_RANK": "0"},
    ],
)
def test_an_odd_environment_is_named(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match="does not say which of several processes"), join("cpu"):
        pass


def test_processes_that_do_not_meet_say_where(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "no port")
    with pytest.raises(TrainingError, match=r"2 processes .* did not meet at 127.0.0.1:no port"):
        join("cpu").__enter__()
