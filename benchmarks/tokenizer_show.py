"""How soon `penjing tokenizer show` answers: `python benchmarks/tokenizer_show.py`.

1,000 characters, a tokenizer that is loaded, and a terminal with colours: from the text to all
that is printed. Medians over the rounds, and the quickest; "steps" is with --steps, whose ladders
are remembered from one round to the next. Writes the row "show" of
benchmarks/results/tokenizers.json.
"""

import argparse
import io
import json
import statistics
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from machine import describe_machine
from penjing.cli.pieces import show_pieces
from penjing.cli.steps import show_steps
from penjing.data.corpora import load_corpus
from penjing.formats.package_tokenizers import fetch_tokenizer
from penjing.tokenizer.steps import Explainer
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.view import view_text

RESULTS = Path(__file__).parent / "results" / "tokenizers.json"
CHARACTERS = 1000
NEEDED = 0.050  # seconds
VOCABULARIES = ("gpt2", "qwen", "bert")
TEXTS = {"English": "wiki", "Chinese": "dictionary", "Python": "stdlib"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--out", type=Path, default=RESULTS, help="where to write the row")
    args = parser.parse_args()
    row = {"machine": describe_machine(), **show_row(args.rounds)}
    results = json.loads(args.out.read_text(encoding="utf-8")) if args.out.exists() else {}
    results["show"] = row
    args.out.write_text(json.dumps(results, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    for each in row["texts"]:
        print(
            f"{each['vocabulary']:6} {each['text']:8} {each['tokens']:5} tokens  "
            f"{each['ms']:5.1f} ms, quickest {each['quickest_ms']:5.1f} ms;  "
            f"with steps {each['steps_ms']:5.1f} ms, quickest {each['steps_quickest_ms']:5.1f} ms"
        )


def show_row(rounds: int = 25) -> dict[str, Any]:
    """The figures of each vocabulary with each text, and the slowest of them beside our aim."""
    texts = {name: _text(corpus) for name, corpus in TEXTS.items()}
    figures = []
    for vocabulary in VOCABULARIES:
        tokenizer = fetch_tokenizer(vocabulary)
        explainer = Explainer(tokenizer)
        for name, text in texts.items():
            plain = [_seconds(tokenizer, text) for _ in range(rounds)]
            steps = [_seconds(tokenizer, text, explainer) for _ in range(rounds)]
            figures.append(
                {
                    "vocabulary": vocabulary,
                    "text": name,
                    "tokens": len(view_text(tokenizer, text).pieces),
                    "ms": _milliseconds(statistics.median(plain)),
                    "quickest_ms": _milliseconds(min(plain)),
                    "steps_ms": _milliseconds(statistics.median(steps)),
                    "steps_quickest_ms": _milliseconds(min(steps)),
                }
            )
    slowest = max(each["ms"] for each in figures)
    return {
        "characters": CHARACTERS,
        "needed_ms": 1000 * NEEDED,
        "slowest_ms": slowest,
        "reached": slowest < 1000 * NEEDED,
        "texts": figures,
    }


def _milliseconds(seconds: float) -> float:
    return round(1000 * seconds, 2)


def _text(corpus: str) -> str:
    """Of a corpus, 1,000 characters from its midst."""
    whole = "\n".join(document.text for document in load_corpus(corpus))
    middle = len(whole) // 2
    return whole[middle : middle + CHARACTERS]


def _seconds(tokenizer: Tokenizer, text: str, explainer: Explainer | None = None) -> float:
    """From the text to what a terminal would get."""
    console = Console(file=io.StringIO(), force_terminal=True, markup=False, highlight=False)
    begin = time.perf_counter()
    view = view_text(tokenizer, text)
    show_pieces(console, view)
    if explainer is not None:
        show_steps(console, tokenizer, explainer.explain(view))
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
