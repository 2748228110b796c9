"""How far work is, and when it will be done."""

import math

import pytest

from penjing.core.events import Event
from penjing.core.meter import JobMeter


class Clock:
    """Stands still until it is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def told(share: float, at: float, **settings: float) -> dict[str, object]:
    """What a meter says of a share of the work, so many seconds after the work began."""
    events: list[Event] = []
    clock = Clock()
    meter = JobMeter(events.append, clock=clock, **settings)
    clock.now += at
    meter.tell("mixing", share)
    (event,) = events
    assert event.kind == "job"
    return dict(event.data)


def test_the_rest_takes_as_long_as_what_was_done() -> None:
    assert told(0.25, 10.0) == {"label": "mixing", "done": 0.25, "seconds": 10.0, "eta": 30.0}
    assert told(1.0, 10.0)["eta"] == 0


def test_what_was_done_before_took_no_time() -> None:
    """Half was there already: a tenth more in 10 s, so that the other four tenths take 40 s."""
    assert told(0.6, 10.0, before=0.5)["eta"] == pytest.approx(40.0)
    assert told(0.5, 10.0, before=0.5)["eta"] == math.inf


def test_nobody_knows_until_enough_is_done() -> None:
    assert told(0.0, 10.0)["eta"] == math.inf
    assert told(0.01, 10.0, least=0.01)["eta"] == math.inf
    assert told(0.02, 10.0, least=0.01)["eta"] == pytest.approx(490.0)


def test_work_that_is_more_than_was_thought_is_done() -> None:
    assert (told(1.2, 10.0)["done"], told(1.2, 10.0)["eta"]) == (1.0, 0.0)


def test_without_a_listener_time_is_measured() -> None:
    clock = Clock()
    meter = JobMeter(None, clock=clock)
    clock.now += 3
    meter.tell("mixing", 0.5)
    assert meter.seconds == 3
