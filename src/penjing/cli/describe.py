"""Events in words: what is worth keeping on the screen, one line for most, a few for some."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from penjing.cli.columns import aligned
from penjing.cli.text import indented
from penjing.core.events import Event
from penjing.report.units import amount, clock, percent, plural, si, size

Data = Mapping[str, Any]

_STYLES = {"warning": "yellow", "error": "red"}  # of a diagnosis, by its severity


def describe(event: Event) -> str | None:
    """The line (or lines) that an event leaves behind; None for those that leave none."""
    words = _WORDS.get(event.kind)
    return None if words is None else words(event.data)


def style(event: Event) -> str:
    """How its line stands out: what is wrong has a colour."""
    if event.kind == "nonfinite":
        return "red"
    return _STYLES.get(event.data["severity"], "") if event.kind == "diagnosis" else ""


def step_line(data: Data, evaluated: Data | None, width: float = math.inf) -> str:
    """Where a run stands, with the figures of the "eval" event before it, if there was one.

    `step 9/80  1:05 left  loss 4.210  val 4.500  2.031 bits/byte  31.2k tok/s  MFU 41%  norm 0.8`

    Bits per byte are those of the validation text once they are known. In a narrow terminal the
    last parts are left out.
    """
    bits = (evaluated or data).get("bits_per_byte")
    mfu, norm = data.get("mfu"), data.get("grad_norm")
    parts = [
        f"step {data['step']}/{data['steps']}",
        f"{clock(data['eta'])} left",
        f"loss {data['loss']:.3f}",
        "" if evaluated is None else f"val {evaluated['loss']:.3f}",
        "" if bits is None else f"{bits:.3f} bits/byte",
        f"{si(data['tokens_per_second'])} tok/s",
        "" if mfu is None else f"MFU {percent(mfu)}",
        "" if norm is None else f"norm {norm:.2g}",
    ]
    parts = [part for part in parts if part]
    while len("  ".join(parts)) > width and len(parts) > 1:
        parts.pop()
    return "  ".join(parts)


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
    heads = f"{plural(data['n_head'], 'head')}, " if data["n_head"] else ""
    return (
        f"model      {data['family']}, {si(data['parameters'])} parameters: "
        f"{plural(data['n_layer'], 'layer')}, {data['n_embd']} wide, {heads}"
        f"context {data['context_length']}; {data['dtype']} on {data['device']}, "
        f"{plural(data['threads'], 'thread')}"
    )


def _forecast(data: Data) -> str:
    """What the run will need, as a block."""
    memory = data["memory"]
    taken = {**memory, "total": memory["total"] - memory.get("process", 0), "process": 0}
    free = "" if memory["available"] is None else f" of {size(memory['available'])} free"
    rows = [
        ("parameters", _parts(data["parameters"], si)),
        ("memory", f"{_parts(taken, size, free)}; {data['micro_batch_size']} windows at once"),
        ("text", f"{si(data['tokens'])} tokens, {data['epochs']:.1f} times the text"),
        (
            "arithmetic",
            f"{amount(data['flops'], 'FLOP')}; the peak is {amount(data['peak_flops'], 'FLOP/s')}",
        ),
        ("disk", f"{size(data['disk'])} at most"),
        *(("note", note) for note in data["notes"]),
    ]
    time = f"{clock(data['seconds'])} for the run, {data['step_seconds'] * 1e3:,.0f} ms a step"
    return "\n".join([f"forecast   {time}", *(f"  {name:<11}{said}" for name, said in rows)])


def _parts(table: Data, shown: Callable[[float], str], of: str = "") -> str:
    """`476k: feed forward 246k, embedding 131k`: the whole, and the largest parts of it."""
    parts = {k: v for k, v in table.items() if k not in ("total", "available") and v}
    named = sorted(parts, key=lambda name: -parts[name])[:4]
    listed = ", ".join(f"{name.replace('_', ' ')} {shown(parts[name])}" for name in named)
    return f"{shown(table['total'])}{of}: {listed}"


def _start(data: Data) -> str:
    line = (
        f"training   {plural(data['steps'], 'step')} of {data['tokens_per_step']:,} tokens: "
        f"{si(data['steps'] * data['tokens_per_step'])} in all, "
        f"{data['epochs']:.1f} times the text"
    )
    floor = ", ".join(f"{name} {value:.2f}" for name, value in data.get("baselines", {}).items())
    band = data.get("expected")
    hoped = f"; expected {band['low']:.2f} to {band['high']:.2f}" if band else ""
    return f"{line}\nbaselines  {floor}{hoped} bits per byte" if floor else line


def _eval(data: Data) -> str:
    return (
        f"step {data['step']:<5} validation loss {data['loss']:.3f}, "
        f"perplexity {data['perplexity']:.1f}, {data['bits_per_byte']:.3f} bits per byte"
    )


def _sample(data: Data) -> str:
    return f"step {data['step']:<5} a sample:\n{indented(data['prompt'] + data['text'], '  | ')}"


def _save(data: Data) -> str:
    best = ", the best so far" if data["best"] else ""
    return f"step {data['step']:<5} saved: {size(data['bytes'])} in {data['seconds']:.2f} s{best}"


def _resume(data: Data) -> str:
    if not data["step"]:
        return "resuming   from the beginning: nothing had been saved yet"
    return f"resuming   from step {data['step']:,}: {data['path']}"


def _nonfinite(data: Data) -> str:
    line = f"step {data['step']:<5} {_broken(data)}: {_ACTIONS[data['action']]}"
    return f"{line}\n{indented(data['text'], '  | ')}" if data.get("text") else line


def _broken(data: Data) -> str:
    """What was not finite; layers count from 0, as in their names, and rows from 1."""
    if data["where"] == "together":
        loss, norm = float(data["loss"]), float(data["norm"])
        return f"loss {loss:.4g}, gradient norm {norm:.4g}, and no row does so by itself"
    tensor, layer = data.get("tensor"), data.get("layer")
    named = [tensor or "", "" if layer in (None, "") else f"layer {layer}"]
    place = ", ".join(filter(None, named))
    many = "s" if len(data["rows"]) > 1 else ""
    rows = ", ".join(str(row + 1) for row in data["rows"])
    which = f"; row{many} {rows} of the batch" if rows else ""
    return f"no finite number in the {data['where']}" + f" ({place})" * bool(place) + which


_ACTIONS = {
    "stop": "stopping",
    "skip": "this batch is left out",
    "rollback": "going back to the last checkpoint",
}


def _diagnosis(data: Data) -> str:
    """One that is seen before the first step has the form of what else is told there."""
    step, severity = data["step"], data["severity"]
    head = f"step {step:<5} {severity}: " if step else f"{severity:<11}"
    said = indented(f"{data['evidence']}\n{data['remedy']}", "  | ")
    return f"{head}{data['title']}\n{said}"


def _transfer(data: Data) -> str:
    rows = [(row["text"], f"{row['before']:.3f}", f"{row['after']:.3f}") for row in data["rows"]]
    lines = aligned([("bits per byte", "before", "after"), *rows], right=(1, 2))
    return indented("\n".join([*lines, *filter(None, [data["note"]])]), "  ")


_WORDS: dict[str, Callable[[Data], str | None]] = {
    "corpus": _corpus,
    "fetch": _fetch,
    "data": _data,
    "tokenizer": _tokenizer,
    "model": _model,
    "forecast": _forecast,
    "start": _start,
    "eval": _eval,
    "sample": _sample,
    "save": _save,
    "resume": _resume,
    "nonfinite": _nonfinite,
    "diagnosis": _diagnosis,
    "transfer": _transfer,
}
