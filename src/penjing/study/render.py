"""A study's parts as Markdown and as a page that stands alone."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from penjing.report.html import Section, charts, page, paragraph, table, text_block
from penjing.study.parts import Claim, Part
from penjing.study.table import STUDIES

REHEARSAL = "A quick rehearsal: far too little training for any claim. Run it without --quick."


def markdown(results: Mapping[str, Any], parts: Sequence[Part]) -> str:
    """The whole report as text, without the charts."""
    study = STUDIES[results["study"]]
    lines = [f"# {study.title} · {study.title_zh}", "", _made(results), ""]
    for part in parts:
        lines += _part(part, "##", [])
    return "\n".join(lines)


def document(
    results: Mapping[str, Any], parts: Sequence[Part], folder: str
) -> tuple[str, dict[str, str]]:
    """The same as a part of a longer Markdown page: with its charts, by file name in `folder`."""
    lines, images = [_made(results), ""], dict[str, str]()
    for part in parts:
        names = [
            f"{results['study']}-{len(images) + n}.svg" for n in range(1, 1 + len(part.charts))
        ]
        images |= dict(zip(names, part.charts, strict=True))
        lines += _part(part, "###", [f"{folder}/{name}" for name in names])
    return "\n".join(lines) + "\n", images


def _part(part: Part, mark: str, images: Sequence[str]) -> Iterator[str]:
    """Title, text, table, claims, charts, samples; each ends with an empty line."""
    yield from (f"{mark} {part.title} · {part.title_zh}", "", part.text, "")
    yield from _row(part.header)
    yield from _row(["---"] * len(part.header))
    for row in part.rows:
        yield from _row(row)
    yield ""
    for claim in part.claims:
        yield f"- {_claim(claim)}"
    yield from [""] if part.claims else []
    for image in images:
        yield from (f"![{part.title}]({image})", "")
    for name, text in part.samples:
        yield from (f"{name}:", "", *(f"    {line}" for line in text.splitlines()), "")


def html(results: Mapping[str, Any], parts: Sequence[Part]) -> str:
    """The whole report as one file, with the charts."""
    study = STUDIES[results["study"]]
    head = Section("What this is · 说明", paragraph(_made(results)))
    sections = [Section(f"{part.title} · {part.title_zh}", _body(part)) for part in parts]
    return page(f"{study.title} · {study.title_zh}", [head, *sections])


def _body(part: Part) -> str:
    claims = "".join(f"<li>{escape(_claim(claim))}</li>" for claim in part.claims)
    samples = (paragraph(f"{name}:") + text_block(text) for name, text in part.samples)
    return (
        paragraph(part.text)
        + table(part.header, part.rows)
        + (f"<ul>{claims}</ul>" if claims else "")
        + (charts(part.charts) if part.charts else "")
        + "".join(samples)
    )


def _row(cells: Sequence[str]) -> list[str]:
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"]


def _claim(claim: Claim) -> str:
    return claim.text if claim.holds else f"(not seen here) {claim.text}"


def _made(results: Mapping[str, Any]) -> str:
    """How it came about, in a sentence or two."""
    settings, machine = results["settings"], results["machine"]
    n_seeds = 1 if settings["quick"] else settings["seeds"]
    seeds = "1 seed" if n_seeds == 1 else f"{n_seeds} seeds"
    made = (
        f"penjing {machine['penjing']}, {seeds} from {settings['seed']}, text "
        f"{' '.join(settings['sources'])}; {machine['threads']} threads, "
        f"{machine['instructions']}, torch {machine['torch']}, Python {machine['python']}."
    )
    return f"{made} {REHEARSAL}" if settings["quick"] else made
