"""`penjing tokenizer compare`: what several tokenizers make of the same texts, side by side."""

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from penjing.cli.arguments import OptionalPath, command, parse
from penjing.cli.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from penjing.tokenizer.figures import CutFigures

KNOWN = "gpt2,cl100k,o200k,qwen,deepseek"
LEAST = 0.005  # share of the characters that a script must have to be shown

Figures = Mapping[str, Mapping[str, "CutFigures"]]  # by text, and by tokenizer


@dataclass(frozen=True)
class Arguments:
    """Count tokens with several tokenizers: per character, per byte, per word, by script."""

    texts: Annotated[
        Positional[tuple[str, ...]],
        arg(metavar="[TEXT ...]", help='texts, or files, folders, corpora, "-"; each for itself'),
    ] = ()
    tokenizers: Annotated[str, arg(name="with", metavar="NAME,...")] = KNOWN
    """well-known vocabularies (see --list), runs, model directories, tokenizer.json, .gguf files"""
    chart: OptionalPath = None
    """a new .svg or .png: characters per token as bars"""
    json: OptionalPath = None
    """a new file for all figures"""
    known: Annotated[FlagCreatePairsOff[bool], arg(name="list")] = False
    """the vocabularies that can be fetched, with their licences"""


def run(args: Sequence[str]) -> int:
    """Encode all texts with all tokenizers, and show the figures."""
    arguments: Arguments = parse(Arguments, args, "tokenizer compare")
    if arguments.known:
        _list()
        return 0
    if not arguments.texts:
        example = command("tokenizer", "compare", "今天天气不错", "--with", "gpt2,qwen")
        raise UsageError(f"Name a text, a file, a folder or a corpus: {example}")
    from penjing.cli.console import make_console, show
    from penjing.core.files import check_free, write_json
    from penjing.report.image import check_image_name, save_image

    for path in filter(None, (arguments.chart, arguments.json)):
        check_free(path)
    if arguments.chart is not None and arguments.chart == arguments.json:
        raise UsageError("--chart and --json name the same file: each needs one of its own.")
    if arguments.chart is not None:
        check_image_name(arguments.chart)
    console = make_console()
    found = _measure(arguments)
    for title, cuts in found.items():
        _show(console, title, cuts)
    show(console, _LEGEND)
    if arguments.chart is not None:
        save_image(_chart(found), arguments.chart)
        show(console, f"\nChart: {arguments.chart}")
    if arguments.json is not None:
        write_json(arguments.json, _figures(found))
        show(console, f"All figures: {arguments.json}")
    return 0


def _measure(arguments: Arguments) -> Figures:
    from penjing.cli.console import make_console
    from penjing.cli.samples import read_sample, watched
    from penjing.cli.study_progress import StudyProgress
    from penjing.formats.package_tokenizers import open_tokenizer
    from penjing.tokenizer.compare import compare_tokenizers

    found: dict[str, Mapping[str, CutFigures]] = {}
    with StudyProgress(make_console(stderr=True)) as progress:
        samples = [read_sample(word, progress) for word in dict.fromkeys(arguments.texts)]
        tokenizers = {
            label: open_tokenizer(name, listener=progress)
            for label, name in labelled(arguments.tokenizers).items()
        }
        for sample in samples:
            texts = watched(sample.texts, sample.n_bytes, sample.name, progress)
            found[_unused(sample.name, found)] = compare_tokenizers(tokenizers, texts)
    return found


def _unused(name: str, taken: Container[str]) -> str:
    """The name, numbered if there is one such already: texts may begin alike."""
    if name not in taken:
        return name
    return next(other for n in count(2) if (other := f"{name} ({n})") not in taken)


def labelled(listed: str) -> dict[str, str]:
    """The tokenizers of `--with`, each once, by what their columns are called: of a path, the last
    part that says something.

    Raises:
        UsageError: none is named.
    """
    found = dict.fromkeys(name.strip() for name in listed.split(",") if name.strip())
    if not found:
        raise UsageError("--with needs at least one tokenizer, such as gpt2 or runs/first.")
    short = [_label(Path(name)) or name for name in found]
    return {
        label if short.count(label) == 1 else name: name
        for label, name in zip(short, found, strict=True)
    }


def _label(path: Path) -> str:
    return path.parent.name if path.name in ("tokenizer.json", "model") else path.name


_LEGEND = """\
tokens/word: words stand between spaces, which some scripts do without
fragments: tokens with a part of a character; unknown: tokens for what is lost
below 1 token per character, a token holds several; above, it takes several"""


def _show(console: "Console", title: str, cuts: Mapping[str, "CutFigures"]) -> None:
    from penjing.cli.columns import show_columns
    from penjing.cli.console import show
    from penjing.report.units import percent, plural

    text = next(iter(cuts.values())).text
    counts = (
        plural(text.documents, "document"),
        plural(text.characters, "character"),
        plural(text.bytes, "byte"),
        plural(text.words, "word"),
    )
    show(console, f"{title}: {', '.join(counts)}\n", "bold")
    header = (
        "tokenizer", "vocabulary", "tokens", "characters/token", "bytes/token", "tokens/word",
        "fragments", "unknown",
    )  # fmt: skip
    rows = [
        (
            name,
            f"{cut.vocab_size:,}",
            f"{cut.tokens:,}",
            _two(cut.characters_per_token),
            _two(cut.bytes_per_token),
            _two(cut.tokens_per_word),
            percent(cut.fragment_share) if cut.fragments else "0",
            f"{cut.unknown:,}",
        )
        for name, cut in cuts.items()
    ]
    show_columns(console, header, rows, right=range(1, 8), optional=(1, 4))
    shown = [name for name, n in text.scripts.items() if n >= LEAST * text.characters]
    rows_by_script = [
        (name, f"{text.scripts[name]:,}", *(f"{cut.fertility[name]:.2f}" for cut in cuts.values()))
        for name in shown
    ]
    show(console, "\ntokens per character", "bold")
    show_columns(
        console, ("script", "characters", *cuts), rows_by_script, right=range(1, len(cuts) + 2)
    )
    show(console, "")


def _two(ratio: float | None) -> str:
    """With two decimals; a dash for what is not a number."""
    return "-" if ratio is None or math.isnan(ratio) else f"{ratio:.2f}"


def _chart(found: Figures) -> str:
    from penjing.report.svg import bar_chart, grouped_bar_chart

    title, unit = "Characters per token", "characters per token: the more, the fewer tokens"
    if len(found) == 1:
        ((name, cuts),) = found.items()
        values = [cut.characters_per_token for cut in cuts.values()]
        return bar_chart(list(cuts), values, title=f"{title}: {name}", y_label=unit)
    first = next(iter(found.values()))
    groups = {name: [cuts[name].characters_per_token for cuts in found.values()] for name in first}
    return grouped_bar_chart(list(found), groups, title=title, y_label=unit)


def _figures(found: Figures) -> dict[str, dict[str, object]]:
    return {
        title: {name: cut.to_json() for name, cut in cuts.items()} for title, cuts in found.items()
    }


def _list() -> None:
    from penjing.cli.packages import list_packages
    from penjing.formats.package_tokenizers import TOKENIZERS

    list_packages(
        (name, known.title, known.package, known.licence) for name, known in TOKENIZERS.items()
    )
