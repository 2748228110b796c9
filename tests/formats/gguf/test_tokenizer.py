"""Tokenizers of GGUF files: llama.cpp is the judge, and `transformers` where the two agree."""

import json
import re

import numpy as np
import pytest
from tokenizers import Tokenizer as Backend
from tokenizers import models, pre_tokenizers, trainers
from transformers import AutoTokenizer
from transformers.integrations.gguf import convert_gguf_tokenizer

from penjing.core.errors import TokenizerError
from penjing.formats.gguf.pre_tokenizers import PRE_TOKENIZERS
from penjing.formats.gguf.reader import GgufFile
from penjing.formats.gguf.tokenizer import end_ids, tokenizer_from_metadata
from penjing.formats.gguf.tokenizer_writer import tokenizer_metadata
from penjing.formats.gguf.vocabulary import TokenType
from penjing.tokenizer.alphabet import BYTE_TO_CHAR
from penjing.tokenizer.chat import ChatTemplate
from penjing.tokenizer.chat_ids import encode_chat
from penjing.tokenizer.splits import SPLITS

# One name for each rule. llama.cpp simplifies the two that tell capitals from small letters; we
# keep the models' own, as `transformers` does.
RULES = {rule: name for name, rule in reversed(list(PRE_TOKENIZERS.items()))}
SIMPLIFIED = ("tekken", "gpt-4o")
LLAMACPP = sorted(set(RULES.values()) - set(SIMPLIFIED))
TRANSFORMERS = ("llama-bpe", "qwen2", "qwen35", "tekken", "gpt-4o")


CONTROLS = {chr(n) for n in (*range(9), *range(11, 32), 127)}


def of_transformers(metadata, architecture="llama"):
    """The tokenizer that `transformers` makes of the same metadata."""
    names = ("tokens", "token_type", "merges", "scores")
    entries = {name: metadata.get(f"tokenizer.ggml.{name}") for name in names}
    given = {name: list(value) for name, value in entries.items() if value is not None}
    given["tokenizer_type"] = metadata["tokenizer.ggml.model"]
    given["pre_tokenizer_type"] = metadata["tokenizer.ggml.pre"]
    return convert_gguf_tokenizer(architecture, given)[0]


def learned(texts, size, pre_tokenizer=None):
    """Tokens and merges of these texts; without a split, so that each rule shows."""
    backend = Backend(models.BPE())
    if pre_tokenizer:
        backend.pre_tokenizer = pre_tokenizer
    alphabet = list(BYTE_TO_CHAR) if pre_tokenizer else []
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=alphabet, limit_alphabet=1500, show_progress=False
    )
    backend.train_from_iterator(texts, trainer)
    model = json.loads(backend.to_str())["model"]
    return sorted(model["vocab"], key=model["vocab"].get), model["merges"]


@pytest.fixture(scope="module")
def byte_level(fuzzed):
    """The metadata of a vocabulary of bytes, but for the rule's name."""
    split = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    texts = [text.replace("<", "") for text in fuzzed(1, 300)]
    texts += ["don't we'll 1234 the cat. 今天天气不错，\n\n  def f(x):\n" * 5] * 3
    tokens, merges = learned(texts, 1400, split)
    added = ["<|bos|>", "<|im_start|>", "<|eot_id|>", "<think>"]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": tokens + added,
        "tokenizer.ggml.token_type": [1] * len(tokens) + [3, 3, 3, 4],
        "tokenizer.ggml.merges": [" ".join(merge) for merge in merges],
        "tokenizer.ggml.bos_token_id": len(tokens),
        "tokenizer.ggml.eos_token_id": len(tokens) + 2,
        "tokenizer.ggml.add_bos_token": False,
    }


@pytest.fixture(scope="module")
def sentencepiece(fuzzed):
    """The metadata of a SentencePiece vocabulary."""
    texts = [re.sub("[<\0]", "", "▁" + text.replace(" ", "▁")) for text in fuzzed(1, 300)]
    tokens, merges = learned([*texts, "▁▁▁▁▁▁▁▁aaaaa▁ababab" * 9], 3000)
    special = ["<unk>", "<s>", "</s>"]
    made = list(dict.fromkeys(left + right for left, right in merges))
    plain = made + [token for token in tokens if len(token) == 1]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": [
            *special,
            *(f"<0x{byte:02X}>" for byte in range(256)),
            *plain,
            *("<think>", "  "),
        ],
        "tokenizer.ggml.token_type": [2, 3, 3, *[6] * 256, *[1] * len(plain), 4, 4],
        "tokenizer.ggml.scores": [*[0.0] * 259, *(-float(i) for i in range(len(plain) + 2))],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.add_space_prefix": True,
    }


@pytest.mark.parametrize("kind", ["byte_level", "sentencepiece"])
def test_its_parts_make_what_its_text_makes(kind, request):
    """It is put together from its parts, which is faster; others read the text that is saved."""
    metadata = {"tokenizer.ggml.pre": "gpt-2"} | request.getfixturevalue(kind)
    tokenizer = tokenizer_from_metadata(metadata)
    assert tokenizer._backend.to_str() == Backend.from_str(tokenizer.text).to_str()


@pytest.mark.network
def test_smollm2s_parts_make_what_its_text_makes(smollm2):
    tokenizer = tokenizer_from_metadata(GgufFile.open(smollm2).metadata)
    assert tokenizer._backend.to_str() == Backend.from_str(tokenizer.text).to_str()


@pytest.mark.network
def test_smollm2_has_the_ids_of_llamacpp(smollm2, llamacpp, fuzzed):
    tokenizer = tokenizer_from_metadata(GgufFile.open(smollm2).metadata)
    server = llamacpp(smollm2)
    for text in fuzzed(7, 2000):
        assert tokenizer.encode(text) == server.encode(text), ascii(text)
        special = tokenizer.encode(text, allow_special=True)
        assert special == server.encode(text, special=True), ascii(text)


@pytest.mark.network
def test_smollm2_of_transformers(smollm2, fuzzed):
    """Where the two agree: it does not cut digits, and joins what stands around lost bytes."""
    metadata = GgufFile.open(smollm2).metadata
    tokenizer, theirs = tokenizer_from_metadata(metadata), of_transformers(metadata)
    texts = [
        text
        for text in fuzzed(8, 600)
        if not any(char.isnumeric() or char in CONTROLS for char in text)
    ]
    for text in texts:
        assert tokenizer.encode(text, allow_special=True) == theirs.encode(text).ids, ascii(text)
    assert len(texts) > 100


@pytest.mark.network
def test_smollm2_settings(smollm2):
    metadata = GgufFile.open(smollm2).metadata
    tokenizer = tokenizer_from_metadata(metadata)
    assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id) == (1, 2, 2)
    assert tokenizer.chat_template == metadata["tokenizer.chat_template"]
    assert end_ids(metadata) == [0, 2, 4]  # <|endoftext|>, <|im_end|>, <reponame>
    assert tokenizer.special_tokens["<|im_end|>"] == 2 and len(tokenizer.special_tokens) == 17


@pytest.mark.parametrize("name", LLAMACPP)
def test_each_rule_has_the_ids_of_llamacpp(name, byte_level, tiny_gguf, llamacpp, fuzzed):
    metadata = byte_level | {"tokenizer.ggml.pre": name}
    tokenizer = tokenizer_from_metadata(metadata)
    server = llamacpp(tiny_gguf(metadata))
    for text in fuzzed(3, 150):
        ids = tokenizer.encode(text, allow_special=True)
        assert ids == server.encode(text, special=True), ascii(text)


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_rules_of_transformers(name, byte_level, fuzzed):
    metadata = byte_level | {"tokenizer.ggml.pre": name}
    tokenizer, theirs = tokenizer_from_metadata(metadata), of_transformers(metadata)
    for text in fuzzed(4, 200):
        text = text.replace("<|endoftext|>", "")  # it adds that token of its own accord
        assert tokenizer.encode(text, allow_special=True) == theirs.encode(text).ids, ascii(text)


