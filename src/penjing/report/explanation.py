"""The page about one quantized tensor: its weights, its schemes, and what its outliers cost."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from penjing.core.files import atomic_file
from penjing.report.explanation_words import EXPLANATION_WORDS
from penjing.report.histogram import Grid, histogram
from penjing.report.html import Edition, Section, charts, editions, figures, paragraph, table
from penjing.report.scale import number
from penjing.report.svg import Series, bar_chart, grouped_bar_chart, line_chart
from penjing.report.units import percent
from penjing.report.words import Words

LOUD = 6.0  # standard deviations from which on a weight is left out of the drawing of its like
UNBROKEN = str.maketrans("-", "\u2011")  # names are not cut at their hyphens
Data = Mapping[str, Any]


def write_explanation(explanation: Data, target: Path) -> None:
    """Write the page, whole or not at all.

    Args:
        explanation: `penjing.quantization.explain.Explanation` as a dictionary.

    Raises:
        StorageError: the disk refuses.
    """
    with atomic_file(target) as scratch:
        scratch.write_text(explanation_page(explanation), encoding="utf-8", errors="replace")


def explanation_page(explanation: Data) -> str:
    """The page as one HTML string, in English and Chinese with a switch."""
    return editions(
        {language: _edition(explanation, words) for language, words in EXPLANATION_WORDS.items()}
    )


def _edition(data: Data, words: Words) -> Edition:
    sections = [
        Section("", _headline(data["weights"], words)),
        Section(words["weights"], _histogram(data, words)),
        Section(words["schemes"], _schemes(data["rounded"], words)),
        Section(words["stretch"], _stretch(data, words)),
        Section(words["outliers"], _outliers(data, words)),
    ]
    return Edition(data["weights"]["name"], sections)


def _headline(weights: Data, words: Words) -> str:
    largest = weights["outliers"][0]
    return figures(
        [
            (
                words["shape"],
                f"{weights['rows']:,} × {weights['columns']:,}",
                words["shape_is"]
                + (words["stored_as"].format(name=weights["stored"]) if weights["stored"] else ""),
            ),
            (
                words["range"],
                f"{number(weights['low'])} … {number(weights['high'])}",
                words["deviation"].format(value=number(weights["deviation"])),
            ),
            (
                words["largest"],
                number(largest["value"]),
                words["largest_is"].format(
                    times=number(largest["deviations"]),
                    row=largest["row"],
                    column=largest["column"],
                ),
            ),
            (words["kurtosis"], number(weights["kurtosis"]), words["kurtosis_is"]),
        ]
    )


def _histogram(data: Data, words: Words) -> str:
    weights = data["weights"]
    grids = [
        Grid(r["scheme"], r["reach"][0], r["reach"][1], r["n_levels"]) for r in data["rounded"]
    ]
    image = histogram(
        weights["edges"],
        weights["counts"],
        grids=grids,
        x_label=words["weight"],
        y_label=words["count"],
        size=(1000, 340),
    )
    return charts([image]) + paragraph(words["histogram_is"], style="soft")


def _schemes(rounded: list[Data], words: Words) -> str:
    header = (
        "scheme",
        "bits_per_weight",
        "scale",
        "zero_point",
        "levels",
        "entropy",
        "cut_off",
        "max_error",
        "rms_error",
        "sqnr",
    )
    rows = [
        (
            r["scheme"].translate(UNBROKEN),
            f"{r['bits_per_weight']:.2f}",
            _span(*r["scales"]),
            "" if r["zero_points"] is None else "{}…{}".format(*r["zero_points"]),
            f"{r['levels_used']}/{r['n_levels']}",
            f"{r['entropy']:.2f}",
            percent(r["cut_off"]) if r["cut_off"] else "0",
            number(r["error"]["max"]),
            number(r["error"]["rms"]),
            f"{r['error']['sqnr_db']:.1f}",
        )
        for r in rounded
    ]
    bars = bar_chart(
        [r["scheme"] for r in rounded],
        [r["error"]["sqnr_db"] for r in rounded],
        title=words["sqnr_of"],
        y_label=words["decibel"],
    )
    return (
        table([words[name] for name in header], rows)
        + paragraph(words["schemes_are"], style="soft")
        + charts([bars])
    )


def _span(least: float, middle: float, most: float) -> str:
    """One scale as it is, several as the smallest and the largest."""
    return number(middle) if least == most else f"{number(least)}…{number(most)}"


def _stretch(data: Data, words: Words) -> str:
    """The neighbours of the largest weight: as they were, and by the worst and the best scheme."""
    row, start = data["stretch_from"]
    limit = LOUD * data["weights"]["deviation"]
    kept = [n for n, value in enumerate(data["stretch"]) if abs(value) <= limit or not limit]

    def line(label: str, values: Sequence[float], **look: Any) -> Series:
        return Series(label, [(start + n, values[n]) for n in kept], **look)

    ranked = sorted(data["rounded"], key=lambda r: float(r["error"]["sqnr_db"]))
    lines = [
        line(words["original"], data["stretch"]),
        *(line(r["scheme"], r["stretch"], dashed=True) for r in ranked[:1] + ranked[1:][-1:]),
    ]
    image = line_chart(lines, x_label=words["column_of"].format(row=row), size=(1000, 340))
    return charts([image]) + paragraph(words["stretch_is"], style="soft")


def _outliers(data: Data, words: Words) -> str:
    sharing = data["sharing"]
    names = [_shared(s["shared"], words) for s in sharing]
    rows = [
        (
            name,
            f"{s['n_groups']:,}",
            f"{s['stretched']:.2f} ({s['most_stretched']:.3g})",
            f"{s['bits_lost']:.2f}",
            percent(s["spoiled"]),
            f"{s['int8_db']:.1f}",
            f"{s['int4_db']:.1f}",
        )
        for name, s in zip(names, sharing, strict=True)
    ]
    header = ("shared", "groups", "stretched", "bits_lost", "spoiled", "int8_db", "int4_db")
    image = grouped_bar_chart(
        names,
        {key: [s[f"{key}_db"] for s in sharing] for key in ("int8", "int4")},
        title=words["sharing_of"],
        y_label=words["decibel"],
    )
    return (
        table([words[name] for name in header], rows)
        + paragraph(words["outliers_are"], style="soft")
        + charts([image])
    )


def _shared(shared: str, words: Words) -> str:
    return words.get(f"shared_{shared}", words["shared_group"].format(size=shared))
