"""What the doctor reads in a log: causes that need a certain course of the loss, and time."""

import math
from collections.abc import Sequence
from pathlib import Path

from penjing.core.events import Event, JsonLines, read_events
from penjing.train.config import OptimizerConfig, TrainConfig
from penjing.train.doctor.causes import CAUSES, remedy
from penjing.train.doctor.doctor import SIGNS, Doctor, examine
from penjing.train.doctor.history import History


def steps(losses: Sequence[float], norms: Sequence[float] = ()) -> list[Event]:
    """A log with these losses, one step each."""
    norms = norms or [1.0] * len(losses)
    return [
        Event("step", {"step": i, "steps": len(losses), "loss": x, "grad_norm": n, "rate": 1.0})
        for i, (x, n) in enumerate(zip(losses, norms, strict=True), start=1)
    ]


GOOD = [2 + 6 * 0.9**i + 0.02 * (i % 3) for i in range(100)]


def test_spikes_that_come_back() -> None:
    assert examine(steps(GOOD)) == []
    once = [loss + (60 <= i < 64) for i, loss in enumerate(GOOD)]
    assert examine(steps(once)) == []  # one leap happens in good runs
    odd = [loss + (i in (50, 60, 70)) for i, loss in enumerate(GOOD)]
    assert examine(steps(odd)) == []  # and so do odd batches
    often = [loss + any(n <= i < n + 4 for n in (50, 60, 70)) for i, loss in enumerate(GOOD)]
    (found,) = examine(steps(often))
    assert found.cause == "rate_too_high" and "leapt 3 times" in found.evidence
    assert "last at step 71" in found.evidence
    norms = [1.0 + 99 * (i in (50, 60, 70)) for i in range(100)]
    assert examine(steps(GOOD, norms)) == []  # clipped, they did no harm
    late = [loss + any(n < i < n + 5 for n in (50, 60, 70)) for i, loss in enumerate(GOOD)]
    assert [d.cause for d in examine(steps(late, norms))] == ["rate_too_high"]


def clipped(limit: float) -> TrainConfig:
    return TrainConfig(optimizer=OptimizerConfig(grad_clip=limit))


def test_always_clipped() -> None:
    log = steps(GOOD, [20.0] * 100)
    assert examine(log) == []  # the limit is not known
    (found,) = examine(log, clipped(1.0))
    assert found.cause == "rate_too_high" and "norm is 20, and train" in found.evidence
    for limit in (5.0, 0.0):  # 0: there is none
        assert examine(log, clipped(limit)) == []


def test_an_episode_is_told_once_and_the_next_one_again() -> None:
    hills = [loss + 5 * (30 <= i < 40 or 70 <= i < 80) for i, loss in enumerate(GOOD)]
    told = [d for d in examine(steps(hills)) if d.cause == "divergence"]
    assert [d.step for d in told] == [35, 75]


def test_steps_made_void_are_forgotten() -> None:
    bad = [*GOOD[:50], *[9.0] * 20]
    assert [d.cause for d in examine(steps(bad))] == ["divergence"]
    resumed = [*steps(bad), Event("resume", {"step": 50, "path": ""}), *steps(GOOD)[50:]]
    assert examine(resumed) == []
    rolled_back = Doctor()
    events = [*steps(bad[:53]), *steps(GOOD)[40:]]  # a step that comes again
    assert [d for event in events for d in rolled_back.observe(event)] == []


def test_a_slowdown_of_a_minute() -> None:
    """Half the speed for two minutes is told; for half a minute it is not."""

    def log(slow_steps: int) -> list[Event]:
        seconds = [i + max(0, i - 60) * 4 for i in range(1, 61 + slow_steps)]
        told = zip(steps(GOOD[: len(seconds)]), seconds, strict=True)
        return [
            Event("step", {**e.data, "tokens": 1000 * i, "seconds": float(s)})
            for i, (e, s) in enumerate(told, start=1)
        ]

    (found,) = examine(log(20))
    assert found.cause == "slowdown" and found.severity == "note"
    assert "60 s of steps 467 tokens a second, before 1,000" in found.evidence
    assert examine(log(6)) == []


def paced(losses: Sequence[float], begin: int, seconds: float) -> list[Event]:
    """Steps from `begin` + 1 on, each of a thousand tokens and a second."""
    return [
        Event(
            "step",
            {**e.data, "step": i, "steps": 400, "tokens": 1000 * i, "seconds": seconds + i - begin},
        )
        for i, e in enumerate(steps(losses), start=begin + 1)
    ]


def test_a_rollback_is_no_slowdown() -> None:
    """Tokens go back to the checkpoint, and the time that was spent stays spent."""
    level = [2.0] * 100
    bad = Event("nonfinite", {"step": 181, "where": "loss", "action": "rollback", "rows": []})
    before = [*paced([*level, *level[:80]], 0, 0.0), bad]
    for back in ([Event("rollback", {"step": 100})], []):  # as older logs have it
        events = [*before, *back, *paced(level, 100, 180.0)]
        doctor = Doctor()
        assert [d.cause for e in events for d in doctor.observe(e)] == ["nonfinite"]
    slow = [Event("rollback", {"step": 100}), *paced(level[:30], 100, 180.0)]
    late = [replace_seconds(e, 4) for e in paced(level[:40], 130, 210.0)]
    assert [d.cause for d in examine([*before, *slow, *late])] == ["nonfinite", "slowdown"]


def replace_seconds(event: Event, factor: float) -> Event:
    """A step of a run that became slow at its 210th second."""
    seconds = 210 + factor * (event.data["seconds"] - 210)
    return Event("step", {**event.data, "seconds": seconds})


def test_what_was_forgotten_leaves_no_trace() -> None:
    """After a resume the history is as if the forgotten steps had never been."""
    bits = {"uniform": 8.0 / math.log(2), "unigram": 3.0 / math.log(2)}
    start = Event("start", {"steps": 90, "bytes_per_token": 1.0, "epochs": 1.0, "baselines": bits})
    level = [8 - 0.5 * i for i in range(10)] + [3.0] * 30
    gone = [5.0] * 8 + [1.0] * 3
    for kind in ("resume", "rollback"):
        whole, broken = History(), History()
        for event in [start, *steps(level)]:
            whole.add(event)
            broken.add(event)
        for event in steps([*level, *gone])[len(level) :]:
            broken.add(event)
        assert broken.arrival is None and broken.spikes == [40]
        assert whole.arrival is not None
        broken.add(Event(kind, {"step": len(level)}))
        assert broken.arrival == whole.arrival and broken.spikes == []
        assert broken.losses == whole.losses and broken.smooth == whole.smooth


def test_the_log_on_disk_is_read_alike(tmp_path: Path) -> None:
    log = steps([*GOOD[:50], *[9.0] * 20])
    with JsonLines(tmp_path / "events.jsonl") as write:
        for event in log:
            write(event)
    assert examine(read_events(tmp_path / "events.jsonl")) == examine(log) != []


def test_every_cause_has_a_sign_and_a_remedy() -> None:
    assert set(SIGNS) == set(CAUSES)
    for cause in CAUSES:
        assert "{" not in remedy(cause, None) + remedy(cause, TrainConfig())
    assert "muon_lr to 1/3 of what they are" in remedy("rate_too_high", None)
