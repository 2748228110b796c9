"""`penjing pretrain`: settings in layers, a whole run, and Ctrl-C."""

import re
import shlex
import signal
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from penjing.cli.errors import UsageError
from penjing.cli.verbs.pretrain import read_arguments
from penjing.core.errors import ConfigError
from penjing.core.events import read_events
from penjing.model.checkpoint import Checkpoint
from penjing.recipes.recipes import RECIPES


def test_recipe_then_file_then_words(tmp_path):
    toml = tmp_path / "run.toml"
    toml.write_text("[train]\nsteps = 5\nbatch_size = 3\n[model]\ndropout = 0.1\n")
    words = ["tang", "--config", str(toml), "--train.steps", "9", "--depth", "2"]
    settings = read_arguments(words).settings
    recipe = RECIPES["tang"](2)
    assert settings.train.steps == 9  # words over the file
    assert settings.train.batch_size == 3 and settings.model.dropout == 0.1  # file over the recipe
    assert settings.model.n_layer == 2 and settings.tokenizer == recipe.tokenizer


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_without_words_is_itself(name):
    assert read_arguments([name]).settings == RECIPES[name]()


def test_words_may_stand_in_any_order():
    words = ["--data.sources", "a.txt", "b.txt", "--train.steps", "4", "stdlib"]
    arguments = read_arguments(words)
    assert arguments.recipe == "stdlib" and arguments.settings.train.steps == 4
    assert arguments.settings.data.sources == ("a.txt", "b.txt")


def test_help_shows_the_values_of_the_recipe(penjing):
    vocab_size = RECIPES["tang"]().tokenizer.vocab_size
    assert f"(default: {vocab_size})" in penjing("pretrain", "tang", "--help").out


def test_unknown_names_say_what_was_meant(tmp_path):
    with pytest.raises(UsageError, match="Did you mean 'shakespeare'"):
        read_arguments(["shakespear"])
    with pytest.raises(UsageError, match="--depth must be at least 1"):
        read_arguments(["tang", "--depth", "0"])
    toml = tmp_path / "run.toml"
    toml.write_text("[train]\nstepz = 5\n")
    with pytest.raises(ConfigError, match=r"run.toml: train: unknown setting 'stepz'.*'steps'"):
        read_arguments(["tang", "--config", str(toml)])
    with pytest.raises(ConfigError, match="no settings file"):
        read_arguments(["tang", "--config", str(tmp_path / "none.toml")])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--train.stepz", "5"], "--train.steps INT"),
        (["--model.family", "gpt3"], "'gpt2', 'llama', 'qwen3'"),
        (["--train.steps", "many"], "many"),
    ],
)
def test_wrong_words_are_usage_errors(penjing, words, said):
    result = penjing("pretrain", "tang", *words)
    assert result.code == 2 and said in result.err and "Traceback" not in result.err


def test_a_whole_run(penjing, tiny):
    result = penjing("pretrain", "shakespeare", *tiny)
    assert result.code == 0, result.err
    figures = dict(
        re.findall(r"^  (validation loss|perplexity|speed|time) +([\d.,]+)", result.out, re.M)
    )
    done = list(read_events(Path("runs/shakespeare/events.jsonl")))[-1]
    assert done.kind == "done" and done.data["step"] == 6
    assert float(figures["validation loss"]) == pytest.approx(done.data["loss"], abs=1e-4)
    assert float(figures["perplexity"]) == pytest.approx(done.data["perplexity"], abs=1e-2)
    assert {"speed", "time"} <= figures.keys()
    assert "A sample after 6 steps:" in result.out and "\x1b" not in result.out
    assert AutoModelForCausalLM.from_pretrained("runs/shakespeare/model").config.vocab_size == 257

    commands = result.out.rpartition("Next\n\n")[2].splitlines()
    words = [shlex.split(line) for line in commands]
    assert [line[:2] for line in words] == [
        ["penjing", "generate"], ["penjing", "info"], ["penjing", "pretrain"],
    ]  # fmt: skip
    for line in words[:2]:
        again = penjing(*line[1:])
        assert again.code == 0, again.err
    assert read_arguments(words[2][2:]).settings.data.sources == ("my.txt",)


def test_without_any_text_it_says_how_to_name_one(penjing, tmp_path):
    for words in ([], ["text"]):
        result = penjing("pretrain", *words)
        assert result.code == 2 and "pretrain text --data.sources FILE" in result.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["my.txt", "notes.md", "folder"])
def test_a_file_in_the_place_of_the_recipe(penjing, text_file, tmp_path, name):
    (tmp_path / "folder").mkdir()
    result = penjing("pretrain", name)
    assert result.code == 2 and "Known" not in result.err
    assert f"To train on a file: penjing pretrain text --data.sources {name}\n" in result.err


def test_a_second_run_is_numbered_and_out_must_be_free(penjing, tiny, tmp_path):
    (tmp_path / "runs" / "tang").mkdir(parents=True)
    assert penjing("pretrain", "tang", *tiny).code == 0
    assert (tmp_path / "runs" / "tang-2" / "model").is_dir()
    result = penjing("pretrain", "tang", *tiny, "--out", "runs/tang-2")
    assert result.code == 1 and "exists already" in result.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data.sources", "nowhere.txt"], "nowhere.txt"),
        (["--train.steps", "0"], "train.steps must be"),
        (["--model.n-head", "3", "--model.n-kv-head", "2"], "n_head"),
        (["--tokenizer.kind", "bpe", "--tokenizer.vocab-size", "60000"], "larger than the text"),
    ],
)
def test_what_cannot_run_leaves_nothing(penjing, tiny, tmp_path, words, said):
    result = penjing("pretrain", "tang", *tiny, *words)
    assert result.code == 1 and said in result.err and result.err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_ctrl_c_saves_the_model(process, tiny, tmp_path):
    longer = ["--train.steps", "100000", "--train.eval-every", "0", "--train.log-every", "1"]
    running = process("pretrain", "tang", *tiny, *longer)
    assert running.stdout is not None
    seen = ""
    for line in running.stdout:
        seen += line
        if line.startswith("step "):
            break
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=120)
    assert running.returncode == 130, (seen, out, err)
    steps = int(re.search(r"Interrupted after ([\d,]+) steps?", out)[1].replace(",", ""))
    assert 1 <= steps < 100_000 and "generate runs/tang" in out
    assert "Traceback" not in err
    checkpoint = Checkpoint.open(tmp_path / "runs" / "tang")
    assert checkpoint.load_model().n_parameters() > 0
    assert checkpoint.lineage[-1].figures["step"] == steps
    assert not [path for path in tmp_path.rglob("*") if ".tmp" in path.suffixes]


def test_ctrl_c_before_training_leaves_nothing(process, tmp_path):
    running = process("pretrain", "stdlib", "--train.threads", "1")
    assert running.stdout is not None
    running.stdout.readline()  # the text is read: the tokenizer is being trained
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=120)
    assert running.returncode == 130 and err == "Interrupted.\n"
    assert not list(tmp_path.rglob("*.safetensors")) and not (tmp_path / "runs").exists()
