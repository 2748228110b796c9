"""Structured output: random models cannot leave the structure, whatever the vocabulary.

Judges: `re`, `json`, and a small checker of JSON schemas below.
"""

import builtins
import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tokenizers
from tokenizers import decoders, models

from penjing.core.errors import GenerationError
from penjing.core.types import SamplingParams, Structure
from penjing.generate.sampling.sampler import Sampler
from penjing.generate.sampling.structured import Grammar
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.train import train_tokenizer


def byte_fallback() -> Tokenizer:
    """A vocabulary as Llama 2 has it: ▁ for the space, and bytes to fall back on; an unused id."""
    words = ["<unk>", "</s>", "▁", '{"', '":', "▁1", "0", "人", "▁true", '"}', "ab"]
    vocab = {token: id for id, token in enumerate(words)}
    vocab |= {f"<0x{byte:02X}>": len(words) + 1 + byte for byte in range(256)}  # one id is skipped
    backend = tokenizers.Tokenizer(models.BPE(vocab, [], unk_token="<unk>", byte_fallback=True))
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    backend.add_special_tokens(["<unk>", "</s>"])
    return Tokenizer(backend.to_str(), {"eos_token": "</s>"})


TEXT = ['{"name": "李白", "age": 61, "poems": ["静夜思", "将进酒"], "alive": false}\n'] * 30
TOKENIZERS = {
    "byte": train_tokenizer([], TokenizerConfig(kind="byte")),
    "bpe": train_tokenizer(TEXT, TokenizerConfig(vocab_size=300)),
    "byte fallback": byte_fallback(),
}


def rows(vocab_size: int, seed: int) -> Iterator[np.ndarray]:
    """Logits of a model that has learned nothing."""
    rng = np.random.default_rng(seed)
    while True:
        yield (rng.normal(size=vocab_size) * 3).astype(np.float32)


def write(structure: Structure, tokenizer: Tokenizer, seed: int = 0, **sampling: Any) -> str:
    """A whole text of a random model; it fails if none ends."""
    params = SamplingParams(structure=structure, seed=seed, **sampling)
    ends = () if tokenizer.eos_id is None else (tokenizer.eos_id,)
    sampler = Sampler(params, tokenizer.vocab_size, tokenizer=tokenizer, stop_ids=ends)
    ids: list[int] = []
    for logits in rows(tokenizer.vocab_size, seed):
        assert len(ids) < 5000, tokenizer.decode(ids)
        ids.append(sampler.choose(logits))
        if sampler.finished:
            return tokenizer.decode(ids)
    raise AssertionError


def valid(value: Any, schema: Any) -> bool:
    """Whether `value` is as `schema` wants it, for the keywords that are used here."""
    kinds: dict[str, Any] = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "null": type(None),
    }
    names = schema.get("type", list(kinds))
    names = [names] if isinstance(names, str) else names
    if not any(
        isinstance(value, kinds[name]) and (name == "boolean" or not isinstance(value, bool))
        for name in names
    ):
        return False
    checks: dict[str, Any] = {
        "enum": lambda choices: value in choices,
        "const": lambda only: value == only,
        "anyOf": lambda some: any(valid(value, one) for one in some),
        "minimum": lambda n: value >= n,
        "maximum": lambda n: value <= n,
        "minLength": lambda n: len(value) >= n,
        "maxLength": lambda n: len(value) <= n,
        "pattern": lambda pattern: re.search(pattern, value),
        "minItems": lambda n: len(value) >= n,
        "maxItems": lambda n: len(value) <= n,
        "items": lambda inner: all(valid(item, inner) for item in value),
        "required": lambda names: set(names) <= set(value),
        "properties": lambda inner: all(valid(value[k], inner[k]) for k in inner if k in value),
        "additionalProperties": lambda _: set(value) <= set(schema["properties"]),
    }
    spoken_of = {"minLength": str, "maxLength": str, "pattern": str}  # others are not numbers
    return all(
        check(schema[keyword])
        for keyword, check in checks.items()
        if keyword in schema and isinstance(value, spoken_of.get(keyword, object))
    )


def closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


NAME = {"type": "string", "maxLength": 8}
SCHEMAS: list[dict[str, Any]] = [
    {"type": "boolean"},
    {"type": "null"},
    {"type": "integer", "minimum": -20, "maximum": 150},
    {"type": "number", "minimum": 0, "maximum": 1},
    {"type": "string", "minLength": 3, "maxLength": 6},
    {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{4}$"},
    {"enum": ["晴天", "雨天", 3, None]},
    {"const": {"a": [1, "b"]}},
    {"anyOf": [{"type": "integer", "minimum": 5, "maximum": 9}, {"type": "boolean"}]},
    {"type": ["string", "null"], "maxLength": 4},
    {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 4},
    {"type": "array", "items": {"type": "array", "items": NAME, "maxItems": 2}, "maxItems": 3},
    closed(name=NAME, age={"type": "integer", "minimum": 0, "maximum": 150}),
    closed(姓名=NAME, inner=closed(a={"type": "boolean"}, b={"enum": ["x", "y"]})),
    {
        "type": "object",
        "properties": {"a": NAME, "b": {"type": "boolean"}},
        "required": ["b"],
        "additionalProperties": False,
    },
]


@pytest.mark.parametrize("vocabulary", TOKENIZERS)
@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: json.dumps(schema)[:40])
def test_json_of_a_random_model_is_as_the_schema_wants(vocabulary, schema):
    structure = Structure("json_schema", json.dumps(schema))
    for seed in range(4):
        text = write(structure, TOKENIZERS[vocabulary], seed)
        assert valid(json.loads(text), schema), text


