"""Where the arithmetic runs, and in which precision."""

import ctypes
import os
import sys

import torch

from penjing.core.errors import ConfigError


def pick_device(name: str = "auto") -> torch.device:
    """The device by name; "auto" is a GPU if there is one, else the CPU.

    Raises:
        ConfigError: there is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"Device {name!r} cannot be used here. Choose 'auto' or 'cpu'."
        ) from error
    return device


def fast_bfloat16(device: torch.device) -> bool:
    """Whether bf16 products beat float32 ones there (AVX512-BF16, AMX, recent GPUs)."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def keep_freed_memory() -> None:
    """Ask glibc to keep freed memory for the next tensor instead of returning it at once.

    Training allocates the same tensors in every step; without this each of them is mapped, filled
    with zeros and unmapped by the kernel. Other C libraries are left alone.
    """
    if sys.platform != "linux":
        return
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD in malloc.h
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt") and hasattr(libc, "gnu_get_libc_version"):
        libc.mallopt(mmap_threshold, 1 << 30)
        libc.mallopt(trim_threshold, 1 << 30)


def cpu_count() -> int:
    """The processors that this process may use (not those that the machine has)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
