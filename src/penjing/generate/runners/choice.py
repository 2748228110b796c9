"""Which runner computes a model: our kernels where they can, else torch."""

import warnings
from typing import TYPE_CHECKING, Literal, get_args

from penjing.compiling.functions import COMPILING_FAILED
from penjing.core.errors import CheckpointError, ConfigError, PenjingError
from penjing.generate.runners.kernel_runner import KernelRunner
from penjing.generate.runners.network import kernels_fit
from penjing.generate.runners.runner import Runner
from penjing.kernels.features import OFF
from penjing.kernels.support import support
from penjing.model.checkpoint import Checkpoint
from penjing.model.machine import may_have_gpu

if TYPE_CHECKING:
    import torch

Kernels = Literal["auto", "on", "off"]
MOST_THREADS = 1024


def choose_runner(
    checkpoint: Checkpoint,
    *,
    device: str = "cpu",
    dtype: "torch.dtype | None" = None,
    kernels: Kernels = "auto",
    threads: int = 0,
) -> Runner:
    """The runner for a checkpoint; its weights are loaded once, in the form that it needs.

    Raises:
        CheckpointError: the weights are missing or damaged.
        ConfigError: there is no such device, or kernels are insisted on and cannot be used.
    """
    if kernels not in get_args(Kernels):
        raise ConfigError(f"kernels must be 'auto', 'on' or 'off', got {kernels!r}.")
    if not 0 <= threads <= MOST_THREADS:
        raise ConfigError(
            f"threads must be 0 (all processors), or from 1 to {MOST_THREADS}, got {threads}."
        )
    place = _place(device)
    reason = _unsuited(checkpoint, place, dtype) if kernels != "off" else "they are not wanted"
    if reason is None:
        runner = _kernels(checkpoint, threads)
        if isinstance(runner, Runner):
            return runner
        reason = runner
        if kernels == "auto" and support().path != OFF:  # else `support` has said it
            warnings.warn(
                f"PyTorch computes {checkpoint.path}, slower than our kernels would: {reason}.",
                RuntimeWarning,
                stacklevel=3,
            )
    if kernels == "on":
        raise ConfigError(f"The kernels cannot compute {checkpoint.path}: {reason}.")
    return _torch(checkpoint, place, dtype, threads)


def _place(device: str) -> str:
    """The device by name; torch is asked only for one that is not the CPU for certain."""
    if device == "cpu" or (device == "auto" and not may_have_gpu()):
        return "cpu"
    from penjing.model.runtime import pick_device

    return str(pick_device(device))


def _torch(checkpoint: Checkpoint, place: str, dtype: "torch.dtype | None", threads: int) -> Runner:
    """torch is loaded here, and only where it computes: that takes a second, and 200 MB."""
    import torch

    from penjing.generate.runners.torch_runner import TorchRunner

    if threads and place == "cpu":
        torch.set_num_threads(threads)
    return TorchRunner(checkpoint.load_model(device=place, dtype=dtype))


def _unsuited(checkpoint: Checkpoint, place: str, dtype: "torch.dtype | None") -> str | None:
    """Why this is no work for the kernels at all, which needs no warning; None if it is."""
    if place != "cpu":
        return f"they compute on the CPU, not on {place}"
    if dtype is not None:
        return f"they compute with the weights as they are stored, not with {dtype}"
    return kernels_fit(checkpoint.config)


def _kernels(checkpoint: Checkpoint, threads: int) -> Runner | str:
    """The kernels, or why they cannot compute this model on this machine."""
    found = support()  # it warns, once
    if found.path == OFF:
        return found.reason
    try:
        return KernelRunner.load(checkpoint, found.isa, threads=threads)
    except CheckpointError:
        raise  # torch could not read it either
    except (PenjingError, *COMPILING_FAILED) as error:
        return str(error).strip().partition("\n")[0].rstrip(".")
