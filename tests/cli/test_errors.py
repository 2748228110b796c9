"""Each way to fail: one paragraph on standard error, an exit code, no traceback."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from penjing.cli.errors import UsageError, guarded
from penjing.core.errors import ConfigError, PenjingError


def raiser(error: BaseException):
    def action() -> int:
        raise error

    return action


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ConfigError("Unknown recipe 'x'."), 1, "error: Unknown recipe 'x'.\n"),
        (UsageError("Unknown verb 'x'."), 2, "error: Unknown verb 'x'.\n"),
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
        (
            OSError(errno.ENOSPC, "No space", "/a/b"),
            1,
            "error: Cannot write /a/b: the disk is full",
        ),
        (PermissionError(errno.EACCES, "Denied", "c"), 1, "error: The system refuses c: Denied.\n"),
        (OSError(errno.EBUSY, "Busy", "d"), 1, "error: The system refuses d: Busy.\n"),
        (MemoryError(), 1, "error: Out of memory."),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 1, "error: Out of memory."),
    ],
)
def test_errors_are_one_paragraph(capsys, error, code, said):
    assert guarded(raiser(error)) == code
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.startswith(said)
    assert shown.err.count("\n") == 1


def test_torch_says_out_of_memory_in_the_words_that_we_know(capsys):
    assert guarded(lambda: len(torch.empty(1 << 60))) == 1
    assert "Out of memory" in capsys.readouterr().err


def test_errors_of_ours_are_not_hidden():
    with pytest.raises(RuntimeError, match="a bug"):
        guarded(raiser(RuntimeError("a bug")))
    with pytest.raises(ZeroDivisionError):
        guarded(lambda: 1 // 0)


def test_debug_shows_the_traceback(capsys, monkeypatch):
    monkeypatch.setenv("PENJING_DEBUG", "1")
    assert guarded(raiser(PenjingError("bad"))) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_message_cannot_steer_the_terminal(penjing):
    result = penjing("data", "a\x1b[2J\x9b.txt")
    assert result.code == 1 and r"a\x1b[2J\x9b.txt" in result.err
    assert not set("\x1b\x9b") & set(result.err)


def test_a_message_needs_no_rich():
    code = "import sys; from penjing.cli.errors import *; guarded(lambda: 1 / 0 if 0 else 0)\n"
    code += "assert 'rich' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_terminal_gets_whole_words(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    guarded(raiser(PenjingError("word " * 30)))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) > 3 and max(map(len, lines)) <= 40


def test_a_reader_that_has_seen_enough_ends_it_quietly():
    writer = [sys.executable, "-m", "penjing", "data", "stdlib", "--show"]
    running = subprocess.Popen(writer, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout is not None and running.stderr is not None
    running.stdout.close()
    assert running.stderr.read() == ""
    assert running.wait(timeout=120) == 141
    running.stderr.close()


def test_a_full_disk_is_a_clear_error(process):
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "penjing", "data", "--list"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode != 0 and "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr
