"""Who waits for the compiler is told so: once, and where the code was wanted."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import penjing
from penjing.compiling import notice

CALLER = """
from numpy import uint64, zeros
from penjing.tokenizer.fast.strings import move_slots
from penjing.tokenizer.fast.pairs import insert_pairs

move_slots(zeros(4, uint64), zeros(8, uint64))
insert_pairs(zeros(0, uint64), zeros(8, uint64))
"""


def stderr_of(cache: Path, *command: str) -> str:
    """What a new process writes there, with compiled code kept in `cache`."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONWARNINGS": "default"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stderr


def test_a_warning_at_the_caller_the_first_time(tmp_path: Path) -> None:
    script = tmp_path / "caller.py"
    script.write_text(CALLER)
    first = stderr_of(tmp_path / "cache", sys.executable, str(script))
    assert first.splitlines() == [
        f"{script}:6: CompilingWarning: The tokenizers' fast code is being compiled for this "
        "processor. This takes some seconds, once.",
        "  move_slots(zeros(4, uint64), zeros(8, uint64))",
    ]
    assert stderr_of(tmp_path / "cache", sys.executable, str(script)) == ""


def test_a_line_on_the_command_line(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("A few words.\n" * 20)
    command = [sys.executable, "-m", "penjing", "data", "check", str(text)]
    said = "The data doctor's fast code is being compiled for this processor. This takes some "
    assert stderr_of(tmp_path / "cache", *command) == f"{said}seconds, once.\n"
    assert stderr_of(tmp_path / "cache", *command) == ""


def test_all_packages_with_compiled_code_have_words() -> None:
    root = Path(penjing.__file__).parent
    compiled = {
        path.relative_to(root).parts[0]
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        and node.module == "penjing.compiling.functions"
        and {name.name for name in node.names} & {"entry", "c_function"}
    }
    assert compiled == set(notice._CODE)
