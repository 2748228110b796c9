"""How fast large texts become ids: `python benchmarks/tokenizer_encoding.py`.

The same documents, two threads, the same vocabulary for all: penjing as lists of numbers
(`encode_batch`) and as arrays (`encode_arrays`), `tokenizers` (`encode_batch_fast`, which leaves
its ids in Rust), tiktoken (`encode_ordinary_batch`), and tokie where it is installed. They run in
turn, in one process; a figure is the median of the rounds after the first, which fills every cache.
All ids are compared; a peer with others is named in "other_ids". "start" is what penjing takes to
load compiled code and lay out a vocabulary.

Writes the row "encoding" of benchmarks/results/tokenizers.json, and fails unless penjing's lists
are made at three times the speed of `tokenizers`.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import tiktoken
import tokenizers
from numpy.typing import NDArray

from machine import describe_machine
from penjing.data.corpora import load_corpus
from penjing.formats.package_tokenizers import fetch_tokenizer
from penjing.tokenizer import bulk
from penjing.tokenizer.alphabet import from_alphabet
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.splits import CL100K, SPLITS
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.train import train_tokenizer

THREADS = 2
RESULTS = Path(__file__).parent / "results" / "tokenizers.json"
NEEDED = 3.0  # times the speed of `tokenizers`
TEXTS = {"English": ("wiki", "shakespeare", "stdlib"), "Chinese": ("tang", "dictionary")}
OWN = "own, 32k"  # trained on the text itself
VOCABULARIES = (OWN, "gpt2", "cl100k", "o200k")

Flat = NDArray[np.uint32]  # all ids of all documents
Contestant = Callable[[Sequence[str]], Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=float, default=10, help="of each text")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where to write the row")
    args = parser.parse_args()
    os.environ |= {"RAYON_NUM_THREADS": str(THREADS), "TOKENIZERS_PARALLELISM": "true"}
    row = encoding_row(args.rounds, args.megabytes)
    results = json.loads(args.out.read_text(encoding="utf-8")) if args.out.exists() else {}
    results["encoding"] = row
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(results, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    sys.exit(0 if row["passed"] else 1)


def encoding_row(rounds: int = 5, megabytes: float = 10) -> dict[str, Any]:
    """The speeds of all contestants on each text with each vocabulary."""
    figures = []
    for language in TEXTS:
        documents = documents_of(language, megabytes)
        for vocabulary in VOCABULARIES:
            tokenizer = tokenizer_of(vocabulary, documents)
            figure = {"text": language, "vocabulary": vocabulary}
            figure |= compare(tokenizer, documents, rounds)
            figures.append(figure)
            speeds = (f"{name} {speed:.1f}" for name, speed in figure["mb_per_second"].items())
            print(language, vocabulary, "MB/s:", ", ".join(speeds), flush=True)
    lowest = {
        language: min(figure["ratio"] for figure in figures if figure["text"] == language)
        for language in TEXTS
    }
    peers = [name for name in ("tokenizers", "tiktoken", "tokie") if importlib.util.find_spec(name)]
    return {
        "threads": THREADS,
        "figures": figures,
        "lowest_ratio": lowest,
        "passed": all(ratio >= NEEDED for ratio in lowest.values()),
        "versions": {name: importlib.metadata.version(name) for name in peers},
        "machine": describe_machine(),
    }


def documents_of(language: str, megabytes: float) -> list[str]:
    """Whole documents of the text, of about so many bytes."""
    left = megabytes * 1e6
    documents = []
    for document in chain.from_iterable(map(load_corpus, TEXTS[language])):
        if left <= 0:
            break
        documents.append(document.text)
        left -= len(document.text.encode("utf-8"))
    return documents


def tokenizer_of(vocabulary: str, documents: list[str]) -> Tokenizer:
    if vocabulary != OWN:
        return fetch_tokenizer(vocabulary)
    return train_tokenizer(documents, TokenizerConfig(vocab_size=32_000))


def compare(tokenizer: Tokenizer, documents: list[str], rounds: int) -> dict[str, Any]:
    """The contestants in turn, after a first round in which their ids are compared."""
    n_bytes = sum(len(text.encode("utf-8")) for text in documents)
    begin = time.perf_counter()
    if not tokenizer._bulk.wants(bulk.LARGE):
        raise SystemExit(f"{tokenizer} is not for the compiled encoder")
    start = time.perf_counter() - begin
    runners = list(contestants(tokenizer))
    seconds: dict[str, list[float]] = {name: [] for name, *_ in runners}
    expected: Flat | None = None
    other_ids = []
    for name, encode, flatten in runners:
        ids = flatten(encode(documents))
        expected = ids if expected is None else expected
        if not np.array_equal(ids, expected):
            if name.startswith("penjing"):
                raise SystemExit(f"{name}: other ids than those of tokenizers")
            other_ids.append(name)
    for _ in range(rounds):
        for name, encode, _ in runners:
            begin = time.perf_counter()
            answer = encode(documents)
            seconds[name].append(time.perf_counter() - begin)
            del answer
    speeds = {name: n_bytes / 1e6 / statistics.median(each) for name, each in seconds.items()}
    return {
        "megabytes": n_bytes / 1e6,
        "documents": len(documents),
        "tokens": 0 if expected is None else len(expected),
        "start_seconds": start,
        "mb_per_second": speeds,
        "other_ids": other_ids,  # who is fast with other ids than the rest
        "ratio": speeds["penjing, lists"] / speeds["tokenizers"],
        "ratio_arrays": speeds["penjing, arrays"] / speeds["tokenizers"],
    }


def contestants(
    tokenizer: Tokenizer,
) -> Iterator[tuple[str, Contestant, Callable[[Any], Flat]]]:
    """A name, what encodes documents, and what makes one array of its answer."""
    backend = tokenizers.Tokenizer.from_str(
        json.dumps(json.loads(tokenizer.text) | {"added_tokens": []})
    )
    yield (
        "tokenizers",
        lambda texts: backend.encode_batch_fast(texts, add_special_tokens=False),
        lambda answer: _flat(encoding.ids for encoding in answer),
    )
    peer = tiktoken_of(tokenizer)
    yield (
        "tiktoken",
        lambda texts: peer.encode_ordinary_batch(texts, num_threads=THREADS),
        _flat,
    )
    if importlib.util.find_spec("tokie"):
        other = tokie_of(tokenizer)
        yield (
            "tokie",
            lambda texts: other.encode_batch(texts, add_special_tokens=False),
            lambda answer: _flat(encoding.ids for encoding in answer),
        )
    yield "penjing, lists", tokenizer.encode_batch, _flat
    yield (
        "penjing, arrays",
        lambda texts: list(tokenizer.encode_arrays(texts)),
        lambda answer: np.concatenate([ids for ids, _ in answer]),
    )


def tiktoken_of(tokenizer: Tokenizer) -> tiktoken.Encoding:
    """The same vocabulary: in these, ids are in the order of the merges."""
    vocabulary = json.loads(tokenizer.text)["model"]["vocab"]
    ranks = {from_alphabet(token): id for token, id in vocabulary.items()}
    pattern = SPLITS[tokenizer.split].pattern if tokenizer.split else CL100K
    return tiktoken.Encoding("same", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})


def tokie_of(tokenizer: Tokenizer) -> Any:
    import tokie

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "tokenizer.json")
        file.write_text(tokenizer.text, encoding="utf-8")
        return tokie.Tokenizer.from_json(str(file))


def _flat(rows: Any) -> Flat:
    return np.concatenate([np.asarray(row, np.uint32) for row in rows])


if __name__ == "__main__":
    main()
