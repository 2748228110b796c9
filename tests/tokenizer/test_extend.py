"""More tokens: nothing old changes, and everyone who reads the file agrees."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend
from transformers import AutoTokenizer

from penjing.core.errors import TokenizerError
from penjing.tokenizer.alphabet import BYTE_TO_CHAR
from penjing.tokenizer.config import SplitName, TokenizerConfig
from penjing.tokenizer.extend import EXTENDERS, Extension, extend_tokenizer
from penjing.tokenizer.splits import SPLITS
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.train import KINDS, train_tokenizer

OLD = ["The moon looks in at the window, and the frost lies white on the ground.\n" * 4]
NEW = [
    "def shine(self, window):\n    return self.window + window  # the moonlight\n" * 4,
    "床前明月光，疑是地上霜。举头望明月，低头思故乡。明月光，明月光。\n" * 4,
]
TEXTS = st.text(max_size=60) | st.lists(
    st.sampled_from(
        ["self", "window", " the", "moon", "明月光", "故乡", "\n    ", "def ", "<|im|>"]
    )
).map("".join)


def start(**settings: Any) -> Tokenizer:
    return train_tokenizer(OLD, TokenizerConfig(**{"vocab_size": 280} | settings))


@pytest.fixture(scope="module")
def old() -> Tokenizer:
    return start()


@pytest.fixture(scope="module")
def extension(old: Tokenizer) -> Extension:
    return extend_tokenizer(old, NEW, 60)


def foreign() -> Tokenizer:
    """As Qwen's files are: NFC, added tokens after the vocabulary; merges in the older form."""
    backend = Backend(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=290, initial_alphabet=list(BYTE_TO_CHAR), show_progress=False
    )
    backend.train_from_iterator(OLD, trainer)
    backend.normalizer = normalizers.NFC()
    backend.add_special_tokens(["<|end|>", "<|im|>"])
    backend.add_tokens([AddedToken("<think>", special=False, normalized=False)])
    spec = json.loads(backend.to_str())
    spec["model"]["merges"] = [" ".join(pair) for pair in spec["model"]["merges"]]
    return Tokenizer(json.dumps(spec), {"eos_token": "<|end|>"})


def ends(tokenizer: Tokenizer, ids: list[int]) -> set[int]:
    """After how many bytes each token ends."""
    raw = [tokenizer.token_bytes(id) for id in ids]
    return {sum(map(len, raw[: i + 1])) for i in range(len(raw))}


def test_every_kind_has_its_rule() -> None:
    assert set(EXTENDERS) == set(KINDS)


def test_the_new_ids_follow_on_the_old(old: Tokenizer, extension: Extension) -> None:
    new = extension.tokenizer
    assert extension.first == old.vocab_size == 280
    assert new.vocab_size == 340 and len(extension.pieces) == 60
    assert [new.token_bytes(i) for i in range(280)] == [old.token_bytes(i) for i in range(280)]
    assert (new.eos_id, new.special_tokens) == (old.eos_id, old.special_tokens)
    assert (new.kind, new.split) == ("bpe", "qwen2")
    for i, pieces in enumerate(extension.pieces):
        assert b"".join(map(old.token_bytes, pieces)) == new.token_bytes(280 + i)
        assert max(pieces) < 280 and len(pieces) > 1


@given(TEXTS)
def test_new_tokens_join_old_ones_and_change_nothing_else(
    old: Tokenizer, extension: Extension, text: str
) -> None:
    new = extension.tokenizer
    before, after = old.encode(text), new.encode(text)
    assert new.decode(after) == text
    assert ends(new, after) <= ends(old, before)
    if max(after, default=0) < extension.first:
        assert after == before


def test_the_new_text_takes_fewer_tokens(old: Tokenizer, extension: Extension) -> None:
    text = "".join(NEW)
    assert len(extension.tokenizer.encode(text)) < 0.5 * len(old.encode(text))


@pytest.mark.parametrize("split", SPLITS)
def test_from_bytes_on_it_learns_what_the_library_learns(split: SplitName) -> None:
    """The oracle is the trainer of `tokenizers`.

    Of pairs as frequent, both take the lowest ids; without spaces its first ids are in our order.
    """
    texts = [text.replace(" ", "-").replace("\n", ";") for text in (NEW[0], OLD[0])]
    bare = TokenizerConfig(vocab_size=257, split=split)
    full = TokenizerConfig(vocab_size=307, split=split)
    grown = extend_tokenizer(train_tokenizer(texts, bare), texts, 50).tokenizer
    expected = json.loads(train_tokenizer(texts, full).text)["model"]["merges"]
    assert json.loads(grown.text)["model"]["merges"] == expected


def test_no_token_joins_two_han_characters(old: Tokenizer) -> None:
    def two_han(extension: Extension) -> list[str]:
        texts = [extension.tokenizer.token_text(extension.first + i) for i in range(30)]
        return [t for t in texts if sum("\u4e00" <= c <= "\u9fff" for c in t) > 1]

    assert two_han(extend_tokenizer(old, NEW[1:], 30, han="run"))
    assert not two_han(extend_tokenizer(old, NEW[1:], 30, han="char"))


@given(TEXTS)
def test_others_give_the_same_ids(extension: Extension, text: str) -> None:
    theirs = Backend.from_str(extension.tokenizer.text)
    ids = theirs.encode(text, add_special_tokens=False).ids
    assert ids == extension.tokenizer.encode(text, allow_special=True)
    assert theirs.decode(ids) == text


