"""What looks like a special token in a text is text, even where the vocabulary has such a piece."""

import json

import pytest
import tokenizers
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers

from penjing.tokenizer.steps import Explainer
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.view import view_text

LETTERS = "abc</s>▁"


def sentencepiece(normalizer: normalizers.Normalizer | None) -> Tokenizer:
    """A vocabulary of T5's form: "</s>" is one of the pieces, and has the best score."""
    pieces = [("<unk>", 0.0), ("</s>", 0.0), *((char, -2.0) for char in LETTERS), ("ab", -3.0)]
    backend = tokenizers.Tokenizer(models.Unigram(pieces, unk_id=0))
    if normalizer is not None:
        backend.normalizer = normalizer
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    backend.add_special_tokens(["<unk>", "</s>"])
    return Tokenizer(backend.to_str())


@pytest.mark.parametrize("text", ["</s>", "ab</s> c", "＜/s＞"])
def test_a_piece_of_a_unigram_model(text: str) -> None:
    tokenizer = sentencepiece(normalizers.NFKC())
    ids = tokenizer.encode(text)
    assert tokenizer.special_tokens["</s>"] not in ids
    assert tokenizer.decode(ids) == text.replace("＜", "<").replace("＞", ">")
    view = view_text(tokenizer, text)
    steps = [each.steps for each in Explainer(tokenizer).explain(view)]
    best = [edge.piece for lattice in steps for edge in lattice.paths[0].edges]
    assert best == [tokenizer.token_of(id) for id in ids]


def test_a_token_that_is_asked_for() -> None:
    tokenizer = sentencepiece(None)
    ids = tokenizer.encode("ab</s>", allow_special=True)
    assert [tokenizer.token_of(id) for id in ids] == ["▁", "ab", "</s>"]


def test_a_model_of_whole_words() -> None:
    words = models.WordLevel({"<unk>": 0, "<s>": 1, "hello": 2}, unk_token="<unk>")
    backend = tokenizers.Tokenizer(words)
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.add_special_tokens(["<s>", "<unk>"])
    tokenizer = Tokenizer(backend.to_str())
    assert tokenizer.encode("<s> hello") == [0, 2]
    assert tokenizer.encode("<s> hello", allow_special=True) == [1, 2]


def test_a_special_token_that_the_normalizer_changes() -> None:
    """It is found in small letters, written so, and left out when special tokens are."""
    backend = tokenizers.Tokenizer(models.BPE({char: id for id, char in enumerate("ab")}, []))
    backend.normalizer = normalizers.Lowercase()
    backend.decoder = decoders.Fuse()
    backend.add_special_tokens([AddedToken("[END]", normalized=True)])
    tokenizer = Tokenizer(backend.to_str())
    ids = tokenizer.encode("A[end]B", allow_special=True)
    assert ids == [0, tokenizer.special_tokens["[END]"], 1]
    assert tokenizer.decode(ids) == "ab"
    assert tokenizer.decode(ids, skip_special=False) == "a[end]b"


def test_what_is_unknown_is_no_special_token_in_a_text() -> None:
    """But the unknown token is one where its name is written."""
    model = models.BPE({"<unk>": 0, "a": 1}, [], unk_token="<unk>")
    backend = tokenizers.Tokenizer(model)
    backend.add_special_tokens(["<unk>"])
    tokenizer = Tokenizer(backend.to_str())
    assert list(tokenizer.cut_special("a𠮷a<unk>a")) == [("a𠮷a", None), ("<unk>", 0), ("a", None)]


def test_the_file_is_kept_as_it_is() -> None:
    tokenizer = sentencepiece(None)
    tokenizer.encode("</s>")
    assert json.loads(tokenizer.text)["model"]["vocab"][1] == ["</s>", 0.0]
