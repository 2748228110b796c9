"""A request's steps have the same bits alone and in company: random mixes against single texts."""

import random

import pytest

from penjing.core.errors import GenerationError
from penjing.core.types import SamplingParams
from penjing.generate.engine.drafters import DraftModel, Lookup
from penjing.generate.engine.engine import Engine
from penjing.generate.engine.generation import Generation
from penjing.generate.single import generate

CONTEXT = 64


def some_request(rng: random.Random, openings: list[list[int]]) -> tuple[list[int], dict]:
    """A prompt, often one that begins as others do, and its settings."""
    tail = [rng.randrange(256) for _ in range(rng.randrange(0, 12))]
    prompt = (rng.choice(openings) + tail)[:CONTEXT] or [1]
    params = SamplingParams(
        temperature=rng.choice([0, 0.7, 3]),
        top_k=rng.choice([0, 20]),
        top_p=rng.choice([1, 0.9]),
        repetition_penalty=rng.choice([1, 1.2]),
        presence_penalty=rng.choice([0, 0.5]),
        stop=rng.choice([(), ("a",), ("ab", "c")]),
        max_new_tokens=rng.choice([1, 3, 12, 25]),
        logprobs=rng.choice([0, 2]),
        seed=rng.randrange(1000),
    )
    return prompt, {"params": params, "on_overflow": rng.choice(["stop", "stop", "slide"])}


def mix(rng: random.Random, runner, tokenizer, draft) -> Engine:
    running = rng.randint(1, 5)
    drafters = [None]
    if runner.exact:
        drafters += [Lookup(), DraftModel(draft, tokenizer, tokenizer, pass_tokens=16)]
    return Engine(
        runner,
        tokenizer,
        max_running=running,
        pass_tokens=rng.randint(running, 40),
        cache_tokens=rng.choice([CONTEXT, 100, 300]),
        prefix_cache=rng.random() < 0.8,
        drafter=rng.choice(drafters),
        clock=rng.choice([lambda: 0.0, iter(range(10**9)).__next__]),
    )


def run_mix(seed: int, runner, tokenizer, draft) -> Engine:
    """Requests arrive, are read, and are closed at random; what each said is compared."""
    rng = random.Random(seed)
    openings = [[rng.randrange(256) for _ in range(n)] for n in (0, 9, 20, 40)]
    engine = mix(rng, runner, tokenizer, draft)
    asked, open_ones = [], []
    for _ in range(rng.randint(2, 7)):
        prompt, settings = some_request(rng, openings)
        if asked and rng.random() < 0.4:  # the next turn of a conversation
            earlier = asked[rng.randrange(len(asked))][0]
            prompt = (list(earlier.prompt_ids) + earlier.output_ids + prompt)[:CONTEXT]
        generation = engine.submit(prompt, **settings)
        asked.append((generation, prompt, settings, said := []))
        open_ones.append((generation, said))
        for _ in range(rng.randrange(6)):
            engine.step()
        for one, heard in rng.sample(open_ones, rng.randrange(len(open_ones) + 1)):
            heard += [step for _, step in zip(range(rng.randrange(4)), one, strict=False)]
            if rng.random() < 0.2:
                one.close()
    for one, heard in open_ones:
        heard += one
    for generation, prompt, settings, said in asked:
        alone = list(generate(runner, tokenizer, prompt, **settings))
        assert said == alone[: len(said)], (seed, prompt, settings)
        assert len(said) == len(alone) or generation_was_closed(generation), (seed, prompt)
    assert engine.memory().lent_tokens == 0
    assert engine.memory().idle_tokens <= engine.memory().cache_tokens
    return engine


def generation_was_closed(generation: Generation) -> bool:
    return generation._request.closed


@pytest.mark.parametrize(("kind", "mixes"), [("torch", 30), ("rows", 20), ("kernels", 100)])
def test_alone_and_in_company(kind, mixes, tiny_runner, byte_tokenizer):
    runner, draft = tiny_runner(kind), tiny_runner("torch", seed=0)
    engines = [run_mix(seed, runner, byte_tokenizer, draft) for seed in range(mixes)]
    stats = [engine.stats() for engine in engines]
    assert sum(s.reused for s in stats) > 200
    assert sum(s.closed for s in stats) > 5
    runner.close()
    if runner.exact:
        assert sum(s.accepted for s in stats) > 20
        assert sum(s.drafted for s in stats) > sum(s.accepted for s in stats)


@pytest.mark.parametrize("family", ["lstm", "gpt2"])
def test_other_families(family, tiny_runner, byte_tokenizer):
    runner = tiny_runner("torch", family)
    for seed in range(10):
        run_mix(seed, runner, byte_tokenizer, None)


def test_a_text_alone_is_a_text_of_the_engine(runner, byte_tokenizer):
    """With a prompt of several pieces."""
    params = SamplingParams(temperature=2, seed=1, max_new_tokens=9)
    prompt = list(range(1, 40))
    engine = Engine(runner, byte_tokenizer, pass_tokens=16)
    assert list(engine.submit(prompt, params)) == list(
        generate(runner, byte_tokenizer, prompt, params)
    )


def test_the_model_alone_is_the_judge_of_tokens(runner, byte_tokenizer):
    """Not only the same as alone, but right: greedy tokens against whole passes without a cache."""
    import torch

    params = SamplingParams(temperature=0, max_new_tokens=10)
    engine = Engine(runner, byte_tokenizer, pass_tokens=16, stop_ids=())
    prompts = [[5, 6, 7], list(range(30)), [5, 6, 7, 8, 9]]
    texts = [engine.submit(prompt, params) for prompt in prompts]
    for prompt, text in zip(prompts, texts, strict=True):
        ids = list(prompt)
        for step in text:
            with torch.no_grad():
                assert step.id == int(runner.model(torch.tensor([ids]))[0, -1].argmax())
            ids.append(step.id)


def test_errors_of_one_do_not_touch_the_others(runner, byte_tokenizer):
    params = SamplingParams(temperature=1, seed=3, max_new_tokens=12)
    alone = list(generate(runner, byte_tokenizer, [1, 2], params))
    engine = Engine(runner, byte_tokenizer)
    good = engine.submit([1, 2], params)
    bad = engine.submit([1, 2], params)
    bad._request.sampler.choose = lambda *_: 1 / 0
    said = []
    with pytest.raises(ZeroDivisionError):
        next(bad)
    assert list(bad) == []
    said += good
    assert said == alone
    assert engine.stats().failed == 1
    with pytest.raises(GenerationError):
        engine.submit([999])