@pytest.mark.parametrize("vocabulary", TOKENIZERS)
def test_a_reference_to_a_definition(vocabulary):
    leaf = {"type": "object", "properties": {"next": {"$ref": "#/$defs/leaf"}}, "required": []}
    schema = {"$defs": {"leaf": leaf | {"additionalProperties": False}}, "$ref": "#/$defs/leaf"}
    value = json.loads(write(Structure("json_schema", json.dumps(schema)), TOKENIZERS[vocabulary]))
    while value:
        assert set(value) == {"next"}
        value = value["next"]


PATTERNS = [
    "[0-9]{3}-[0-9]{4}",
    "(yes|no|maybe)",
    "a{2,5}b?",
    "[床前明月光]{5}",
    r"[a-z天]{1,3}@[a-z]{2}\.(com|org)",
    ".{4}",
    "(晴|雨|阴)天",
    r"[^a-z\n]{1,6}",
]


@pytest.mark.parametrize("vocabulary", TOKENIZERS)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_text_of_a_random_model_matches_the_regular_expression(vocabulary, pattern):
    for seed in range(4):
        text = write(Structure("regex", pattern), TOKENIZERS[vocabulary], seed)
        assert re.fullmatch(pattern, text), text


@pytest.mark.parametrize("vocabulary", TOKENIZERS)
def test_a_lark_grammar(vocabulary):
    grammar = (
        'start: term ("+" term){0,2}\nterm: NUMBER | "(" NUMBER "*" NUMBER ")"\nNUMBER: /[1-9]/'
    )
    for seed in range(4):
        text = write(Structure("lark", grammar), TOKENIZERS[vocabulary], seed)
        assert re.fullmatch(r"([1-9]|\([1-9]\*[1-9]\))(\+([1-9]|\([1-9]\*[1-9]\))){0,2}", text)


def test_any_json_object():
    tokenizer = TOKENIZERS["bpe"]
    bias = {id: 6.0 for id in range(300) if tokenizer.token_bytes(id) in (b"}", b'"')}
    for seed in range(3):
        text = write(Structure("json_object"), tokenizer, seed, logit_bias=bias)
        assert isinstance(json.loads(text), dict)


@pytest.mark.parametrize("sampling", [{"temperature": 0}, {"top_k": 1}, {"mirostat": 2}])
def test_with_other_steps(sampling):
    schema = {"type": "array", "items": {"type": "boolean"}, "maxItems": 2}
    text = write(
        Structure("json_schema", json.dumps(schema)),
        TOKENIZERS["bpe"],
        max_new_tokens=99,
        **sampling,
    )
    assert valid(json.loads(text), schema)


# Which tokens are possible.


def allowed(grammar: Grammar, tokenizer: Tokenizer) -> set[bytes]:
    return {tokenizer.token_bytes(id) for id in np.flatnonzero(grammar.allowed()).tolist()}


def test_no_token_outside_of_the_structure_has_probability():
    tokenizer = TOKENIZERS["bpe"]
    params = SamplingParams(structure=Structure("regex", "[0-9]{2}x"), seed=0, temperature=5.0)
    sampler = Sampler(params, tokenizer.vocab_size, tokenizer=tokenizer)
    left: dict[str, np.ndarray] = {}
    text = b""
    for logits in rows(tokenizer.vocab_size, 0):
        id = sampler.choose(logits, lambda name, before, after: left.update({name: after}))
        for other in np.flatnonzero(left["temperature"] > -np.inf).tolist():
            beginning = (text + tokenizer.token_bytes(other)).decode()
            assert any(re.fullmatch("[0-9]{2}x", beginning + end) for end in ("", "x", "1x", "11x"))
        text += tokenizer.token_bytes(id)
        if sampler.finished:
            break
    assert re.fullmatch(rb"[0-9]{2}x", text)


def test_the_end_token_is_possible_where_the_text_may_end_and_there_alone():
    tokenizer = TOKENIZERS["byte"]
    end = tokenizer.eos_id
    grammar = Grammar(Structure("regex", "a+b"), tokenizer, (end, 9999))
    assert allowed(grammar, tokenizer) == {b"a"}
    grammar.add(ord("a"))
    assert allowed(grammar, tokenizer) == {b"a", b"b"} and not grammar.finished
    grammar.add(ord("b"))
    assert grammar.finished  # nothing can follow: no end token is waited for
    open_end = Grammar(Structure("regex", "a+"), tokenizer, (end,))
    open_end.add(ord("a"))
    assert allowed(open_end, tokenizer) == {b"a", b"<|endoftext|>"} and not open_end.finished
    open_end.add(end)
    assert open_end.finished


