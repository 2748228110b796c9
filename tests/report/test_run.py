"""The page of a run: everything in it, and nothing in a log breaks it."""

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penjing.core.errors import StorageError
from penjing.core.events import Event
from penjing.report.log import RunLog
from penjing.report.run import page_of, write_report
from penjing.report.run_charts import smooth
from penjing.report.words import CAUSES_ZH, WORDS
from penjing.train.doctor.causes import CAUSES

KINDS = ("data", "tokenizer", "forecast", "model", "start", "step", "eval", "health", "nonfinite",
         "diagnosis", "sample", "resume", "transfer", "save", "done")  # fmt: skip


def page(config, events, name: str = "") -> str:
    return page_of(RunLog.of(config, events, name))


def svgs(text: str) -> list[str]:
    return re.findall(r"<svg.*?</svg>", text, re.DOTALL)


def test_a_finished_run_shows_it_all(config, events):
    text = page(config, events, "tang")
    for part in (
        "<h1>tang</h1>",
        "1.803",  # bits per byte, in the head
        "best at step 50: 2.2500",
        "better than trigram (1.90)",
        "trigram 1.9",  # a line of the chart
        "expected at the end",
        "Gradient norm by layer",
        "Neurons that never wake",
        "step 100: overfitting",
        "it rose &lt;now&gt;",
        "Not finite at step 51: loss, layers.1.up, row 3 of the batch",
        "This batch was left out.",
        "第 51 步出现非有限数值：损失，layers.1.up，批中第 3 行",
        "跳过了这一批。",
        "Samples over time",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "seconds per step",
        "+25%",  # 0.04 s a step were foreseen, and 0.05 came
        "few tokens",
        "诗 &lt;b&gt;.txt",
        "学习过程",
        "过拟合",
        "train.sample_prompt",
        "25%",  # of the validation text was trained on
        "−50.0%",  # transfer
    ):
        assert part in text, part
    assert "<script>alert" not in text and text.count("<script>") == 1
    for svg in svgs(text):
        ElementTree.fromstring(svg)
        assert "nan" not in svg.lower()


def test_both_languages_have_the_same_charts(config, events):
    english, chinese = page(config, events).split('<main lang="zh">')
    assert len(svgs(english)) == len(svgs(chinese)) >= 9


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_event_may_be_missing(config, events, kind):
    text = page(config, [event for event in events if event.kind != kind])
    assert text.endswith("</html>\n")


def test_an_empty_log(config):
    assert "Interrupted" in page(config, [])
    assert page({}, []).endswith("</html>\n")


def test_an_interrupted_run_says_how_to_go_on(config, events):
    cut = [e for e in events if e.kind != "done" and e.data.get("step", 0) <= 40]
    text = page(config, cut, "tang")
    assert "stands at step 40 of 100" in text
    assert "penjing pretrain --resume runs/tang" in text


def test_a_run_that_failed_says_so(config, events):
    stop = Event("nonfinite", {"step": 41, "action": "stop", "where": "gradient"}, 1.0)
    cut = [e for e in events if e.kind != "done" and e.data.get("step", 0) <= 40]
    text = page(config, [*cut, stop])
    assert "stopped at step 40 of 100" in text and "Not finite at step 41: gradient" in text


def test_where_a_number_was_not_finite_as_far_as_it_is_known(config):
    def said(**data):
        return page(config, [Event("nonfinite", {"step": 4, **data}, 1.0)])

    assert "Not finite at step 4: gradient, layer 0<" in said(where="gradient", layer=0)
    together = said(where="together", tensor="", layer=None, rows=[], loss=2.9e21, norm="inf")
    assert "step 4: loss 2.9e+21, gradient norm inf; no row does so by itself<" in together
    assert "损失 2.9e+21，梯度范数 inf；任何一行单独都不会如此<" in together


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4)
    | st.floats() | st.sampled_from(["nan", "inf", "-inf"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)  # fmt: skip
FIELDS = st.sampled_from([
    "step", "steps", "loss", "bits_per_byte", "rate", "grad_norm", "tokens", "mfu", "seconds",
    "baselines", "expected", "memory", "parameters", "notes", "gradients", "dead", "rows", "text",
    "prompt", "title", "severity", "path", "interrupted", "bytes_per_token", "total_seconds",
    "train_seconds", "sources", "action",
])  # fmt: skip


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(KINDS), st.dictionaries(FIELDS, VALUES, max_size=6)),
                max_size=8))  # fmt: skip
def test_no_log_breaks_it(rows):
    events = [Event(kind, data, 1.0) for kind, data in rows]
    for svg in svgs(page({}, events)):
        ElementTree.fromstring(svg)


def test_it_is_written_whole_or_not_at_all(make_run):
    run = make_run()
    path = write_report(run)
    assert path == run / "report.html" and path.read_text(encoding="utf-8").endswith("</html>\n")
    assert write_report(run) == path  # once more, over it
    assert sorted(p.name for p in run.iterdir()) == ["config.json", "events.jsonl", "report.html"]


def test_half_a_character_in_the_log_does_no_harm(make_run, events):
    sample = Event("sample", {"step": 1, "prompt": "\udcff", "text": "x"}, 1.0)
    assert write_report(make_run(events=[*events[:-1], sample])).is_file()


def test_a_disk_that_refuses(make_run):
    run = make_run()
    (run / "report.html").mkdir()
    with pytest.raises((StorageError, OSError)):
        write_report(run)
    assert not list(run.glob(".report*"))


def test_smoothing_keeps_straight_lines_gaps_and_ends():
    line = [(n, 2.0 * n) for n in range(200)]
    assert smooth(line) == [(x, pytest.approx(y)) for x, y in line]
    line[50] = (50, math.nan)
    smoothed = smooth(line)
    assert math.isnan(smoothed[50][1])
    assert smoothed[49][1] == pytest.approx(98.0, abs=3) and len(smoothed) == 200


def test_both_languages_say_the_same_things():
    for name, text in WORDS["en"].items():
        fields = set(re.findall(r"\{(\w+)\}", text))
        assert fields == set(re.findall(r"\{(\w+)\}", WORDS["zh"][name])), name
    assert set(WORDS["en"]) == set(WORDS["zh"])


def test_every_cause_of_the_doctor_has_its_chinese():
    assert set(CAUSES_ZH) == set(CAUSES)
