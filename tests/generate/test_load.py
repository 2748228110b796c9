"""A model directory that speaks, with the settings that it recommends."""

import json
import warnings

import pytest
import torch
from numba.core.errors import NumbaError

from penjing.core.errors import CheckpointError, ConfigError, GenerationError
from penjing.core.types import SamplingParams
from penjing.generate.load import DEFAULTS, load
from penjing.generate.runners import choice
from penjing.generate.single import generate
from penjing.kernels import program
from penjing.kernels.features import OFF
from penjing.kernels.support import Support, support
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.model.saving import save_checkpoint
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.train import train_tokenizer

BYTES = train_tokenizer([], TokenizerConfig(kind="byte"))


@pytest.fixture
def folder(tmp_path):
    config = ModelConfig(vocab_size=257, context_length=32, n_layer=1, n_embd=32, n_head=2)
    save_checkpoint(tmp_path / "m", model=build_model(config), tokenizer=BYTES)
    return tmp_path / "m"


def recommend(folder, **settings):
    (folder / "generation_config.json").write_text(json.dumps(settings))
    return load(folder)


def test_it_speaks(folder):
    model = load(folder)
    text = "".join(step.text for step in model.generate("ab", seed=1, max_new_tokens=9))
    assert text == model.complete("ab", seed=1, max_new_tokens=9) != ""
    assert text != model.complete("ab", seed=2, max_new_tokens=9)
    assert model.config.context_length == 32
    assert model.tokenizer.fingerprint == BYTES.fingerprint
    assert not model.model.training


def test_the_engine_is_the_same(folder):
    model = load(folder, kernels="off")
    params = SamplingParams(temperature=2, seed=4, max_new_tokens=9, top_k=9)
    theirs = generate(model.model, model.tokenizer, "ab", params)
    mine = model.generate("ab", temperature=2, seed=4, max_new_tokens=9, top_k=9)
    assert list(mine) == list(theirs)


def test_without_recommendations(folder):
    assert recommend(folder).defaults == DEFAULTS
    (folder / "generation_config.json").unlink()
    model = load(folder)
    assert model.defaults == DEFAULTS and model.stop_ids == {256}


def test_recommendations(folder):
    model = recommend(folder, temperature=0.6, top_k=20, top_p=0.95, min_p=None, max_length=20)
    assert model.params(top_k=3) == SamplingParams(temperature=0.6, top_k=3, top_p=0.95)
    assert model.params() == SamplingParams(temperature=0.6, top_k=20, top_p=0.95)
    assert recommend(folder, do_sample=False).params().temperature == 0
    assert recommend(folder, do_sample=True, temperature=0.5).params().temperature == 0.5


def test_end_tokens_of_a_chat(folder):
    """What ends an answer in the template ends it here too, whatever is recommended."""
    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|eot_id|>")
    tokenizer = train_tokenizer([], TokenizerConfig(kind="byte", special_tokens=special))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["chat_template"] = "<|im_start|>{{ messages[0].content }}<|im_end|>"
    config = ModelConfig(vocab_size=260, context_length=32, n_layer=1, n_embd=32, n_head=2)
    save_checkpoint(folder, model=build_model(config), tokenizer=tokenizer, replace=True)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    assert load(folder).stop_ids == {256, 258}
    assert recommend(folder, eos_token_id=65).stop_ids == {65, 258}


def test_a_shorter_context(folder):
    model = load(folder, context_length=10)
    with pytest.raises(GenerationError, match="11 tokens but the context holds 10"):
        model.generate("a" * 11)
    with pytest.raises(GenerationError, match="11 tokens but the context holds 10"):
        model.engine().submit("a" * 11)
    for length in (0, 33):
        with pytest.raises(ConfigError, match=f"from 1 to 32, .* got {length}"):
            load(folder, context_length=length)


def test_an_engine_of_it(folder):
    model = recommend(folder, eos_token_id=65)
    settings = {"seed": 3, "max_new_tokens": 9}
    engine = model.engine(max_running=2)
    texts = [engine.submit("ab", model.params(**settings)) for _ in range(3)]
    assert [list(text) for text in texts] == [list(model.generate("ab", **settings))] * 3
    assert engine.stop_ids == {65}


def test_more_memory_than_there_is(folder):
    with pytest.raises(ConfigError, match=r"only [\d,]+ MB are free on cpu. Set a smaller"):
        load(folder).engine(cache_tokens=10**12)


def test_speculation_by_choice(folder):
    model = load(folder, kernels="off")
    assert model.engine().speculation is None
    with pytest.raises(ConfigError, match="rows are exact"):
        model.engine(speculate=True)
    with pytest.raises(ConfigError, match="rows are exact"):
        model.engine(draft=model)


