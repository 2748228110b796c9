"""Typed settings from words, and the words that start the program again."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from penjing.cli.arguments import OptionalFloat, OptionalInt, OptionalPath, command, parse, program


@dataclass(frozen=True)
class Example:
    """An example."""

    steps: int = 3
    rate: OptionalFloat = None
    seed: OptionalInt = None
    out: OptionalPath = None
    names: tuple[str, ...] = ()


def test_values_have_their_types():
    words = ["--rate", "0.5", "--seed", "7", "--out", "a/b", "--steps", "4"]
    assert parse(Example, words, "x") == Example(4, 0.5, 7, Path("a/b"))
    assert parse(Example, [], "x") == Example()


def test_none_leaves_an_option_out():
    assert parse(Example, ["--rate", "none"], "x", default=Example(rate=1.0)).rate is None


def test_no_path_is_a_magic_word():
    assert parse(Example, ["--out", "none"], "x").out == Path("none")


def test_an_empty_tuple_is_shown_as_none(capsys):
    for example, said in ((Example(), "(default: none)"), (Example(names=("a", "b")), "a b)")):
        with pytest.raises(SystemExit):
            parse(Example, ["--help"], "x", default=example)
        shown = capsys.readouterr().out
        assert said in shown and "(default: )" not in shown
    assert parse(Example, ["--names", "a", "b"], "x").names == ("a", "b")
    assert parse(Example, ["--names"], "x").names == parse(Example, [], "x").names == ()


def test_a_default_stands_where_no_word_is():
    assert parse(Example, ["--seed", "1"], "x", default=Example(9, 2.0)) == Example(9, 2.0, 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--step", "4"], "--steps INT"),
        (["--rate", "fast"], "could not convert string to float: 'fast'"),
        (["--steps", "1.5"], "--steps"),
        (["more"], "more"),
    ],
)
def test_wrong_words_end_with_two_and_a_hint(capsys, words, said):
    with pytest.raises(SystemExit) as stopped:
        parse(Example, words, "x")
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


@pytest.fixture
def binary(tmp_path, monkeypatch):
    """An executable penjing in a virtual environment of the working directory."""
    path = tmp_path / ".venv" / "bin" / "penjing"
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return path


def test_program_is_what_the_user_typed(binary, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", [".venv/bin/penjing"])
    assert program() == ".venv/bin/penjing"
    monkeypatch.setattr(sys, "argv", [str(binary)])
    assert program() == ".venv/bin/penjing"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert program() == shlex.quote(str(binary))


def test_program_is_its_name_when_the_shell_finds_it(binary, monkeypatch):
    monkeypatch.setenv("PATH", str(binary.parent))
    monkeypatch.setattr(sys, "argv", [str(binary)])
    assert program() == "penjing"


def test_program_as_a_module(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/x/penjing/__main__.py"])
    assert program().endswith(" -m penjing")


@pytest.mark.parametrize(
    "word", ["ROMEO:", "two words", "it's", 'a "b"', "$x", "a\nb", "床前", "!"]
)
def test_commands_survive_the_shell(monkeypatch, word):
    monkeypatch.setattr(sys, "argv", ["penjing"])
    assert shlex.split(command("generate", "--prompt", word)) == [
        "penjing",
        "generate",
        "--prompt",
        word,
    ]