@pytest.mark.parametrize("prefix", [True, False])
def test_sentencepiece_has_the_ids_of_llamacpp(prefix, sentencepiece, tiny_gguf, llamacpp, fuzzed):
    metadata = sentencepiece | {"tokenizer.ggml.add_space_prefix": prefix}
    tokenizer = tokenizer_from_metadata(metadata)
    server = llamacpp(tiny_gguf(metadata))
    for text in fuzzed(5, 500):
        ids = tokenizer.encode(text, allow_special=True)
        assert ids == server.encode(text, special=True), ascii(text)


def test_sentencepiece_of_transformers(sentencepiece, fuzzed):
    tokenizer = tokenizer_from_metadata(sentencepiece)
    theirs = of_transformers(sentencepiece, "phi3")
    for text in fuzzed(6, 200):
        assert tokenizer.encode(text, allow_special=True) == theirs.encode(text).ids, ascii(text)


@pytest.mark.parametrize("name", sorted(RULES.values()))
def test_written_and_read_again(name, byte_level):
    metadata = byte_level | {"tokenizer.ggml.pre": name, "tokenizer.chat_template": "{{ x }}"}
    tokenizer = tokenizer_from_metadata(metadata)
    written = tokenizer_metadata(tokenizer)
    assert written == metadata
    assert tokenizer_from_metadata(written).text == tokenizer.text


def test_sentencepiece_written_and_read_again(sentencepiece):
    tokenizer = tokenizer_from_metadata(sentencepiece)
    written = tokenizer_metadata(tokenizer)
    assert tokenizer_from_metadata(written).text == tokenizer.text
    same = ("tokens", "token_type", "add_space_prefix", "bos_token_id", "unknown_token_id")
    for name in same:
        assert written[f"tokenizer.ggml.{name}"] == sentencepiece[f"tokenizer.ggml.{name}"]
    assert written["tokenizer.ggml.add_bos_token"] is True


def test_a_tokenizer_of_ours_runs_in_llamacpp(byte_level, tiny_gguf, llamacpp, fuzzed):
    from penjing.tokenizer.config import TokenizerConfig
    from penjing.tokenizer.train import train_tokenizer

    for split in (name for name, rule in SPLITS.items() if rule.llama_cpp not in SIMPLIFIED):
        config = TokenizerConfig(vocab_size=285, split=split)
        tokenizer = train_tokenizer(
            ["the cat sat on the mat. 今天天气不错。1234 don't\n"] * 9, config
        )
        metadata = tokenizer_metadata(tokenizer, rows=tokenizer.vocab_size + 7)
        assert metadata["tokenizer.ggml.tokens"][-1] == f"[PAD{tokenizer.vocab_size + 6}]"
        server = llamacpp(tiny_gguf(metadata))
        for text in fuzzed(9, 60):
            assert tokenizer.encode(text) == server.encode(text), ascii(text)


def test_bytes_that_the_vocabulary_lacks_are_lost(byte_level, tiny_gguf, llamacpp):
    lost = BYTE_TO_CHAR[4]
    place = byte_level["tokenizer.ggml.tokens"].index(lost)
    metadata = {**byte_level, "tokenizer.ggml.pre": "gpt-2"}
    metadata["tokenizer.ggml.tokens"] = list(byte_level["tokenizer.ggml.tokens"])
    metadata["tokenizer.ggml.tokens"][place] = "[gone]"
    merges = byte_level["tokenizer.ggml.merges"]
    metadata["tokenizer.ggml.merges"] = [merge for merge in merges if lost not in merge]
    tokenizer = tokenizer_from_metadata(metadata)
    server = llamacpp(tiny_gguf(metadata))
    for text in ("the \x04cat", "t\x04he", "\x04\x04", "今\x04天"):
        assert tokenizer.encode(text) == server.encode(text)
    assert tokenizer_metadata(tokenizer)["tokenizer.ggml.pre"] == "gpt-2"


