"""Speculation: the same steps as without, in fewer passes, and only where it pays."""

import random

import pytest
import torch
from torch import Tensor, nn

from penjing.core.errors import ConfigError
from penjing.core.types import SamplingParams
from penjing.generate.engine.drafters import Drafter, DraftModel, Lookup, same_vocabulary
from penjing.generate.engine.engine import Engine
from penjing.generate.single import generate
from penjing.model.base import LanguageModel
from penjing.model.cache import KVCache
from penjing.model.config import ModelConfig
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer


class Reciter(LanguageModel):
    """Says a script over and over, or digits of a random number for ever, whatever it is asked."""

    def __init__(self, script: bytes) -> None:
        super().__init__()
        self.config = ModelConfig(vocab_size=257, context_length=600, n_layer=1, n_embd=4).resolve()
        self.script = torch.tensor([*script])
        self.weight = nn.Parameter(torch.tensor(20.0))

    def hidden(self, ids: Tensor, positions: Tensor | None = None, *, cache: KVCache) -> Tensor:
        start = cache.length
        cache.finish(ids.size(1))
        return torch.arange(start, cache.length).view(1, -1, 1)

    def head(self, x: Tensor) -> Tensor:
        said = self.script[x[:, :, 0] % len(self.script)]
        return self.weight * nn.functional.one_hot(said, 257)


def row_runner(tiny_runner, model):
    runner = tiny_runner("rows")
    return type(runner)(model)


def steady() -> object:
    """A clock by which every pass takes the same time, however many rows it has."""
    return iter(range(10**9)).__next__


def by_rows(runner) -> object:
    """A clock by which a pass takes as long as it has rows: guesses can never pay."""
    seconds, forward = [0.0], runner.forward

    def counting(chunks):
        seconds[0] += sum(len(chunk.ids) for chunk in chunks)
        return forward(chunks)

    runner.forward = counting
    return lambda: seconds[0]


def drafters(exact_runner, tiny_runner, tokenizer) -> list[Drafter]:
    """Guesses from the text, by the model itself, by one of its kind, and by another kind."""
    models = [exact_runner, tiny_runner("torch", seed=0), tiny_runner("torch", "gpt2", seed=9)]
    return [Lookup(), *(DraftModel(m, tokenizer, tokenizer, pass_tokens=7) for m in models)]


@pytest.mark.parametrize("which", range(4))
def test_the_steps_are_those_of_plain_decoding(which, exact_runner, tiny_runner, byte_tokenizer):
    drafted = accepted = 0
    for seed in range(15):
        rng = random.Random(seed)
        params = SamplingParams(
            temperature=rng.choice([0, 0.8, 2]),
            top_k=rng.choice([0, 3]),
            repetition_penalty=rng.choice([1, 1.1]),
            frequency_penalty=rng.choice([0, 0.3]),
            mirostat=rng.choice([0, 0, 2]),
            stop=rng.choice([(), ("e",)]),
            max_new_tokens=rng.choice([2, 40]),
            logprobs=2,
            seed=seed,
        )
        prompt = [rng.randrange(4) for _ in range(rng.randint(1, 30))]
        overflow = rng.choice(["stop", "slide"])
        drafter = drafters(exact_runner, tiny_runner, byte_tokenizer)[which]
        engine = Engine(exact_runner, byte_tokenizer, drafter=drafter, clock=steady())
        said = list(engine.submit(prompt, params, on_overflow=overflow))
        plain = generate(exact_runner, byte_tokenizer, prompt, params, on_overflow=overflow)
        assert said == list(plain), seed
        stats = engine.stats()
        drafted, accepted = drafted + stats.drafted, accepted + stats.accepted
    assert drafted > 50 and 0 < accepted <= drafted
    if which in (1, 2):  # the model guesses itself: only a text's end makes a guess useless
        assert accepted > 0.95 * drafted


def test_a_text_full_of_repetition_takes_fewer_passes(tiny_runner, byte_tokenizer):
    runner = row_runner(tiny_runner, Reciter(b"the cat sat on the mat. "))
    engine = Engine(runner, byte_tokenizer, drafter=Lookup(), stop_ids=(), clock=steady())
    text = list(engine.submit([0], SamplingParams(temperature=0, max_new_tokens=300)))
    stats = engine.stats()
    assert len(text) == stats.tokens == 300
    assert stats.passes < 300 / 4
    assert stats.accepted > 0.9 * stats.drafted


def test_where_rows_cost_what_tokens_cost_it_stays_off(tiny_runner, byte_tokenizer):
    runner = row_runner(tiny_runner, Reciter(b"the cat sat on the mat. "))
    engine = Engine(runner, byte_tokenizer, drafter=Lookup(), stop_ids=(), clock=by_rows(runner))
    list(engine.submit([0], SamplingParams(temperature=0, max_new_tokens=400)))
    assert engine.stats().drafted < 70  # the first tries, and one in 64 passes
    assert engine.stats().passes > 330


