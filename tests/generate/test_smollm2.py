"""The engine on a real chat model: the package model, with the kernels where there are any."""

import itertools

import pytest

from penjing.core.types import SamplingParams
from penjing.generate.load import LoadedModel

pytestmark = [pytest.mark.network, pytest.mark.xdist_group("smollm2")]

QUESTION = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
LITANY = "The cat sat on the mat.\n" * 8


def ids_of(model: LoadedModel, text: str) -> list[int]:
    return model.tokenizer.encode(text, allow_special=True)


def test_it_answers(smollm2):
    asked = QUESTION.format("What is the capital of France?")
    text = smollm2.complete(ids_of(smollm2, asked), temperature=0, max_new_tokens=20)
    assert "Paris" in text and "<|" not in text


def test_many_at_once_say_what_each_says_alone(smollm2):
    topics = ["rain", "a cat", "the sea", "bread", "two plus two", "old books"]
    asked = [ids_of(smollm2, QUESTION.format(f"Tell me of {topic}.")) for topic in topics]
    params = [
        SamplingParams(temperature=0.9, top_p=0.9, seed=i, max_new_tokens=8 + i)
        for i in range(len(asked))
    ]
    alone = [list(smollm2.generate(ids, **vars(p))) for ids, p in zip(asked, params, strict=True)]
    engine = smollm2.engine(max_running=4, pass_tokens=48)
    texts = [engine.submit(ids, p) for ids, p in zip(asked, params, strict=True)]
    assert [list(text) for text in texts] == alone


def test_a_second_turn_computes_only_what_is_new(smollm2):
    if not smollm2.runner.exact:
        pytest.skip("torch shares whole pieces only")
    engine = smollm2.engine(speculate=False)
    first = engine.submit(ids_of(smollm2, QUESTION.format("Who are you?")), smollm2.params(seed=1))
    said = [step.id for step in first]
    before = engine.stats().rows
    new = ids_of(smollm2, "\n" + QUESTION.format("And who am I?"))
    second = engine.submit([*first.prompt_ids, *said, *new], smollm2.params(max_new_tokens=4))
    n = len(list(second))
    assert second.reused == len(first.prompt_ids) + len(said) - 1
    assert engine.stats().rows - before == 1 + len(new) + n - 1


def test_speculation_says_the_same_in_fewer_passes(smollm2):
    if not smollm2.runner.exact:
        pytest.skip("speculation needs exact rows")
    ticks = itertools.count()  # a pass takes as long with guesses as without
    for temperature in (0, 0.7):
        params = SamplingParams(temperature=temperature, seed=4, max_new_tokens=40)
        plain = smollm2.engine(speculate=False)
        eager = smollm2.engine(speculate=True, clock=lambda: float(next(ticks)))
        steps = list(plain.submit(LITANY, params, stop_ids=()))
        assert list(eager.submit(LITANY, params, stop_ids=())) == steps
        assert eager.stats().passes < 0.3 * plain.stats().passes
