"""`penjing generate`."""

import io
import json
import re
import sys
from dataclasses import fields

import pytest
import torch
from transformers import AutoModelForCausalLM

from penjing.core.errors import PenjingError
from penjing.core.types import SamplingParams
from penjing.generate.load import load
from penjing.generate.runners.choice import KernelRunner

NEVER_ENDS = ["--logit-bias", "256", "-100"]  # the end token of a byte vocabulary


def test_greedy_text_is_that_of_transformers(penjing, model_dir):
    words = ["--prompt", "the cat", "--temperature", "0", "--max-new-tokens", "12", "--json"]
    result = penjing("generate", str(model_dir), *words)
    ids = [json.loads(line)["id"] for line in result.out.splitlines()]
    theirs = AutoModelForCausalLM.from_pretrained(model_dir)
    prompt = torch.tensor([list(b"the cat")])
    expected = theirs.generate(prompt, do_sample=False, max_new_tokens=12)[0, 7:]
    assert ids == expected.tolist()


def test_text_goes_out_and_figures_beside(penjing, model_dir):
    words = ["--prompt", "床前", "--seed", "3", "--max-new-tokens", "9"]
    result = penjing("generate", str(model_dir), *words)
    expected = load(model_dir).complete("床前", seed=3, max_new_tokens=9)
    assert result.code == 0 and result.out == f"床前{expected}\n"
    assert "9 tokens in " in result.err and "seed 3" in result.err
    alone = penjing("generate", str(model_dir), *words, "--no-echo")
    assert alone.out == expected + "\n"


def test_without_a_seed_it_tells_the_one_that_repeats_it(penjing, model_dir):
    words = ["generate", str(model_dir), "--prompt", "a", "--max-new-tokens", "8"]
    first = penjing(*words)
    seed = first.err.split("seed ")[1].strip()
    assert penjing(*words, "--seed", seed).out == first.out


def test_json_has_what_the_step_has(penjing, model_dir):
    words = ["--prompt", "a", "--max-new-tokens", "2", "--logprobs", "3", "--json", "--trace"]
    result = penjing("generate", str(model_dir), *words, "--top-k", "5", "--seed", "1")
    first, last = map(json.loads, result.out.splitlines())
    assert first["index"] == 0 and len(first["candidates"]) == 3
    assert {"step": "top_k", "kept": 5}.items() <= next(
        row.items() for row in first["trace"] if row["step"] == "top_k"
    )
    assert first["finish_reason"] is None and last["finish_reason"] == "length"


def test_json_holds_no_control_characters(penjing, model_dir):
    words = ["--max-new-tokens", "3", "--logit-bias", "127", "100", "--json", "--logprobs", "9"]
    out = penjing("generate", str(model_dir), *words).out
    assert [json.loads(line)["text"] for line in out.splitlines()] == ["\x7f"] * 3
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", out)


def test_trace_shows_each_step(penjing, model_dir):
    words = ["--prompt", "a", "--max-new-tokens", "2", "--trace", "--top-k", "5", "--top-p", "0.5"]
    out = penjing("generate", str(model_dir), *words, *NEVER_ENDS).out
    assert out.count("likeliest after it") == 2
    assert "temperature" in out and "top_k" in out and "top_p" in out


def test_trace_shows_the_steps_of_all_groups(penjing, model_dir):
    words = ["--prompt", "abab", "--max-new-tokens", "1", "--trace", "--regex", "[a-y]{3}"]
    words += ["--dry-multiplier", "0.8", "--typical-p", "0.9", "--mirostat", "2"]
    words += ["--xtc-probability", "1", "--xtc-threshold", "0.01"]
    out = penjing("generate", str(model_dir), *words).out
    rows = re.findall(r"^ +([a-z_]+) +(\d+) ", out, re.MULTILINE)
    assert [step for step, _ in rows] == [
        *("dry", "structure", "temperature", "typical_p", "xtc", "mirostat")
    ]
    assert [kept for _, kept in rows][:3] == ["257", "25", "25"]


def test_a_text_in_a_form(penjing, model_dir, tmp_path):
    words = ["generate", str(model_dir), "--no-echo", "--seed", "1"]
    text = penjing(*words, "--regex", "[0-9]{3}-(ab|天)+").out
    assert re.fullmatch(r"[0-9]{3}-(ab|天)+\n", text)
    schema = {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}
    (tmp_path / "list.json").write_text(json.dumps(schema), encoding="utf-8")
    pair = json.loads(penjing(*words, "--json-schema", "list.json").out)
    assert len(pair) == 2 and all(isinstance(item, int) for item in pair)
    (tmp_path / "sum.lark").write_text('start: "1" ("+" "1"){2}', encoding="utf-8")
    assert penjing(*words, "--grammar", "sum.lark").out == "1+1+1\n"


def test_a_schema_that_cannot_be_used(penjing, model_dir, tmp_path):
    (tmp_path / "bad.json").write_text('{"items": {"type": "strin"}}', encoding="utf-8")
    result = penjing("generate", str(model_dir), "--json-schema", "bad.json")
    assert result.code == 1 and "at #/items: Invalid type: strin" in result.err


def test_named_tokens(penjing, model_dir):
    words = ["--prompt", "a", "--json", "--max-new-tokens", "1", "--logprobs", "257"]
    out = penjing("generate", str(model_dir), *words, "--logprob-ids", "98", "5").out
    step = json.loads(out)
    logprobs = {candidate["id"]: candidate["logprob"] for candidate in step["candidates"]}
    assert step["named"] == [logprobs[98], logprobs[5]]


