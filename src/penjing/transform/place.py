"""Where quantized models are written: whole and at once, or nowhere."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from penjing.core.files import check_free, storage_errors
from penjing.transform.config import Format


class Place:
    """A temporary folder beside `out` (None: the system's), that is removed at the end.

    Args:
        names: of the models; one alone becomes `out` itself, several lie in it by their names.
        form: a directory each, or a file each.

    Raises:
        StorageError: `out` exists already, or the disk refuses.
    """

    def __init__(self, out: Path | None, names: Sequence[str], form: Format) -> None:
        suffix = ".gguf" if form == "gguf" else ""
        if out is not None and len(names) == 1:
            out = out.with_name(f"{out.name.removesuffix(suffix)}{suffix}") if suffix else out
        if out is not None:
            check_free(out)
        self._out, self._single = out, len(names) == 1
        self._parts = [f"{name}{suffix}" for name in names]

    def __enter__(self) -> "Place":
        parent = None
        if self._out is not None:
            parent = self._out.absolute().parent
            with storage_errors(self._out):
                parent.mkdir(parents=True, exist_ok=True)
        with storage_errors(self._out or Path(tempfile.gettempdir())):
            self._folder = Path(tempfile.mkdtemp(prefix=".quantize.", suffix=".tmp", dir=parent))
        return self

    @property
    def targets(self) -> list[Path]:
        """Where to write each model for now; nothing is there yet."""
        return [self._folder / "models" / part for part in self._parts]

    def settle(self) -> list[Path]:
        """All models to their final place; where each is. None without one.

        Raises:
            StorageError: somebody has made `out` meanwhile, or the disk refuses.
        """
        if self._out is None:
            return []
        made = self.targets[0] if self._single else self._folder / "models"
        check_free(self._out)
        with storage_errors(self._out):
            made.rename(self._out)
        return [self._out] if self._single else [self._out / part for part in self._parts]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
