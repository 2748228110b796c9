"""Training takes little memory beside the text: nothing is loaded or made room for in vain."""

import subprocess
import sys

import pytest

from penjing.core.errors import TokenizerError
from penjing.tokenizer.bpe.corpus import compiled
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer

pytestmark = pytest.mark.xdist_group("compiled")

TEXT = "abc abd abe 今天天气不错 "

LEARN = f"""
import sys
from penjing.tokenizer.bpe.corpus import compiled
steps = compiled([{TEXT!r}] * 3, "qwen2", "run", 300)
print(len(steps), "numba.np.linalg" in sys.modules)
"""


def test_what_compiles_is_not_loaded_where_the_code_is_on_disk() -> None:
    """NumPy's functions, as Numba knows them, are 20 MB and most of what it takes to begin."""
    steps = compiled([TEXT] * 3, "qwen2", "run", 300)  # now it is on disk
    done = subprocess.run(
        [sys.executable, "-c", LEARN], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.split() == [str(len(steps)), "False"]


def test_a_size_beyond_all_reason_takes_no_memory() -> None:
    """It would be a terabyte if there were room for as many tokens as are asked for."""
    config = TokenizerConfig(vocab_size=10**10, special_tokens=())
    with pytest.raises(TokenizerError, match=r"asked 10000000000, this text gives at most \d{3}\."):
        train_tokenizer([TEXT * 30_000], config)