def test_a_text_without_repetition_turns_it_off(tiny_runner, byte_tokenizer):
    """Of four letters at random: the last two are always found, and what follows is chance."""
    rng = random.Random(0)
    script = bytes(rng.choice(b"abcd") for _ in range(500))
    runner = row_runner(tiny_runner, Reciter(script))
    seconds, forward = [0.0], runner.forward

    def a_row_costs_a_third(chunks):
        seconds[0] += 1 + sum(len(chunk.ids) for chunk in chunks) / 3
        return forward(chunks)

    runner.forward = a_row_costs_a_third
    engine = Engine(runner, byte_tokenizer, drafter=Lookup(), stop_ids=(), clock=lambda: seconds[0])
    list(engine.submit([0], SamplingParams(temperature=0, max_new_tokens=480)))
    stats = engine.stats()
    assert 0.1 < engine.speculation._overall.rate < 0.5
    assert stats.drafted < 0.5 * stats.tokens
    assert seconds[0] < 1.1 * 480 * (4 / 3)  # not much lost on the tries


def test_a_text_that_begins_to_repeat_turns_it_on_again(tiny_runner, byte_tokenizer):
    rng = random.Random(1)
    noise = bytes(rng.randrange(256) for _ in range(150))
    runner = row_runner(tiny_runner, Reciter(noise + b"ab" * 200))
    engine = Engine(runner, byte_tokenizer, drafter=Lookup(), stop_ids=(), clock=steady())
    steps = engine.submit([0], SamplingParams(temperature=0, max_new_tokens=400))
    for _ in range(150):
        next(steps)
    before = engine.stats()
    list(steps)
    after = engine.stats()
    assert before.passes > 120
    assert after.passes - before.passes < 250 / 4


def test_it_is_refused_where_it_could_change_the_text(tiny_runner, byte_tokenizer):
    with pytest.raises(ConfigError, match=r"rows are exact; torch \(float32, cpu\) is not"):
        Engine(tiny_runner("torch"), byte_tokenizer, drafter=Lookup())


def test_a_draft_model_must_have_the_same_vocabulary(exact_runner, tiny_runner, byte_tokenizer):
    other = train_tokenizer(["abc"], TokenizerConfig(kind="char"))
    with pytest.raises(ConfigError, match=r"draft model's vocabulary \(\d+ tokens\) is not"):
        DraftModel(exact_runner, other, byte_tokenizer)
    with pytest.raises(ConfigError, match="logits for 100 tokens, but its tokenizer has 257"):
        DraftModel(tiny_runner("rows", vocab_size=100), byte_tokenizer, byte_tokenizer)
    swapped = train_tokenizer(["acb"], TokenizerConfig(kind="char", special_tokens=()))
    straight = train_tokenizer(["abb"], TokenizerConfig(kind="char", special_tokens=()))
    assert same_vocabulary(byte_tokenizer, byte_tokenizer)
    assert not same_vocabulary(swapped, straight)


def test_a_draft_model_takes_memory_that_is_told(exact_runner, tiny_runner, byte_tokenizer):
    draft = tiny_runner("torch", seed=2)
    drafter = DraftModel(draft, byte_tokenizer, byte_tokenizer)
    memory = Engine(exact_runner, byte_tokenizer, drafter=drafter).memory()
    assert memory.bytes_per_token == exact_runner.bytes_per_token + draft.bytes_per_token


def test_nothing_is_remembered_of_texts_that_ended(exact_runner, tiny_runner, byte_tokenizer):
    for drafter in drafters(exact_runner, tiny_runner, byte_tokenizer)[:2]:
        engine = Engine(exact_runner, byte_tokenizer, drafter=drafter, clock=steady())
        texts = [engine.submit([1, 2, 1, 2, 1], SamplingParams(seed=i)) for i in range(3)]
        next(texts[0])
        texts[1].close()
        for text in texts:
            list(text)
        kept = [*vars(drafter).values(), engine.speculation._rates, engine.speculation._guesses]
        assert not any(kind for kind in kept if isinstance(kind, dict))


def test_lookup_goes_on_as_the_text_did(byte_tokenizer, exact_runner):
    def guess(text: bytes, n: int) -> bytes:
        engine = Engine(exact_runner, byte_tokenizer)
        request = engine.submit(list(text))._request
        return bytes(Lookup().guess([request], [n])[0])

    assert guess(b"one two one ", 4) == b"two "
    assert guess(b"one two three one t", 3) == b"wo "  # no: the nearest is the last one
    assert guess(b"abab", 5) == b"ababa"
    assert guess(b"abcd", 5) == b""
    assert guess(b"a", 5) == b""
    assert guess(b"xyzxy", 0) == b""
