"""The engine against slow loops without a cache, and against models that recite a script."""

import math

import pytest
import torch
from torch import Tensor, nn

from penjing.core.errors import GenerationError
from penjing.core.types import SamplingParams
from penjing.generate.single import generate
from penjing.model.base import LanguageModel
from penjing.model.cache import KVCache
from penjing.model.config import ModelConfig
from penjing.model.families import FAMILIES, build_model
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer

BYTES = train_tokenizer([], TokenizerConfig(kind="byte"))
EOS = 256
CONTEXT = 16


def random_model(family: str, **sizes: object) -> LanguageModel:
    """Weights so large that every token of the past changes what comes next."""
    config = ModelConfig(
        **{
            "family": family,
            "vocab_size": BYTES.vocab_size,
            "context_length": CONTEXT,
            "n_layer": 2,
            "n_embd": 32,
            "n_head": 4,
        }
        | sizes
    )
    model = build_model(config)
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3, generator=generator)
    return model.eval()


@pytest.fixture(params=list(FAMILIES), scope="module")
def model(request) -> LanguageModel:
    return random_model(request.param)


@pytest.fixture(scope="module")
def llama() -> LanguageModel:
    return random_model("llama")


class Reciter(LanguageModel):
    """Says the bytes of a script, then the end token, whatever it is asked."""

    def __init__(self, script: bytes) -> None:
        super().__init__()
        self.config = ModelConfig(
            vocab_size=BYTES.vocab_size, context_length=64, n_layer=1, n_embd=4
        ).resolve()
        self.script = torch.tensor([*script, EOS])
        self.weight = nn.Parameter(torch.tensor(20.0))

    def hidden(self, ids: Tensor, positions: Tensor | None = None, *, cache: KVCache) -> Tensor:
        start = cache.length
        cache.finish(ids.size(1))
        return torch.arange(start, cache.length).view(1, -1, 1)

    def head(self, x: Tensor) -> Tensor:
        said = self.script[x[:, :, 0].clamp(max=len(self.script) - 1)]
        return self.weight * nn.functional.one_hot(said, BYTES.vocab_size)


def recite(script: str | bytes, **sampling: object) -> list:
    script = script.encode() if isinstance(script, str) else script
    params = SamplingParams(temperature=0, **sampling)
    return list(generate(Reciter(script), BYTES, [0], params))


