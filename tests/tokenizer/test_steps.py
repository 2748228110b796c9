"""The steps of every kind lead to the very tokens that `tokenizers` gives, whatever the text."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from penjing.core.errors import TokenizerError
from penjing.tokenizer.ladder import Ladder
from penjing.tokenizer.lattice import Lattice
from penjing.tokenizer.longest import LongestMatch
from penjing.tokenizer.steps import Explained, Explainer
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.view import TextView, view_text

TEXTS = st.text(alphabet="unhapiesdtbc 今天气不错人工智能，. 12é𠮷👨\u200d\n", max_size=40)


def wordpiece(corpus: list[str]) -> Tokenizer:
    backend = Backend(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=150, special_tokens=["[UNK]"], show_progress=False
    )
    backend.train_from_iterator(corpus, trainer)
    return Tokenizer(backend.to_str())


def unigram(corpus: list[str], *, byte_fallback: bool = False) -> Tokenizer:
    backend = Backend(models.Unigram())
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    fallback = [f"<0x{byte:02X}>" for byte in range(256)] if byte_fallback else []
    trainer = trainers.UnigramTrainer(
        vocab_size=180 + len(fallback),
        special_tokens=["<unk>", *fallback],
        unk_token="<unk>",
        show_progress=False,
    )
    backend.train_from_iterator(corpus, trainer)
    steps = [decoders.Metaspace(), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence(steps)
    spec = json.loads(backend.to_str()) | {"added_tokens": []}
    spec["model"]["byte_fallback"] = byte_fallback
    return Tokenizer(json.dumps(spec))


@pytest.fixture(scope="module")
def pieces(corpus: list[str]) -> Tokenizer:
    return wordpiece(corpus)


@pytest.fixture(scope="module", params=[False, True], ids=["unknown", "byte fallback"])
def scored(corpus: list[str], request: pytest.FixtureRequest) -> Tokenizer:
    return unigram(corpus, byte_fallback=request.param)


def explained(tokenizer: Tokenizer, text: str) -> Iterator[tuple[Explained, list[str]]]:
    """The steps, each with the tokens that it must lead to."""
    view = view_text(tokenizer, text)
    end = 0
    for each in Explainer(tokenizer).explain(view):
        assert each.first == end
        end = each.last
        yield each, [piece.token for piece in view.pieces[each.first : each.last]]
    assert end == len(view.pieces)


@pytest.fixture(scope="module")
def ladders(bpe: Tokenizer) -> Explainer:
    return Explainer(bpe)


@given(TEXTS)
def test_merges_lead_to_the_tokens(bpe: Tokenizer, text: str) -> None:
    for each, tokens in explained(bpe, text):
        assert isinstance(each.steps, Ladder) and not each.steps.whole
        *_, last = each.steps.states()
        assert list(last) == tokens
        assert "".join(each.steps.symbols) == tokens[0]


@given(TEXTS)
def test_longest_matches_lead_to_the_tokens(pieces: Tokenizer, text: str) -> None:
    for each, tokens in explained(pieces, text):
        assert isinstance(each.steps, LongestMatch)
        found = [match.piece for match in each.steps.matches]
        assert (["[UNK]"] if each.steps.unknown else found) == tokens


@given(TEXTS)
def test_the_likeliest_path_leads_to_the_tokens(scored: Tokenizer, text: str) -> None:
    for each, tokens in explained(scored, text):
        assert isinstance(each.steps, Lattice)
        assert _as_tokens(each.steps, fallback=scored.id_of("<0x00>") is not None) == tokens


def _as_tokens(lattice: Lattice, *, fallback: bool) -> list[str]:
    """What `tokenizers` makes of the best path: unknown characters in a row are one token."""
    tokens: list[str] = []
    for edge in lattice.paths[0].edges:
        if edge.known:
            tokens.append(edge.piece)
        elif fallback:
            tokens += [f"<0x{byte:02X}>" for byte in edge.piece.encode()]
        elif tokens[-1:] != ["<unk>"]:
            tokens.append("<unk>")
    return tokens


def test_every_kind_can_be_explained(tokenizer: Tokenizer, tricky: str) -> None:
    for each, tokens in explained(tokenizer, tricky):
        assert tokens and json.dumps(each.to_json(), ensure_ascii=False)


def test_added_tokens_have_no_steps(bpe: Tokenizer) -> None:
    view = view_text(bpe, "a<|endoftext|>b", allow_special=True)
    assert [(each.first, each.last) for each in Explainer(bpe).explain(view)] == [(0, 1), (2, 3)]


def test_counts_are_those_of_the_ranks(bpe: Tokenizer) -> None:
    n_merges = bpe.vocab_size - 257
    view = view_text(bpe, "unhappiness")
    for each in Explainer(bpe, [10 * n for n in range(n_merges)]).explain(view):
        assert all(merge.count == 10 * merge.rank for merge in each.steps.merges)
    with pytest.raises(TokenizerError, match="do not belong together"):
        Explainer(bpe, [1, 2, 3])


def test_a_kind_that_only_looks_up_is_refused() -> None:
    backend = Backend(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    with pytest.raises(TokenizerError, match="WordLevel"):
        Explainer(Tokenizer(backend.to_str()))


def test_a_view_without_words(bpe: Tokenizer) -> None:
    assert Explainer(bpe).explain(TextView("", (), ())) == []
