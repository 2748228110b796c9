"""One battery over every kind of tokenizer; `tokenizers` and `transformers` are the oracles."""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import models, pre_tokenizers

from penjing.core.errors import StorageError, TokenizerError
from penjing.generate.engine.request import prompt_ids
from penjing.tokenizer import batching
from penjing.tokenizer.alphabet import BYTE_TO_CHAR
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.splits import WORD_END, cut
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.train import train_tokenizer

END = "<|endoftext|>"


def plain(path: Path) -> tokenizers.Tokenizer:
    """The library's own reading of what we saved."""
    oracle = tokenizers.Tokenizer.from_file(str(path / "tokenizer.json"))
    oracle.encode_special_tokens = True
    return oracle


def test_encodes_and_decodes_as_the_library_does(
    tokenizer: Tokenizer, tricky: str, tmp_path: Path
) -> None:
    tokenizer.save(tmp_path)
    oracle = plain(tmp_path)
    ids = tokenizer.encode(tricky)
    assert ids == oracle.encode(tricky, add_special_tokens=False).ids
    assert tokenizer.decode(ids) == oracle.decode(ids)


@given(text=st.text())
def test_every_text_comes_back(lossless: Tokenizer, text: str) -> None:
    assert lossless.decode(lossless.encode(text)) == text


def test_tricky_texts_come_back(lossless: Tokenizer, tricky: str) -> None:
    assert lossless.decode(lossless.encode(tricky)) == tricky


def test_the_training_text_comes_back(tokenizer: Tokenizer, corpus: list[str]) -> None:
    """But for the white space and the control characters that WordPiece has no tokens for."""
    lost = r"[\s\u200d]" if tokenizer.kind == "wordpiece" else r"(?!)"
    for text in corpus:
        decoded = tokenizer.decode(tokenizer.encode(text))
        assert re.sub(lost, "", decoded) == re.sub(lost, "", text)


def test_batches_and_long_texts_are_encoded_as_if_whole(
    tokenizer: Tokenizer,
    corpus: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokenizer.save(tmp_path)
    oracle = plain(tmp_path)
    monkeypatch.setattr(batching, "PIECE", 5)
    monkeypatch.setattr(batching, "BATCH", 40)
    texts = [*corpus, "", "x", "\n\n".join(corpus), ""]
    expected = [e.ids for e in oracle.encode_batch(texts, add_special_tokens=False)]
    assert tokenizer.encode_batch(texts) == expected
    assert tokenizer.encode_batch([]) == []
    ids = tokenizer.encode(f"12 {END} 34 {END}", allow_special=True)
    assert ids.count(tokenizer.special_tokens[END]) == 2


@pytest.mark.parametrize("text", ["the cat sat, " * 20_000, "床前明月光，疑是地上霜。" * 20_000])
def test_a_long_line_is_encoded_in_pieces(bpe: Tokenizer, text: str) -> None:
    """Memory: an encoding takes some 200 bytes a token, and a file may be one line."""
    pieces = [ids for ids, _ in bpe.encode_pieces([text])]
    assert len(pieces) == -(-len(text) // batching.PIECE)
    assert [id for ids in pieces for id in ids] == tokenizers.Tokenizer.from_str(bpe.text).encode(
        text
    ).ids


@given(text=st.text(st.sampled_from("abst'sSr12 \n\t.,!\"，。你好é\u0301ſ👍")))
def test_words_that_end_with_letters_are_encoded_alone(bpe: Tokenizer, text: str) -> None:
    pieces = cut(text, 1, WORD_END)
    assert [id for ids in bpe.encode_batch(pieces) for id in ids] == bpe.encode(text)


def test_special_tokens_in_a_text_stay_text_unless_asked(tokenizer: Tokenizer) -> None:
    end = tokenizer.eos_id
    assert end is not None and tokenizer.special_tokens[END] == end == tokenizer.id_of(END)
    assert end not in tokenizer.encode(f"a{END}b")
    a, b = tokenizer.encode("a"), tokenizer.encode("b")
    ids = tokenizer.encode(f"a{END}b", allow_special=True)
    assert ids == [*a, end, *b]
    space = " " * (tokenizer.kind == "wordpiece")
    assert tokenizer.decode(ids) == f"a{space}b"
    assert tokenizer.decode(ids, skip_special=False) == f"a{space}{END}{space}b"


def foreign(
    splitter: pre_tokenizers.PreTokenizer | None, vocab: Sequence[str], added: Sequence[str] = ()
) -> Tokenizer:
    """A vocabulary without merges, as others make them."""
    model = models.BPE({token: id for id, token in enumerate(vocab)}, [], unk_token=vocab[0])
    backend = tokenizers.Tokenizer(model)
    if splitter is not None:
        backend.pre_tokenizer = splitter
    backend.add_tokens(list(added))
    return Tokenizer(backend.to_str())


def with_added(own: Tokenizer, *added: str) -> Tokenizer:
    backend = tokenizers.Tokenizer.from_str(own.text)
    backend.add_tokens(list(added))
    return Tokenizer(backend.to_str())


LONG = "ab cd.\nef <think> gh\n" * 20


@pytest.mark.parametrize(
    "make",
    [
        lambda bpe, byte: foreign(pre_tokenizers.Metaspace(), "?▁abcdefgh.\n"),
        lambda bpe, byte: foreign(
            pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False), BYTE_TO_CHAR
        ),
        lambda bpe, byte: foreign(None, "?abcdefgh.\n", ["cd.\nef", "<think>"]),
        lambda bpe, byte: with_added(byte, "cd.\nef", "<think>"),
        lambda bpe, byte: with_added(bpe, "cd.\nef", "<think>"),
    ],
)
def test_long_texts_have_the_ids_that_they_have_whole(
    make: Callable[[Tokenizer, Tokenizer], Tokenizer],
    bpe: Tokenizer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokenizer = make(bpe, train_tokenizer([], TokenizerConfig(kind="byte")))
    spec = json.loads(tokenizer.text)
    oracle = tokenizers.Tokenizer.from_str(tokenizer.text)
    assert tokenizer.encode(LONG, allow_special=True) == oracle.encode(LONG).ids
    for token in spec["added_tokens"]:
        token["special"] = True
    oracle = tokenizers.Tokenizer.from_str(json.dumps(spec))
    oracle.encode_special_tokens = True
    expected = oracle.encode(LONG, add_special_tokens=False).ids
    for size in (3, 5, 8):
        monkeypatch.setattr(batching, "PIECE", size)
        assert tokenizer.encode(LONG) == expected


def test_added_tokens_in_a_text_stay_text_though_they_are_not_special(bpe: Tokenizer) -> None:
    tokenizer = with_added(bpe, "<think>")
    think = tokenizer.id_of("<think>")
    assert think == bpe.vocab_size and "<think>" not in tokenizer.special_tokens
    assert tokenizer.encode("a<think>") == bpe.encode("a<think>")
    ids = tokenizer.encode("a<think>", allow_special=True)
    assert ids[-1] == think and tokenizer.decode(ids) == "a<think>"


def test_pieces_join_to_the_ids(bpe: Tokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "PIECE", 5)
    pieces = list(bpe.encode_pieces(["", LONG, "x"]))
    assert len(pieces) > 10 and sum(is_last for _, is_last in pieces) == 3
    assert [i for ids, _ in pieces for i in ids] == bpe.encode(LONG + "x")


def test_threads_do_not_turn_each_others_switch(bpe: Tokenizer) -> None:
    def count(allow: bool) -> int:
        return bpe.encode(END * 20, allow_special=allow).count(bpe.special_tokens[END])

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(count, [True, False] * 100)) == [20, 0] * 100


def test_token_bytes_join_to_the_text(lossless: Tokenizer, tricky: str) -> None:
    ids = lossless.encode(tricky)
    assert b"".join(map(lossless.token_bytes, ids)) == tricky.encode("utf-8")


def test_half_a_character_is_shown_as_its_bytes() -> None:
    byte = train_tokenizer([], TokenizerConfig(kind="byte"))
    assert [byte.token_text(i) for i in byte.encode("人a")] == [r"\xE4", r"\xBA", r"\xBA", "a"]
    assert byte.token_bytes(0xE4) == b"\xe4"


def test_saved_and_loaded_is_the_same(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "new" / "folder")
    for path in (tmp_path / "new" / "folder", tmp_path / "new" / "folder" / "tokenizer.json"):
        again = Tokenizer.load(path)
        for name in ("fingerprint", "kind", "split", "vocab_size", "special_tokens"):
            assert getattr(again, name) == getattr(tokenizer, name)
        for name in ("eos_id", "bos_id", "pad_id", "chat_template"):
            assert getattr(again, name) == getattr(tokenizer, name)
    content = (tmp_path / "new" / "folder" / "tokenizer.json").read_bytes()
    assert hashlib.sha256(content).hexdigest() == tokenizer.fingerprint


def test_transformers_loads_it_with_the_same_ids_and_text(
    tokenizer: Tokenizer, tricky_texts: list[str], tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    tokenizer.save(tmp_path, model_max_length=4096)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert len(theirs) == tokenizer.vocab_size == len(tokenizer)
    assert (theirs.eos_token, theirs.eos_token_id) == (END, tokenizer.eos_id)
    assert theirs.model_max_length == 4096
    for text in tricky_texts:
        ids = tokenizer.encode(text, allow_special=True)
        assert theirs.encode(text) == ids
        assert theirs.decode(ids, skip_special_tokens=True) == tokenizer.decode(ids)
        assert theirs.decode(ids) == tokenizer.decode(ids, skip_special=False)


def test_settings_and_chat_template_are_kept(bpe: Tokenizer, tmp_path: Path) -> None:
    bpe.save(tmp_path)
    file = tmp_path / "tokenizer_config.json"
    settings = json.loads(file.read_text(encoding="utf-8"))
    settings |= {
        "chat_template": "{{ messages }}",
        "eos_token": {"content": END, "lstrip": False},
        "pad_token": END,
        "auto_map": {"AutoTokenizer": "remote.Code"},
    }
    file.write_text(json.dumps(settings), encoding="utf-8")
    loaded = Tokenizer.load(tmp_path)
    assert loaded.chat_template == "{{ messages }}"
    assert loaded.eos_id == loaded.pad_id == bpe.eos_id
    loaded.save(tmp_path / "again")
    saved = json.loads((tmp_path / "again" / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert saved["chat_template"] == "{{ messages }}"
    assert "auto_map" not in saved
    (tmp_path / "chat_template.jinja").write_text("newer", encoding="utf-8")
    assert Tokenizer.load(tmp_path).chat_template == "newer"


def test_older_named_chat_templates_and_special_tokens_map(bpe: Tokenizer, tmp_path: Path) -> None:
    bpe.save(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"chat_template": [{"name": "default", "template": "t"}]}), encoding="utf-8"
    )
    (tmp_path / "special_tokens_map.json").write_text(
        json.dumps({"eos_token": END}), encoding="utf-8"
    )
    loaded = Tokenizer.load(tmp_path)
    assert (loaded.chat_template, loaded.eos_id) == ("t", bpe.eos_id)


def test_truncation_and_padding_of_a_foreign_file_are_not_obeyed(
    bpe: Tokenizer, tmp_path: Path
) -> None:
    bpe.save(tmp_path)
    theirs = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    theirs.enable_truncation(3)
    theirs.enable_padding(length=50)
    theirs.save(str(tmp_path / "tokenizer.json"))
    text = "今天天气不错 unhappiness 12345"
    loaded = Tokenizer.load(tmp_path)
    for allow in (False, True):
        assert loaded.encode(text, allow_special=allow) == bpe.encode(text)


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\ud83d x \ude00"])
def test_lone_surrogates_are_refused(tokenizer: Tokenizer, text: str) -> None:
    with pytest.raises(TokenizerError, match=r"lone surrogate, U\+D[0-9A-F]{3}, at character"):
        tokenizer.encode(text)


@pytest.mark.parametrize("id", [-1, 10**6, 2**40])
def test_ids_that_are_not_there(tokenizer: Tokenizer, id: int) -> None:
    for use in (tokenizer.token_bytes, tokenizer.token_text, lambda id: tokenizer.decode([0, id])):
        with pytest.raises(TokenizerError, match=f"no token {id}"):
            use(id)
    assert tokenizer.decode([]) == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not JSON"),
        (b'{"model": {"type": "BPE"', "not JSON"),
        (b"[1, 2]", 'no "model"'),
        (b'{"architectures": ["Qwen3ForCausalLM"]}', 'no "model"'),
        (
            b'{"model": {"type": "Nonsense"}}',
            r"tokenizer\.json, line 1: .* knows no model 'Nonsense'",
        ),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(TokenizerError, match=message) as caught:
        Tokenizer.load(tmp_path)
    assert str(tmp_path / "tokenizer.json") in str(caught.value)


def test_missing_files_are_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere", tmp_path / "tokenizer.json"):
        with pytest.raises(TokenizerError, match="no tokenizer at") as caught:
            Tokenizer.load(path)
        assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("content", ["{", "[1]", '"text"', r'{"eos_token": "\ud800"}'])
def test_damaged_settings_are_named(bpe: Tokenizer, tmp_path: Path, content: str) -> None:
    bpe.save(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(content, encoding="utf-8")
    with pytest.raises(TokenizerError, match=r"tokenizer_config\.json is damaged"):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        '{"chat_template": ["x"]}',
        '{"chat_template": [{"name": "default"}]}',
        '{"chat_template": [{"name": "default", "template": 5}]}',
        '{"chat_template": 5}',
        '{"chat_template": {"default": "x"}}',
        '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
    ids=lambda content: content[:50],
)
def test_malformed_settings_are_named(bpe: Tokenizer, tmp_path: Path, content: str) -> None:
    bpe.save(str(tmp_path))
    (tmp_path / "tokenizer_config.json").write_text(content, encoding="utf-8")
    with pytest.raises(TokenizerError, match=r"tokenizer_config\.json"):
        Tokenizer.load(str(tmp_path))


def test_a_file_nested_without_end(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(TokenizerError, match=r"tokenizer\.json is damaged"):
        Tokenizer.load(tmp_path)


def test_an_end_token_that_is_not_in_the_vocabulary(bpe: Tokenizer, tmp_path: Path) -> None:
    bpe.save(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "</s>"}', encoding="utf-8")
    with pytest.raises(TokenizerError, match="</s>"):
        Tokenizer.load(tmp_path)


def test_saving_where_a_file_stands(bpe: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StorageError):
        bpe.save(tmp_path / "file" / "folder")


@pytest.mark.parametrize(
    ("settings", "template", "first"),
    [
        ({"bos_token": END, "add_bos_token": True}, None, True),
        ({"bos_token": {"content": END}, "add_bos_token": True}, None, True),
        ({"bos_token": END}, END, True),
        ({"bos_token": END}, None, False),
        ({"add_bos_token": True}, None, False),
        ({"bos_token": END, "add_bos_token": True}, "", False),  # the file itself goes first
    ],
)
def test_whether_a_text_begins_with_the_first_token(
    bpe: Tokenizer, settings: dict, template: str | None, first: bool
) -> None:
    spec = json.loads(bpe.text)
    if template is not None:
        single = [{"Sequence": {"id": "A", "type_id": 0}}]
        if template:
            single.insert(0, {"SpecialToken": {"id": template, "type_id": 0}})
        special = {END: {"id": END, "ids": [bpe.id_of(END)], "tokens": [END]}}
        spec["post_processor"] = {
            "type": "TemplateProcessing",
            "single": single,
            "pair": [*single, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": special,
        }
    tokenizer = Tokenizer(json.dumps(spec), settings)
    assert tokenizer.adds_bos is first
    plain = bpe.encode("abc")
    assert prompt_ids("abc", tokenizer) == ([bpe.id_of(END), *plain] if first else plain)
    assert prompt_ids(plain, tokenizer) == plain  # ids are as they are
    theirs = tokenizers.Tokenizer.from_str(tokenizer.text).encode("abc").ids
    if template is not None:
        assert theirs == prompt_ids("abc", tokenizer)
