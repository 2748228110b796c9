"""Every error that a user can meet.

    PenjingError
    ├── ConfigError        a setting has a wrong name or value
    ├── DataError          a text cannot be read or used
    │   └── CorpusError    a package corpus cannot be fetched or verified
    ├── TokenizerError     a tokenizer cannot be trained, read, or does not fit
    ├── CheckpointError    a model directory is damaged, half-written, or does not fit
    ├── TrainingError      a run cannot start or go on
    ├── GenerationError    a prompt or a sampling setting is not usable
    │   └── BusyError      too many requests are waiting; it says when to ask again
    └── StorageError       the disk is full, or a path cannot be written

The message says what happened, where (file, line, tensor), and what to do next.
The command line shows it as one paragraph, without a traceback.
"""


class PenjingError(Exception):
    """Base of all errors that are the user's to mend, not ours."""


class ConfigError(PenjingError):
    """A setting has a wrong name or value."""


class DataError(PenjingError):
    """A text cannot be read or used."""


class CorpusError(DataError):
    """A package corpus cannot be fetched or verified."""


class TokenizerError(PenjingError):
    """A tokenizer cannot be trained, read, or does not fit."""


class CheckpointError(PenjingError):
    """A model directory is damaged, half-written, or does not fit."""


class TrainingError(PenjingError):
    """A run cannot start or go on."""


class GenerationError(PenjingError):
    """A prompt or a sampling setting is not usable."""


class BusyError(GenerationError):
    """Too many requests are waiting. `retry_after` seconds from now there should be room."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StorageError(PenjingError):
    """The disk is full, or a path cannot be written."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether an allocation failed; torch says it with a RuntimeError, in several wordings."""
    text = str(error).lower()
    said = ("out of memory", "can't allocate memory", "storage size calculation overflowed")
    return isinstance(error, MemoryError) or any(words in text for words in said)
