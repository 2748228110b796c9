"""llama.cpp as built on this machine, through llama-cpp-python's bindings of its C interface.

    python llama_native.py MODEL.gguf THREADS [make TYPE OUT.gguf]

Only llama_decode is timed, as llama-bench does it; picking the likeliest token costs llama.cpp
nothing here.
"""

import ctypes
import sys
import time
from collections.abc import Sequence

import llama_cpp as lib
import numpy as np
from protocol import Contestant, answer, own_output

TYPES = {"Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "F16": 1, "BF16": 32}  # llama_ftype


class Llama(Contestant):
    """One model and one context of 16 sequences at most."""

    def __init__(self, path: str, threads: int, *, sequences: int = 16) -> None:
        settings = lib.llama_model_default_params()
        settings.n_gpu_layers = 0
        self.model = lib.llama_model_load_from_file(path.encode(), settings)
        context = lib.llama_context_default_params()
        context.n_ctx = 1024 * sequences
        context.n_seq_max = sequences
        context.n_batch = context.n_ubatch = 512
        context.n_threads = context.n_threads_batch = threads
        self.context = lib.llama_init_from_model(self.model, context)
        vocabulary = lib.llama_model_get_vocab(self.model)
        self.vocab_size = lib.llama_vocab_n_tokens(vocabulary)
        self.room = lib.llama_batch_init(512, 0, 1)

    def prefill(self, ids: Sequence[int]) -> float:
        self._clear()
        begin = time.perf_counter()
        self._read([(0, place, id) for place, id in enumerate(ids)], [len(ids) - 1])
        return time.perf_counter() - begin

    def decode(self, ids: Sequence[int], n: int) -> float:
        self.prefill(ids)
        token, seconds = self._likeliest(-1), 0.0
        for place in range(len(ids), len(ids) + n):
            begin = time.perf_counter()
            self._read([(0, place, token)], [0])
            seconds += time.perf_counter() - begin
            token = self._likeliest(0)
        return seconds

    def batch(self, prompts: Sequence[Sequence[int]], n: int) -> float:
        self._clear()
        begin = time.perf_counter()
        tokens = []
        for sequence, ids in enumerate(prompts):
            self._read([(sequence, p, id) for p, id in enumerate(ids)], [len(ids) - 1])
            tokens.append(self._likeliest(-1))
        for step in range(n - 1):
            rows = [(s, len(prompts[s]) + step, token) for s, token in enumerate(tokens)]
            self._read(rows, range(len(rows)))
            tokens = [self._likeliest(row) for row in range(len(rows))]
        return time.perf_counter() - begin

    def _clear(self) -> None:
        lib.llama_memory_clear(lib.llama_get_memory(self.context), True)

    def _read(self, rows: Sequence[tuple[int, int, int]], wanted: Sequence[int]) -> None:
        """One pass over (sequence, position, id) rows; logits of the rows of `wanted`."""
        batch = self.room
        batch.n_tokens = len(rows)
        for i, (sequence, place, id) in enumerate(rows):
            batch.token[i], batch.pos[i] = id, place
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, sequence
            batch.logits[i] = i in wanted
        if lib.llama_decode(self.context, batch):
            raise RuntimeError("llama_decode failed")

    def _likeliest(self, row: int) -> int:
        logits = lib.llama_get_logits_ith(self.context, row)
        return int(np.ctypeslib.as_array(logits, (self.vocab_size,)).argmax())


def make(source: str, kind: str, target: str) -> None:
    """The same model in another of llama.cpp's formats, by its own quantizer."""
    settings = lib.llama_model_quantize_default_params()
    settings.ftype, settings.allow_requantize, settings.pure = TYPES[kind], True, False
    settings.nthread = 2
    if lib.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(settings)):
        raise RuntimeError(f"llama.cpp cannot make {kind} of {source}")


if __name__ == "__main__":
    replies = own_output()
    if sys.argv[3:4] == ["make"]:
        make(sys.argv[1], sys.argv[4], sys.argv[5])
    else:
        answer(Llama(sys.argv[1], int(sys.argv[2])), replies)
