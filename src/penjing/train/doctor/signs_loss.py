"""Signs in the course of the loss: pure functions of a run's history.

Each threshold is held against healthy runs of many sizes, on which all signs stay silent.
"""

from bisect import bisect_right
from statistics import median

from penjing.train.doctor.causes import Severity
from penjing.train.doctor.history import UNIGRAM_LOW, WINDOW, Finding, History

LOST = 0.4  # of what was learned, given up again: noise and longer windows cost a few per cent
LEARNED = 0.1  # of the first loss: less is not yet a course that could turn
ABOVE = 1.1  # times the loss of knowing nothing: a new model lies within 5 % of it
SPIKES = 3  # one or two happen in good runs
SPIKE_SPAN = 50  # events back in which they are counted
CLIPPED = 10.0  # times the limit: a step's direction is then that of a few batches
STAY = 0.2  # of the run: a model that learns passes the level in a few per cent of it
STAY_LEAST = 40  # steps
ARRIVAL = 2  # a stay is longer than this many times the way to it; a low rate only comes slowly
FLAT = 0.02  # of the level: how far a loss that stays may move meanwhile
HALFWAY = 0.5  # of the run, by which the unigram level should lie far behind
MANY = 50  # steps, in which it should too
STEADY = 1.02  # times the best so far: a loss that falls is never far from it
PASSED = 0.1  # of the way from the unigram to the uniform baseline: what is above has not passed
EVEN = 0.2  # of the fall before: a low rate's loss falls evenly, a plateau's comes to rest
RISE_ONCE, RISE_AGAIN = 0.05, 0.02  # of the best validation loss, in one look or over several
RISE_LEAST = 0.005  # of the first loss: near zero, a few per cent mean nothing
STILL_FALLS = 0.98  # of the training loss at the best step
BEYOND = 1.02  # times the upper end of the expected band
SLOW = 0.5  # of the usual speed
SLOW_SECONDS = 60.0  # of steps: another program's short burst is no news


def nonfinite(run: History) -> Finding | None:
    """A "nonfinite" event: the loop has looked where it arose."""
    found = run.nonfinite
    if not found or found["step"] < run.step:
        return None
    where, tensor = found.get("where"), found.get("tensor") or ""
    severity: Severity = "error" if found.get("action") == "stop" else "warning"
    if where == "together":
        loss, norm = float(found.get("loss", "nan")), float(found.get("norm", "nan"))
        return Finding(
            f"At step {found['step']} not all was finite: loss {loss:.4g}, gradient norm "
            f"{norm:.4g}: no row does so by itself.",
            severity,
        )
    place = {
        "weight": f"the weight {tensor}",
        "activation": f"the activation {tensor}",
        "gradient": f"the gradient of {tensor}",
    }.get(str(where), "the loss")
    layer = found.get("layer")
    inside = "" if layer in (None, "") else f" (layer {layer})"
    rows = found.get("rows") or []
    named = ", ".join(str(row + 1) for row in rows[:8])
    which = f", in row{'s' * (len(rows) > 1)} {named} of the batch" if rows else ""
    text = f": {found['text'][:80]!r}" if found.get("text") else ""
    return Finding(
        f"At step {found['step']} {place}{inside} was not finite{which}{text}.", severity
    )


def divergence(run: History) -> Finding | None:
    """The loss gave up much of what was learned, and does not come back."""
    if len(run.losses) < 2 * WINDOW:
        return None
    first, best, now = run.losses[0], run.best[-1], run.smooth[-1]
    uniform = run.baseline("uniform") or first
    stays = min(run.losses[-WINDOW:]) > best + LOST * (now - best)
    lost = first - best > LEARNED * first and now - best > LOST * (first - best)
    above = best < uniform and now > ABOVE * uniform
    if not stays or not (lost or above):
        return None
    return Finding(
        f"The loss was {run.bits(best)}, and over the last {WINDOW} looks it is {run.bits(now)} "
        f"(at first {run.bits(first)}).",
        "error",
    )


def rate_too_high(run: History) -> Finding | None:
    """The loss rises above that of knowing nothing, leaps again and again, or is always clipped."""
    if len(run.losses) < WINDOW or divergence(run):
        return None
    known = max(run.baseline("uniform") or 0.0, run.losses[0])
    if run.best[-1] > known and run.smooth[-1] > ABOVE * known:
        return Finding(
            f"After {run.step} steps the loss is {run.bits(run.smooth[-1])}, above the "
            f"{run.bits(known)} of a model that knows nothing.",
            "error",
        )
    recent = len(run.steps[-SPIKE_SPAN:])
    since = len(run.steps) - recent
    spikes = [i for i in run.spikes if i >= since and run.rose_after(i)]
    if len(spikes) >= SPIKES:
        return Finding(
            f"The loss or the gradient norm leapt {len(spikes)} times in the last {recent} "
            f"looks, last at step {run.steps[spikes[-1]]['step']}, and the loss stayed up for a "
            "while."
        )
    return _always_clipped(run)


def _always_clipped(run: History) -> Finding | None:
    limit = run.config.optimizer.grad_clip if run.config else 0.0
    norms = [float(step["grad_norm"]) for step in run.steps[-SPIKE_SPAN:]]
    if not limit or len(norms) < SPIKE_SPAN or min(norms) < limit:
        return None
    usual = median(norms)
    if usual < CLIPPED * limit:
        return None
    return Finding(
        f"In all of the last {len(norms)} looks the gradients were clipped; their norm is "
        f"{usual:.3g}, and train.optimizer.grad_clip {limit:g}."
    )


