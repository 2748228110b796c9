"""How fast a text is examined and cleaned, and in how much memory.

Rows of English (summaries of articles) and of Chinese (a dictionary) are made anew from shuffled
parts, so that no two are alike, in files of two sizes. `penjing data check` and `penjing data
clean` run on each in a process of their own, in turns; the least times of several turns count, by
the clock and of the processors, and the most memory. What the larger file needs more than the
smaller one is what grows with the text. Near duplicates alone are searched for with datasketch,
too, on a part of the same rows: signatures of 128 values over runs of five words, and an index for
a similarity of 0.8.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from machine import describe_machine
from penjing.data.readers import read_documents

RESULTS = Path(__file__).parent / "results" / "data_doctor.json"
CORPORA = {"English": "wiki", "Chinese": "dictionary"}
DATASKETCH_CHARACTERS = 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--megabytes", type=int, nargs="+", default=[30, 90])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS, help="where to write the results")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), args.megabytes, args.rounds)
    result = {"machine": describe_machine(), "rows": rows}
    args.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    for row in rows:
        print(json.dumps(row))


def measure(folder: Path, megabytes: Sequence[int], rounds: int) -> list[dict[str, Any]]:
    """A row for each language, size and verb, and one a language for datasketch."""
    files = {}
    for language, corpus in CORPORA.items():
        parts = [document.text for document in read_documents([corpus])]
        for size in megabytes:
            path = folder / f"{language}-{size}.jsonl"
            with path.open("w", encoding="utf-8") as file:
                file.writelines(make_rows(parts, size * 1_000_000))
            files[language, size] = path
    timed("check", files[next(iter(files))], [])  # compiles what is not compiled yet
    times: dict[tuple[str, int, str], list[tuple[float, float, int]]] = {}
    for _ in range(rounds):
        for (language, size), path in files.items():
            out = folder / "clean.jsonl"
            for verb, words in (("check", []), ("clean", ["--out", str(out)])):
                times.setdefault((language, size, verb), []).append(timed(verb, path, words))
            out.unlink()
    rows = []
    for (language, size, verb), runs in times.items():
        seconds = min(seconds for seconds, _, _ in runs)
        cpu_seconds = min(cpu for _, cpu, _ in runs)
        megabytes_used = max(memory for _, _, memory in runs) / 1e6
        n_bytes = files[language, size].stat().st_size
        rows.append(
            {
                "text": language,
                "megabytes": n_bytes / 1e6,
                "verb": verb,
                "seconds": seconds,
                "cpu_seconds": cpu_seconds,
                "megabytes_per_second": n_bytes / 1e6 / seconds,
                "megabytes_per_cpu_second": n_bytes / 1e6 / cpu_seconds,
                "peak_megabytes": megabytes_used,
            }
        )
    for language in CORPORA:
        speeds = [datasketch(files[language, min(megabytes)], language) for _ in range(rounds)]
        rows.append(
            {"text": language, "verb": "datasketch", "megabytes_per_cpu_second": max(speeds)}
        )
    return rows


def make_rows(parts: list[str], n_bytes: int) -> Iterator[str]:
    """Rows of JSON, each of two documents' words in a new order."""
    draw = random.Random(0)
    made = 0
    while made < n_bytes:
        text = f"{draw.choice(parts)}\n{draw.choice(parts)}"
        words = text.split(" ") if " " in text else list(text)
        draw.shuffle(words)
        row = json.dumps({"text": (" " if " " in text else "").join(words)}, ensure_ascii=False)
        made += len(row.encode()) + 1
        yield f"{row}\n"


def timed(verb: str, path: Path, words: list[str]) -> tuple[float, float, int]:
    """Seconds by the clock and of the processors, and bytes of memory, of a whole process."""
    begin = time.perf_counter()
    command = [sys.executable, "-m", "penjing", "data", verb, str(path), *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{' '.join(command)} failed")
    seconds = time.perf_counter() - begin
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def datasketch(path: Path, language: str) -> float:
    """MB of near duplicates searched with datasketch in a second of one processor."""
    from datasketch import MinHash, MinHashLSH

    rows = path.read_text(encoding="utf-8")[:DATASKETCH_CHARACTERS].splitlines()[:-1]
    texts = [json.loads(row)["text"] for row in rows]
    n_bytes = sum(len(text.encode()) for text in texts)
    begin = time.process_time()
    index = MinHashLSH(threshold=0.8, num_perm=128)
    for number, text in enumerate(texts):
        words = text.split() if language == "English" else list(text)
        shingles = {" ".join(words[n : n + 5]).encode() for n in range(max(1, len(words) - 4))}
        signature = MinHash(num_perm=128)
        signature.update_batch(shingles)
        index.query(signature)
        index.insert(str(number), signature)
    return n_bytes / 1e6 / (time.process_time() - begin)


if __name__ == "__main__":
    main()