def test_transformers_gives_the_same_ids(extension: Extension, tmp_path: Path) -> None:
    extension.tokenizer.save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    for text in (*NEW, *OLD, "𠮷 is rare", " 明月光 self.window<|endoftext|>"):
        ids = theirs(text)["input_ids"]
        assert ids == extension.tokenizer.encode(text, allow_special=True)
        assert theirs.decode(ids) == text
    assert theirs.eos_token_id == extension.tokenizer.eos_id
    assert len(theirs) == extension.tokenizer.vocab_size


def test_a_foreign_file_keeps_its_added_tokens() -> None:
    before = foreign()
    special = {"<|end|>": 290, "<|im|>": 291}
    assert before.special_tokens == special and before.id_of("<think>") == 292
    extension = extend_tokenizer(before, NEW, 50)
    new = extension.tokenizer
    assert (extension.first, new.vocab_size) == (293, 343)
    assert new.special_tokens == special and new.id_of("<think>") == 292 and new.eos_id == 290
    text = "<|im|>self<think>明月光<|end|>"
    ids = Backend.from_str(new.text).encode(text).ids
    assert ids == new.encode(text, allow_special=True)
    assert [id for id in ids if 290 <= id <= 292] == [291, 292, 290]
    assert not {290, 291, 292} & set(new.encode(text)) and new.decode(new.encode(text)) == text
    assert all(isinstance(merge, str) for merge in json.loads(new.text)["model"]["merges"])
    assert new.encode("e\u0301") == new.encode("é")  # its own normalisation, before and after


def test_twice(extension: Extension) -> None:
    again = extend_tokenizer(extension.tokenizer, OLD, 10)
    assert again.first == 340 and again.tokenizer.vocab_size == 350
    assert again.tokenizer.encode("".join(NEW)) == extension.tokenizer.encode("".join(NEW))


def test_the_same_text_gives_the_same_tokens(old: Tokenizer, extension: Extension) -> None:
    again = extend_tokenizer(old, iter(NEW), 60)
    assert again.tokenizer.fingerprint == extension.tokenizer.fingerprint
    assert again.pieces == extension.pieces


def test_a_sample_is_bounded(old: Tokenizer) -> None:
    texts = [f"unit {i} of a long text about words" for i in range(2000)]
    part = extend_tokenizer(old, texts, 8, sample_bytes=5_000)
    whole = extend_tokenizer(old, texts, 8)
    assert part.tokenizer.vocab_size == whole.tokenizer.vocab_size


def test_characters(tmp_path: Path) -> None:
    old = start(kind="char")
    extension = extend_tokenizer(old, ["zzz月月明zé"], 2)
    new = extension.tokenizer
    assert [new.token_text(extension.first + i) for i in range(2)] == ["z", "月"]
    assert extension.pieces == ((), ())
    assert (new.kind, new.eos_id) == ("char", old.eos_id)
    assert new.decode(new.encode("the 月 zoom"), skip_special=False) == "the 月 zoom"
    assert new.encode("the moon") == old.encode("the moon")
    assert new.id_of("<unk>") == old.id_of("<unk>") in new.encode("明")
    new.save(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path)("the 月 z明")["input_ids"] == new.encode(
        "the 月 z明"
    )


def refused(tokenizer: Tokenizer, message: str, texts: list[str] = NEW, n: int = 5) -> None:
    with pytest.raises(TokenizerError, match=message):
        extend_tokenizer(tokenizer, texts, n)


def test_a_text_that_gives_fewer(old: Tokenizer) -> None:
    refused(old, "9999 new tokens .* gives at most [0-9]+. Set start.new_tokens", n=9999)
    refused(start(kind="char"), "gives at most 1. ", texts=["zzz"])
    refused(old, "no text", texts=[""])
    with pytest.raises(TokenizerError, match=r"larger tokenizer[.]sample_bytes"):
        extend_tokenizer(old, NEW, 9999, sample_bytes=10)


def test_bytes_have_nothing_to_add() -> None:
    refused(start(kind="byte"), "nothing to add to a vocabulary of bytes")


def test_other_kinds() -> None:
    word_piece = Backend(models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    unigram = Backend(models.Unigram([("<unk>", 0.0), ("a", -1.0)], unk_id=0))
    spaces = Backend(models.BPE({"▁": 0, "a": 1, "▁a": 2}, [("▁", "a")]))
    spaces.pre_tokenizer = pre_tokenizers.Metaspace()
    spaces.decoder = decoders.Metaspace()
    refused(Tokenizer(word_piece.to_str()), "kind 'wordpiece' cannot be extended")
    refused(Tokenizer(unigram.to_str()), "kind 'unigram' cannot be extended")
    refused(Tokenizer(spaces.to_str()), "'bpe, but not on bytes' cannot be extended")


def test_a_word_that_would_become_an_added_token() -> None:
    """Some files take a word of the vocabulary as it is, before any merge."""
    spec = json.loads(foreign().text)
    spec["model"]["ignore_merges"] = True
    spec["pre_tokenizer"] = json.loads(
        pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(r"\S+|\s+"), behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        ).__getstate__()
    )
    refused(Tokenizer(json.dumps(spec)), "'<think>' would turn into|'<|end|>' would turn into")
