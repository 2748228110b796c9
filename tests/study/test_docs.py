"""The page of studies says what the kept results say, to the letter, and every claim holds."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from penjing.study.render import document
from penjing.study.table import STUDIES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "studies.md").read_text(encoding="utf-8")
KEPT = sorted(path.stem for path in (ROOT / "benchmarks/results/studies").glob("*.json"))


def kept(name: str) -> Any:
    file = ROOT / "benchmarks" / "results" / "studies" / f"{name}.json"
    return json.loads(file.read_text(encoding="utf-8"))


def test_every_study_is_kept_in_full():
    assert sorted(STUDIES) == KEPT
    for name in STUDIES:
        settings = kept(name)["settings"]
        assert not settings["quick"]
        assert f"{settings['seeds']} seed" in PAGE  # how many stand behind the figures


@pytest.mark.parametrize("name", STUDIES)
def test_its_tables_and_charts_are_those_of_the_results(name):
    results = kept(name)
    text, images = document(results, STUDIES[name].load().present(results), "studies")
    (shown,) = re.findall(rf"<!-- {name} -->\n\n(.*?)<!-- end of {name} -->", PAGE, re.DOTALL)
    assert shown == text
    folder = ROOT / "docs" / "studies"
    assert {path.name for path in folder.glob(f"{name}-*.svg")} == set(images)
    for image, svg in images.items():
        assert (folder / image).read_text(encoding="utf-8") == svg and image in shown


@pytest.mark.parametrize("name", STUDIES)
def test_every_claim_on_the_page_holds(name):
    parts = STUDIES[name].load().present(kept(name))
    assert [claim.text for part in parts for claim in part.claims if not claim.holds] == []


def test_what_is_written_by_hand_has_no_figures_of_its_own():
    by_hand = re.sub(r"<!-- (\w+) -->.*?<!-- end of \1 -->", "", PAGE, flags=re.DOTALL)
    assert not re.findall(r"\d+[.,]\d+|\d+ ?%", by_hand)


def test_the_docs_are_written_anew_from_results(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import studies

    page, name = tmp_path / "studies.md", KEPT[0]
    page.write_text(f"before\n<!-- {name} -->\nold\n<!-- end of {name} -->\nafter\n")
    for _ in range(2):  # the second time changes nothing
        studies.write_docs(name, page, tmp_path / "studies")
        text, images = document(kept(name), STUDIES[name].load().present(kept(name)), "studies")
        whole = f"before\n<!-- {name} -->\n\n{text}<!-- end of {name} -->\nafter\n"
        assert page.read_text(encoding="utf-8") == whole
        assert {path.name for path in (tmp_path / "studies").iterdir()} == set(images)
    sys.modules.pop("studies")
