"""The compiler's place in memory: some 50 MB, which code that was found on disk does not need."""

import ctypes
import re
import sys
from contextlib import suppress
from pathlib import Path

from llvmlite import binding

_MAPPINGS = Path("/proc/self/smaps")  # of each mapping a line with its place, then lines of figures
_MAPPING = re.compile(
    r"^([0-9a-f]+)-([0-9a-f]+) r-.p .*/(.+)\n(?:\w+: .*\n)*?Anonymous: +0 kB$", re.MULTILINE
)
_DONTNEED = 4  # MADV_DONTNEED: what was read from a file is read again from there when it is used


def set_compiler_aside() -> None:
    """Take LLVM's pages out of this process's memory, on Linux; elsewhere nothing happens.

    Only pages that cannot have changed since they were read: those of mappings that cannot be
    written to, and hold no page of their own.
    """
    if sys.platform != "linux":
        return
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    library = Path(binding.ffi.lib._name).name
    with suppress(OSError):  # a kernel that does not say what lies where
        mappings = _MAPPINGS.read_text(encoding="utf-8", errors="replace")
        for begin, end, name in _MAPPING.findall(mappings):
            if name == library:
                start = int(begin, 16)
                advise(start, int(end, 16) - start, _DONTNEED)
