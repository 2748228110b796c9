"""Bytes of tensors that are alive: each storage once, from when it is made until it is freed."""

import torch

from penjing.train.forecast.meter import MemoryMeter

CPU = torch.device("cpu")


def test_a_tensor_counts_from_when_it_is_made_until_it_is_freed() -> None:
    with MemoryMeter(CPU) as meter:
        a = torch.ones(100)  # float32
        b = a + 1
        del a
        c = b.double()
        assert meter.live == 400 + 800
        del c
    assert (meter.live, meter.peak) == (400, 1200)
    del b
    assert meter.live == 0


def test_views_and_changes_in_place_take_nothing() -> None:
    before = torch.ones(100)
    with MemoryMeter(CPU) as meter:
        before.view(10, 10).mul_(2).t()
        assert meter.live == 0
        held = torch.ones(100)[:10]
        assert meter.live == held.untyped_storage().nbytes() == 400


def test_what_autograd_keeps_lives_until_the_backward_pass() -> None:
    x = torch.ones(50, requires_grad=True)
    with MemoryMeter(CPU) as meter:
        total = x.exp().sum()
        assert meter.live == 200 + 4  # exp keeps its result
        total.backward()
        kept = meter.live
    assert x.grad is not None
    assert kept == x.grad.nbytes + total.nbytes
    assert meter.peak >= 400


def test_a_run_of_operations_is_a_timeline() -> None:
    with MemoryMeter(CPU) as meter:
        for _ in range(3):
            torch.ones(25)
    assert meter.timeline == [100, 100, 100]
