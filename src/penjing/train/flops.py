"""How much arithmetic a model costs, part by part, and how much of it this machine can do.

One multiplication and one addition are two floating-point operations (FLOPs).
"""

import time
from collections import defaultdict
from functools import cache

import torch

from penjing.model.base import Transformer
from penjing.model.config import ModelConfig
from penjing.model.families import skeleton

LOOKED_UP = ("embedding", "position")  # tables: a row is read, nothing is multiplied
PEAK_SECONDS = 0.12  # that a measurement of the peak may take


def parameters_by_part(config: ModelConfig) -> dict[str, int]:
    """How many numbers each part holds; they add up to `LanguageModel.n_parameters`.

    The parts are "embedding", "position", "attention", "feed_forward", "recurrence", "norm" and
    "unembedding", as far as the family has them. A tied head has none of its own.
    """
    counts: dict[str, int] = defaultdict(int)
    for name, parameter in skeleton(config).named_parameters():
        counts[part_of(name)] += parameter.numel()
    return dict(counts)


def flops_by_part(config: ModelConfig, context_length: int) -> dict[str, float]:
    """FLOPs of one training token, forward and backward, in a window of `context_length` tokens.

    A matrix of n numbers costs 2 n forward and 4 n backward (the gradient of its input and its
    own): 6 n in all (Kaplan et al. 2020). The head counts even when it is tied, the look-up of an
    embedding does not. "scores", the products of queries with keys and of weights with values,
    cost 12 * n_layer * n_head * head_dim * context_length: the causal half that a kernel may skip
    is counted, as usual (Chowdhery et al. 2022, appendix B), so that figures can be compared.
    Norms, biases, activations and softmax are left out: a hundredth in any but tiny models.
    """
    config = config.resolve()
    model = skeleton(config)
    flops: dict[str, float] = defaultdict(float)
    for name, parameter in model.named_parameters():
        if parameter.ndim >= 2 and part_of(name) not in LOOKED_UP:
            flops[part_of(name)] += 6.0 * parameter.numel()
    flops["unembedding"] = 6.0 * config.vocab_size * config.n_embd
    if isinstance(model, Transformer):
        width = config.n_head * config.head_dim
        flops["scores"] = 12.0 * config.n_layer * width * context_length
    return dict(flops)


def flops_per_token(config: ModelConfig, context_length: int) -> float:
    """The sum of `flops_by_part`."""
    return sum(flops_by_part(config, context_length).values())


def part_of(name: str) -> str:
    """The part of a model that the parameter `name` belongs to."""
    if "norm" in name:
        return "norm"
    first, *rest = name.split(".")
    if first != "layers":
        return first
    return next((part for part in ("attention", "feed_forward") if part in rest), "recurrence")


def matmul_peak(device: torch.device | str, dtype: torch.dtype) -> float:
    """FLOP/s of a large matrix product on `device`: what MFU is a share of. About 0.15 s, once.

    The best of several products of square matrices, of sizes that fill the device.
    """
    return _measured_peak(str(device), dtype, torch.get_num_threads())


@cache
def _measured_peak(device: str, dtype: torch.dtype, threads: int) -> float:
    sizes = (4096, 8192) if torch.device(device).type == "cuda" else (512, 1024, 2048)
    best = 0.0
    for size in sizes:
        a = torch.full((size, size), 0.5, device=device, dtype=dtype)
        out = torch.empty_like(a)
        end = time.perf_counter() + PEAK_SECONDS / len(sizes)
        seconds = _product_seconds(a, out)  # the first also prepares the kernel
        while time.perf_counter() + seconds < end:
            seconds = _product_seconds(a, out)
            best = max(best, 2.0 * size**3 / seconds)
        best = max(best, 2.0 * size**3 / seconds)
    return best


def _product_seconds(a: torch.Tensor, out: torch.Tensor) -> float:
    if a.is_cuda:
        torch.cuda.synchronize(a.device)
    begin = time.perf_counter()
    torch.mm(a, a, out=out)
    if a.is_cuda:
        torch.cuda.synchronize(a.device)
    return time.perf_counter() - begin
