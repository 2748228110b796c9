"""Events in words: one line for each thing worth keeping on the screen."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from penjing.cli.text import indented
from penjing.core.events import Event

Data = Mapping[str, Any]


def describe(event: Event) -> str | None:
    """The line (or lines) that an event leaves behind; None for those that leave none."""
    words = _WORDS.get(event.kind)
    return None if words is None else words(event.data)


def step_line(data: Data, validation_loss: float | None, width: float = math.inf) -> str:
    """Where a run stands: `step 120/800  1:05 left  loss 4.210  val 4.500  31.2k tok/s`.

    In a narrow terminal, without the last of these.
    """
    parts = [
        f"step {data['step']}/{data['steps']}",
        f"{clock(data['eta'])} left",
        f"loss {data['loss']:.3f}",
        *([] if validation_loss is None else [f"val {validation_loss:.3f}"]),
        f"{si(data['tokens_per_second'])} tok/s",
    ]
    while len("  ".join(parts)) > width and len(parts) > 1:
        parts.pop()
    return "  ".join(parts)


def si(number: float) -> str:
    """A count with three digits that matter: 950, 31.2k, 4.19M."""
    rounded = float(f"{number:.3g}")  # first, for 999,600 is 1M
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if rounded >= limit:
            return f"{rounded / limit:g}{unit}"
    return f"{rounded:.0f}"


def size(n_bytes: float) -> str:
    """Bytes in decimal units: 950 B, 31.2 kB, 4.19 MB."""
    short = si(n_bytes)
    return f"{short} B" if short[-1].isdigit() else f"{short[:-1]} {short[-1]}B"


def clock(seconds: float) -> str:
    """Minutes and seconds: 0:07, 12:30, 1:02:30; nobody knows when: --:--."""
    if not math.isfinite(seconds):
        return "--:--"
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def plural(n: int, noun: str) -> str:
    """`1 document`, `3 documents`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def _corpus(data: Data) -> str:
    return f"corpus     {data['title']}\nlicence    {data['licence']}"


def _fetch(data: Data) -> str:
    return f"fetching   {data['package']} {data['version']} -> {data['to']}"


def _data(data: Data) -> str:
    dropped = data.get("duplicates", 0)
    duplicates = f"; {plural(dropped, 'duplicate')} left out" if dropped else ""
    return (
        f"text       {plural(data['documents'], 'document')}, "
        f"{data['characters']:,} characters, {size(data['bytes'])}: "
        f"{size(data['train_bytes'])} to train on, "
        f"{size(data['validation_bytes'])} for validation{duplicates}"
    )


def _tokenizer(data: Data) -> str | None:
    if "kind" not in data:  # on its way: "read", "merge"
        return None
    return (
        f"tokenizer  {data['kind']}, {data['vocab_size']:,} tokens, "
        f"{data['bytes_per_token']:.2f} bytes a token ({data['seconds']:.1f} s)"
    )


def _model(data: Data) -> str:
    return (
        f"model      {data['family']}, {si(data['parameters'])} parameters: "
        f"{plural(data['n_layer'], 'layer')}, {data['n_embd']} wide, "
        f"{plural(data['n_head'], 'head')}, "
        f"context {data['context_length']}; {data['dtype']} on {data['device']}, "
        f"{plural(data['threads'], 'thread')}"
    )


def _start(data: Data) -> str:
    return (
        f"training   {plural(data['steps'], 'step')} of {data['tokens_per_step']:,} tokens: "
        f"{si(data['steps'] * data['tokens_per_step'])} in all, "
        f"{data['epochs']:.1f} times the text"
    )


def _eval(data: Data) -> str:
    return (
        f"step {data['step']:<5} validation loss {data['loss']:.3f}, "
        f"perplexity {data['perplexity']:.1f}, {data['bits_per_byte']:.3f} bits per byte"
    )


def _sample(data: Data) -> str:
    return f"step {data['step']:<5} a sample:\n{indented(data['prompt'] + data['text'], '  | ')}"


_WORDS: dict[str, Callable[[Data], str | None]] = {
    "corpus": _corpus,
    "fetch": _fetch,
    "data": _data,
    "tokenizer": _tokenizer,
    "model": _model,
    "start": _start,
    "eval": _eval,
    "sample": _sample,
}
