"""How pieces came about, on a terminal: merges, longest matches, likeliest paths."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from itertools import groupby

from rich.console import Console
from rich.segment import Segment

from penjing.cli.columns import table
from penjing.cli.lines import BOLD, line, show_lines
from penjing.report.units import plural
from penjing.tokenizer.ladder import Ladder
from penjing.tokenizer.lattice import Edge, Lattice
from penjing.tokenizer.longest import LongestMatch, Match
from penjing.tokenizer.steps import Explained
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.view import shown, visible

Name = Callable[[str], str]  # a token of the vocabulary -> as it is shown
_TRIED = 4  # pieces that were looked for in vain, as far as they are named


def show_steps(console: Console, tokenizer: Tokenizer, explained: Sequence[Explained]) -> None:
    """Print the steps of each word or token once, in the order of the text."""
    show_lines(console, _lines(tokenizer, explained))


def _lines(tokenizer: Tokenizer, explained: Sequence[Explained]) -> Iterator[Segment]:
    name = cache(partial(shown, tokenizer))  # merges name the same tokens again and again
    alphabet: list[str] = []  # tokens that are there from the beginning
    for steps in dict.fromkeys(each.steps for each in explained):
        match steps:
            case Ladder() if len(steps.symbols) == 1:
                alphabet.append(name(steps.token))
            case Ladder():
                yield from _ladder(steps, name)
            case LongestMatch():
                yield from _matches(steps)
            case Lattice():
                yield from _lattice(steps, name)
    if alphabet:
        yield line()
        yield line(f"Without merges, the vocabulary begins with them: {' '.join(alphabet)}")


def _ladder(ladder: Ladder, name: Name) -> Iterator[Segment]:
    yield from (line(), line(name(ladder.token), BOLD))
    states = [" ".join(name(part) for part in state) for state in ladder.states()]
    counted = any(merge.count is not None for merge in ladder.merges)
    header = ("rank", "count", "merge", "parts")
    rows = [("", "", "", states[0])]
    for merge, state in zip(ladder.merges, states[1:], strict=True):
        pair = f"{name(merge.left)} + {name(merge.right)}"
        rows.append((f"{merge.rank:,}", f"{merge.count or 0:,}", pair, state))
    if counted:
        yield from table(header, rows, right=(0, 1))
    else:
        kept = [(rank, pair, state) for rank, _, pair, state in rows]
        yield from table(("rank", "merge", "parts"), kept, right=(0,))
    if ladder.whole:
        yield line("no merges lead further: a word that is just this token is taken at once")


def _matches(steps: LongestMatch) -> Iterator[Segment]:
    yield from (line(), line(visible(steps.word), BOLD))
    if steps.too_long:
        yield line(f"unknown: {plural(len(steps.word), 'character')} are more than it looks at")
        return
    rows = [(str(m.start), m.piece or "nothing", _tried(m)) for m in steps.matches]
    yield from table(("at", "found", "not in the vocabulary, longest first"), rows, right=(0,))
    if steps.unknown:
        yield line("where nothing fits, the whole word is unknown")


def _tried(match: Match) -> str:
    tried = list(match.tried)
    if len(tried) > _TRIED:
        rest = len(tried) - _TRIED + 1
        tried = [*tried[: _TRIED - 2], f"... ({rest} more)", tried[-1]]
    return " ".join(tried)


def _lattice(lattice: Lattice, name: Name) -> Iterator[Segment]:
    yield from (line(), line(name(lattice.word), BOLD))

    def named(edge: Edge) -> str:
        piece = name(edge.piece)
        return f"{piece} {edge.score:.2f}" if edge.known else f"({piece} {edge.score:.2f})"

    paths = [(f"{path.score:.2f}", "  ".join(map(named, path.edges))) for path in lattice.paths]
    yield from table(("score", "likeliest paths"), paths, right=(0,))
    fits = [
        (str(start), "  ".join(map(named, edges)))
        for start, edges in groupby(lattice.edges, key=lambda edge: edge.start)
    ]
    yield from table(("at", "pieces that fit there"), fits, right=(0,))
