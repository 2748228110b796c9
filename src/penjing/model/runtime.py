"""Where the arithmetic runs, and in which precision."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from penjing.core.errors import ConfigError, TrainingError, is_out_of_memory
from penjing.model.machine import available_processors


def pick_device(name: str = "auto") -> torch.device:
    """The device by name: "cpu", "cuda" or "cuda:1"; "auto" is a GPU if there is one, else the CPU.

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
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"Device {name!r} is not supported. Choose 'auto', 'cpu' or 'cuda'.")
    return device


def fast_bfloat16(device: torch.device) -> bool:
    """Whether bf16 products beat float32 ones there (AVX512-BF16, AMX, recent GPUs)."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def keep_freed_memory() -> None:
    """Ask glibc to keep freed memory for the next tensor, for the rest of the process.

    Training allocates the same tensors in every step; without this each of them is mapped, filled
    with zeros and unmapped by the kernel. Other C libraries are left alone.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):
        return
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD in malloc.h
    for size in (1 << 30, 1 << 25):  # older versions refuse more than 32 MiB
        if libc.mallopt(mmap_threshold, size):
            libc.mallopt(trim_threshold, size)
            return


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turn torch's word for "no memory" into a clear error.

    Raises:
        TrainingError: an allocation failed.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(
            "There is not enough memory. Lower train.batch_size or model.context_length, or set "
            "train.micro_batch_size, which makes the same steps in less memory."
        ) from error


def default_threads() -> int:
    """OMP_NUM_THREADS if it is set, else the processors that this process may use."""
    if os.environ.get("OMP_NUM_THREADS"):
        return torch.get_num_threads()
    return available_processors()
