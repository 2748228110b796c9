"""Python's search for cyclic garbage, put off while much is made that stays."""

import gc
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
