"""Several runs: what differs, and all their curves on one page."""

import math
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from penjing.report.compare import compare_report, differing, figures
from penjing.report.log import RunLog
from penjing.report.summary import Summary
from penjing.report.words import WORDS


@pytest.fixture
def logs(config, events):
    other = {**config, "train": {**config["train"], "steps": 200, "seed": 1}}
    slower = [
        replace(e, data={**e.data, "seconds": e.data["seconds"] * 2}) if e.kind == "step" else e
        for e in events
    ]
    return [RunLog.of(config, events, "a"), RunLog.of(other, slower, "乙<b>")]


def test_the_settings_that_differ(logs):
    assert differing(logs) == [("train.steps", "100", "200"), ("train.seed", "–", "1")]
    assert differing([logs[0], logs[0]]) == []


def test_a_run_in_one_row(logs):
    summary = Summary.of(logs[0])
    assert (summary.state, summary.model) == ("finished", "qwen3 100")
    assert summary.best == (50, pytest.approx(2.25 / math.log(2) / 2))
    assert summary.cells() == (
        "finished", "qwen3 100", "100/100", "2.5000", "1.8034", "1.6230 @ 50", "0:06", "1.23k/s",
    )  # fmt: skip
    assert set(Summary.of(RunLog.of({}, [])).cells()[1:]) == {"–", "0"}


def test_figures_have_a_column_for_each_run(logs):
    header, rows = figures(logs, WORDS["en"])
    assert header == ("", "a", "乙<b>")
    assert ("best bits per byte", "1.6230 @ 50", "1.6230 @ 50") in rows


def test_the_page_overlays_the_curves(logs):
    text = compare_report(logs)
    images = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(images) == 2 * 3  # two languages; steps, tokens, time
    for image in images:
        ElementTree.fromstring(image)
        assert "乙&lt;b&gt;" in image
    assert "By minutes of training" in text and "按训练时间" in text
    assert "<b>" not in text and "train.seed" in text


def test_time_goes_along_the_axis_as_it_was_told(logs):
    text = compare_report(logs).split('<main lang="zh">')[0]
    by_time = re.findall(r"<svg.*?</svg>", text, re.DOTALL)[2]
    ends = {}  # of each run's line, the right one
    for places, n in re.findall(r'points="([^"]*)" class="curve c(\d) faint"', by_time):
        ends[n] = max(float(place.split(",")[0]) for place in places.split())
    assert ends["0"] < 0.6 * ends["1"]


def test_runs_without_figures_make_a_page_too(config):
    assert compare_report([RunLog.of(config, []), RunLog.of({}, [])]).endswith("</html>\n")
