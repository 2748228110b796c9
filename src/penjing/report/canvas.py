"""The paper that charts are drawn on: SVG elements, escaped text, colours for light and dark."""

import re
import unicodedata
from dataclasses import dataclass, field
from html import escape
from itertools import islice

from penjing.core.clusters import characters, is_flag_letter

FONT = (
    "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', "
    "'PingFang SC', 'Hiragino Sans GB', 'Microsoft YaHei', 'Noto Sans CJK SC', "
    "'Source Han Sans SC', sans-serif"
)

# Okabe and Ito's colours, which people with any colour vision tell apart (jfly.uni-koeln.de/color),
# darkened where they would be faint on white, and lighter ones of the same hues for dark paper.
LIGHT = ("#0072b2", "#d55e00", "#009e73", "#b5548f", "#b77f00", "#2f9bd8", "#5b5ea6", "#666666")
DARK = ("#56b4e9", "#ff8f4a", "#2ec99a", "#e79ac9", "#f0c04c", "#9bd4f7", "#a5a8f0", "#b0b0b0")
# Ordered lines, such as layers: from the first to the last.
RAMP = ((43, 108, 196), (134, 92, 190), (208, 84, 128), (228, 140, 52))

_PAPER = {"ground": "#ffffff", "ink": "#1f2328", "soft": "#59636e", "line": "#e3e6ea"}
_NIGHT = {"ground": "#161b22", "ink": "#e6edf3", "soft": "#9198a1", "line": "#2c333b"}


def _rules(paper: dict[str, str], colours: tuple[str, ...]) -> str:
    rules = [
        f".chart .ground{{fill:{paper['ground']}}}",
        f".chart text{{fill:{paper['soft']}}}",
        f".chart .strong{{fill:{paper['ink']}}}",
        f".chart .grid{{stroke:{paper['line']}}}",
        f".chart .axis,.chart .mark{{stroke:{paper['soft']}}}",
        *(
            f".chart .c{n}{{stroke:{colour}}}.chart .f{n}{{fill:{colour}}}"
            for n, colour in enumerate(colours)
        ),
    ]
    return "".join(rules)


STYLE = (
    f".chart{{font-family:{FONT};font-size:12px;font-variant-numeric:tabular-nums}}"
    ".chart .title{font-size:14px;font-weight:600}"
    ".chart .curve{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}"
    ".chart .faint{stroke-width:1;opacity:.4}.chart .dashed{stroke-dasharray:6 4}"
    ".chart .grid,.chart .axis{stroke-width:1}"
    ".chart .mark{stroke-width:1;stroke-dasharray:2 3;fill:none}.chart .lead{stroke-dasharray:none}"
    ".chart .band{opacity:.17}"
    f"{_rules(_PAPER, LIGHT)}"
    f"@media (prefers-color-scheme:dark){{{_rules(_NIGHT, DARK)}}}"
    f"@media print{{{_rules(_PAPER, LIGHT)}}}"
)

_AS_EMOJI = "\ufe0f"  # the code point before it is drawn as an emoji
NARROW = 0.56  # of a letter's size: how wide one is that is not wide

# What is no character of XML 1.0 (section 2.2): controls, halves of pairs, two that never are any.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


@dataclass
class Canvas:
    """Collects elements; `svg()` is the whole image. Sizes are in pixels."""

    width: float
    height: float
    parts: list[str] = field(default_factory=list)

    def add(self, tag: str, content: str = "", **attributes: object) -> None:
        """One element; `content` is markup already, attributes are escaped.

        An underscore at the end of a name is left out, one inside becomes a hyphen.
        """
        self.parts.append(element(tag, content, **attributes))

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        anchor: str = "start",
        style: str = "",
        turn: int = 0,
    ) -> None:
        """Escaped text with its base line at y; turned by `turn` degrees about its point."""
        rotated = {"transform": f"rotate({turn} {x:g} {y:g})"} if turn else {}
        self.add("text", escaped(text), x=x, y=y, text_anchor=anchor, class_=style, **rotated)

    def line(self, x1: float, y1: float, x2: float, y2: float, style: str) -> None:
        self.add("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=style)

    def svg(self, title: str) -> str:
        """The image; `title` is what a screen reader says."""
        ground = element("rect", width=self.width, height=self.height, rx=6, class_="ground")
        return element(
            "svg",
            f"<style>{STYLE}</style>{ground}{''.join(self.parts)}",
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {_short(self.width)} {_short(self.height)}",
            width=self.width,
            height=self.height,
            role="img",
            aria_label=title,
            class_="chart",
        )


def element(tag: str, content: str = "", **attributes: object) -> str:
    """An SVG element; see `Canvas.add`."""
    words = []
    for name, value in attributes.items():
        text = _short(value) if isinstance(value, float | int) else str(value)
        name = name.removesuffix("_")
        name = name if name == "viewBox" else name.replace("_", "-")
        if text or name != "class":
            words.append(f' {name}="{escaped(text)}"')
    return f"<{tag}{''.join(words)}>{content}</{tag}>" if content else f"<{tag}{''.join(words)}/>"


def text_width(text: str, size: float = 12.0) -> float:
    """About how wide a text is drawn: a wide character takes the full size, others half of it."""
    return size * sum(1 if _is_wide(character) else NARROW for character in characters(text))


def _is_wide(character: str) -> bool:
    """Whether it is a wide letter or an emoji, of however many code points."""
    return _AS_EMOJI in character or any(
        is_flag_letter(code) or unicodedata.east_asian_width(code) in "WF" for code in character
    )


def cut(text: str, width: float, size: float = 12.0) -> str:
    """The text, or as much of its beginning as fits, with an ellipsis."""
    if text_width(text, size) <= width:
        return text
    kept = list(islice(characters(text), int(width / (NARROW * size))))
    while kept and text_width("".join(kept) + "…", size) > width:
        kept.pop()
    return "".join(kept).rstrip() + "…"


def ramp_colour(share: float) -> str:
    """The colour at `share` (0 to 1) of the way from the first to the last."""
    place = min(max(share, 0.0), 1.0) * (len(RAMP) - 1)
    n = min(int(place), len(RAMP) - 2)
    part = place - n
    mixed = (round(a + part * (b - a)) for a, b in zip(RAMP[n], RAMP[n + 1], strict=True))
    return "#" + "".join(f"{value:02x}" for value in mixed)


def _short(value: float) -> str:
    """A coordinate with as many digits as an eye can see."""
    return f"{value:.1f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def escaped(text: str) -> str:
    """As markup, without characters that XML forbids, such as escape sequences of a terminal."""
    return escape(_FORBIDDEN.sub("\ufffd", text))
