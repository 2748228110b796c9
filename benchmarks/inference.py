"""How fast a real chat model talks: SmolLM2-135M, against llama.cpp and others, on this processor.

    python benchmarks/inference.py --native PYTHON --openvino PYTHON --rounds 7

The first PYTHON is one that has llama-cpp-python built on this machine (`pip install --no-binary
llama-cpp-python llama-cpp-python`): llama.cpp for this very processor. The second one has
openvino-genai. Without them, these rivals are left out. llama.cpp's prebuilt wheel (AVX2) and
transformers are those of the development environment.

Each contestant holds its model in a process of its own and sleeps until it is asked. In each round
all contestants of a row are asked in turn, in an order that turns too; a figure is the median over
the rounds, a ratio the median of the rounds' ratios. All read the same token ids and choose
greedily. Ours is timed from Python with everything that a user gets (sampling, log-probability,
text), llama.cpp native without choosing a token, the wheel's server by its own clock.

The memory bound is what a decoded token must at least read, the weights (and the keys and values at
its position), at the speed at which this machine reads memory that no cache holds.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from machine import describe_machine

RESULTS = Path(__file__).parent / "results" / "inference.json"
VOCABULARY = 49_152
OWN_VOCABULARY = 4096  # of the model that models.py makes

Ask = Callable[[Callable[..., float]], float]  # a contestant's questions -> tokens per second


@dataclass(frozen=True)
class Row:
    """One line of the table: what is asked of whom, and what we need."""

    name: str
    ask: Ask
    ours: str
    rivals: Mapping[str, float | None]  # name -> the ratio that we must reach, or none
    aim: float | None = None  # tokens per second
    best_of: tuple[tuple[str, ...], float] | None = None  # the ratio to the best of these


def decode(position: int, n: int, *, vocabulary: int = VOCABULARY) -> Ask:
    """Tokens per second of `n` tokens after a prompt of `position` tokens."""
    prompt = text_ids(position, vocabulary=vocabulary)
    return lambda ask: n / ask("decode", ids=prompt, n=n)


def prefill(n: int) -> Ask:
    """Tokens per second of reading a prompt of `n`."""
    prompt = text_ids(n)
    return lambda ask: n / ask("prefill", ids=prompt)


def batch(requests: int, n: int) -> Ask:
    """New tokens per second of all requests together, short prompts included."""
    prompts = [text_ids(16, seed=seed) for seed in range(requests)]
    return lambda ask: requests * n / ask("batch", prompts=prompts, n=n)


def text_ids(n: int, *, seed: int = 0, vocabulary: int = VOCABULARY) -> list[int]:
    """`n` token ids without meaning: speed does not depend on it."""
    return random.Random(seed).choices(range(100, vocabulary), k=n)


def rows(kinds: Sequence[str]) -> list[Row]:
    """The table, of the rivals that are there. `kinds` has "native" if that build is."""
    native = "native" in kinds
    q4 = {"native Q4_1": 3.0, "native Q4_0": 2.0} if native else {"wheel Q4_1": None}
    far = {"native Q4_1": 2.4, "native Q4_0": 1.8} if native else {"wheel Q4_1": None}
    single = {"native Q4_1, 1 thread": 1.8} if native else {"wheel Q4_1, 1 thread": None}
    q8 = {"native Q8_0": 2.0} if native else {"wheel Q8_0": None}
    peers = {"wheel Q4_1": None, "transformers BF16": None}
    if "openvino" in kinds:
        peers["openvino Q4_1"] = None
    batches = {"wheel Q4_1": 1.5} | ({"native Q4_1": None} if native else {})
    read = [f"native {kind}" for kind in ("Q4_1", "Q4_0", "Q8_0", "BF16")] if native else []
    best = (tuple(read), 1.2) if native else (("wheel Q4_1",), 1.2)
    return [
        Row("decode, Q4_1", decode(8, 96), "ours Q4_1", q4 | peers, aim=600),
        Row("decode at position 512, Q4_1", decode(512, 64), "ours Q4_1", far, aim=450),
        Row("decode, Q4_1, 1 thread", decode(8, 64), "ours Q4_1, 1 thread", single, aim=400),
        Row("decode, int8 per channel", decode(8, 96), "ours int8", q8, aim=390),
        Row(
            "prefill of 512",
            prefill(512),
            "ours Q4_1",
            dict.fromkeys([*best[0], "transformers BF16"]),
            aim=3000,
            best_of=best,
        ),
        Row("16 requests at once", batch(16, 48), "ours Q4_1", batches),
        Row(
            "own model of 5M, float32",
            decode(8, 64, vocabulary=OWN_VOCABULARY),
            "ours own float32",
            {"transformers own float32": 5.0},
        ),
        Row(
            "own model of 5M, bfloat16",
            decode(8, 64, vocabulary=OWN_VOCABULARY),
            "ours own bfloat16",
            {"transformers own bfloat16": 5.0},
        ),
    ]


class Process:
    """A contestant in a process of its own, which waits for questions."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._reply()

    def ask(self, question: str, **fields: Any) -> float:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"ask": question, **fields}).encode() + b"\n")
        self._process.stdin.flush()
        return float(self._reply()["value"])

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def _reply(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args} ended with {self._process.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found


@dataclass
class Measured:
    """Tokens per second of each contestant in each round."""

    rates: dict[str, list[float]] = field(default_factory=dict)

    def median(self, name: str) -> float:
        return statistics.median(self.rates[name])

    def ratio(self, ours: str, theirs: str) -> float:
        """The median over the rounds of ours by theirs."""
        pairs = zip(self.rates[ours], self.rates[theirs], strict=True)
        return statistics.median(a / b for a, b in pairs)


def measure(row: Row, commands: Mapping[str, Sequence[str]], rounds: int) -> Measured:
    """Ask all contestants of a row in turn, `rounds` times, after one round that does not count."""
    names = [row.ours, *row.rivals]
    measured = Measured({name: [] for name in names})
    with ExitStack() as stack:
        asked = {name: stack.enter_context(contestant(commands[name])) for name in names}
        for n in range(-1, rounds):
            turn = names[n % len(names) :] + names[: n % len(names)]
            for name in turn:
                rate = row.ask(asked[name].ask)
                if n >= 0:
                    measured.rates[name].append(rate)
    return measured


@contextmanager
def contestant(command: Sequence[str]) -> Iterator[Process]:
    process = Process(command)
    try:
        yield process
    finally:
        process.close()


def judge(row: Row, measured: Measured) -> dict[str, Any]:
    """Figures, ratios, and whether all that must be reached is."""
    ratios = {name: measured.ratio(row.ours, name) for name in row.rivals}
    passed = all(ratios[n] >= need for n, need in row.rivals.items() if need is not None)
    if row.best_of is not None:
        names, need = row.best_of
        passed = passed and min(ratios[name] for name in names) >= need
    return {
        "row": row.name,
        "ours": row.ours,
        "rates": {name: measured.median(name) for name in measured.rates},
        "rounds": measured.rates,
        "ratios": ratios,
        "must": {n: need for n, need in row.rivals.items() if need is not None}
        | ({"best of theirs": row.best_of[1]} if row.best_of else {}),
        "aim": row.aim,
        "passed": passed,
    }


LOAD = """
import torch, time
begin = time.perf_counter()
import penjing
step = next(penjing.load("smollm2").generate("Hello", temperature=0.0, max_new_tokens=1))
print(time.perf_counter() - begin)
"""


TORCH = """
import torch
from protocol import resident
print(resident())
"""


def alone(commands: Mapping[str, Sequence[str]], times: int = 7) -> dict[str, Any]:
    """What needs no rival: the speed of memory, the time to the first token, the memory taken."""
    shell = [sys.executable, "-m", "penjing", "generate", "smollm2", "--prompt", "Hello"]
    shell += ["--max-new-tokens", "1", "--temperature", "0"]
    walls, inner = [], []
    for _ in range(times + 1):  # the first one fills the caches
        begin = time.perf_counter()
        subprocess.run(shell, check=True, capture_output=True)
        walls.append(time.perf_counter() - begin)
        load = [sys.executable, "-c", LOAD]
        inner.append(float(subprocess.run(load, check=True, capture_output=True).stdout))
    found: dict[str, Any] = {
        "read_bytes_per_second": read_speed(),
        "shell_to_first_token_seconds": statistics.median(walls[1:]),
        "import_to_first_token_seconds": statistics.median(inner[1:]),
    }
    with contestant(commands["ours Q4_1"]) as ours:
        ours.ask("decode", ids=text_ids(512), n=64)
        found["process_bytes"] = ours.ask("memory")
        found["tools_bytes"] = ours.ask("tools")
        found["weights_bytes"] = ours.ask("weights")
        found["cache_bytes"] = ours.ask("cache")
    found["python_and_torch_bytes"] = python_and_torch()
    # What loading and running takes beyond Python and torch, which others need and ours does not.
    found["memory_bytes"] = found["process_bytes"] - found["python_and_torch_bytes"]
    for key, value in found.items():
        print(f"{key:34s} {value:,.3f}")
    return found


def python_and_torch() -> float:
    """Bytes that a process takes which has imported torch, and nothing else."""
    folder = Path(__file__).parent / "contestants"
    done = subprocess.run(
        [sys.executable, "-c", TORCH], check=True, capture_output=True, cwd=folder
    )
    return float(done.stdout)


def read_speed(size: int = 1 << 30, times: int = 10) -> float:
    """Bytes a second that this processor reads of memory which no cache holds; the best of some."""
    import torch

    torch.set_num_threads(2)
    memory = torch.ones(size // 4)
    seconds = []
    for _ in range(times):
        begin = time.perf_counter()
        memory.sum()
        seconds.append(time.perf_counter() - begin)
    return size / min(seconds)


def show(row: Mapping[str, Any]) -> None:
    """One row in words: tokens per second, and what of theirs ours is."""
    print(f"{row['row']}{'' if row['passed'] else '   (not reached)'}")
    for name, rate in row["rates"].items():
        ratio = f"{row['ratios'][name]:6.2f} x" if name in row["ratios"] else " " * 8
        must = f"   must {row['must'][name]} x" if name in row["must"] else ""
        aim = f"   aim {row['aim']:,.0f}" if name == row["ours"] and row["aim"] else ""
        print(f"  {name:28s} {rate:9.1f} tokens/s {ratio}{must}{aim}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--native", help="a Python with a native llama-cpp-python")
    parser.add_argument("--openvino", help="a Python with openvino-genai")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", help="rows whose name begins with this")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where to write the results")
    args = parser.parse_args()
    from models import prepare  # what each contestant is given

    with tempfile.TemporaryDirectory() as scratch:
        commands = prepare(Path(scratch), args.native, args.openvino)
        kinds = [name for name in ("native", "openvino") if getattr(args, name)]
        wanted = [row for row in rows(kinds) if row.name.startswith(args.only or "")]
        results: dict[str, Any] = {"machine": describe_machine(), "rounds": args.rounds}
        results["rows"] = []
        for row in wanted:
            results["rows"].append(judge(row, measure(row, commands, args.rounds)))
            show(results["rows"][-1])
        if not args.only:
            results |= alone(commands)
    args.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    sys.exit(0 if all(row["passed"] for row in results["rows"]) else 1)


if __name__ == "__main__":
    main()
