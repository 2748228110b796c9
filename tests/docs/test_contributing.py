"""Every path and every target that CONTRIBUTING names is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PATHS = sorted(set(re.findall(r"`([\w.]+/[\w./]+|\w+\.(?:toml|txt))`", TEXT)))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", PATHS)
def test_paths_exist(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake ([a-z]+)\b", TEXT))))
def test_targets_exist(target):
    assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)


def test_every_table_is_named():
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    tables = set(re.findall(r"^([A-Z]+)(?:: Table\[.*\])? = Table\(", source, re.MULTILINE))
    assert len(tables) >= 8
    assert not [name for name in tables if f"`{name}`" not in TEXT]


def test_every_dependency_is_explained():
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    names = re.findall(r'^    "([\w-]+)[><=]', pyproject, re.MULTILINE)
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert len(names) > 12
    for name in names:
        assert f"`{name}`" in text, name
        pinned = name.replace("-", "[-_]")
        assert re.search(rf"^{pinned}==", pins, re.MULTILINE | re.IGNORECASE), name
