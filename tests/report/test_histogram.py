"""Histograms: bars where there are values, strokes where there are levels."""

from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penjing.report.histogram import Grid, histogram

NS = "{http://www.w3.org/2000/svg}"


def bars(svg: str) -> list[ElementTree.Element]:
    return [e for e in ElementTree.fromstring(svg).iter(f"{NS}rect") if e.get("class") == "f0"]


def strokes(svg: str, colour: int) -> list[ElementTree.Element]:
    lines = ElementTree.fromstring(svg).iter(f"{NS}line")
    mine = [e for e in lines if e.get("class") == f"curve c{colour}"]
    return [e for e in mine if e.get("x1") == e.get("x2")]


def test_a_bar_for_each_value_that_occurs():
    svg = histogram([-1.0, 0.0, 1.0, 2.0], [1, 0, 1000], title="weights <b>", x_label="w")
    rare, common = bars(svg)
    assert float(rare.get("width")) == pytest.approx(float(common.get("width")), abs=0.2)
    shares = float(rare.get("height")) / float(common.get("height"))
    assert 0.02 < shares < 0.4  # by the logarithm: the rare one is seen
    assert float(rare.get("x")) < float(common.get("x"))
    assert "weights &lt;b&gt;" in svg


def test_a_stroke_for_each_level_within_the_axis():
    grids = [Grid("int4", -1.0, 1.0, 16), Grid("far", -4.0, 4.0, 9), Grid("int8", -1, 1, 2000)]
    svg = histogram([-2.0, 0.0, 2.0], [5, 5], grids=grids)
    assert [len(strokes(svg, n)) for n in (1, 2, 3)] == [16, 5, 0]
    places = [float(e.get("x1")) for e in strokes(svg, 1)]
    steps = [b - a for a, b in pairwise(places)]
    assert max(steps) - min(steps) < 0.3
    rects = ElementTree.fromstring(svg).iter(f"{NS}rect")
    assert [e.get("class") for e in rects if e.get("class") == "f3"] == ["f3"]  # too close: a bar


@given(
    st.lists(st.integers(0, 10**9), min_size=1, max_size=9),
    st.floats(1e-30, 1e30),
    st.lists(st.builds(Grid, st.text(max_size=4), st.floats(-9, 0), st.floats(0, 9), st.just(4))),
)
def test_any_counts_make_an_image(counts, reach, grids):
    edges = [-reach + 2 * reach * n / len(counts) for n in range(len(counts) + 1)]
    svg = histogram(edges, counts, grids=grids)
    assert len(bars(svg)) == sum(count > 0 for count in counts)
    assert "nan" not in svg and "inf" not in svg