def test_help_has_every_setting_in_a_group(penjing):
    said = penjing("generate", "--help").out
    for name in ("sampling", "repetition", "surprise", "form", "end", "output", "computing"):
        assert f" {name} options " in said
    settings = {field.name for field in fields(SamplingParams)} - {"structure"}
    assert [name for name in settings if f"--{name.replace('_', '-')} " not in said] == []


def test_stop_and_bias(penjing, model_dir):
    words = ["--prompt", "a", "--logit-bias", "98", "100", "--max-new-tokens", "5", "--json"]
    out = penjing("generate", str(model_dir), *words).out
    assert [json.loads(line)["text"] for line in out.splitlines()] == ["b"] * 5
    out = penjing("generate", str(model_dir), *words, "--stop", "bbb").out
    assert "".join(json.loads(line)["text"] for line in out.splitlines()) == ""


@pytest.mark.parametrize(("raw", "prompt"), [(b"abc\n", "abc"), ("床前".encode("utf-16"), "床前")])
def test_a_prompt_from_standard_input(penjing, model_dir, monkeypatch, raw, prompt):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
    result = penjing("generate", str(model_dir), "--prompt", "-", "--max-new-tokens", "1")
    assert result.code == 0 and result.out.startswith(prompt)


def test_at_the_end_of_the_context(penjing, model_dir):
    words = ["generate", str(model_dir), "--prompt", "a" * 60, "--max-new-tokens", "20", "--json"]
    words += NEVER_ENDS
    assert len(penjing(*words).out.splitlines()) == 5
    assert len(penjing(*words, "--on-overflow", "slide").out.splitlines()) == 20


def test_what_computes_it(penjing, model_dir):
    words = ["generate", str(model_dir), "--prompt", "a", "--temperature", "0"]
    plain = penjing(*words, "--kernels", "off", "--max-new-tokens", "4")
    assert plain.code == 0 and plain.out.startswith("a")
    short = penjing(*words, "--kernels", "off", "--context-length", "3", *NEVER_ENDS)
    assert "3 tokens in " in short.err
    assert "threads must be" in penjing(*words, "--threads", "-1").err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--temperature", "-1"], 1, "temperature must be"),
        (["--temperature", "hot"], 2, "could not convert"),
        (["--temprature", "1"], 2, "--temperature FLOAT"),
        (["--prompt", "a" * 65], 1, "the context holds 64"),
        (["--prompt", "-x y"], 2, '--prompt="-x y"'),
        (["--prompt", "\udcff"], 1, "not UTF-8"),
        (["--logprobs", "3"], 2, "need --json"),
        (["--logprob-ids", "3"], 2, "need --json"),
        (["--logprob-ids", "257", "--json"], 1, "logprob_ids names token 257"),
        (["--logit-bias", "300", "1"], 1, "logit_bias names token 300"),
        (["--dry-multiplier", "1", "--dry-base", "0.5"], 1, "dry_base must be"),
        (["--seed", str(2**64)], 1, "seed must be a 64-bit"),
        (["--stop", ""], 1, "stop must be"),
        (["--stop", "\udce5"], 1, "lone surrogate"),
        (["--mirostat", "3"], 2, "invalid choice '3'"),
        (["--regex", "[0-9", "--no-echo"], 1, "unclosed character class, at character 1"),
        (["--regex", "a", "--json-object"], 2, "one of --json-schema"),
        (["--json-schema", "none.json"], 1, "none.json cannot be read"),
    ],
)
def test_errors(penjing, model_dir, words, code, said):
    result = penjing("generate", str(model_dir), *words)
    assert result.code == code and said in result.err and result.out == ""


def test_a_prompt_that_the_locale_cannot_read(penjing, model_dir, process):
    words = ("generate", str(model_dir), "--prompt", "今天", "--max-new-tokens", "1")
    posix = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    running = process(*words, **posix)
    out, err = running.communicate(timeout=120)
    assert running.returncode == 0, err
    assert out.startswith("今天".encode("ascii", "backslashreplace").decode())


def test_an_error_begins_its_own_line(penjing, model_dir):
    words = ["--prompt", "hi", "--logit-bias", "98", "1e300"]  # found out while generating
    result = penjing("generate", str(model_dir), *words)
    assert result.code == 1 and "hold infinity" in result.err and result.out == "hi\n"


def test_a_damaged_model_is_said(penjing, model_dir, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in model_dir.iterdir():
        raw = file.read_bytes()
        (broken / file.name).write_bytes(
            raw[: len(raw) // 2] if file.suffix == ".safetensors" else raw
        )
    result = penjing("generate", str(broken))
    assert result.code == 1 and "model.safetensors" in result.err
    assert re.match("error: There is no model .*nowhere", penjing("generate", "nowhere").err)


def test_a_warning_is_one_line_beside(penjing, model_dir, monkeypatch):
    def of_no_use(*_, **__):
        raise PenjingError("They don't know it.")

    monkeypatch.setattr(KernelRunner, "load", of_no_use)
    result = penjing("generate", str(model_dir), "--max-new-tokens", "1")
    warned, figures = result.err.splitlines()
    assert warned.startswith("PyTorch computes ") and warned.endswith(": They don't know it.")
    assert "1 tokens" in figures
