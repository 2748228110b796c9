"""Two sayings about tokens, measured: `python benchmarks/token_counts.py`.

"One token is 0.75 words" and "one token per Han character", for six well-known vocabularies over
four kinds of text from package corpora: of each every n-th document, such that they make up at
least 500,000 characters. Writes the results, and with --page the tables and charts of
docs/token-counts.md.
"""

import argparse
import io
import json
import platform
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stdout
from operator import itemgetter
from pathlib import Path
from typing import Any

import penjing
from penjing.cli.main import main as run_penjing
from penjing.data.corpora import CORPORA, load_corpus
from penjing.formats.package_tokenizers import TOKENIZERS, fetch_tokenizer
from penjing.report.svg import grouped_bar_chart
from penjing.tokenizer.compare import compare_tokenizers
from penjing.tokenizer.figures import CutFigures

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "token_counts.json"
PAGE = ROOT / "docs" / "token-counts.md"
TEXTS = {  # corpus: what kind of text it is
    "wiki": "English prose",
    "stdlib": "Python code",
    "dictionary": "modern Chinese",
    "tang": "classical Chinese",
}
EXAMPLE = ("今天天气不错。", "The weather is nice today.", "--with", "gpt2,o200k,qwen")
CHARACTERS = 500_000  # of each, at least, where there are so many

