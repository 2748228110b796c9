"""What a run said in words: diagnoses, samples, its text, and how a model changed."""

import math
from collections.abc import Mapping
from html import escape
from typing import Any

from penjing.core.events import Event
from penjing.report.html import details, notice, paragraph, table, text_block
from penjing.report.log import RunLog, real
from penjing.report.units import percent, si, size
from penjing.report.words import CAUSES_ZH, Words

SAMPLES = 12  # shown at once; the others can be opened
SEVERITIES = ("note", "warning", "error")


def diagnoses(log: RunLog, words: Words) -> str:
    """What the loss doctor found, what was not a number, and where the run went on."""
    boxes = [_box(event, words) for event in log.events if event.kind in _BOXES]
    return "".join(boxes) or paragraph(words["healthy"])


def _box(event: Event, words: Words) -> str:
    return _BOXES[event.kind](event.data, words)


def _diagnosis(data: Mapping[str, Any], words: Words) -> str:
    """Its title, the evidence and the remedy; in Chinese as far as there are words for it."""
    title, remedy = str(data.get("title", "?")), str(data.get("remedy", ""))
    body = _said(words["evidence"], str(data.get("evidence", "")))
    known = CAUSES_ZH.get(str(data.get("cause"))) if words["language"] == "zh" else None
    if known:
        title = known[0]
        body = _said(words["remedy"], known[1]) + body + paragraph(remedy, style="soft")
    else:
        body += _said(words["remedy"], remedy)
    severity = data.get("severity")
    found = words["found_at" if data.get("step") else "found_first"]
    head = found.format(step=data.get("step", "?"), title=title)
    return notice(head, body, severity=severity if severity in SEVERITIES else "note")


def _nonfinite(data: Mapping[str, Any], words: Words) -> str:
    head = words["nonfinite_at"].format(step=data.get("step", "?"), what=_broken(data, words))
    shown = text_block(str(data["text"])) if data.get("text") else ""
    then = words.get(f"then_{data.get('action')}", "")
    return notice(head, (paragraph(then) if then else "") + shown, severity="error")


def _broken(data: Mapping[str, Any], words: Words) -> str:
    """What was not finite, as far as the log says; rows count from 1."""
    where, tensor, layer, rows = (data.get(key) for key in ("where", "tensor", "layer", "rows"))
    if where == "together":
        loss, norm = (f"{real(data.get(key)):.4g}" for key in ("loss", "norm"))
        return words["nonfinite_together"].format(loss=loss, norm=norm)
    parts = [words.get(f"nonfinite_{where}", "?")]
    if tensor:
        parts.append(str(tensor))
    elif layer not in (None, ""):
        parts.append(words["nonfinite_layer"].format(layer=layer))
    if isinstance(rows, list) and rows:
        counted = ", ".join(str(row + 1) for row in rows if isinstance(row, int))
        parts.append(words["nonfinite_rows"].format(rows=counted))
    return words["between"].join(parts)


def _resume(data: Mapping[str, Any], words: Words) -> str:
    return notice(words["resumed_at"].format(step=data.get("step", "?")), "")


_BOXES = {"diagnosis": _diagnosis, "nonfinite": _nonfinite, "resume": _resume}


def _said(name: str, text: str) -> str:
    return f"<p><b>{escape(name)}</b> {escape(text)}</p>\n" if text else ""


def samples(log: RunLog, words: Words) -> str:
    """All samples in order; of many, some at once and the others to be opened."""
    shown = log.of_kind("sample")
    if len(shown) <= SAMPLES:
        return "".join(_sample(event.data, words) for event in shown)
    last = len(shown) - 1
    picked = {round(n * last / (SAMPLES - 1)) for n in range(SAMPLES)}
    return "".join(
        _sample(event.data, words)
        if n in picked
        else details(
            words["at_step"].format(step=event.data.get("step", "?")), _text(event.data, words)
        )
        for n, event in enumerate(shown)
    )


def _sample(data: Mapping[str, Any], words: Words) -> str:
    step = words["at_step"].format(step=data.get("step", "?"))
    return f"<h3>{escape(step)}</h3>\n{_text(data, words)}"


def _text(data: Mapping[str, Any], words: Words) -> str:
    """The prompt stands out from what the model wrote."""
    prompt, written = str(data.get("prompt") or ""), str(data.get("text") or "")
    if not (prompt + written).strip():
        return text_block(words["empty_sample"])
    return f"<pre><b>{escape(prompt)}</b>{escape(written)}</pre>\n"


def transfer(log: RunLog, words: Words) -> str:
    """Bits per byte of each text, before and after."""
    data = log.last("transfer")
    found = data.get("rows")
    rows = [
        (str(row.get("text", "?")), real(row.get("before")), real(row.get("after")))
        for row in (found if isinstance(found, list) else [])
        if isinstance(row, Mapping)
    ]
    written = [(name, f"{a:.3f}", f"{b:.3f}", _percent(a, b)) for name, a, b in rows]
    header = (words["bits_per_byte"], words["before"], words["after"], words["difference"])
    return table(header, written) + paragraph(str(data.get("note") or ""), style="soft")


def _percent(before: float, after: float) -> str:
    if not (math.isfinite(after) and before > 0):
        return "–"
    return f"{(after / before - 1) * 100:+.1f}%".replace("-", "−")


def text(log: RunLog, words: Words) -> str:
    """Where the text comes from, how much there is, and how it is cut."""
    data, start = log.last("data"), log.last("start")
    sources = data.get("sources")
    overlap = real(start.get("overlap"))
    rows = {
        "sources": " ".join(map(str, sources)) if isinstance(sources, list) else "",
        "documents": _count(data.get("documents")),
        "characters": _count(data.get("characters")),
        "train_text": _split(log, "train", words),
        "validation_text": _split(log, "validation", words),
        "duplicates": _count(data.get("duplicates")),
        "overlap": percent(overlap) if overlap > 0 else "",
        "tokenizer": _tokenizer(log.last("tokenizer"), words),
    }
    return table(("", ""), [(words[name], value) for name, value in rows.items() if value])


def _count(value: object) -> str:
    return f"{real(value):,.0f}" if math.isfinite(real(value)) else ""


def _split(log: RunLog, split: str, words: Words) -> str:
    """Bytes and tokens of one part of the text, as far as they are known."""
    n_bytes = real(log.last("data").get(f"{split}_bytes"))
    n_tokens = real(log.last("start").get(f"{split}_tokens"))
    known = [size(n_bytes)] if math.isfinite(n_bytes) else []
    known += [f"{si(n_tokens)} {words['tokens_noun']}"] if math.isfinite(n_tokens) else []
    return " · ".join(known)


def _tokenizer(data: Mapping[str, Any], words: Words) -> str:
    if "kind" not in data:
        return ""
    return words["tokenizer_is"].format(
        kind=data["kind"],
        size=f"{real(data.get('vocab_size')):,.0f}",
        bytes=f"{real(data.get('bytes_per_token')):.2f}",
    )
