"""Where the arithmetic runs."""

import ctypes

import pytest
import torch

from penjing.core.errors import ConfigError, TrainingError
from penjing.model import runtime
from penjing.model.runtime import (
    default_threads,
    fast_bfloat16,
    keep_freed_memory,
    memory_errors,
    pick_device,
)


def test_without_a_gpu_it_is_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device().type == "cpu"


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta", ""])
def test_a_device_that_is_not_there(name: str) -> None:
    with pytest.raises(ConfigError, match="Device"):
        pick_device(name)


@pytest.mark.parametrize("feature", ["_is_avx512_bf16_supported", "_is_amx_tile_supported"])
def test_bf16_where_the_processor_has_instructions_for_it(
    feature: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    assert not fast_bfloat16(torch.device("cpu"))
    monkeypatch.setattr(torch.cpu, feature, lambda: True)
    assert fast_bfloat16(torch.device("cpu"))
    assert not fast_bfloat16(torch.device("meta"))


def test_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert default_threads() >= 1
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert default_threads() == torch.get_num_threads() == 1  # set for all tests


def test_no_memory_is_said() -> None:
    for size in (1 << 45, 1 << 61):
        with pytest.raises(TrainingError, match="not enough memory"), memory_errors():
            torch.empty(size, dtype=torch.float64)
    with pytest.raises(RuntimeError, match="single memory location"), memory_errors():
        torch.zeros(1).expand(3).add_(torch.ones(3))
    with pytest.raises(RuntimeError, match="shape"), memory_errors():
        torch.zeros(2, 3).view(7, -1)


def test_memory_is_kept_only_if_both_settings_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """An older glibc refuses a large first setting; the second alone would make things slower."""
    calls: list[tuple[int, int]] = []

    class OldLibc:
        gnu_get_libc_version = object()

        @staticmethod
        def mallopt(name: int, value: int) -> int:
            calls.append((name, value))
            return int(value <= 1 << 25)

    monkeypatch.setattr(runtime.sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: OldLibc)
    keep_freed_memory()
    assert calls == [(-3, 1 << 30), (-3, 1 << 25), (-1, 1 << 25)]
    calls.clear()
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: object())  # another C library
    keep_freed_memory()
    assert calls == []
