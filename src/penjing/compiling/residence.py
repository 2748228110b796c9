"""The compiler's place in memory: some 50 MB, which code that was found on disk does not need."""

import ctypes
import sys
from pathlib import Path

from llvmlite import binding

_MAPPINGS = Path("/proc/self/maps")  # a line each: "begin-end ... path", addresses in hexadecimal
_PAGEOUT = 21  # MADV_PAGEOUT, Linux 5.4: the pages are read again from their file when used


def set_compiler_aside() -> None:
    """Ask Linux to take LLVM's pages out of this process's memory; elsewhere nothing happens."""
    if sys.platform != "linux":
        return
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    library = Path(binding.ffi.lib._name).name
    for line in _MAPPINGS.read_text(encoding="utf-8", errors="replace").splitlines():
        if Path(line.rpartition(" ")[2]).name == library:
            begin, end = (int(address, 16) for address in line.split()[0].split("-"))
            advise(begin, end - begin, _PAGEOUT)
