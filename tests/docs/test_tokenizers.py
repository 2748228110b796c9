"""docs/tokenizers.md shows what really happens: each command and example prints just what it says.

A console block without output is run before all others: it makes what they look at.
"""

import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from penjing.cli.main import main

pytestmark = [pytest.mark.network, pytest.mark.xdist_group("docs")]

PAGE = Path(__file__).parents[2] / "docs" / "tokenizers.md"
BLOCK = re.compile(r"^```(console|python)\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", re.S | re.M)


@dataclass(frozen=True)
class Example:
    """One block of the page: what is run, and what it must print."""

    language: str
    code: str  # a command line without "$ penjing", or Python
    printed: str


def examples() -> list[Example]:
    found = []
    for language, inside, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if language == "python":
            found.append(Example(language, inside, text))
            continue
        for part in re.split(r"^\$ penjing ", inside, flags=re.M)[1:]:
            command, _, printed = part.partition("\n")
            found.append(Example(language, command, printed))
    return found


def preparations() -> list[Example]:
    return [each for each in examples() if each.language == "console" and not each.printed]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands without output have been run."""
    place = tmp_path_factory.mktemp("tokenizers")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for each in preparations():
            assert main(shlex.split(each.code)) == 0
    return place


@pytest.mark.parametrize(
    "example", [each for each in examples() if each.printed], ids=lambda each: each.code[:60]
)
def test_what_is_printed(
    example: Example,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["penjing"])
    capfd.readouterr()
    if example.language == "python":
        exec(compile(example.code, str(PAGE), "exec"), {})
    else:
        assert main(shlex.split(example.code)) == 0
    assert capfd.readouterr().out.rstrip() == example.printed.rstrip()


def test_the_page_has_what_it_must_show() -> None:
    page = PAGE.read_text(encoding="utf-8")
    texts = ("unhappiness", "人工智能", "今天天气不错", "小处不可随便", "👨‍👩‍👧‍👦", "𠮷")
    shown = [each.code for each in examples() if each.printed]
    assert all(any(text in code for code in shown) for text in texts)
    assert len(preparations()) == 2 and "\ufffd" not in page
