"""What goes wrong reaches those it concerns, and the engine goes on serving the others."""

import numpy as np
import pytest
import torch
from tests.generate.engine.settings import greedy

from penjing.core.errors import ConfigError, GenerationError
from penjing.core.types import SamplingParams, Structure
from penjing.generate.engine.engine import Engine
from penjing.generate.runners.torch_runner import TorchRunner
from penjing.generate.single import generate


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


# Pasts that readers bring.


@pytest.mark.parametrize("kind", ["torch", "kernels"])
@pytest.mark.parametrize(
    ("other", "sizes"), [("torch", {"n_embd": 32}), ("kernels", {"n_layer": 2})]
)
def test_a_past_of_another_model_is_its_readers_error(
    kind, other, sizes, tiny_runner, byte_tokenizer
):
    runner, stranger = tiny_runner(kind), tiny_runner(other, **sizes)
    params = SamplingParams(seed=3, max_new_tokens=12)
    alone = list(generate(runner, byte_tokenizer, [1, 2], params, stop_ids=()))
    engine = Engine(runner, byte_tokenizer, stop_ids=())
    good = engine.submit([1, 2], params)
    said = [next(good)]
    bad = engine.submit([1, 2, 3], greedy(9), past=stranger.new_past(20))
    with pytest.raises(GenerationError, match=r"Make it with"):
        next(bad)
    assert said + list(good) == alone
    assert engine.stats().failed == 1
    for each in (runner, stranger):
        each.close()


def test_a_past_serves_one_text_at_a_time(engine, runner):
    past = runner.new_past(30)
    text = engine.submit([1, 2, 3], greedy(9), past=past)
    next(text)
    with pytest.raises(GenerationError, match="belongs to a text that is not finished"):
        engine.submit([1, 2], greedy(3), past=past)
    assert past.length == 3  # nothing was taken off it
    assert len(list(text)) == 8
    dropped = engine.submit([1, 2, 3], greedy(9), past=past)
    next(dropped)
    del dropped
    assert len(list(engine.submit([1, 2], greedy(3), past=past))) == 3


# Numbers that are none.


def test_nan_in_one_weight_is_the_error_of_those_who_meet_it(tiny_model, byte_tokenizer):
    model = tiny_model(tie_embeddings=False)
    with torch.no_grad():
        model.embedding.weight[77] = torch.nan
    engine = Engine(TorchRunner(model, piece=8), byte_tokenizer, stop_ids=())
    good = engine.submit([1, 2], greedy(9, logit_bias={77: -1e9}))
    next(good)
    with pytest.raises(GenerationError, match="logits at step 0 hold NaN"):
        next(engine.submit([1, 77, 5], greedy(3)))
    assert len(list(good)) == 8


def test_nan_in_padding_is_no_log_probability(tiny_model, byte_tokenizer):
    model = tiny_model(vocab_size=300, tie_embeddings=False)
    with torch.no_grad():
        model.unembedding.weight[290] = torch.nan
    with pytest.raises(GenerationError, match="logits at step 0 hold NaN"):
        next(Engine(TorchRunner(model), byte_tokenizer).submit([1, 2], greedy(3)))


def test_end_tokens_outside_the_vocabulary_never_come(engine):
    pytest.importorskip("llguidance")
    tempted = {256: 100.0}  # the vocabulary's last
    structure = Structure("regex", "[ab]{0,5}")
    params = SamplingParams(structure=structure, logit_bias=tempted, max_new_tokens=9)
    steps = list(engine.submit([1], params, stop_ids=[-1, 999]))
    assert len("".join(step.text for step in steps)) == 5


@pytest.mark.parametrize("seed", [np.int64(5), np.int64(-5), np.uint64(2**63 + 5)])
def test_a_seed_may_be_a_number_of_numpy(engine, seed):
    mine = engine.submit([1], SamplingParams(seed=seed, max_new_tokens=5))
    same = engine.submit([1], SamplingParams(seed=int(seed), max_new_tokens=5))
    assert mine.seed == same.seed and list(mine) == list(same)
