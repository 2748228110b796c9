"""How each piece of a text came about, whatever the kind of tokenizer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from penjing.core.errors import TokenizerError
from penjing.tokenizer.facts import for_plain_text
from penjing.tokenizer.files import parse
from penjing.tokenizer.ladder import BYTE_FALLBACK, Ladder, MergeTable
from penjing.tokenizer.lattice import Lattice, ScoreTable
from penjing.tokenizer.longest import LongestMatch, PieceTable
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.view import Piece, TextView

Steps = Ladder | LongestMatch | Lattice


@dataclass(frozen=True)
class Explained:
    """Pieces of a view, from `first` to before `last`, and the steps that led to them."""

    first: int
    last: int
    steps: Steps

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        kind = {Ladder: "merges", LongestMatch: "longest match", Lattice: "lattice"}
        place = {"first": self.first, "last": self.last}
        return {"kind": kind[type(self.steps)], **place, **asdict(self.steps)}


class Explainer:
    """Says how a tokenizer came to its pieces: BPE by its merges, WordPiece by the longest match,
    Unigram by the likeliest path. Made once for a tokenizer; what it has learned it keeps.

    Args:
        tokenizer: of one of the kinds.
        counts: for BPE, by rank, how often each merge's pair stood in the training text.

    Raises:
        TokenizerError: it is of another kind, or there are not as many counts as merges.
    """

    def __init__(self, tokenizer: Tokenizer, counts: Sequence[int] | None = None) -> None:
        self._tokenizer = tokenizer
        model = for_plain_text(parse(tokenizer.text, "tokenizer.json"))["model"]
        self.kind = str(model.get("type", "BPE"))
        self._table: MergeTable | PieceTable | ScoreTable
        match self.kind:
            case "BPE":
                self._table = MergeTable(model, counts)
                if counts is not None and len(counts) != len(self._table):
                    raise TokenizerError(
                        f"The record of training has {len(counts)} merges, the tokenizer "
                        f"{len(self._table)}: they do not belong together."
                    )
            case "WordPiece":
                self._table = PieceTable(model)
            case "Unigram":
                self._table = ScoreTable(model)
            case other:
                raise TokenizerError(
                    f"A tokenizer of the kind {other!r} takes no steps that could be shown: it "
                    "looks words up. Leave out the steps."
                )

    def explain(self, view: TextView) -> list[Explained]:
        """The steps of all words of a text: for BPE one ladder a token, else one record a word."""
        return [each for first, last in view.words() for each in self._word(view, first, last)]

    def _word(self, view: TextView, first: int, last: int) -> Iterator[Explained]:
        pieces = view.pieces[first:last]
        match self._table:
            case MergeTable() as table:
                for n, piece in enumerate(pieces, start=first):
                    yield Explained(n, n + 1, table.ladder(piece.token))
            case PieceTable() as table:
                word = _spelled(view, pieces, self._tokenizer.normalize, table.prefix)
                yield Explained(first, last, table.match(word.strip()))
            case ScoreTable() as table:
                word = _spelled(view, pieces, self._tokenizer.normalize)
                yield Explained(first, last, table.lattice(word))


def _spelled(
    view: TextView, pieces: Sequence[Piece], normalize: Callable[[str], str], prefix: str = ""
) -> str:
    """A word as the model sees it: of its tokens, and of the text where it has none.

    `prefix` is what marks a token that does not begin a word.
    """
    raw = b""
    for n, piece in enumerate(pieces):
        if piece.unknown:
            raw += normalize(view.source(piece)).encode("utf-8")
        elif BYTE_FALLBACK.fullmatch(piece.token):
            raw += piece.raw
        else:
            raw += piece.token.removeprefix(prefix if n else "").encode("utf-8")
    return raw.decode("utf-8")
