"""Charts are well-formed images that show what they were given, and break at nothing."""

import math
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penjing.report.canvas import DARK, LIGHT, cut, text_width
from penjing.report.lines import MARKED, THINNED
from penjing.report.svg import Series, bar_chart, grouped_bar_chart, line_chart

NS = "{http://www.w3.org/2000/svg}"
ANY = st.floats(allow_nan=True, allow_infinity=True)


def read(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def texts(svg: str) -> list[str]:
    return [e.text or "" for e in read(svg).iter(f"{NS}text")]


def curves(svg: str) -> list[list[tuple[float, float]]]:
    """The points of each line, without those of the legend (two points, short)."""
    lines = [e.get("points", "").split() for e in read(svg).iter(f"{NS}polyline")]
    points = [[tuple(map(float, p.split(","))) for p in line] for line in lines]
    return [p for p in points if not (len(p) == 2 and abs(p[1][0] - p[0][0] - 18) < 1e-6)]


def test_a_line_goes_through_its_points():
    svg = line_chart([Series("a", [(0, 0.0), (1, 10.0), (2, 5.0)])])
    ((x0, y0), (x1, y1), (x2, y2)) = curves(svg)[0]
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert (y0 - y1) == pytest.approx(2 * (y0 - y2), abs=0.3)  # up is less


def test_a_gap_at_what_is_no_number():
    points = [(0, 1.0), (1, 2.0), (2, math.nan), (3, 3.0), (4, math.inf), (5, 4.0), (6, 5.0)]
    svg = line_chart([Series("a", points)])
    assert [len(c) for c in curves(svg)] == [2, 2]
    assert len(list(read(svg).iter(f"{NS}circle"))) == 5  # the lone point too
    assert "nan" not in svg and "inf" not in svg


def test_a_logarithmic_axis_has_no_place_for_zero():
    svg = line_chart([Series("a", [(1, 1.0), (2, 0.0), (3, 10.0), (4, 100.0)])], y_log=True)
    assert [len(c) for c in curves(svg)] == [2]


@given(
    st.lists(st.lists(st.tuples(ANY, ANY), max_size=8), max_size=4),
    st.booleans(), st.booleans(), st.booleans(),
    st.dictionaries(st.text(max_size=5), ANY, max_size=3), st.none() | st.tuples(ANY, ANY),
    st.text(max_size=8),
)  # fmt: skip
def test_any_numbers_and_any_text_make_an_image(points, x_log, y_log, ramp, lines, band, title):
    series = [Series(title, sorted(p, key=lambda p: str(p))) for p in points]
    svg = line_chart(
        series, title=title, x_log=x_log, y_log=y_log, references=lines, band=band, ramp=ramp,
        band_label=title,
    )  # fmt: skip
    read(svg)
    assert not re.search(r'="[^"]*(nan|inf)[^"]*"', svg.replace(title, "") if title else svg)


@given(st.lists(st.tuples(st.text(max_size=30), ANY), max_size=6), st.text(max_size=8))
def test_any_bars_make_an_image(rows, title):
    svg = bar_chart([n for n, _ in rows], [v for _, v in rows], title=title, y_label=title)
    read(svg)


def test_text_is_escaped_and_chinese_has_a_font():
    svg = line_chart([Series("<b>&", [(0, 1.0)]), Series("训练", [(0, 2.0)])], title='"损失" <i>')
    assert '"损失" <i>' in texts(svg) and "<b>&" in texts(svg) and "训练" in texts(svg)
    assert "PingFang SC" in svg and "Noto Sans CJK SC" in svg
    assert read(svg).get("aria-label") == '"损失" <i>'


def test_only_what_xml_forbids_is_replaced():
    kept = "床前\u3000明月\u00a0光 \U0001f469\u200d\U0001f680\t\x85"
    assert kept in texts(line_chart([Series("x", [(0, 1.0)])], title=kept))
    svg = line_chart([Series("x", [(0, 1.0)])], title="a\x1b[0m\ud800\uffff\x00z")
    assert "a\ufffd[0m\ufffd\ufffd\ufffdz" in texts(svg)


def test_labels_of_close_references_make_room_for_each_other():
    lines = {"a": 2.0, "b": 2.001, "c": 2.002, "d": 1.999}
    svg = line_chart([Series("x", [(0, 1.0), (1, 3.0)])], references=lines)
    places = sorted(
        float(e.get("y", 0)) for e in read(svg).iter(f"{NS}text") if e.text and e.text[0] in "abcd"
    )
    assert len(places) == 4
    assert all(b - a >= 14 for a, b in pairwise(places))


def test_peaks_and_dips_stay_when_points_are_thinned():
    points = [(n, 0.0) for n in range(50_000)]
    points[12_345], points[40_000] = (12_345, 9.0), (40_000, -9.0)
    (line,) = curves(line_chart([Series("a", points)]))
    heights = sorted({y for _, y in line})
    assert len(line) <= THINNED + 4 and len(heights) == 3
    assert heights[1] - heights[0] == pytest.approx(heights[2] - heights[1], abs=0.2)


def test_few_points_have_their_figures_at_hand():
    svg = line_chart([Series("loss", [(n, n / 4) for n in range(MARKED)])])
    titles = [e.text for e in read(svg).iter(f"{NS}title")]
    assert "loss: 0.25 (1)" in titles and len(titles) == MARKED


def test_light_and_dark_and_no_colour_twice():
    svg = line_chart([Series(str(n), [(0, n), (1, n)]) for n in range(8)])
    assert "prefers-color-scheme:dark" in svg and LIGHT[0] in svg and DARK[0] in svg
    assert len(set(LIGHT)) == len(set(DARK)) == 8


def test_a_lone_series_has_no_legend_and_a_nameless_one_is_not_in_it():
    assert "only" not in texts(line_chart([Series("only", [(0, 1.0), (1, 2.0)])]))
    two = [Series("named", [(0, 1.0)]), Series("", [(0, 2.0)], faint=True)]
    assert "named" in texts(line_chart(two)) and "" not in texts(line_chart(two))


def test_a_legend_of_many_layers_shows_some_the_first_and_the_last_too():
    series = [Series(f"layer {n}", [(0, 1.0 + n), (1, 2.0)]) for n in range(48)]
    shown = [t for t in texts(line_chart(series, ramp=True)) if t.startswith("layer")]
    assert 4 <= len(shown) <= 12 and shown[0] == "layer 0" and shown[-1] == "layer 47"


def test_bars_are_as_long_as_their_values():
    svg = grouped_bar_chart(["a", "b"], {"x": [1.0, 2.0], "y": [-1.0, math.nan]}, title="t")
    bars = [e for e in read(svg).iter(f"{NS}rect") if (e.get("class") or "").startswith("f")]
    widths = [float(b.get("width", 0)) for b in bars[: len(bars)] if b.get("rx") == "2"]
    assert len(widths) == 3  # NaN has none
    assert widths[2] == pytest.approx(2 * widths[0], abs=0.2)
    assert widths[1] == pytest.approx(widths[0], abs=0.2)
    assert {"1", "2", "−1", "–"} <= set(texts(svg))


def test_a_long_name_is_cut_and_a_wide_character_counts_twice():
    assert text_width("床前") == pytest.approx(24)
    long = "床前明月光" * 20
    assert cut(long, 100).endswith("…") and text_width(cut(long, 100)) <= 100
    assert cut("short", 100) == "short"
    family = "👨\u200d👩\u200d👧\u200d👦"
    for one in (family, "👍🏽", "❤\ufe0f", "🇨🇳", "1\ufe0f\u20e3", "が"):
        assert text_width(one) == pytest.approx(12), one
    assert text_width("e\u0301") == text_width("é") == text_width("e")
    assert cut(family * 20, 100).removesuffix("…").split(family) == [""] * 8
    assert any(t.endswith("…") for t in texts(bar_chart([long], [1.0])))


def test_control_characters_make_no_broken_image():
    assert "a\ufffdb" in texts(line_chart([Series("x", [(0, 1.0)])], title="a\x1bb"))