def test_special_tokens_are_no_text():
    tokenizer = TOKENIZERS["byte"]
    grammar = Grammar(Structure("regex", r"<\|endoftext\|>|<b>"), tokenizer)
    assert allowed(grammar, tokenizer) == {b"<"}


def test_what_the_structure_leaves_no_choice_about_is_cut_as_the_tokenizer_cuts():
    tokenizer = TOKENIZERS["bpe"]
    grammar = Grammar(Structure("regex", '"name" is "age"'), tokenizer)
    ids = []
    while not grammar.finished:
        (id,) = np.flatnonzero(grammar.allowed()).tolist()
        grammar.add(id)
        ids.append(id)
    assert ids == tokenizer.encode('"name" is "age"')


def test_a_tokenizer_that_puts_a_space_before_a_text():
    spec = json.loads(byte_fallback().text)
    spec["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"}
    tokenizer = Tokenizer(json.dumps(spec))
    assert tokenizer.decode(tokenizer.encode("1")) == " 1"
    assert write(Structure("regex", "10 true"), tokenizer) == "10 true"


def test_a_fork_goes_on_by_itself():
    tokenizer = TOKENIZERS["byte"]
    grammar = Grammar(Structure("regex", "ab|ac"), tokenizer)
    grammar.add(ord("a"))
    twin = grammar.fork()
    grammar.add(ord("b"))
    assert grammar.finished and not twin.finished
    assert allowed(twin, tokenizer) == {b"b", b"c"}


def test_a_token_that_is_not_allowed():
    grammar = Grammar(Structure("regex", "ab"), TOKENIZERS["byte"])
    with pytest.raises(GenerationError, match="regex cannot be followed"):
        grammar.add(ord("z"))


# What cannot be used.


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("regex", "[0-9", "unclosed character class, at character 1 of '[0-9'"),
        ("regex", "ab(?=c)", "look-ahead and look-behind, is not supported, at character 3"),
        ("lark", 'start: "a"\n | b', 'line 1, column 8: unknown name: "b"'),
        ("lark", 'begin: "a"', "no start rule found"),
        ("json_schema", '{"type": ', "not JSON: Expecting value: line 1 column 10"),
        ("json_schema", "[1]", "is an object"),
        ("json_schema", '{"type": "strin"}', "at #: Invalid type: strin"),
        (
            "json_schema",
            '{"properties": {"a": {"items": {"type": "strin"}, "type": "array"}}}',
            "at #/properties/a/items: Invalid type: strin",
        ),
        (
            "json_schema",
            '{"anyOf": [{}, {"not": {}}]}',
            'at #/anyOf/1: Unimplemented keys: ["not"]',
        ),
        (
            "json_schema",
            '{"items": {"pattern": "(a"}}',
            "at #/items: unclosed group, at character 1",
        ),
        ("json_schema", '{"$ref": "#/$defs/none"}', "Pointer '/$defs/none' does not exist"),
        ("json_schema", '{"$ref": "https://x.org/y"}', "does not fetch"),
        ("json_schema", '{"const": "\\ud800"}', "JSON schema cannot be used"),
        ("json_schema", '{"items":' * 300 + "{}" + "}" * 300, "recursion limit"),
        ("json_schema", '{"items":' * 100_000, "nested too deeply"),
    ],
)
def test_a_wrong_structure_is_said_and_where(kind, text, said):
    with pytest.raises(GenerationError) as caught:
        Grammar(Structure(kind, text), TOKENIZERS["byte"])
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_vocabulary_that_cannot_spell_it():
    letters = train_tokenizer(["abc"], TokenizerConfig(kind="char"))
    params = SamplingParams(structure=Structure("regex", "a9"))
    sampler = Sampler(params, letters.vocab_size, tokenizer=letters)
    with pytest.raises(GenerationError, match=r"No token of the vocabulary can go on .* regex"):
        for logits in rows(letters.vocab_size, 0):
            assert letters.token_bytes(sampler.choose(logits)) == b"a"
    no_end = Grammar(Structure("regex", "()"), letters)
    with pytest.raises(GenerationError, match=r"No token .* or an end token"):
        no_end.allowed()


def test_words_that_are_not_bytes_in_a_row():
    backend = tokenizers.Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    backend.decoder = decoders.WordPiece()
    with pytest.raises(GenerationError, match="byte-level"):
        Grammar(Structure("regex", "a"), Tokenizer(backend.to_str()))


def test_it_needs_the_tokenizer():
    with pytest.raises(GenerationError, match="structure is about text"):
        Sampler(SamplingParams(structure=Structure("json_object")), 9)


def test_without_the_extra(monkeypatch):
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name == "llguidance":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(GenerationError, match=r"pip install 'penjing\[structured\]'"):
        Grammar(Structure("regex", "a"), TOKENIZERS["byte"])
