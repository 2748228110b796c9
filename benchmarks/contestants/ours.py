"""penjing, as a user has it: `penjing.load`, `generate` and the engine, sampling included.

python ours.py MODEL THREADS
"""

import sys
import time
from collections.abc import Sequence

import torch
from protocol import Contestant, answer, own_output

import penjing


class Penjing(Contestant):
    """A loaded model; each question is a fresh text, so nothing read before is used again."""

    def __init__(self, path: str, threads: int) -> None:
        torch.set_num_threads(threads)
        self.before = super().memory()  # Python and torch
        self.model = penjing.load(path, threads=threads)

    def prefill(self, ids: Sequence[int]) -> float:
        begin = time.perf_counter()
        next(self._generate(ids, 1))
        return time.perf_counter() - begin

    def decode(self, ids: Sequence[int], n: int) -> float:
        steps = self._generate(ids, n + 1)
        next(steps)  # comes with the prompt
        begin = time.perf_counter()
        made = sum(1 for _ in steps)
        seconds = time.perf_counter() - begin
        assert made == n, (made, n)
        return seconds

    def batch(self, prompts: Sequence[Sequence[int]], n: int) -> float:
        params = self.model.params(temperature=0.0, max_new_tokens=n)
        engine = self.model.engine(max_running=len(prompts), prefix_cache=False)
        begin = time.perf_counter()
        running = [engine.submit(list(ids), params, stop_ids=()) for ids in prompts]
        made = sum(1 for generation in running for _ in generation)
        seconds = time.perf_counter() - begin
        engine.close()
        assert made == n * len(prompts), made
        return seconds

    def memory(self) -> float:
        """What loading and running took beyond Python and torch."""
        return super().memory() - self.before

    def weights(self) -> float:
        """Bytes of the weights as they lie in memory."""
        return float(self.model.runner.weight_bytes)

    def cache(self) -> float:
        """Bytes of the longest past that was kept."""
        return float(self.model.runner.bytes_per_token * self.longest)

    def _generate(self, ids: Sequence[int], n: int) -> penjing.Generation:
        engine = self.model.generate
        return engine(list(ids), temperature=0.0, max_new_tokens=n, stop_ids=())


if __name__ == "__main__":
    replies = own_output()
    answer(Penjing(sys.argv[1], int(sys.argv[2])), replies)
