"""Finding the verb, and what must not be loaded to do so."""

import os
import subprocess
import sys

import pytest

from penjing.cli.main import VERBS
from penjing.version import __version__

HEAVY = ("torch", "numpy", "transformers", "tokenizers", "safetensors", "rich", "scipy")


def test_help_names_every_verb_in_one_line(penjing):
    result = penjing("--help")
    assert result.code == 0 and result.err == ""
    for name, verb in VERBS.items():
        assert any(
            name in line and verb.summary in line and len(line) < 80
            for line in result.out.splitlines()
        )


def test_version(penjing):
    assert penjing("--version").out == f"penjing {__version__}\n"


def test_no_verb_is_a_usage_error(penjing):
    result = penjing()
    assert result.code == 2 and result.out == "" and "usage: penjing VERB" in result.err


@pytest.mark.parametrize("word", ["pretrian", "--halp"])
def test_unknown_words_say_what_was_meant(penjing, word):
    result = penjing(word)
    assert result.code == 2 and repr(word) in result.err and "Known: demo" in result.err
    if word == "pretrian":
        assert "Did you mean 'pretrain'?" in result.err


def loaded_by(*words: str) -> set[str]:
    """The modules that a fresh process has loaded after `penjing WORDS...`."""
    code = (
        "import sys\nfrom penjing.cli.main import main\n"
        f"try:\n    main({list(words)!r})\nexcept SystemExit:\n    pass\n"
        "print('LOADED', *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        check=True,
    )
    return set(done.stdout.rpartition("LOADED ")[2].split())


def test_help_loads_nothing_heavy():
    loaded = loaded_by("--help")
    assert "penjing.cli.main" in loaded
    assert not loaded.intersection({*HEAVY, "tyro", "asyncio", "importlib.metadata"})


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_loads_no_torch(verb):
    loaded = loaded_by(verb, "--help")
    assert VERBS[verb].module in loaded
    assert not loaded.intersection(HEAVY)


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_explains_it(penjing, verb):
    result = penjing(verb, "--help")
    assert result.code == 0 and f"usage: penjing {verb}" in result.out
    assert "Traceback" not in result.err


def test_errors_of_a_real_process_have_no_traceback(process):
    running = process("info", "nowhere")
    out, err = running.communicate(timeout=120)
    assert running.returncode == 1 and out == ""
    assert err == (
        "error: There is no model directory nowhere, and no GGUF file or package model of that "
        "name. Known: smollm2.\n"
    )


def test_openmp_spins_briefly_unless_told_otherwise(penjing, monkeypatch):
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    penjing("--version")
    assert os.environ["GOMP_SPINCOUNT"] == "7"
    monkeypatch.delenv("GOMP_SPINCOUNT")
    penjing("--version")
    assert os.environ["GOMP_SPINCOUNT"] == "2000"


@pytest.mark.parametrize("name", ["stdin", "stdout", "stderr"])
def test_a_closed_stream_is_an_empty_one(penjing, monkeypatch, text_file, name):
    monkeypatch.setattr(sys, name, None)
    assert penjing("data", str(text_file)).code == 0
    assert penjing("data", "-" if name == "stdin" else "nowhere").code == 1
