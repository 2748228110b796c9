"""Every command in docs/ runs, on small text and a model made in seconds; torchrun's are parsed."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from penjing.cli.verbs.pretrain import read_arguments
from penjing.core.events import Event
from penjing.data.shards.encode import encode_shards
from penjing.formats.package_tokenizers import open_tokenizer
from penjing.model.config import ModelConfig
from penjing.tokenizer.config import TokenizerConfig
from penjing.train.config import DataConfig, PretrainConfig, TrainConfig
from penjing.train.pretrain import pretrain

pytestmark = pytest.mark.xdist_group("docs")  # one process: the model is made once

ROOT = Path(__file__).parents[2]
QUICK = {  # what makes a command of minutes one of seconds
    "pretrain": ["--train.steps", "2", "--train.batch-size", "2", "--train.sample-tokens", "5"],
    "study": ["--quick"],
}
FILES = ("new.txt", "my.txt", "code.py", "notes.txt")


def commands() -> list[str]:
    """Lines of code blocks (fenced as sh or bash, or indented), joined where they go on."""
    found = []
    for page in sorted((ROOT / "docs").glob("*.md")):
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        fenced = "\n".join(
            re.findall(r"^```(?:sh|bash)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
        )
        indented = re.findall(r"^ {4}(\S.*)$", text, re.MULTILINE)
        lines = [re.sub(r"  +#.*", "", line) for line in [*fenced.splitlines(), *indented]]
        found += [line for line in lines if re.match(r"penjing |torchrun ", line)]
    return sorted(set(found))


class Stopped(BaseException):
    """A kill, as far as Python can tell."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some text, also as shards, a finished run and one that was stopped."""
    place = tmp_path_factory.mktemp("docs")
    text = "\n".join(p.read_text(encoding="utf-8") for p in sorted((ROOT / "docs").glob("*.md")))
    for name in FILES:
        (place / name).write_text(text, encoding="utf-8")
    config = PretrainConfig(
        data=DataConfig(sources=(str(place / "notes.txt"),)),
        tokenizer=TokenizerConfig(vocab_size=400),
        model=ModelConfig(n_layer=1, n_embd=32, context_length=32),
        train=TrainConfig(steps=4, batch_size=2, save_every=1, sample_tokens=5, log_every=1),
    )
    pretrain(config, out=place / "runs" / "first")
    (place / "runs" / "shakespeare").symlink_to(place / "runs" / "first")
    tokenizer = open_tokenizer(str(place / "runs" / "first"))
    encode_shards([place / "notes.txt"], tokenizer, place / "encoded")

    def stop(event: Event) -> None:
        if event.kind == "step" and event.data["step"] == 3:
            raise Stopped

    with pytest.raises(Stopped):
        pretrain(config, out=place / "runs" / "stopped", listeners=[stop])
    return place


def test_there_are_some() -> None:
    assert len(commands()) >= 10


@pytest.mark.network
@pytest.mark.parametrize("line", [c for c in commands() if c.startswith("penjing")])
def test_a_command_runs(folder: Path, line: str) -> None:
    words = shlex.split(line)[1:]
    if "--resume" in words:
        words[words.index("--resume") + 1] = "runs/stopped"
    elif "shards" in words and words[0] == "pretrain":  # each command runs without the others
        words[words.index("shards")] = "encoded"
        words += QUICK["pretrain"]
    else:
        extra = QUICK.get(words[0], [])
        words += [] if "--quick" in words and words[0] == "study" else extra
        if "shakespeare" in words:  # the recipe
            words += ["--depth", "1", "--model.context-length", "32"]
        if "--from" in words:
            pages = str(folder / "my.txt")
            words = [pages if word.startswith("corpus:") else word for word in words]
            words = ["20" if word == "500" else word for word in words]
    done = subprocess.run(
        [sys.executable, "-m", "penjing", *words],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        stdin=subprocess.DEVNULL,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


@pytest.mark.parametrize("line", [c for c in commands() if c.startswith("torchrun")])
def test_a_torchrun_line_starts_what_the_command_line_knows(line: str) -> None:
    words = shlex.split(line)
    rest = words[words.index("penjing") + 1 :]
    assert words[words.index("penjing") - 1] == "-m" and rest[0] == "pretrain"
    assert read_arguments(rest[1:]).settings.data.sources