def plateau(run: History) -> Finding | None:
    """The loss came to the unigram level and stays there."""
    unigram = run.baseline("unigram")
    if unigram is None or run.arrival is None or len(run.losses) - run.arrival < 2 * WINDOW:
        return None
    arrival, now = run.steps[run.arrival]["step"], run.step
    begin = median(run.losses[run.arrival : run.arrival + WINDOW])
    end = run.smooth[-1]
    enough = max(STAY_LEAST, STAY * run.total_steps, ARRIVAL * arrival)
    if now - arrival < enough or abs(begin - end) > FLAT * unigram:
        return None
    bigram = run.baseline("bigram") or unigram
    order = (
        f"A bigram model reaches {run.bits(bigram)}: there is order to learn."
        if bigram < UNIGRAM_LOW * unigram
        else f"A bigram model does no better ({run.bits(bigram)}): this text shows no order."
    )
    return Finding(
        f"From step {arrival} to {now} the loss went from {run.bits(begin)} to {run.bits(end)}; "
        f"the unigram baseline is {run.bits(unigram)}. {order}"
    )


def rate_too_low(run: History) -> Finding | None:
    """Halfway through the run, the loss comes down so slowly that it is not below the unigram's."""
    unigram, uniform = run.baseline("unigram"), run.baseline("uniform")
    if unigram is None or uniform is None or len(run.losses) < 2 * WINDOW:
        return None
    first, now = run.losses[0], run.smooth[-1]
    knows_nothing = max(first, uniform)
    above = unigram + PASSED * (uniform - unigram) <= now <= knows_nothing
    if not above or run.step < max(MANY, HALFWAY * run.total_steps):
        return None
    middle = len(run.smooth) // 2
    warm = float(run.steps[middle]["rate"]) >= HALFWAY  # else it is the warm-up that takes so long
    even = run.smooth[middle] - now >= EVEN * (first - run.smooth[middle])
    steady = not run.spikes and now <= STEADY * run.best[-1]
    if not (warm and even and steady) or max(run.smooth) > STEADY * knows_nothing:
        return None
    return Finding(
        f"After {run.step} of {run.total_steps} steps the loss is {run.bits(now)}, from "
        f"{run.bits(first)} at first: it falls, but has not passed the unigram baseline of "
        f"{run.bits(unigram)}, which takes a few dozen steps at a good rate."
    )


def overfitting(run: History) -> Finding | None:
    """The validation loss rises while the training loss falls."""
    if len(run.evals) < 2 or len(run.losses) < 2 * WINDOW:
        return None
    best = min(run.evals, key=lambda e: float(e["loss"]))
    last = run.evals[-1]
    gap = float(last["loss"]) - float(best["loss"])
    looks = sum(e["step"] > best["step"] for e in run.evals)
    least = (RISE_ONCE if looks < 2 else RISE_AGAIN) * float(best["loss"])
    if gap < max(least, RISE_LEAST * run.losses[0]):
        return None
    before = [i for i, step in enumerate(run.steps) if step["step"] <= best["step"]]
    then, now = run.smooth[before[-1] if before else 0], run.smooth[-1]
    if now > STILL_FALLS * then:
        return None
    share = gap / float(best["loss"])
    return Finding(
        f"The validation loss was best at step {best['step']} ({run.bits(float(best['loss']))}) "
        f"and is {run.bits(float(last['loss']))} at step {last['step']} (+{share:.0%}), while the "
        f"training loss went on from {run.bits(then)} to {run.bits(now)}."
    )


def above_band(run: History) -> Finding | None:
    """The last evaluation lies above the band that runs of this size reach."""
    expected = run.start.get("expected")
    if not expected or not run.evals or run.evals[-1]["step"] < run.total_steps:
        return None
    bits = float(run.evals[-1]["bits_per_byte"])
    if bits <= BEYOND * expected["high"] or overfitting(run):
        return None
    return Finding(
        f"It ended at {bits:.3f} bits per byte; runs with as many parameters and tokens end "
        f"between {expected['low']:.3f} and {expected['high']:.3f}.",
        "note",
    )


def slowdown(run: History) -> Finding | None:
    """For a minute or more, steps take twice as long as before."""
    if not run.steps or "tokens" not in run.steps[-1]:
        return None
    now = float(run.steps[-1]["seconds"])
    first, long_ago = run.paced, now - SLOW_SECONDS
    i = bisect_right(run.steps, long_ago, first, key=lambda step: float(step["seconds"])) - 1
    if i < first + WINDOW:
        return None
    before, lately = _speed(run, first, i), _speed(run, i, len(run.steps) - 1)
    if lately > SLOW * before:
        return None
    return Finding(
        f"Over the last {now - float(run.steps[i]['seconds']):.0f} s of steps {lately:,.0f} tokens "
        f"a second, before {before:,.0f}.",
        "note",
    )


def _speed(run: History, first: int, last: int) -> float:
    """Tokens a second between two looks."""
    a, b = run.steps[first], run.steps[last]
    return (int(b["tokens"]) - int(a["tokens"])) / (float(b["seconds"]) - float(a["seconds"]))
