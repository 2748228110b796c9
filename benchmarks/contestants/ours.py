"""penjing, as a user has it: `penjing.load`, `generate` and the engine, sampling included.

python ours.py MODEL THREADS
"""

import sys
import time
from collections.abc import Sequence

from protocol import Contestant, answer, own_output

import penjing
from penjing.formats.opening import open_checkpoint
from penjing.generate.single import generate
from penjing.kernels.support import support

LONGEST = 576  # tokens of the longest text that is asked for


class Penjing(Contestant):
    """A loaded model; each question is a fresh text, so nothing read before is used again."""

    def __init__(self, path: str, threads: int) -> None:
        open_checkpoint(path).tokenizer.encode("")
        support()
        self.before = self.memory()  # Python, Numba and the tokenizer
        self.model = penjing.load(path, threads=threads)
        assert "torch" not in sys.modules

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
        engine = self.model.engine(max_running=len(prompts), prefix_cache=False, speculate=False)
        begin = time.perf_counter()
        running = [engine.submit(list(ids), params, stop_ids=()) for ids in prompts]
        made = sum(1 for generation in running for _ in generation)
        seconds = time.perf_counter() - begin
        engine.close()
        assert made == n * len(prompts), made
        return seconds

    def tools(self) -> float:
        """What Python, Numba, LLVM, our modules and a tokenizer take before the model is there."""
        return self.before

    def weights(self) -> float:
        """Bytes of the weights as they lie in memory."""
        return float(self.model.runner.program.n_bytes)

    def cache(self) -> float:
        """Bytes of the keys and values of this text."""
        return float(self.model.runner.new_past(LONGEST).n_bytes)

    def _generate(self, ids: Sequence[int], n: int) -> penjing.Generation:
        params = self.model.params(temperature=0.0, max_new_tokens=n)
        runner, tokenizer = self.model.runner, self.model.tokenizer
        return generate(runner, tokenizer, list(ids), params, stop_ids=())  # no guesses


if __name__ == "__main__":
    replies = own_output()
    answer(Penjing(sys.argv[1], int(sys.argv[2])), replies)
