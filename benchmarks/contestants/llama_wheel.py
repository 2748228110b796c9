"""llama.cpp's server as its prebuilt wheel brings it (AVX2): 16 slots, continuous batching.

    python llama_wheel.py MODEL.gguf THREADS

The times of single requests are the server's own.
"""

import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import xllamacpp
from protocol import Contestant, answer, own_output

SLOTS = 16


class Server(Contestant):
    """llama.cpp's server within this process."""

    def __init__(self, path: str, threads: int) -> None:
        params = xllamacpp.CommonParams()
        params.model.path = path
        params.n_ctx, params.n_parallel = 1024 * SLOTS, SLOTS
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        self.server = xllamacpp.Server(params)

    def prefill(self, ids: Sequence[int]) -> float:
        return float(self._complete(ids, 1)["timings"]["prompt_ms"]) / 1e3

    def decode(self, ids: Sequence[int], n: int) -> float:
        # The first token comes with the prompt: n more are timed.
        return float(self._complete(ids, n)["timings"]["predicted_ms"]) / 1e3

    def batch(self, prompts: Sequence[Sequence[int]], n: int) -> float:
        begin = time.perf_counter()
        with ThreadPoolExecutor(len(prompts)) as pool:
            list(pool.map(lambda ids: self._complete(ids, n), prompts))
        return time.perf_counter() - begin

    def _complete(self, ids: Sequence[int], n: int) -> dict[str, Any]:
        settings = {"temperature": 0, "cache_prompt": False, "ignore_eos": True}
        reply = self.server.handle_completions({"prompt": list(ids), "n_predict": n, **settings})
        found: dict[str, Any] = json.loads(reply) if isinstance(reply, str | bytes) else reply
        return found


if __name__ == "__main__":
    replies = own_output()
    answer(Server(sys.argv[1], int(sys.argv[2])), replies)
