"""What must load without torch does: settings, tokenizers and readers start at once.

import-linter reads the source (`make lint`); here it is run.
"""

import pkgutil
import subprocess
import sys

import penjing

# The modules that compute with tensors, or stand on those that do; all others must not.
WITH_TORCH = (
    "penjing.__main__",
    "penjing.data.batches",
    "penjing.data.mixture",
    "penjing.evaluate.",
    "penjing.formats.",
    "penjing.generate.",
    "penjing.model.",
    "penjing.study.",
    "penjing.train.",
    "penjing.transform.",
)
WITHOUT_ALL_THE_SAME = (
    "penjing.formats.gguf.tokenizer",
    "penjing.formats.gguf.writer",
    "penjing.formats.opening",
    "penjing.generate.conversation",
    "penjing.generate.load",
    "penjing.generate.runners.kernel_runner",
    "penjing.generate.sampling.structured",
    "penjing.model.checkpoint",
    "penjing.model.memory",
    "penjing.train.config",
    "penjing.transform.config",
    "penjing.study.parts",
    "penjing.study.settings",
    "penjing.study.table",
)


def without_torch() -> list[str]:
    names = [module.name for module in pkgutil.walk_packages(penjing.__path__, "penjing.")]
    return [
        name for name in names if name in WITHOUT_ALL_THE_SAME or not name.startswith(WITH_TORCH)
    ]


def test_modules_that_need_no_torch_load_none():
    names = without_torch()
    assert {"penjing.cli.main", "penjing.tokenizer.train", "penjing.data.readers"} <= set(names)
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        "    assert 'torch' not in sys.modules, name\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
