"""The free memory is the least of what each limit leaves, read from the kernel's own files."""

from pathlib import Path

import pytest
import torch

from penjing.core.garbage import give_back_freed
from penjing.model.memory import free_memory, peak_memory, resident_memory

MIB = 2**20


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with 8 GiB free, and a process of 3 GiB of address space and 1 GiB of memory."""
    write(tmp_path, "proc/meminfo", f"MemTotal: 99 kB\nMemAvailable:   {8 * MIB} kB\n")
    write(
        tmp_path,
        "proc/self/status",
        f"Name:\tpython\nVmSize:\t{3 * MIB} kB\nVmHWM:\t {2 * MIB} kB\nVmRSS:\t {MIB} kB\n",
    )
    return tmp_path


def write(root: Path, name: str, text: str) -> None:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def limits(root: Path, soft: str) -> None:
    write(
        root,
        "proc/self/limits",
        "Limit                     Soft Limit           Hard Limit           Units\n"
        "Max stack size            8388608              unlimited            bytes\n"
        f"Max address space         {soft:20} unlimited            bytes\n",
    )


def test_the_system_alone(root: Path) -> None:
    assert free_memory(root=root) == 8 * MIB * 1024
    assert resident_memory(root=root) == MIB * 1024
    assert peak_memory(root=root) == 2 * MIB * 1024


def test_the_address_space_bounds_it(root: Path) -> None:
    limits(root, str(5 * MIB * 1024))
    assert free_memory(root=root) == 2 * MIB * 1024
    limits(root, str(1 * MIB * 1024))  # set after it was passed
    assert free_memory(root=root) == 0
    limits(root, "unlimited")
    assert free_memory(root=root) == 8 * MIB * 1024


def test_a_control_group_of_version_2(root: Path) -> None:
    """What the kernel would drop is free; a limit further up holds too."""
    write(root, "proc/self/cgroup", "0::/slice/job\n")
    group = "sys/fs/cgroup/slice"
    write(root, f"{group}/job/memory.max", "max\n")
    write(root, f"{group}/job/memory.current", "1000\n")
    assert free_memory(root=root) == 8 * MIB * 1024
    write(root, f"{group}/memory.max", "9000\n")
    write(root, f"{group}/memory.current", "5000\n")
    write(root, f"{group}/memory.stat", "anon 2000\ninactive_file 500\n")
    assert free_memory(root=root) == 4500
    write(root, f"{group}/job/memory.max", "1200\n")
    assert free_memory(root=root) == 200


def test_a_control_group_of_version_1(root: Path) -> None:
    write(root, "proc/self/cgroup", "7:cpu,cpuacct:/\n4:memory:/job\n1:name=systemd:/\n")
    group = "sys/fs/cgroup/memory/job"
    write(root, f"{group}/memory.limit_in_bytes", "7000")
    write(root, f"{group}/memory.usage_in_bytes", "3000")
    write(root, f"{group}/memory.stat", "inactive_file 1\ntotal_inactive_file 1000\n")
    assert free_memory(root=root) == 5000


def test_a_group_that_is_not_seen_from_inside_a_container(root: Path) -> None:
    """The path is the host's; the container's own group is mounted at the top."""
    write(root, "proc/self/cgroup", "0::/host/path/of/container\n")
    write(root, "sys/fs/cgroup/memory.max", "6000\n")
    write(root, "sys/fs/cgroup/memory.current", "1000\n")
    assert free_memory(root=root) == 5000


def test_a_system_that_does_not_tell(tmp_path: Path) -> None:
    assert free_memory(root=tmp_path) is None
    assert resident_memory(root=tmp_path) is None
    assert peak_memory(root=tmp_path) is None


def test_here() -> None:
    """A tensor that is touched is seen, and so is its end."""
    give_back_freed()  # of other tests: a new tensor would take it first
    before = resident_memory()
    if before is None:
        pytest.skip("no /proc here")
    tensor = torch.ones(16 * MIB)  # 64 MiB
    held = resident_memory()
    assert held is not None and held - before > 48 * MIB
    del tensor
    give_back_freed()
    after, peak, free = resident_memory(), peak_memory(), free_memory()
    assert after is not None and peak is not None and free is not None
    assert after < held - 48 * MIB and peak > held - MIB and free > 0  # counters lag a little
