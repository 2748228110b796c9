"""How much memory there is still to take, and how much this process holds."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

ROOT = Path("/")


def free_memory(device: object = "cpu", *, root: Path = ROOT) -> int | None:
    """Bytes that this process can still take on `device`, torch's or the name of one; None where
    the system does not tell.

    On the CPU the least of what the system has to give, what is left of a container's limit
    (control groups, both versions) and of the process's own limit (`ulimit -v`). `root` is where
    /proc and /sys lie.
    """
    if str(device) != "cpu":
        return _free_on_gpu(str(device))
    bounds = [_system(root), _address_space(root), *_control_groups(root)]
    known = [bound for bound in bounds if bound is not None]
    return max(0, min(known)) if known else None


def resident_memory(*, root: Path = ROOT) -> int | None:
    """Bytes of physical memory that this process holds now; None where the system does not tell."""
    return _field(root / "proc/self/status", "VmRSS")


def peak_memory(*, root: Path = ROOT) -> int | None:
    """The most that it has held so far."""
    return _field(root / "proc/self/status", "VmHWM")


def keep_freed_blocks() -> None:
    """Freeing a large block tells glibc to keep what is freed later (mallopt, M_MMAP_THRESHOLD).

    It gives blocks of the size of a row of logits back to the system at once, and has every page
    of the next one mapped anew, which takes longer than the arithmetic. Where `keep_freed_memory`
    keeps more, it stays so.
    """
    np.empty(16 << 20, np.uint8)


def _free_on_gpu(device: str) -> int:
    import torch  # which a CPU needs not, and which takes a second to load

    free, _ = torch.cuda.mem_get_info(device)
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(free + kept)  # torch keeps what tensors gave back, and uses it again


def _system(root: Path) -> int | None:
    """What can be taken without swapping, as the kernel estimates it."""
    return _field(root / "proc/meminfo", "MemAvailable")


def _address_space(root: Path) -> int | None:
    """What is left of the limit on the process's address space (RLIMIT_AS)."""
    limits = _read(root / "proc/self/limits")
    found = re.search(r"^Max address space\s+(\d+)", limits, re.MULTILINE)  # the soft limit
    used = _field(root / "proc/self/status", "VmSize")
    return None if found is None or used is None else int(found[1]) - used


def _control_groups(root: Path) -> Iterator[int]:
    """What is left of the limits of the process's control group and of those around it."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            mount, files = "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            mount = "sys/fs/cgroup/memory"
            files = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        inside = Path(path.lstrip("/"))
        for group in (inside, *inside.parents):  # a limit holds for all below it
            left = _group_left(root / mount / group, *files)
            if left is not None:
                yield left


def _group_left(group: Path, limit: str, usage: str, cached: str) -> int | None:
    """Limit less usage, where file pages that the kernel would drop are not counted as used."""
    most, used = _read(group / limit).strip(), _read(group / usage).strip()
    if not (most.isdigit() and used.isdigit()):
        return None  # "max", or no such group here
    found = re.search(rf"^{cached} (\d+)", _read(group / "memory.stat"), re.MULTILINE)
    return int(most) - int(used) + (int(found[1]) if found else 0)


def _field(file: Path, name: str) -> int | None:
    """A line "name:   number kB", in bytes."""
    found = re.search(rf"^{name}:\s*(\d+) kB", _read(file), re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _read(file: Path) -> str:
    """A small file of the kernel's, or nothing where there is none."""
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
