"""An engine that most tests can work with: four texts at once, and short passes."""

import pytest

from penjing.generate.engine.engine import Engine


@pytest.fixture
def engine(runner, byte_tokenizer) -> Engine:
    return Engine(runner, byte_tokenizer, max_running=4, pass_tokens=16, stop_ids=())
