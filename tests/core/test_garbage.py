"""The search for garbage is put off, and goes on afterwards as before."""

import gc

import pytest

from penjing.core.garbage import no_collecting


def test_what_was_made_counts_as_old() -> None:
    with no_collecting():
        made = [[] for _ in range(10_000)]
    assert gc.get_count()[0] < 1000 and gc.get_freeze_count() == 0
    old = {id(each) for each in gc.get_objects(generation=2)}
    assert all(id(each) in old for each in made)


@pytest.mark.parametrize("was_on", [True, False])
def test_it_is_as_before_afterwards(was_on: bool) -> None:
    @no_collecting()
    def fail() -> None:
        assert not gc.isenabled()
        raise ValueError

    if not was_on:
        gc.disable()
    try:
        with pytest.raises(ValueError):
            fail()
        assert gc.isenabled() is was_on
    finally:
        gc.enable()