def test_the_first_token_is_put_there_by_other_programs(byte_level, tmp_path):
    metadata = byte_level | {"tokenizer.ggml.pre": "llama-bpe"}
    del metadata["tokenizer.ggml.add_bos_token"]  # this rule's name says it
    tokenizer = tokenizer_from_metadata(metadata)
    assert tokenizer.bos_id not in tokenizer.encode("a")
    tokenizer.save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert theirs.encode("a")[0] == tokenizer.bos_id == theirs.bos_token_id
    assert tokenizer_metadata(tokenizer)["tokenizer.ggml.add_bos_token"] is True


def test_plain_text_never_becomes_a_special_token(sentencepiece, byte_level):
    llama = tokenizer_from_metadata(byte_level | {"tokenizer.ggml.pre": "llama-bpe"})
    for tokenizer in (llama, tokenizer_from_metadata(sentencepiece)):
        for token, id in tokenizer.added_tokens.items():
            if token.strip():
                assert id not in tokenizer.encode(f"a {token}b{token}")
                assert id in tokenizer.encode(f"a {token}b", allow_special=True)


def test_special_tokens_in_a_message(sentencepiece):
    tokenizer = tokenizer_from_metadata(sentencepiece)
    template = ChatTemplate("<s>[INST] {{ messages[0].content }} [/INST]</s>x")
    messages = [{"role": "user", "content": "a</s>b<think> <"}]
    ids = encode_chat(tokenizer, messages, template=template)
    plain = tokenizer.encode("[INST] a</s>b<think> < [/INST]")
    assert ids == [1, *plain, 2, *tokenizer.encode("x")]


def test_end_ids(byte_level):
    ids = {t: i for i, t in enumerate(byte_level["tokenizer.ggml.tokens"])}
    assert ids["<|eot_id|>"] in end_ids(byte_level)
    named = byte_level | {"tokenizer.ggml.eot_token_id": 5, "tokenizer.ggml.eom_token_id": 10**6}
    assert 5 in end_ids(named) and 10**6 not in end_ids(named)
    assert end_ids(named | {"tokenizer.ggml.eos_token_id": [1]})
    harmony = {"tokenizer.ggml.tokens": ["<|end|>", "<|return|>", "<|call|>"]}
    assert end_ids(harmony) == [1, 2]
    assert end_ids({"tokenizer.ggml.tokens": ["a", "<|end|>"]}) == [1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "bert"}, "is 'bert'.*Known: gpt2, llama"),
        ({"model": None}, "is None"),
        ({"pre": None}, "no tokenizer.ggml.pre"),
        ({"pre": "qwen3000"}, "unknown here.*Did you mean 'qwen35'"),
        ({"tokens": None}, "tokens is missing"),
        ({"tokens": []}, "is empty"),
        ({"tokens": "abc"}, "is not a list"),
        ({"tokens": ["a", "b", "a"]}, "'a' is there twice, as 0 and 2"),
        ({"tokens": ["a", 7]}, "entry 1, is no text but 7"),
        ({"tokens": ["a\udcff"]}, "entry 0, is not UTF-8"),
        ({"token_type": [1]}, "but 1 entries in tokenizer.ggml.token_type"),
        ({"merges": None}, "merges is missing"),
        ({"merges": ["zzz q"]}, "merges, entry 0, is 'zzz q'"),
        ({"merges": ["ab"]}, "merges, entry 0, is 'ab'"),
        ({"eos_token_id": 10**9}, "eos_token_id is 1000000000"),
        ({"bos_token_id": "x"}, "bos_token_id is 'x'"),
        ({"chat_template": 5}, "chat_template is no text"),
        ({"model": ["gpt2"]}, r"is \['gpt2'\]"),
        ({"token_type": [[1]] * 1404}, "token_type, entry 0, is no number"),
        ({"merges": [[1]]}, "merges, entry 0, is no text"),
        ({"eos_token_id": [1]}, "eos_token_id is"),
        ({"add_bos_token": np.array([1, 0])}, "add_bos_token is .*neither true nor false"),
        ({"add_bos_token": 1}, "add_bos_token is 1, neither"),
        *(({name: "y" * 10**6}, f"{name} is 'y{{30,50}}[^y]") for name in ("model", "pre")),
        ({"merges": ["y" * 10**6]}, "entry 0, is 'y{50,60}:"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_damaged_metadata(byte_level, change, said):
    metadata = byte_level | {"tokenizer.ggml.pre": "gpt-2"}
    for name, value in change.items():
        key = f"tokenizer.{'' if name == 'chat_template' else 'ggml.'}{name}"
        metadata[key] = value
        if value is None:
            del metadata[key]
    with pytest.raises(TokenizerError, match=said) as caught:
        tokenizer_from_metadata(metadata, "some.gguf")
    assert str(caught.value).startswith("some.gguf")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m.pop("tokenizer.ggml.scores"), "scores is missing"),
        (lambda m: m["tokenizer.ggml.scores"].pop(), "entries in tokenizer.ggml.scores"),
        (lambda m: m.update({"tokenizer.ggml.scores": [0.0] * n_of(m)}), "merged first"),
        (lambda m: m["tokenizer.ggml.scores"].__setitem__(70, "x"), "is no number"),
        (lambda m: m["tokenizer.ggml.scores"].__setitem__(500, float("nan")), "merged first"),
        (lambda m: m["tokenizer.ggml.tokens"].__setitem__(70, "[x]"), "lacks 1 of the 256"),
        (lambda m: m["tokenizer.ggml.tokens"].__setitem__(400, "y" * 5000), "5000 characters"),
        (lambda m: m["tokenizer.ggml.tokens"].__setitem__(400, "\ue123\ue124"), "of their own"),
    ],
)
def test_damaged_sentencepiece(sentencepiece, change, said):
    metadata = {k: list(v) if isinstance(v, list) else v for k, v in sentencepiece.items()}
    change(metadata)
    with pytest.raises(TokenizerError, match=said):
        tokenizer_from_metadata(metadata)


