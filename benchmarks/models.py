"""What the contestants of `inference.py` are given: one chat model in each one's formats."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from penjing.data.corpora import load_corpus
from penjing.formats.opening import open_checkpoint
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.model.saving import save_checkpoint
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer

CONTESTANTS = Path(__file__).parent / "contestants"
THREADS = 2
OWN_VOCABULARY = 4096  # tokens of the model that is made here
KINDS = ("Q4_0", "Q8_0", "BF16")  # what llama.cpp makes of the Q4_1 of the package


def prepare(scratch: Path, native: str | None, openvino: str | None) -> dict[str, Sequence[str]]:
    """The command of each contestant; models that must be made first are made in `scratch`.

    `native` and `openvino` are Pythons that have these rivals, where there are any.
    """
    here = sys.executable
    files = {"Q4_1": open_checkpoint("smollm2").path}
    commands: dict[str, Sequence[str]] = {}
    if native:
        for kind in KINDS:
            files[kind] = scratch / f"{kind}.gguf"
            made = [native, str(CONTESTANTS / "llama_native.py"), str(files["Q4_1"]), "2"]
            _run([*made, "make", kind, str(files[kind])])
        commands |= _of("native", [native, "llama_native.py"], files)
    if openvino:
        program = [openvino, "openvino_genai_.py"]
        commands["openvino Q4_1"] = _command(program, files["Q4_1"], THREADS)
    commands |= _of("wheel", [here, "llama_wheel.py"], files)
    commands |= _of("ours", [here, "ours.py"], {"Q4_1": files["Q4_1"]})

    whole, int8 = scratch / "whole", scratch / "int8"
    penjing = [here, "-m", "penjing"]
    _run([*penjing, "import", "smollm2", "--out", str(whole), "--dtype", "bfloat16"])
    _run(
        [*penjing, "quantize", str(whole), "--scheme", "int8", "--head", "int8", "--out", str(int8)]
    )
    commands["ours int8"] = _command([here, "ours.py"], int8, THREADS)
    commands["transformers BF16"] = _command([here, "huggingface.py"], whole, THREADS)
    for name in ("float32", "bfloat16"):
        folder = scratch / f"own-{name}"
        own_model(folder, getattr(torch, name))
        commands[f"ours own {name}"] = _command([here, "ours.py"], folder, THREADS)
        theirs = [*_command([here, "huggingface.py"], folder, THREADS), name]
        commands[f"transformers own {name}"] = theirs
    return commands


def own_model(folder: Path, dtype: torch.dtype) -> None:
    """A model as one trains here: 5 million parameters, Qwen3's form, not trained."""
    text = "".join(document.text for document in load_corpus("stdlib"))[: 1 << 20]
    tokenizer = train_tokenizer([text], TokenizerConfig(vocab_size=OWN_VOCABULARY))
    config = ModelConfig(
        family="qwen3", vocab_size=tokenizer.vocab_size, n_layer=5, n_embd=256, context_length=512
    ).resolve()
    model = build_model(config).to(dtype)
    save_checkpoint(folder, model=model, tokenizer=tokenizer)


def _of(who: str, program: Sequence[str], files: Mapping[str, Path]) -> dict[str, Sequence[str]]:
    """One contestant for each file, and one of a single thread for Q4_1."""
    commands = {f"{who} {kind}": _command(program, file, THREADS) for kind, file in files.items()}
    commands[f"{who} Q4_1, 1 thread"] = _command(program, files["Q4_1"], 1)
    return commands


def _command(program: Sequence[str], model: Path, threads: int) -> list[str]:
    python, script = program
    return [python, str(CONTESTANTS / script), str(model), str(threads)]


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{json.dumps(command)} failed:\n{done.stderr or done.stdout}")
