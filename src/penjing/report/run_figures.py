"""The head of a run's page: how it ended, in a handful of figures."""

import math

from penjing.report.html import figures, notice, paragraph, text_block
from penjing.report.log import RunLog, real
from penjing.report.units import clock, percent, si
from penjing.report.words import Words

Card = tuple[str, str, str]  # name, value, remark


def headline(log: RunLog, words: Words) -> str:
    """The cards; above them, what is to be done with a run that is not finished."""
    cards = [_bits(log, words), _loss(log, words), _size(log, words)]
    cards += [_steps(log, words), _speed(log, words), _time(log, words)]
    return _unfinished(log, words) + figures([card for card in cards if card])


def _unfinished(log: RunLog, words: Words) -> str:
    if log.state == "finished":
        return ""
    at = {"step": f"{log.step:,}", "steps": f"{log.steps:,}"}
    title = words[log.state].capitalize()
    if log.state == "failed":
        return notice(title, paragraph(words["failed_at"].format(**at)), severity="error")
    path = log.last("done").get("path", f"runs/{log.name}")
    go_on = paragraph(words["stopped_at"].format(**at))
    return notice(
        title, go_on + text_block(f"penjing pretrain --resume {path}"), severity="warning"
    )


def _bits(log: RunLog, words: Words) -> Card | None:
    evaluated = log.bits_per_byte("eval")
    last = evaluated[-1][1] if evaluated else math.nan
    if not math.isfinite(last):
        return None
    beaten = [(value, name) for name, value in log.baselines.items() if last < value]
    remark = words["of_validation"]
    if beaten:
        value, name = min(beaten)
        remark = words["below"].format(name=name, value=f"{value:.2f}")
    return words["bits_per_byte"], f"{last:.3f}", remark


def _loss(log: RunLog, words: Words) -> Card | None:
    evaluated = log.points("eval", "loss")
    last = evaluated[-1][1] if evaluated else math.nan
    if not math.isfinite(last):
        return None
    perplexity = math.exp(last) if last < 700 else math.inf
    remark = words["nats"].format(perplexity=f"{perplexity:,.1f}")
    best = min((y, x) for x, y in evaluated if math.isfinite(y))
    if best[1] != evaluated[-1][0]:
        remark += "; " + words["best_at"].format(step=f"{best[1]:,.0f}", value=f"{best[0]:.4f}")
    return words["loss"], f"{last:.4f}", remark


def _size(log: RunLog, words: Words) -> Card | None:
    model = log.last("model")
    n = real(model.get("parameters"))
    if not math.isfinite(n):
        return None
    shape = words["shape"].format(
        family=model.get("family", "?"),
        layers=model.get("n_layer", "?"),
        width=model.get("n_embd", "?"),
        context=model.get("context_length", "?"),
    )
    return words["parameters"], si(n), shape


def _steps(log: RunLog, words: Words) -> Card:
    of = f" / {log.steps:,}" if log.steps and log.step != log.steps else ""
    tokens = real(log.last("step").get("tokens"))
    start = log.last("start")
    if not math.isfinite(tokens):
        tokens = log.step * real(start.get("tokens_per_step"))
    passes = tokens / (real(start.get("train_tokens")) or math.nan)
    known = math.isfinite(passes)
    remark = words["steps_parts"].format(tokens=si(tokens), epochs=f"{passes:.1f}") if known else ""
    return words["steps"], f"{log.step:,}{of}", remark


def _speed(log: RunLog, words: Words) -> Card | None:
    last = log.last("step")
    speed, mfu = real(last.get("tokens_per_second")), real(last.get("mfu"))
    if not math.isfinite(speed):
        return None
    known = math.isfinite(mfu)
    remark = words["mfu_of"].format(mfu=percent(mfu)) if known else words["per_second"]
    return words["speed"], si(speed), remark


def _time(log: RunLog, words: Words) -> Card | None:
    done, step = log.last("done"), log.last("step")
    total, training = real(done.get("total_seconds")), real(done.get("train_seconds"))
    if not math.isfinite(total):
        seconds = real(step.get("seconds"))
        known = math.isfinite(seconds)
        return (words["time"], clock(seconds), words["time_training"]) if known else None
    parts = {"train": clock(training), "save": f"{real(done.get('save_seconds')):.1f} s"}
    remark = words["time_parts"].format(**parts) if "save_seconds" in done else ""
    return words["time"], clock(total), remark
