"""The faster way is found, kept to, and left when it is not the faster one any more."""

from collections.abc import Callable

from penjing.kernels.company import EVERY, FIRST, TRIES, Company


def passes(company: Company, n: int, seconds: Callable[[bool], float]) -> list[bool]:
    """Which of `n` passes were alone, if they take `seconds(alone)`."""
    ways = []
    for _ in range(n):
        ways.append(company.alone)
        company.record(seconds(company.alone))
    return ways


def quiet(alone: bool) -> float:
    return 3.0 if alone else 2.0


def busy(alone: bool) -> float:
    return 3.0 if alone else 8.0


def test_on_a_quiet_machine_alone_is_tried_once() -> None:
    ways = passes(Company(), 1000, quiet)
    assert ways == [False] * FIRST + [True] * TRIES + [False] * (1000 - FIRST - TRIES)


def test_on_a_busy_machine_most_passes_are_alone() -> None:
    ways = passes(Company(), 1000, busy)
    together = ways[FIRST:].count(False)
    assert together <= TRIES * (1000 // EVERY + 1)


def test_it_follows_the_machine() -> None:
    company = Company()
    passes(company, 200, quiet)
    assert sum(passes(company, 200, busy)[100:]) >= 90
    assert sum(passes(company, 200, quiet)[100:]) <= TRIES


def test_a_single_stall_changes_nothing() -> None:
    company = Company()
    passes(company, 200, quiet)
    company.record(4.0)
    assert not any(passes(company, 200, quiet))


def test_longer_texts_do_not_make_it_try_without_end() -> None:
    company, slow = Company(), 0.0

    def growing(alone: bool) -> float:
        nonlocal slow
        slow += 0.001
        return quiet(alone) + slow * (2 if alone else 1)

    ways = passes(company, 3000, growing)
    assert 0 < sum(ways) <= 6 * TRIES
