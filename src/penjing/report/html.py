"""Pages that stand alone: one HTML file with its style, no script but a switch, no network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from penjing.report.canvas import FONT
from penjing.report.page_style import STYLE

LANGUAGES = {"en": "English", "zh": "中文"}

_SWITCH = """
const root = document.documentElement, buttons = [...document.querySelectorAll("nav button")];
const show = language => {
  root.lang = language;
  document.title = document.querySelector(`main[lang|="${language}"] h1`).textContent;
  for (const b of buttons) b.setAttribute("aria-pressed", b.value === language);
};
for (const b of buttons) b.addEventListener("click", () => show(b.value));
const wanted = (navigator.language || "").slice(0, 2);
if (buttons.some(b => b.value === wanted)) show(wanted);
"""


@dataclass(frozen=True)
class Section:
    """A part of a page: its title as text, its body as HTML."""

    title: str
    body_html: str


@dataclass(frozen=True)
class Edition:
    """A page in one language."""

    title: str
    sections: Sequence[Section]


def page(title: str, sections: Sequence[Section], *, language: str = "en") -> str:
    """A whole HTML file. It needs no other file and works from file://, in print, light or dark.

    Args:
        title: escaped here, as are the sections' titles; a section without one has no heading.
        language: of the text, as an HTML language code.
    """
    return editions({language: Edition(title, sections)})


def editions(pages: Mapping[str, Edition]) -> str:
    """One HTML file with the same page in several languages, and a switch between them.

    The first language is shown, unless the reader's browser asks for another that is there.
    """
    first = next(iter(pages))
    switch = ""
    if len(pages) > 1:
        buttons = "".join(
            f'<button value="{escape(code)}" aria-pressed="{str(code == first).lower()}">'
            f"{escape(LANGUAGES.get(code, code))}</button>"
            for code in pages
        )
        switch = f"<nav>{buttons}</nav>"
    mains = "".join(_main(code, edition) for code, edition in pages.items())
    script = f"<script>{_SWITCH}</script>" if switch else ""
    hidden = "".join(
        f'html[lang|="{a}"] main[lang|="{b}"]{{display:none}}'
        for a in pages
        for b in pages
        if a != b
    )
    return (
        f'<!doctype html>\n<html lang="{escape(first)}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n"
        f"<title>{escape(pages[first].title)}</title>\n"
        f"<style>body{{font-family:{FONT}}}{STYLE}{hidden}</style>\n</head>\n"
        f"<body>\n{switch}{mains}{script}\n</body>\n</html>\n"
    )


def _main(language: str, edition: Edition) -> str:
    parts = "".join(
        f"<section>{_heading(section.title)}{section.body_html}</section>\n"
        for section in edition.sections
    )
    return f'<main lang="{escape(language)}"><h1>{escape(edition.title)}</h1>\n{parts}</main>\n'


def _heading(title: str) -> str:
    return f"<h2>{escape(title)}</h2>\n" if title else ""


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table of text; a column of numbers is set flush right. All cells are escaped.

    A header of empty names is left out.
    """
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(header)
    marks = [' class="number"' if _is_numeric(column) else "" for column in columns]
    heads = "".join(f"<th{m}>{escape(h)}</th>" for m, h in zip(marks, header, strict=True))
    head = f"<thead><tr>{heads}</tr></thead>\n" if any(header) else ""
    body = "".join(
        "<tr>"
        + "".join(f"<td{m}>{escape(_text(c))}</td>" for m, c in zip(marks, row, strict=True))
        + "</tr>\n"
        for row in rows
    )
    return f'<div class="scroll"><table>{head}<tbody>{body}</tbody></table></div>\n'


def text_block(text: str) -> str:
    """Text as it is, with its line breaks: HTML drops one that comes first in a <pre>."""
    return f"<pre>\n{escape(text)}</pre>\n"


def paragraph(text: str, *, style: str = "") -> str:
    """A paragraph of text, escaped."""
    mark = f' class="{escape(style)}"' if style else ""
    return f"<p{mark}>{escape(text)}</p>\n"


def figures(items: Sequence[tuple[str, str, str]]) -> str:
    """Headline figures, each (name, value, remark), as cards side by side."""
    cards = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd>"
        + (f"<small>{escape(remark)}</small>" if remark else "")
        + "</div>"
        for name, value, remark in items
    )
    return f'<dl class="figures">{cards}</dl>\n'


def charts(images: Sequence[str], *, side_by_side: bool = False) -> str:
    """SVG images below each other, or in two columns where the window is wide enough."""
    style = "charts pair" if side_by_side else "charts"
    return (
        f'<div class="{style}">{"".join(f"<figure>{image}</figure>" for image in images)}</div>\n'
    )


def details(summary: str, body_html: str) -> str:
    """What is there for those who open it."""
    return f"<details><summary>{escape(summary)}</summary>\n{body_html}</details>\n"


def notice(title: str, body_html: str, *, severity: str = "note") -> str:
    """A box that stands out; `severity` is "note", "warning" or "error"."""
    return (
        f'<div class="notice {escape(severity)}"><strong>{escape(title)}</strong>\n'
        f"{body_html}</div>\n"
    )


def _text(cell: object) -> str:
    return f"{cell:,.4g}" if isinstance(cell, float) else str(cell)


def _is_numeric(column: Sequence[object]) -> bool:
    """Whether every cell that is not empty begins like a number."""
    cells = [_text(cell).strip() for cell in column]
    filled = [cell for cell in cells if cell not in ("", "–", "-", "—")]
    return bool(filled) and all(cell.lstrip("+-−±×~<>")[:1].isdigit() for cell in filled)
