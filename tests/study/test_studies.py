"""What every study of the table promises: a whole report, the same figures for the same seed."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from penjing.core.errors import ConfigError, DataError, StorageError
from penjing.core.events import Event
from penjing.study import bench as bench_module
from penjing.study.bench import Bench
from penjing.study.run import Report, run_study
from penjing.study.settings import Settings
from penjing.study.table import STUDIES

every_study = pytest.mark.parametrize("name", STUDIES)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    text = tmp_path_factory.mktemp("text") / "my.txt"
    lines = [f"{n}: the cat sat on the mat. 小处不可随便。" for n in range(150)]
    text.write_text("\n".join(lines), encoding="utf-8")
    return Settings(quick=True, sources=(str(text),))


@pytest.fixture(scope="module")
def reports(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Each study once, when it is first asked for, with the events that it told."""
    return {"settings": settings, "folder": tmp_path_factory.mktemp("reports")}


def report_of(name: str, reports: dict[str, Any]) -> tuple[Report, list[Event]]:
    if name not in reports:
        events: list[Event] = []
        out = reports["folder"] / name
        done = run_study(name, reports["settings"], out=out, listener=events.append)
        reports[name] = (done, events)
    found: tuple[Report, list[Event]] = reports[name]
    return found


@every_study
def test_it_leaves_a_whole_report(name, reports):
    report, _ = report_of(name, reports)
    assert {p.name for p in report.path.iterdir()} == {"results.json", "summary.md", "report.html"}
    results = json.loads((report.path / "results.json").read_text(encoding="utf-8"))
    assert results["study"] == name and results == report.results
    assert results["settings"]["quick"] and results["figures"] and results["timings"]["seconds"] > 0
    assert [p for p in report.path.parent.iterdir() if p.name.startswith(".")] == []


@every_study
def test_the_page_shows_every_table_and_every_chart(name, reports):
    report, _ = report_of(name, reports)
    page = (report.path / "report.html").read_text(encoding="utf-8")
    Strict().feed(page)
    study = STUDIES[name]
    assert study.title in page and study.title_zh in page
    assert page.count("<svg") == sum(len(part.charts) for part in report.parts) > 0
    assert page.count("<table") == len(report.parts)
    assert "://" not in page.replace("http://www.w3.org", "")  # no other file is needed


@every_study
def test_the_summary_has_every_figure_of_the_tables(name, reports):
    report, _ = report_of(name, reports)
    text = (report.path / "summary.md").read_text(encoding="utf-8")
    assert "quick rehearsal" in text
    for part in report.parts:
        assert f"## {part.title} · {part.title_zh}\n" in text
        for row in part.rows:
            assert "| " + " | ".join(row) + " |" in text
        assert re.search(r"[\u4e00-\u9fff]", part.title_zh)


@every_study
def test_tables_are_rectangular_and_claims_are_sentences(name, reports):
    report, _ = report_of(name, reports)
    for part in report.parts:
        assert part.rows and {len(row) for row in part.rows} == {len(part.header)}
        for claim in part.claims:
            assert claim.text.endswith(".") and isinstance(claim.holds, bool)


@every_study
def test_progress_ends_when_the_work_does(name, reports):
    _, events = report_of(name, reports)
    jobs = [event.data for event in events if event.kind == "job"]
    shares = [job["done"] for job in jobs]
    assert shares == sorted(shares) and shares[0] == 0
    assert shares[-1] == pytest.approx(1.0)
    assert jobs[-1]["eta"] == pytest.approx(0.0, abs=1e-6)


@every_study
def test_the_same_seed_gives_the_same_figures(name, reports, settings, tmp_path):
    report, _ = report_of(name, reports)
    again = run_study(name, settings, out=tmp_path / "again")
    assert again.results["figures"] == report.results["figures"]
    assert again.results["text"] == report.results["text"]


def test_another_seed_gives_other_figures(reports, settings, tmp_path):
    report, _ = report_of("optimizers", reports)
    other = run_study("optimizers", replace(settings, seed=1), out=tmp_path / "other")
    assert other.results["figures"] != report.results["figures"]


@every_study
def test_it_says_what_it_is(name):
    study = STUDIES[name]
    assert 0 < len(study.question) < 90 and re.search(r"[\u4e00-\u9fff]", study.title_zh)
    assert study.load().measure.__doc__ and study.load().present.__doc__


def test_an_unknown_study_says_which_was_meant(settings, tmp_path):
    with pytest.raises(ConfigError, match="Did you mean 'positions'"):
        run_study("position", settings, out=tmp_path / "x")


@pytest.mark.parametrize("wrong", [{"seeds": 0}, {"seed": -1}, {"seeds": 1000}, {"sources": ()}])
def test_settings_that_cannot_work_are_refused(settings, tmp_path, wrong):
    with pytest.raises(ConfigError):
        run_study("optimizers", replace(settings, **wrong), out=tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_too_little_text_is_an_error(tmp_path):
    (tmp_path / "short.txt").write_text("short")
    settings = Settings(quick=True, sources=(str(tmp_path / "short.txt"),))
    with pytest.raises(DataError, match="too little text"):
        run_study("optimizers", settings, out=tmp_path / "x")


def test_a_folder_that_exists_is_refused_before_the_work(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(bench_module, "train", never)
    with pytest.raises(StorageError, match="exists already"):
        run_study("optimizers", settings, out=tmp_path)


def test_ctrl_c_leaves_nothing(settings, tmp_path, monkeypatch):
    real = bench_module.train

    def interrupted(*args: Any) -> Any:
        return replace(real(*args), interrupted=True)

    monkeypatch.setattr(bench_module, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_study("optimizers", settings, out=tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_while_writing_leaves_nothing(settings, tmp_path, monkeypatch):
    def full(*_: Any) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("penjing.study.run.html", full)
    with pytest.raises(StorageError, match="disk is full"):
        run_study("optimizers", settings, out=tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_seeds_are_counted_from_the_first_one():
    assert list(Bench(Settings(seed=5, seeds=2), print).seeds) == [5, 6]
    assert list(Bench(Settings(seed=5, quick=True), print).seeds) == [5]


def never(*_: Any) -> None:
    raise AssertionError("the work began")


class Strict(HTMLParser):
    """Every tag that is opened is closed, in order."""

    VOID = ("meta", "link", "br", "hr", "img", "input")

    def __init__(self) -> None:
        super().__init__()
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
