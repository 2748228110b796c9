"""A listener that writes a run's curves and samples for TensorBoard (an extra).

To look at them: `tensorboard --logdir runs`.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from penjing.core.errors import ConfigError
from penjing.core.events import Event
from penjing.core.files import storage_errors

FOLDER = "tensorboard"  # in a run's folder

# Where the fields of an event are found: TensorBoard groups by what comes before the slash.
_SCALARS = {
    "step": {
        "loss": "loss/training",
        "bits_per_byte": "bits per byte/training",
        "rate": "run/learning rate",
        "grad_norm": "run/gradient norm",
        "tokens_per_second": "run/tokens per second",
        "mfu": "run/MFU",
    },
    "eval": {
        "loss": "loss/validation",
        "bits_per_byte": "bits per byte/validation",
        "perplexity": "run/perplexity",
    },
}
_WRITTEN = {*_SCALARS, "health", "sample", "diagnosis"}
_LAYERS = {"gradients": "gradient norm", "weights": "weight norm", "dead": "dead neurons"}


class TensorBoard:
    """Writes "step", "eval", "health", "sample" and "diagnosis" events into `folder`.

    The folder is made with the first step, when that of the run is there; what is told before is
    kept until then.
    A run that is resumed writes one more file into it; TensorBoard shows both as one, and drops
    what the resumed run did again. Used in a `with` block.

    Raises:
        ConfigError: the package is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            # torch needs only what reads and writes event files, which is there with the package.
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ConfigError(
                f"TensorBoard's files cannot be written ({error}). Install it with "
                '`pip install "penjing[tensorboard]"`, or leave out --tensorboard: the same curves '
                "are in report.html."
            ) from error
        self._folder, self._new_writer = folder, SummaryWriter
        self._writer: Any = None
        self._first = 0  # step from which on earlier files are void
        self._waiting: list[Event] = []

    def __call__(self, event: Event) -> None:
        if event.kind == "resume":
            self._first = event.data["step"] + 1
        if event.kind not in _WRITTEN:
            return
        self._waiting.append(event)
        if self._writer is None and event.kind != "step":
            return
        with storage_errors(self._folder):
            if self._writer is None:  # the viewer drops what earlier files have from there on
                purge = self._first or None
                self._writer = self._new_writer(str(self._folder), purge_step=purge)
            while self._waiting:
                _write(self._writer, self._waiting.pop(0))

    def close(self) -> None:
        """Write what is still to be written."""
        if self._writer is not None:
            with storage_errors(self._folder):
                self._writer.close()
            self._writer = None


def _write(writer: Any, event: Event) -> None:
    step = event.data["step"]
    for name, value in _scalars(event):
        writer.add_scalar(name, value, step, walltime=event.time)
    if event.kind in ("sample", "diagnosis"):
        name, text = _text(event)
        writer.add_text(name, text, step, walltime=event.time)


def _scalars(event: Event) -> Iterator[tuple[str, float]]:
    """The figures of an event by their names; what is not known is left out, NaN is not."""
    for field, name in _SCALARS.get(event.kind, {}).items():
        value = event.data.get(field)
        if value is not None:
            yield name, float(value)
    if event.kind == "health":
        for field, group in _LAYERS.items():
            for layer, value in event.data.get(field, {}).items():
                if math.isfinite(value):
                    yield f"{group}/{layer}", float(value)


def _text(event: Event) -> tuple[str, str]:
    """Name and Markdown: a sample as it is, in a block of its own; a diagnosis as paragraphs."""
    data = event.data
    if event.kind == "sample":
        text = f"{data['prompt']}{data['text']}"
        return "sample", "\n".join(f"    {line}" for line in text.splitlines())
    return "diagnosis", f"**{data['title']}**\n\n{data['evidence']}\n\n{data['remedy']}"
