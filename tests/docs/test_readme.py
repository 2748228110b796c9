"""Every command and every program of the README runs, on a model that is made in seconds.

The Chinese README shows the same ones, to the letter.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

from penjing.cli.describe import step_line

pytestmark = pytest.mark.xdist_group("readme")  # one process: the model is made once

ROOT = Path(__file__).parents[2]
READMES = ["README.md", "README.zh.md"]
QUICK = {  # what makes a command of minutes one of seconds
    "demo": ["--steps", "2", "--depth", "1"],
    "pretrain": ["--train.steps", "2", "--train.batch-size", "2", "--depth", "1"],
    "generate": ["--seed", "1"],
    "chat": ["--max-new-tokens", "8"],
}


def blocks(readme: str, language: str) -> list[str]:
    text = (ROOT / readme).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def penjing(words: list[str], folder: Path) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-m", "penjing", *words, *quicker(words)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        input="Hello\n" if words[0] == "chat" else "",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"penjing {shlex.join(words)}\n{done.stdout}\n{done.stderr}"
    assert done.stdout.strip()


def quicker(words: list[str]) -> list[str]:
    """A later word wins, so what the README itself sets is left out here."""
    extra = QUICK.get(words[0], [])
    if "--from" in words:  # that model has its sizes
        extra = [word for word in extra if word not in ("--depth", "1")]
    pairs = zip(extra[::2], extra[1::2], strict=True)
    return [word for name, value in pairs if name not in words for word in (name, value)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder: some notes, settings, and a model called runs/shakespeare."""
    place = tmp_path_factory.mktemp("readme")
    notes = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))]
    (place / "notes.txt").write_text("\n".join(notes), encoding="utf-8")
    (settings,) = blocks("README.md", "toml")
    (place / "run.toml").write_text(settings, encoding="utf-8")
    small = ["--data.sources", "notes.txt", "--tokenizer.vocab-size", "512"]
    penjing(["pretrain", "text", *small, "--out", "runs/shakespeare"], place)
    return place


@pytest.mark.network
def test_the_commands_run(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "shakespeare").symlink_to(folder / "runs" / "shakespeare")
    for name in ("notes.txt", "run.toml"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    commands = [line for block in blocks("README.md", "sh") for line in block.splitlines() if line]
    assert len(commands) >= 8
    for command in commands:
        words = shlex.split(command)
        if words[0] == "make":
            assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text()  # .ci/run runs them for real
        else:
            assert words[0] == "penjing", command
            penjing(words[1:], tmp_path)


def test_the_programs_run(folder: Path) -> None:
    programs = blocks("README.md", "python")
    assert len(programs) == 3
    for program in programs:
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=folder,
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, program + done.stderr


def test_the_two_languages_show_the_same_commands_and_programs() -> None:
    for language in ("sh", "python", "toml"):
        assert blocks("README.md", language) == blocks("README.zh.md", language)


def test_links_lead_somewhere() -> None:
    for readme in [*READMES, "CONTRIBUTING.md", "docs/architecture.md", "docs/dependencies.md"]:
        file = ROOT / readme
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", file.read_text(encoding="utf-8")):
            assert (file.parent / target).exists(), f"{readme}: {target}"


def test_every_file_has_its_phrase() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    source = ROOT / "src" / "penjing"
    for file in source.rglob("*.py"):
        if file.name not in ("__init__.py", "__main__.py", "version.py"):
            assert f"`{file.relative_to(source)}`" in text, file


@pytest.mark.parametrize("readme", READMES)
def test_nothing_is_left_to_fill_in(readme: str) -> None:
    assert not re.findall(r"@[A-Z]+@", (ROOT / readme).read_text(encoding="utf-8"))


@pytest.mark.parametrize("readme", READMES)
def test_the_races_figures_are_those_of_its_results(readme: str) -> None:
    race = json.loads((ROOT / "benchmarks" / "results" / "nanogpt_race.json").read_text())
    text = (ROOT / readme).read_text(encoding="utf-8")
    runs = race["runs"]
    losses = [run["penjing"]["loss"] for run in runs]
    for figure in (
        f"{race['median_ratio']:.0f}",
        f"{race['least_ratio']:.0f}",
        f"{median(run['penjing']['train_seconds'] for run in runs):.1f}",
        f"{median(run['nanoGPT']['train_seconds'] for run in runs):.0f}",
        f"{min(losses):.3f}",
        f"{max(losses):.3f}",
    ):
        assert re.search(rf"(?<![\d.]){re.escape(figure)}(?!\d|\.\d)", text), figure
    assert race["passed"] == len(runs) >= 5


@pytest.mark.parametrize("readme", READMES)
def test_the_a100s_figures_are_those_of_the_results(readme: str) -> None:
    result = json.loads((ROOT / "benchmarks/results/shakespeare_char.json").read_text())
    text = (ROOT / readme).read_text(encoding="utf-8")
    losses = [run["loss"] for run in result["runs"]]
    seconds = median(run["train_seconds"] for run in result["runs"])
    for figure in (f"{min(losses):.3f}", f"{max(losses):.3f}", f"{seconds:.0f}"):
        assert re.search(rf"(?<![\d.]){re.escape(figure)}(?!\d|\.\d)", text), figure
    assert result["passed"] == len(losses) >= 3


@pytest.mark.parametrize("readme", READMES)
def test_benchmark_commands_have_the_flags_that_they_are_given(readme: str) -> None:
    text = (ROOT / readme).read_text(encoding="utf-8")
    commands = re.findall(r"python (benchmarks/\w+\.py[^\n`]*)", text)
    assert len(commands) == 4
    for command in commands:
        file, *words = shlex.split(command)
        shown = subprocess.run(
            [sys.executable, file, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        for flag in (word for word in words if word.startswith("--")):
            assert flag in shown.stdout, command


@pytest.mark.network
def test_the_form_of_poems_is_counted(folder: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "poem_form.py"), "runs/shakespeare"]
    done = subprocess.run(
        [*command, "--poems", "2"], cwd=folder, capture_output=True, text=True, check=True
    )
    assert re.match(r"0 of 2 poems .*\n46578 of 48606 of the corpus \(96%\)", done.stdout)


@pytest.mark.parametrize("readme", READMES)
def test_the_transcript_is_what_the_progress_prints(readme: str) -> None:
    text = (ROOT / readme).read_text(encoding="utf-8")
    (line,) = re.findall(r"^step 20/700 .*$", text, re.MULTILINE)
    data = {"step": 20, "steps": 700, "loss": 5.740, "bits_per_byte": 2.614, "eta": 198.0}
    data |= {"tokens_per_second": 14070, "mfu": 0.42, "grad_norm": 1.2}
    assert line == step_line(data, None)


@pytest.mark.parametrize("readme", READMES)
def test_the_figures_of_inference_are_those_of_its_results(readme: str) -> None:
    results = json.loads((ROOT / "benchmarks" / "results" / "inference.json").read_text())
    text = (ROOT / readme).read_text(encoding="utf-8")
    told = text[text.index("SmolLM2-135M-Instruct") :]
    for row in results["rows"]:
        ours = row["rates"][row["ours"]]
        assert f"{ours:,.0f}" in told, row["row"]
    (first, *_) = results["rows"]
    for rate in first["rates"].values():
        assert f"{rate:,.0f}" in told
    assert f"{first['ratios']['native Q4_1']:.1f}" in told
    assert f"{results['rounds']} " in told
