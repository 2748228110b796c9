"""What goes wrong, as a person wants to read it: one paragraph, no traceback, an exit code."""

import errno
import os
import shutil
import sys
import textwrap
import traceback
from collections.abc import Callable
from pathlib import Path

from penjing.cli.text import safe
from penjing.core.errors import PenjingError, is_out_of_memory
from penjing.core.files import storage_errors

_OF_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
FAILED, USAGE, INTERRUPTED, BROKEN_PIPE = 1, 2, 130, 141  # the last two: 128 + the signal


class UsageError(PenjingError):
    """The command line itself is wrong."""


def guarded(action: Callable[[], int]) -> int:
    """Run a verb; turn its errors into a message on standard error and an exit code."""
    try:
        code = action()
        sys.stdout.flush()
        return code
    except UsageError as error:
        return _fail(str(error), USAGE)
    except PenjingError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return _fail("Interrupted.", INTERRUPTED, label="")
    except BrokenPipeError:  # the reader has seen enough, such as `| head`
        # Python flushes standard output once more at exit; let it have somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except OSError as error:
        return _fail(_operating_system(error))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return _fail("Out of memory. Choose a smaller model, batch or context, or less text.")


def _fail(message: str, code: int = FAILED, *, label: str = "error: ") -> int:
    if os.environ.get("PENJING_DEBUG", "0") not in ("", "0"):
        print(safe(traceback.format_exc()), file=sys.stderr)
    text = safe(label + message)
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        text = textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)
    print(text, file=sys.stderr)
    return code


def _operating_system(error: OSError) -> str:
    """The system's refusal: in our words where only writing meets it, else in its own."""
    if error.errno in _OF_WRITING:
        try:
            with storage_errors(Path(error.filename or "the output")):
                raise error
        except PenjingError as known:
            return str(known)
    place = f" {error.filename}" if error.filename else ""
    return f"The system refuses{place}: {error.strerror or error}."
