"""transformers on the same weights: a directory of ours, in bfloat16 or float32.

python huggingface.py DIRECTORY THREADS [DTYPE]
"""

import sys
import time
from collections.abc import Sequence
from typing import Any

import torch
from protocol import Contestant, answer, own_output
from transformers import AutoModelForCausalLM, DynamicCache


class Transformers(Contestant):
    """A model with its cache, driven token by token as `generate` does, with less around it."""

    def __init__(self, path: str, threads: int, dtype: str) -> None:
        torch.set_num_threads(threads)
        self.model = AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, dtype)).eval()

    @torch.inference_mode()
    def prefill(self, ids: Sequence[int]) -> float:
        begin = time.perf_counter()
        self._read([ids], DynamicCache())
        return time.perf_counter() - begin

    @torch.inference_mode()
    def decode(self, ids: Sequence[int], n: int) -> float:
        cache = DynamicCache()
        token = self._read([ids], cache)
        begin = time.perf_counter()
        for _ in range(n):
            token = self._read(token, cache)
        return time.perf_counter() - begin

    @torch.inference_mode()
    def batch(self, prompts: Sequence[Sequence[int]], n: int) -> float:
        begin = time.perf_counter()
        cache = DynamicCache()
        token = self._read(prompts, cache)  # prompts of equal length: no padding needed
        for _ in range(n - 1):
            token = self._read(token, cache)
        return time.perf_counter() - begin

    def _read(self, ids: Any, cache: DynamicCache) -> Any:
        rows = torch.as_tensor(ids)
        out = self.model(rows, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return out.logits[:, -1:].argmax(-1)


if __name__ == "__main__":
    replies = own_output()
    dtype = sys.argv[3] if len(sys.argv) > 3 else "bfloat16"
    answer(Transformers(sys.argv[1], int(sys.argv[2]), dtype), replies)