def n_of(metadata):
    return len(metadata["tokenizer.ggml.tokens"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"normalizer": {"type": "Lowercase"}}, "changes texts.*Lowercase"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "no name for the rule"),
        ({"decoder": None}, "no BPE on bytes"),
    ],
)
def test_what_llamacpp_cannot_hold(byte_level, change, said):
    tokenizer = tokenizer_from_metadata(byte_level | {"tokenizer.ggml.pre": "qwen2"})
    changed = tokenizer.with_text(json.dumps(json.loads(tokenizer.text) | change))
    with pytest.raises(TokenizerError, match=said):
        tokenizer_metadata(changed)


def test_what_else_llamacpp_cannot_hold(byte_level):
    from penjing.tokenizer.config import TokenizerConfig
    from penjing.tokenizer.train import train_tokenizer

    with pytest.raises(TokenizerError, match="kind 'char'"):
        tokenizer_metadata(train_tokenizer(["abc"], TokenizerConfig(kind="char")))
    tokenizer = tokenizer_from_metadata(byte_level | {"tokenizer.ggml.pre": "qwen2"})
    with pytest.raises(TokenizerError, match="the model has 7 embeddings"):
        tokenizer_metadata(tokenizer, rows=7)
    spec = json.loads(tokenizer.text)
    spec["added_tokens"][0]["lstrip"] = True
    with pytest.raises(TokenizerError, match="matched with 'lstrip'"):
        tokenizer_metadata(tokenizer.with_text(json.dumps(spec)))
    spec = json.loads(tokenizer.text)
    spec["model"]["vocab"] |= {"a\0b": spec["model"]["vocab"].pop("Ġ" * 2, tokenizer.vocab_size)}
    spec["model"]["merges"] = []
    with pytest.raises(TokenizerError, match=r"U\+0000"):
        tokenizer_metadata(tokenizer.with_text(json.dumps(spec)))


def test_types_are_those_of_gguf():
    import gguf

    assert {t.name: t.value for t in gguf.TokenType} == {
        t.name: t.value for t in TokenType if t != TokenType.UNDEFINED
    }