def slow_greedy(model: LanguageModel, ids: list[int], n: int, slide: bool = False) -> list[int]:
    """The whole text through the model for every token."""
    window, said = list(ids), []
    for _ in range(n):
        if slide and len(window) > CONTEXT:
            window = window[-(CONTEXT // 2) :]
        with torch.no_grad():
            said.append(int(model(torch.tensor([window]))[0, -1].argmax()))
        window.append(said[-1])
    return said


def ids_of(steps) -> list[int]:
    return [step.id for step in steps]


GREEDY = {"temperature": 0.0}


# What is generated.


def test_cached_is_as_without_a_cache(model):
    params = SamplingParams(max_new_tokens=12, **GREEDY)
    steps = list(generate(model, BYTES, "床a", params, stop_ids=()))
    assert ids_of(steps) == slow_greedy(model, BYTES.encode("床a"), 12)
    assert "".join(s.text for s in steps) == BYTES.decode(ids_of(steps))
    assert [s.index for s in steps] == list(range(12))
    assert [s.finish_reason for s in steps] == [None] * 11 + ["length"]


def test_logprobs_are_the_models_own(model):
    params = SamplingParams(seed=3, temperature=5, top_k=40, logprobs=3, max_new_tokens=6)
    generation = generate(model, BYTES, "ab", params, stop_ids=())
    for step in generation:
        past = [*generation.prompt_ids, *generation.output_ids[:-1]]
        with torch.no_grad():
            expected = model(torch.tensor([past]))[0, -1].log_softmax(0)
        assert step.logprob == pytest.approx(expected[step.id].item(), abs=1e-4)
        values, ids = expected.topk(3)
        assert [c.id for c in step.candidates] == ids.tolist()
        assert [c.logprob for c in step.candidates] == pytest.approx(values.tolist(), abs=1e-4)
        assert [c.text for c in step.candidates] == [BYTES.token_text(i) for i in ids.tolist()]


def test_greedy_has_exactly_the_top_candidates_logprob(llama):
    params = SamplingParams(logprobs=1, max_new_tokens=5, **GREEDY)
    for step in generate(llama, BYTES, "x", params):
        assert step.logprob == step.candidates[0].logprob


def test_a_seed_repeats_with_others_in_between(llama):
    params = SamplingParams(seed=5, temperature=3, max_new_tokens=10)
    alone = ids_of(generate(llama, BYTES, "abc", params))
    one, other = generate(llama, BYTES, "abc", params), generate(llama, BYTES, "zz")
    mixed = []
    for step in one:
        torch.rand(2)
        next(other, None)
        mixed.append(step.id)
    assert mixed == alone


def test_an_unseeded_generation_tells_its_seed(llama):
    free = generate(llama, BYTES, "abc", SamplingParams(temperature=9, max_new_tokens=10))
    said = ids_of(free)
    params = SamplingParams(temperature=9, max_new_tokens=10, seed=free.seed)
    assert ids_of(generate(llama, BYTES, "abc", params)) == said


def test_padding_is_never_chosen():
    padded = random_model("llama", vocab_size=512)
    params = SamplingParams(temperature=100, max_new_tokens=13, seed=0, logprobs=400)
    for step in generate(padded, BYTES, "abc", params, stop_ids=()):
        assert step.id < BYTES.vocab_size
        assert len(step.candidates) == BYTES.vocab_size


def test_training_mode_does_not_disturb_and_comes_back():
    model = random_model("gpt2", dropout=0.5)
    params = SamplingParams(max_new_tokens=8, **GREEDY)
    expected = ids_of(generate(model, BYTES, "abc", params))
    model.train()
    said = []
    for step in generate(model, BYTES, "abc", params):
        assert model.training and all(m.training for m in model.modules())
        assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
        said.append(step.id)
    assert said == expected


def test_bfloat16():
    model = random_model("llama").to(torch.bfloat16)
    steps = list(generate(model, BYTES, "abc", SamplingParams(max_new_tokens=3, **GREEDY)))
    assert len(steps) == 3 and all(math.isfinite(s.logprob) for s in steps)


# Where it ends.


def test_the_end_token():
    steps = recite("hi")
    assert [s.text for s in steps] == ["h", "i", ""]
    assert steps[-1].id == EOS and steps[-1].finish_reason == "stop"
    assert [s.finish_reason for s in steps[:-1]] == [None, None]


def test_other_end_tokens():
    params = SamplingParams(**GREEDY)
    steps = list(generate(Reciter(b"a!b"), BYTES, [0], params, stop_ids=[ord("!"), EOS]))
    assert [s.text for s in steps] == ["a", ""]
    assert steps[-1].finish_reason == "stop"


def test_stop_strings_span_tokens_and_do_not_leak():
    steps = recite("one\nUser: two", stop=("\nUser:", "never"))
    assert "".join(s.text for s in steps) == "one"
    assert steps[-1].id == ord(":") and steps[-1].finish_reason == "stop"


def test_a_stop_string_that_does_not_come_is_given_back():
    assert "".join(s.text for s in recite("one\nUse", stop=("\nUser:",))) == "one\nUse"
    cut = recite("one\nUser", stop=("\nUser",), max_new_tokens=6)
    assert [s.text for s in cut] == ["o", "n", "e", "", "", "\nUs"]
    assert cut[-1].finish_reason == "length"


def test_never_half_a_character():
    assert [s.text for s in recite("天😀")] == ["", "", "天", "", "", "", "😀", ""]
    assert [s.text for s in recite("天天", max_new_tokens=4)] == ["", "", "天", "\ufffd"]


def test_a_stop_string_found_only_by_the_last_flush():
    steps = recite("天", max_new_tokens=2, stop=("\ufffd",))
    assert [s.text for s in steps] == ["", ""] and steps[-1].finish_reason == "stop"


def test_the_contexts_end_stops(model):
    params = SamplingParams(max_new_tokens=99, **GREEDY)
    steps = list(generate(model, BYTES, [1] * 10, params, stop_ids=()))
    assert len(steps) == CONTEXT - 10 + 1
    assert steps[-1].finish_reason == "length"
    assert ids_of(steps) == slow_greedy(model, [1] * 10, CONTEXT - 10 + 1)
    assert len(list(generate(model, BYTES, [1] * CONTEXT, params, stop_ids=()))) == 1


def test_the_contexts_end_slides(model):
    params = SamplingParams(max_new_tokens=40, **GREEDY)
    steps = list(generate(model, BYTES, [1] * 10, params, on_overflow="slide", stop_ids=()))
    assert ids_of(steps) == slow_greedy(model, [1] * 10, 40, slide=True)
    assert steps[-1].finish_reason == "length"


def test_slides_in_a_context_of_one():
    params = SamplingParams(max_new_tokens=5, **GREEDY)
    tiny = random_model("llama", context_length=1)
    assert len(list(generate(tiny, BYTES, "a", params, on_overflow="slide", stop_ids=()))) == 5


def test_closing_early_is_harmless(llama):
    params = SamplingParams(max_new_tokens=8, **GREEDY)
    generation = generate(llama, BYTES, "abc", params)
    first = next(generation)
    generation.close()
    assert list(generation) == []
    assert ids_of(generate(llama, BYTES, "abc", params))[0] == first.id
    generate(llama, BYTES, "abc", params).close()


# A cache from before.


@pytest.mark.parametrize("known", [0, 2, 5, 7])
def test_a_cache_may_hold_the_prompts_beginning(model, known):
    prompt = [5, 4, 3, 2, 1]
    cache = model.new_cache()
    if known:
        with torch.no_grad():
            model(torch.tensor([[*prompt, 9, 9][:known]]), cache=cache)
    params = SamplingParams(max_new_tokens=8, **GREEDY)
    steps = generate(model, BYTES, prompt, params, cache=cache, stop_ids=())
    assert ids_of(steps) == slow_greedy(model, prompt, 8)
    assert cache.length == len(prompt) + 7


def test_a_small_cache_is_the_contexts_end(llama):
    cache = KVCache(llama.config, capacity=6)
    params = SamplingParams(max_new_tokens=50, **GREEDY)
    assert len(list(generate(llama, BYTES, [1, 2, 3], params, cache=cache, stop_ids=()))) == 4
    with pytest.raises(GenerationError, match="7 tokens but the context holds 6"):
        generate(llama, BYTES, [1] * 7, params, cache=cache)


# What the steps did.


def test_trace(llama):
    params = SamplingParams(
        temperature=2, top_k=30, top_p=0.9, seed=1, max_new_tokens=4, trace=True
    )
    generation = generate(llama, BYTES, "abc", params, stop_ids=())
    for step in generation:
        assert [r.step for r in step.trace] == ["temperature", "top_k", "top_p"]
        warm, cut, nucleus = step.trace
        past = [*generation.prompt_ids, *generation.output_ids[:-1]]
        with torch.no_grad():
            logits = model_logits = llama(torch.tensor([past]))[0, -1] / 2
        top = logits.topk(30)
        assert warm.kept == BYTES.vocab_size and not warm.removed
        assert warm.top[0].logprob == pytest.approx(logits.log_softmax(0).max().item(), abs=1e-4)
        assert cut.kept == 30 and len(cut.top) == len(cut.removed) == 10
        assert [c.id for c in cut.top] == top.indices[:10].tolist()
        renormalised = top.values.log_softmax(0)[:10].tolist()
        assert [c.logprob for c in cut.top] == pytest.approx(renormalised, abs=1e-4)
        beyond = model_logits.topk(40)
        assert [c.id for c in cut.removed] == beyond.indices[30:].tolist()
        before = model_logits.log_softmax(0)[beyond.indices[30:]].tolist()
        assert [c.logprob for c in cut.removed] == pytest.approx(before, abs=1e-4)
        assert nucleus.kept == int((top.values.softmax(0).cumsum(0) < 0.9).sum()) + 1
        assert sum(math.exp(c.logprob) for c in nucleus.top) <= 1 + 1e-5
        assert step.id in top.indices[: nucleus.kept]


def test_trace_of_greedy_keeps_one(llama):
    params = SamplingParams(trace=True, max_new_tokens=1, **GREEDY)
    (step,) = generate(llama, BYTES, "abc", params)
    (record,) = step.trace
    assert (record.step, record.kept) == ("temperature", 1)
    assert [(c.id, c.logprob) for c in record.top] == [(step.id, 0.0)]
    assert len(record.removed) == 10


# What cannot be done.


def test_prompts_that_cannot_be_used(llama):
    with pytest.raises(GenerationError, match="17 tokens but the context holds 16"):
        generate(llama, BYTES, "a" * 17)
    with pytest.raises(GenerationError, match=r"token 1 is 257, .* 0 to 256"):
        generate(llama, BYTES, [0, 257])
    with pytest.raises(GenerationError, match="token 0 is -1"):
        generate(llama, BYTES, [-1])
    with pytest.raises(GenerationError, match="list of token ids"):
        generate(llama, BYTES, [1.5])
    with pytest.raises(GenerationError, match="'stop' or 'slide', got 'slip'"):
        generate(llama, BYTES, "a", on_overflow="slip")


def test_an_empty_prompt(llama):
    assert generate(llama, BYTES, "").prompt_ids == (EOS,)
    endless = train_tokenizer(["ab"], TokenizerConfig(kind="char", special_tokens=()))
    with pytest.raises(GenerationError, match="prompt is empty"):
        generate(llama, endless, "")


def test_a_tokenizer_larger_than_the_model():
    small = random_model("llama", vocab_size=200)
    with pytest.raises(GenerationError, match="257 tokens but the model only 200"):
        generate(small, BYTES, "a")


def test_logits_that_are_not_numbers():
    broken = random_model("llama")
    generation = generate(broken, BYTES, "abc", SamplingParams(max_new_tokens=9), stop_ids=())
    next(generation)
    with torch.no_grad():
        next(broken.parameters()).fill_(math.nan)
    with pytest.raises(GenerationError, match="step 1 hold NaN"):
        next(generation)
    assert list(generation) == []
