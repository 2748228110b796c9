"""Wrong words are refused at once: before torch is loaded, which takes seconds."""

import subprocess
import sys

import pytest

WRONG = {
    "quantize nomodel": "no model directory nomodel",
    "quantize nomodel --scheme int5": "Unknown quantization scheme 'int5'",
    "quantize nomodel --head int5": "Unknown quantization scheme 'int5'",
    "quantize nomodel --method gptk": "Unknown quantization method 'gptk'",
    "quantize nomodel --method gptq": "needs a text",
    "quantize nomodel --windows 0": "At least one window",
    "quantize nomodel --tokens 0": "At least one token",
    "quantize nomodel --explain q_proj --scheme int5": "Unknown quantization scheme 'int5'",
    "import nomodel --out made": "no model directory nomodel",
    "info nomodel": "no model directory nomodel",
    "pretrain --resume nowhere": "no run in nowhere",
    "pretrain text --data.sources nofile --train.steps 0": "train.steps must be",
    "pretrain text --data.sources nofile --model.n-layer 0": "n_layer",
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a process says to each of these command lines, one after the other."""
    code = (
        "import sys\n"
        "from penjing.cli.main import main\n"
        f"for words in {list(WRONG)!r}:\n"
        "    assert main(words.split()) in (1, 2), words\n"
        "    assert 'torch' not in sys.modules, words\n"
        "    print('--', file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path_factory.mktemp("refusals"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(WRONG, done.stderr.split("--\n"), strict=False))


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_word_is_refused_before_torch_is_loaded(said: dict[str, str], words: str) -> None:
    assert WRONG[words] in said[words]
