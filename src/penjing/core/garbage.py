"""What is not in use any more: Python's search for it, put off, and memory that it left behind."""

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collecting() -> Iterator[None]:
    """No search for cyclic garbage inside; also a decorator.

    Python searches whenever some hundred objects have been made, again and again through those
    that are there already: modules, a hundred thousand tokens, all in use. That takes a fifth of
    the time in which a model is loaded.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            if not gc.get_freeze_count():  # what was made counts as old: else it is searched now
                gc.freeze()
                gc.unfreeze()
            gc.enable()


def give_back_freed() -> None:
    """Ask glibc to return freed memory to the system; other C libraries are left alone."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