def test_choices_that_there_are_not(folder):
    with pytest.raises(ConfigError, match="'auto', 'on' or 'off', got 'perhaps'"):
        load(folder, kernels="perhaps")
    for threads in (-1, 10**6):
        with pytest.raises(ConfigError, match=f"threads must be 0 .*, got {threads}"):
            load(folder, threads=threads)
    with pytest.raises(ConfigError, match="Device 'nowhere'"):
        load(folder, device="nowhere")


def test_end_tokens(folder):
    assert recommend(folder, eos_token_id=65).stop_ids == {65}
    model = recommend(folder, eos_token_id=[65, 256])
    (step,) = model.generate("a", logit_bias={65: 100}, temperature=0)
    assert (step.id, step.text, step.finish_reason) == (65, "", "stop")


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"temperature": "hot"}, "float needed"), ({"top_p": 7}, "top_p must be above 0")],
)
def test_recommendations_that_cannot_be_used(folder, settings, message):
    with pytest.raises(CheckpointError, match=f"generation_config.json: .*{message}"):
        recommend(folder, **settings)


def test_wrong_names_and_values(folder):
    model = load(folder)
    with pytest.raises(ConfigError, match=r"'temprature'\. Did you mean 'temperature'"):
        model.generate("a", temprature=1)
    with pytest.raises(ConfigError, match="top_k: int needed, got float"):
        model.generate("a", top_k=1.5)
    with pytest.raises(GenerationError, match="top_p must be"):
        model.generate("a", top_p=0)


def test_one_stop_string_may_stand_alone(folder):
    assert load(folder).params(stop="END").stop == ("END",)
    assert load(folder).params(stop=["a", "b"]).stop == ("a", "b")


def test_kernels_compute_where_they_can(folder, monkeypatch):
    if support().path == OFF:
        pytest.skip("no kernels for this machine")
    model = load(folder, threads=1)
    assert model.runner.exact and model.runner.name.startswith(f"kernels ({support().path}, 1 t")
    assert "model" not in vars(model)  # torch's is not loaded beside it
    by_torch = load(folder, kernels="off", threads=1)
    sampling = {"temperature": 0, "max_new_tokens": 9}
    mine, theirs = (list(m.generate("ab", **sampling)) for m in (model, by_torch))
    assert [step.id for step in mine] == [step.id for step in theirs]
    assert [s.logprob for s in mine] == pytest.approx([s.logprob for s in theirs], abs=1e-3)
    assert model.engine().speculation is not None
    assert not model.model.training and model.model is model.model
    model.close()
    with pytest.raises(GenerationError, match="closed"):
        model.complete("ab")


def test_torch_computes_where_they_cannot(folder, monkeypatch, tmp_path):
    def of_no_use(*_, **__):
        raise GenerationError("They don't know 3-bit weights.")

    monkeypatch.setattr(choice, "support", lambda: Support("vector", "as a test"))
    monkeypatch.setattr(choice.KernelRunner, "load", of_no_use)
    with pytest.warns(RuntimeWarning, match=r"slower than .*: They don't know 3-bit weights\.$"):
        assert load(folder).runner.name == "torch (float32, cpu)"
    refused = pytest.raises(ConfigError, match=r"kernels cannot compute .*: They don't know 3-bit")
    with refused, warnings.catch_warnings(action="error"):  # nobody computes: nothing to warn of
        load(folder, kernels="on")
    monkeypatch.setattr(choice, "support", lambda: Support(OFF, "PENJING_KERNELS=off"))
    assert not load(folder).runner.exact
    with pytest.raises(ConfigError, match=r"cannot compute .*: PENJING_KERNELS=off"):
        load(folder, kernels="on")
    with pytest.raises(ConfigError, match=r"as they are stored, not with torch\.float16"):
        load(folder, kernels="on", dtype=torch.float16)
    config = ModelConfig(family="lstm", vocab_size=257, context_length=32, n_layer=1, n_embd=32)
    save_checkpoint(tmp_path / "lstm", model=build_model(config), tokenizer=BYTES)
    assert len(load(tmp_path / "lstm").complete("ab", max_new_tokens=3, stop=())) >= 0
    with pytest.raises(ConfigError, match="of the family lstm"):
        load(tmp_path / "lstm", kernels="on")


def test_torch_computes_where_nothing_can_be_compiled(folder, monkeypatch):
    """Which is seen when the model is loaded, not within the first token."""
    if support().path == OFF:
        pytest.skip("no kernels for this machine")

    def fail(*_):
        raise NumbaError("No LLVM.\nMore of it")

    monkeypatch.setattr(program, "python_function", fail)
    with pytest.warns(RuntimeWarning, match=r"slower than our kernels would: No LLVM\.$"):
        assert load(folder).runner.name == "torch (float32, cpu)"


def test_precision(folder):
    model = load(folder, dtype=torch.bfloat16)
    assert next(model.model.parameters()).dtype == torch.bfloat16
    assert len(list(model.generate("a", max_new_tokens=3, seed=0))) == 3


def test_no_such_directory(tmp_path):
    with pytest.raises(CheckpointError, match="There is no model"):
        load(tmp_path / "none")