Figures = dict[str, Any]  # of one text with one vocabulary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--characters", type=int, default=CHARACTERS)
    parser.add_argument("--out", type=Path, default=RESULTS, help="where to write the results")
    parser.add_argument("--page", action="store_true", help="put them into docs/token-counts.md")
    args = parser.parse_args()
    results = measure(args.characters)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(results, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    for name, text in sections(results).items():
        print(f"{name}\n\n{text}\n")
    if args.page:
        PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
        for name, svg in charts(results).items():
            (PAGE.parent / name).write_text(svg, encoding="utf-8")


def measure(characters: int = CHARACTERS) -> dict[str, Any]:
    """The figures of each text with each vocabulary."""
    tokenizers = {name: fetch_tokenizer(name) for name in TOKENIZERS}
    texts = {}
    for name, kind in TEXTS.items():
        cuts = compare_tokenizers(tokenizers, sample(name, characters))
        first = next(iter(cuts.values())).text
        package = CORPORA[name].package
        texts[name] = {
            "kind": kind,
            "title": CORPORA[name].title,
            "package": f"{package.name} {package.version}"
            if package
            else f"Python {platform.python_version()}",
            "documents": first.documents,
            "characters": first.characters,
            "bytes": first.bytes,
            "words": first.words,
            "scripts": dict(first.scripts),
            "vocabularies": {vocabulary: figures(cut) for vocabulary, cut in cuts.items()},
        }
    vocabularies = {
        name: {
            "title": known.title,
            "package": f"{known.package.name} {known.package.version}",
            "vocab_size": tokenizers[name].vocab_size,
        }
        for name, known in TOKENIZERS.items()
    }
    return {
        "penjing": penjing.__version__,
        "vocabularies": vocabularies,
        "texts": texts,
        "example": example(),
    }


def example() -> str:
    """What the first command of the page prints."""
    with redirect_stdout(io.StringIO()) as printed:
        run_penjing(["tokenizer", "compare", *EXAMPLE])
    return printed.getvalue().rstrip()


def sample(name: str, characters: int) -> list[str]:
    """Every n-th document of a corpus: the largest n that gives as many characters, or all."""
    documents = [document.text for document in load_corpus(name)]
    step = max(1, sum(map(len, documents)) // characters)
    while step > 1 and sum(map(len, documents[::step])) < characters:
        step -= 1
    return documents[::step]


def figures(cut: CutFigures) -> dict[str, Any]:
    """What the page is made of; the text's own figures are the same for all."""
    whole = cut.to_json()
    del whole["text"]
    return {name: rounded(value) for name, value in whole.items()}


def rounded(value: Any) -> Any:
    """To what a reader needs: the sums are of many small parts, whose order must not matter."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def sections(results: dict[str, Any]) -> dict[str, str]:
    """What of the page follows from the figures, in Markdown, by the name of its place there."""
    texts = results["texts"]
    indented = "\n".join(f"    {line}".rstrip() for line in results["example"].splitlines())
    return {
        "output": indented,
        "vocabularies": table(
            ["name", "vocabulary of", "tokens", "package"],
            [
                [f"`{name}`", known["title"], f"{known['vocab_size']:,}", known["package"]]
                for name, known in results["vocabularies"].items()
            ],
        ),
        "texts": table(
            ["text", "corpus", "documents", "characters", "bytes", "words"],
            [
                [text["kind"], f"`{name}`: {text['title']}"]
                + [f"{text[count]:,}" for count in ("documents", "characters", "bytes", "words")]
                for name, text in texts.items()
            ],
        ),
        "words": said(texts, ("wiki", "stdlib"), words_per_token, "words per token"),
        "words table": by_vocabulary(texts, ("wiki", "stdlib"), two(words_per_token)),
        "han": said(texts, ("dictionary", "tang"), per_han, "tokens per Han character"),
        "han table": by_vocabulary(texts, ("dictionary", "tang"), two(per_han)),
        "characters table": by_vocabulary(texts, TEXTS, two(itemgetter("characters_per_token"))),
        "fragments table": by_vocabulary(texts, TEXTS, share("fragments")),
        "unknown table": by_vocabulary(texts, TEXTS, share("unknown")),
    }


def words_per_token(figures: Figures) -> float:
    return 1 / float(figures["tokens_per_word"])


def per_han(figures: Figures) -> float:
    return float(figures["fertility"]["Han"])


def two(value: Callable[[Figures], float]) -> Callable[[Figures], str]:
    """The value with two decimals."""
    return lambda figures: f"{value(figures):.2f}"


def share(count: str) -> Callable[[Figures], str]:
    """Such tokens among all; 0 only where there is none."""

    def shown(figures: Figures) -> str:
        part = figures[count] / figures["tokens"]
        return f"{part:.1%}" if part >= 0.0005 else "<0.1%" if part else "0"

    return shown


def said(
    texts: dict[str, Any], names: Sequence[str], value: Callable[[Figures], float], unit: str
) -> str:
    """From the lowest to the highest, in a sentence."""
    parts = []
    for name in names:
        found = sorted((value(each), key) for key, each in texts[name]["vocabularies"].items())
        (low, lowest), (high, highest) = found[0], found[-1]
        parts.append(
            f"{texts[name]['kind']}: {low:.2f} (`{lowest}`) to {high:.2f} (`{highest}`) {unit}."
        )
    return "  \n".join(parts)


def by_vocabulary(
    texts: dict[str, Any], names: Iterable[str], shown: Callable[[Figures], str]
) -> str:
    """A row a vocabulary, a column a text."""
    columns = [texts[name] for name in names]
    return table(
        ["vocabulary", *(text["kind"] for text in columns)],
        [
            [f"`{name}`", *(shown(text["vocabularies"][name]) for text in columns)]
            for name in columns[0]["vocabularies"]
        ],
    )


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def filled(page: str, results: dict[str, Any]) -> str:
    """The page with its tables made anew: each stands between two comments with its name."""
    for name, text in sections(results).items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = f"{before}{begin}\n{text}\n\n{end}{after}"
    return page


def charts(results: dict[str, Any]) -> dict[str, str]:
    """By file name in docs/."""
    texts = results["texts"]

    def chart(
        names: Sequence[str], title: str, unit: str, value: Callable[[Figures], float]
    ) -> str:
        groups = {
            texts[name]["kind"]: [value(each) for each in texts[name]["vocabularies"].values()]
            for name in names
        }
        return grouped_bar_chart(list(results["vocabularies"]), groups, title=title, y_label=unit)

    return {
        "token-counts-words.svg": chart(
            ["wiki", "stdlib"],
            "Words per token",
            "words per token; the saying has 0.75",
            words_per_token,
        ),
        "token-counts-han.svg": chart(
            ["dictionary", "tang"],
            "Tokens per Han character",
            "tokens per Han character; the saying has 1",
            per_han,
        ),
    }


if __name__ == "__main__":
    main()
