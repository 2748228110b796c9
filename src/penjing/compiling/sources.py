"""A fingerprint of what compiled code is made of: sources, and the compiler."""

import hashlib
import re
import sys
from functools import cache
from pathlib import Path

import llvmlite
import numba

_IMPORTED = re.compile(r"^from (penjing[\w.]*) import", re.MULTILINE)


def fingerprint(source: str) -> str:
    """A hash of a module's file, of all in penjing that it imports, and these import in turn.

    A function melts what it calls, and the constants that it reads, into its machine code. So a
    change in any of these modules makes other code, and one elsewhere doesn't.
    """
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__}".encode())
    found = [source]
    for file in found:  # it grows
        content, imported = _read(file)
        digest.update(content)
        found += [file for file in imported if file not in found]
    return digest.hexdigest()


@cache
def _read(source: str) -> tuple[bytes, list[str]]:
    """A hash of a module's file, and the files of the modules of ours that it imports."""
    text = Path(source).read_text(encoding="utf-8")
    modules = map(sys.modules.get, _IMPORTED.findall(text))
    files = dict.fromkeys(module.__file__ for module in modules if module and module.__file__)
    return hashlib.sha256(text.encode()).digest(), list(files)
