"""OpenVINO GenAI on the same GGUF file, by its own clock.

python openvino_genai_.py MODEL.gguf THREADS
"""

import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import openvino
import openvino_genai
from protocol import Contestant, answer, own_output


class OpenVino(Contestant):
    """Its language-model pipeline on the CPU."""

    def __init__(self, path: str, threads: int) -> None:
        settings = {"INFERENCE_NUM_THREADS": threads}
        self.pipeline = openvino_genai.LLMPipeline(path, "CPU", **settings)

    def prefill(self, ids: Sequence[int]) -> float:
        return float(self._generate([ids], 1).get_ttft().mean) / 1e3

    def decode(self, ids: Sequence[int], n: int) -> float:
        return float(self._generate([ids], n + 1).get_tpot().mean) / 1e3 * n

    def batch(self, prompts: Sequence[Sequence[int]], n: int) -> float:
        begin = time.perf_counter()
        self._generate(prompts, n)
        return time.perf_counter() - begin

    def _generate(self, prompts: Sequence[Sequence[int]], n: int) -> Any:
        config = openvino_genai.GenerationConfig(max_new_tokens=n, ignore_eos=True, do_sample=False)
        ids = np.asarray(prompts, np.int64)
        mask = openvino.Tensor(np.ones_like(ids))
        inputs = openvino_genai.TokenizedInputs(openvino.Tensor(ids), mask)
        return self.pipeline.generate(inputs, config).perf_metrics


if __name__ == "__main__":
    replies = own_output()
    answer(OpenVino(sys.argv[1], int(sys.argv[2])), replies)
