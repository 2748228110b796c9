"""Where the kernels compute, torch is never loaded: neither its second nor its 200 MB are spent."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from penjing.core.types import SamplingParams
from penjing.formats.gguf.writer import write_gguf
from penjing.formats.opening import open_checkpoint
from penjing.generate.single import generate
from penjing.kernels.features import OFF
from penjing.kernels.support import support
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.model.saving import save_checkpoint
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer
from penjing.transform.config import QuantizeConfig
from penjing.transform.quantize import quantize
from penjing.transform.save import write

LOAD = """
import sys
import penjing
for path in sys.argv[1:]:
    model = penjing.load(path, kernels="on", device="auto" if torch_knows_no_gpu else "cpu")
    model.complete("the ", max_new_tokens=2, temperature=0)
    with model.engine() as engine:
        list(engine.submit("the ", model.params(max_new_tokens=2)))
    model.close()
    assert "torch" not in sys.modules, path
""".replace("torch_knows_no_gpu", repr(not torch.cuda.is_available()))
VERB = """
import sys
from penjing.cli.main import main
code = main(sys.argv[1:])
assert "torch" not in sys.modules
sys.exit(code)
"""


def run(code: str, *words: str, said: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        input=said,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Of each form that is read: directories in two precisions, one quantized, and a GGUF file."""
    if support().path == OFF:
        pytest.skip("no kernels for this machine")
    place: Path = tmp_path_factory.mktemp("models")
    tokenizer = train_tokenizer(["the man and the hand"], TokenizerConfig(vocab_size=265))
    sizes = {"vocab_size": tokenizer.vocab_size, "n_layer": 1, "n_embd": 64, "context_length": 32}
    llama = build_model(ModelConfig(family="llama", **sizes))  # type: ignore[arg-type]
    single = save_checkpoint(place / "float32", model=llama, tokenizer=tokenizer)
    half = llama.to(torch.bfloat16)
    save_checkpoint(place / "bfloat16", model=half, tokenizer=tokenizer)
    write(quantize(single, QuantizeConfig("int8", "rtn")), single, place / "int8")
    write_gguf(single, place / "model.gguf", "Q4_1")
    waves = ModelConfig(family="gpt2", position="sinusoidal", **sizes)  # type: ignore[arg-type]
    save_checkpoint(place / "waves", model=build_model(waves), tokenizer=tokenizer)
    return [str(path) for path in sorted(place.iterdir())]


def test_every_form_of_model(models: list[str]) -> None:
    assert len(models) == 5
    run(LOAD, *models)


def test_the_verbs(models: list[str]) -> None:
    run(VERB, "generate", models[0], "--prompt", "the", "--max-new-tokens", "1")
    few = ["--max-new-tokens", "2"]
    assert run(VERB, "chat", models[1], "--template", "plain", *few, said="the\n/quit\n")


@pytest.mark.network
def test_a_package_model() -> None:
    run(LOAD, "smollm2")


def test_torch_computes_where_it_is_asked_to(models: list[str]) -> None:
    """The same text, and torch is there."""
    code = "import sys, penjing; penjing.load(sys.argv[1], kernels='off'); sys.modules['torch']"
    run(code, models[0])
    checkpoint = open_checkpoint(models[0])
    steps = generate(
        checkpoint.load_model(), checkpoint.tokenizer, "the", SamplingParams(max_new_tokens=2)
    )
    assert len(list(steps)) == 2
