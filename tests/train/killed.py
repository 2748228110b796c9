"""Runs that are killed, in processes of their own: `python killed.py FOLDER`.

Torch is imported once; each run is a fork, which is killed with SIGKILL and then resumed by another
one, until it ends. The test compares what is left in FOLDER with a run that nobody killed.
"""

import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from penjing.model.config import ModelConfig
from penjing.tokenizer.config import TokenizerConfig
from penjing.train.config import DataConfig, PretrainConfig, TrainConfig
from penjing.train.pretrain import is_complete, pretrain, resume

VERSE = "the moon looks in at the window,\nand the frost lies white on the ground.\n"
KILLS = 12  # of each run that is killed at random times
POINTS = 16  # file operations of one run at which it is killed, spread over it


def settings(text: Path) -> PretrainConfig:
    """A small run with everything that has a state: dropout, two stages, bf16, Muon and AdamW."""
    return PretrainConfig(
        data=DataConfig(sources=(str(text),), validation_fraction=0.1),
        tokenizer=TokenizerConfig(kind="char"),
        model=ModelConfig(n_layer=2, n_embd=32, context_length=32, dropout=0.1),
        train=TrainConfig(
            steps=24,
            batch_size=8,
            short_contexts=(16,),
            precision="bfloat16",
            threads=1,
            log_every=1,
            eval_every=5,
            save_every=2,
            sample_every=20,
            sample_tokens=5,
        ),
    )


def forked(work: Callable[[], Any]) -> int:
    """Start `work` in a child; its process id."""
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except BaseException as error:  # the child's end, whatever it was
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)


def begin_or_resume(run: Path, text: Path) -> None:
    if (run / "events.jsonl").exists():
        resume(run)
    else:
        shutil.rmtree(run, ignore_errors=True)  # killed before the run was one
        pretrain(settings(text), out=run)


def killed_at_random(run: Path, text: Path, seed: int) -> int:
    """Kill the run `KILLS` times, each after some more bytes of its log and a moment, then end it.

    How often it was killed: it may be complete before.
    """
    moments = random.Random(seed)
    for kills in range(KILLS):
        child = forked(lambda: begin_or_resume(run, text))
        enough = log_size(run) + moments.randint(1, 3000)
        while log_size(run) < enough:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                assert os.waitstatus_to_exitcode(status) == 0
                return kills
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.05))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if not is_complete(run):
        assert wait(forked(lambda: begin_or_resume(run, text))) == 0
    return KILLS


def log_size(run: Path) -> int:
    log = run / "events.jsonl"
    return log.stat().st_size if log.exists() else 0


def wait(child: int) -> int:
    """Its exit code; negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


OPERATIONS = [
    (Path, "rename"),
    (Path, "replace"),
    (Path, "write_text"),
    (os, "link"),
    (os, "fsync"),
    (shutil, "rmtree"),
]


class Killer:
    """Kills this very process just before the file operation of a given number."""

    def __init__(self, at: int) -> None:
        self.at, self.count = at, 0
        for place, name in OPERATIONS:
            setattr(place, name, self.wrapped(getattr(place, name)))

    def wrapped(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            if self.count == self.at:
                os.kill(os.getpid(), signal.SIGKILL)
            return operation(*args, **kwargs)

        return counted


def file_operations(run: Path, text: Path) -> int:
    """How many there are in a whole run."""
    reader, writer = os.pipe()

    def count() -> None:
        killer = Killer(-1)
        pretrain(settings(text), out=run)
        os.write(writer, str(killer.count).encode())

    assert wait(forked(count)) == 0
    return int(os.read(reader, 20))


def killed_at_operation(run: Path, text: Path, number: int) -> None:
    """Kill the run before that file operation, its continuation before another, then end it."""

    def first() -> None:
        Killer(number)
        pretrain(settings(text), out=run)

    def second() -> None:
        Killer(number % 29 + 2)
        begin_or_resume(run, text)

    assert wait(forked(first)) == -signal.SIGKILL
    if (run / "events.jsonl").exists() and not is_complete(run):
        assert wait(forked(second)) in (0, -signal.SIGKILL)
    if not ((run / "events.jsonl").exists() and is_complete(run)):
        assert wait(forked(lambda: begin_or_resume(run, text))) == 0


def main() -> None:
    folder = Path(sys.argv[1])
    text = folder / "verse.txt"
    text.write_text("".join(f"{i} bottles: {VERSE}" for i in range(60)), encoding="utf-8")
    n = file_operations(folder / "whole", text)
    for seed in range(2):
        kills = killed_at_random(folder / f"random-{seed}", text, seed)
        print("random", seed, "killed", kills, flush=True)
        assert kills >= 3, kills
    for number in range(2, n, max(1, n // POINTS)):
        killed_at_operation(folder / f"operation-{number}", text, number)
        print("operation", number, "of", n, flush=True)


if __name__ == "__main__":
    main()
