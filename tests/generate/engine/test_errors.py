"""What goes wrong reaches those it concerns, and the engine goes on serving the others."""

import pytest

from penjing.core.errors import ConfigError, GenerationError
from penjing.core.types import SamplingParams
from penjing.generate.engine.engine import Engine


def greedy(n: int, **more: object) -> SamplingParams:
    return SamplingParams(temperature=0, max_new_tokens=n, **more)


@pytest.fixture
def engine(runner, byte_tokenizer) -> Engine:
    return Engine(runner, byte_tokenizer, max_running=4, pass_tokens=16, stop_ids=())


def test_an_error_of_the_runner_reaches_those_it_concerns(engine):
    text = engine.submit([1], greedy(9))
    next(text)
    forward = engine.runner.forward

    def fail(chunks):
        raise MemoryError("none left")

    engine.runner.forward = fail
    with pytest.raises(MemoryError, match="none left"):
        next(text)
    engine.runner.forward = forward
    assert len(list(engine.submit([1], greedy(9)))) == 9
    assert engine.stats().failed == 1 and engine.memory().lent_tokens == 0


def test_an_interrupt_passes_through_and_leaves_order(engine):
    text = engine.submit([1], greedy(9))
    forward = engine.runner.forward

    def interrupt(chunks):
        raise KeyboardInterrupt

    engine.runner.forward = interrupt
    with pytest.raises(KeyboardInterrupt):
        next(text)
    engine.runner.forward = forward
    with pytest.raises(GenerationError, match="interrupted"):
        next(text)
    assert len(list(engine.submit([1], greedy(9)))) == 9


def test_the_thread_outlives_errors(engine):
    engine.start()
    forward = engine.runner.forward
    engine.runner.forward = lambda chunks: 1 / 0
    with pytest.raises(ZeroDivisionError):
        list(engine.submit([1], greedy(9)))
    engine.runner.forward = forward
    assert len(list(engine.submit([1], greedy(9)))) == 9
    engine.close()


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ([1] * 65, "65 tokens but the context holds 64"),
        ([300], "token 0 is 300"),
        ([1.5], "list of token ids"),
    ],
)
def test_prompts_that_cannot_be_used_leave_the_others_alone(engine, prompt, message):
    text = engine.submit([1], greedy(9))
    next(text)
    with pytest.raises(GenerationError, match=message):
        engine.submit(prompt, greedy(3))
    with pytest.raises(GenerationError, match="'stop' or 'slide'"):
        engine.submit([1], on_overflow="slip")
    with pytest.raises(GenerationError, match="logit_bias"):
        engine.submit([1], SamplingParams(logit_bias={999: 1.0}))
    assert len(list(text)) == 8


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_running": 0}, "max_running must be at least 1"),
        ({"max_waiting": 0}, "max_waiting must be at least 1"),
        ({"cache_tokens": 0}, "cache_tokens must be at least 1"),
        ({"max_running": 8, "pass_tokens": 7}, r"pass_tokens must be at least 8 \(a row for each"),
        ({"context_length": -3}, "context_length must be at least 1"),
        ({"context_length": 0}, "context_length must be at least 1, got 0"),
    ],
)
def test_settings_out_of_range(runner, byte_tokenizer, settings, message):
    with pytest.raises(ConfigError, match=message):
        Engine(runner, byte_tokenizer, **settings)


def test_a_shorter_context_by_choice(runner, byte_tokenizer):
    engine = Engine(runner, byte_tokenizer, context_length=10, stop_ids=())
    assert len(list(engine.submit([1] * 8, greedy(50)))) == 3
    with pytest.raises(GenerationError, match="11 tokens but the context holds 10"):
        engine.submit([1] * 11)


def test_an_empty_prompt_begins_with_the_end_token(engine, byte_tokenizer):
    assert engine.submit("", greedy(1)).prompt_ids == (byte_tokenizer.eos_id,)
