"""What this machine has: processors for us, and perhaps a GPU. torch is not asked."""

import os
import sys
from pathlib import Path

# Device files of the drivers that torch can use: NVIDIA's, also in WSL, and AMD's.
GPU_FILES = ("dev/nvidiactl", "dev/nvidia0", "dev/dxg", "dev/kfd")


def available_processors() -> int:
    """Processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def may_have_gpu(*, root: Path = Path("/"), platform: str = sys.platform) -> bool:
    """Whether there may be a GPU of the kind "cuda": without its driver's device file there is
    none on Linux, and none on a Mac. Elsewhere only torch knows, which takes a second to load."""
    if platform == "linux":
        return any((root / name).exists() for name in GPU_FILES)
    return platform != "darwin"
