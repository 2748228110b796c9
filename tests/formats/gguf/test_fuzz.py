"""Damaged and malicious files: an error of ours or the model, in bounded time and memory.

Ways to damage a file: single bits, its end cut off, its fields (found by gguf's own reader) set to
what makes readers fail: 0, 1, huge, just beyond, negative if read as signed; and sound files whose
values are of another type.
"""

import gc
import os
import random
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import gguf
import numpy as np
import pytest

from penjing.core.errors import PenjingError
from penjing.formats.gguf.checkpoint import GgufCheckpoint
from penjing.formats.gguf.config import NOT_COMPUTED
from penjing.formats.gguf.encode import header
from penjing.formats.gguf.reader import GgufFile
from penjing.formats.gguf.writer import write_gguf
from penjing.quantization.ggml import FLOAT_TYPES, unpack_blocks, unpack_floats

MUTATIONS = 10_500  # of the header and all tensors' values
WHOLE = 360  # those of them that are opened as a model with its tokenizer
SECONDS = 2.0  # of the processor that one file may take; they take a millisecond
BYTES = 4_000_000  # that one file may allocate; it has some 30,000

Place = tuple[int, int]  # byte, size


def fields(path: Path) -> list[Place]:
    """Every length, count, type, size and offset in the header."""
    reader = gguf.GGUFReader(path)
    places: list[Place] = []
    for field in [*reader.fields.values(), *(tensor.field for tensor in reader.tensors)]:
        at = field.offset
        for part in field.parts:
            if part.dtype.itemsize > 1 or part.nbytes == 1:
                places += [
                    (at + n, part.dtype.itemsize) for n in range(0, part.nbytes, part.itemsize)
                ]
            at += part.nbytes
    return places


def hostile(size: int, value: int, rng: random.Random) -> int:
    """Another value of a field."""
    top = 1 << (8 * size)
    choices = [0, 1, 2, 3, 9, 13, 255, top - 1, top // 2, top // 2 - 1, top // 4, 1 << 31]
    choices += [value + 1, value - 1, value * 2, value << 8, value << 16, value ^ (top >> 1)]
    choices += [value + 32, value * 33, rng.randrange(top), 1 << rng.randrange(8 * size)]
    return rng.choice(choices) % top


def mutations(path: Path, n: int, seed: int) -> Iterator[bytes]:
    """Damaged copies of a file; the header, where all decisions are made, is hit most."""
    whole = path.read_bytes()
    header = min(info.start for info in GgufFile.open(path).tensors.values())
    places = fields(path)
    rng = random.Random(seed)
    for number in range(n):
        data = bytearray(whole)
        if number % 8 == 0:
            yield bytes(data[: rng.randrange(len(data))])
            continue
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            if number % 8 < 3:
                end = header if rng.random() < 0.9 else len(data)
                data[rng.randrange(end)] ^= 1 << rng.randrange(8)
            else:
                at, size = rng.choice(places)
                value = int.from_bytes(data[at : at + size], "little")
                data[at : at + size] = hostile(size, value, rng).to_bytes(size, "little")
        yield bytes(data)


def read_header(path: Path) -> None:
    """All that the reader gives, and the value of each tensor."""
    file = GgufFile.open(path)
    for name, info in file.tensors.items():
        raw = file.raw(name)
        if info.type in FLOAT_TYPES:
            unpack_floats(raw, info.type)
        else:
            unpack_blocks(raw, info.type).dequantize()


def read_model(path: Path) -> None:
    """The model with its tokenizer, as `penjing.load` opens it."""
    checkpoint = GgufCheckpoint.open(path)
    weights = checkpoint.weights()
    for name in weights:
        assert weights[name] is not None
    assert checkpoint.tokenizer.encode("the man") and checkpoint.generation is not None


def survive(source: Path, read: Callable[[Path], None], n: int, seed: int, scratch: Path) -> int:
    """How many of n damaged copies were refused; each within the bounds, or the test fails."""
    refused = 0
    read(source)  # whole; and what is loaded once is loaded now
    tracemalloc.start()
    file = os.open(scratch, os.O_RDWR | os.O_CREAT)
    try:
        for data in mutations(source, n, seed):
            os.pwrite(file, data, 0)
            os.ftruncate(file, len(data))
            del data
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            began = time.process_time()
            try:
                with np.errstate(all="ignore"):
                    read(scratch)
            except PenjingError as error:
                refused += 1
                assert len(str(error)) < 1000
            assert time.process_time() - began < SECONDS
            assert tracemalloc.get_traced_memory()[1] - before < BYTES
    finally:
        os.close(file)
        tracemalloc.stop()
        gc.collect()
    return refused


KINDS = [("llama", ("Q4_0", "Q8_0", "F16")), ("qwen3", ("Q4_1", "BF16")), ("gpt2", ("F32", "Q5_0"))]


@pytest.mark.parametrize(("arch", "kinds"), KINDS)
def test_the_reader_survives(make_gguf, tmp_path, arch, kinds):
    source = make_gguf(arch, kinds, c=32, heads=2, inner=32, layers=1, vocab=16)
    n = MUTATIONS // len(KINDS)
    refused = survive(source, read_header, n, seed=len(arch), scratch=tmp_path / "x.gguf")
    assert n * 0.5 < refused < n  # the damage is real, and not all of it matters


@pytest.mark.parametrize(("arch", "kinds"), KINDS)
def test_the_model_survives(make_gguf, tmp_path, arch, kinds):
    source = make_gguf(arch, kinds, c=32, heads=2, inner=32, layers=1)
    n = WHOLE // len(KINDS)
    refused = survive(source, read_model, n, seed=7, scratch=tmp_path / "x.gguf")
    assert n * 0.5 < refused <= n


ODD_VALUES = (
    *(True, 0, -1, 2**32 - 1, 2**64 - 1, float("nan"), 1e300, "", "x", "y" * 9999),
    *([], ["a"], [1, 2], [0.5], [True, False], [2**63]),
)
OPTIONAL = (
    *("add_bos_token", "add_space_prefix", "bos_token_id", "unknown_token_id", "padding_token_id"),
    *("eot_token_id", "scores"),
)


@pytest.mark.parametrize(("arch", "kinds"), KINDS)
def test_values_of_another_type(make_gguf, tmp_path, arch, kinds):
    """What can be read can also be written again."""
    file = GgufFile.open(make_gguf(arch, kinds, c=32, heads=2, inner=32, layers=1))
    start = min(info.start for info in file.tensors.values())
    data = file.path.read_bytes()[start:]
    whole = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in file.metadata.items()}
    keys = {*whole, "general.alignment", "split.count", "penjing.lineage"}
    keys |= {f"tokenizer.ggml.{name}" for name in OPTIONAL} | {"tokenizer.chat_template"}
    keys |= {f"{arch}.{name}" for name in (*NOT_COMPUTED, "attention.causal")}
    keys |= {f"{arch}.rope.scaling.{name}" for name in ("type", "factor", "attn_factor")}
    refused = 0
    for key in sorted(keys):
        for value in ODD_VALUES[:: 1 if key in whole else 3]:
            path = tmp_path / "odd.gguf"
            path.write_bytes(header(whole | {key: value}, file.tensors, start) + data)
            try:
                read_model(path)
                write_gguf(GgufCheckpoint.open(path), tmp_path / "again.gguf", "F32")
            except PenjingError as error:
                refused += 1
                assert len(str(error)) < 1000
    assert refused > 100
