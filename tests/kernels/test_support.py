"""Which instruction set is taken, and what happens when one computes wrongly."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import penjing
from penjing.core.errors import ConfigError
from penjing.kernels import features, selftest
from penjing.kernels.support import support


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is known of an earlier self-test."""
    monkeypatch.setattr(selftest, "passed_mark", lambda _isa: None)
    support.cache_clear()
    yield
    support.cache_clear()


def test_the_fastest_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(features.VARIABLE, raising=False)
    assert support().path == features.available()[0]


@pytest.mark.parametrize("way", features.available())
def test_one_can_be_forced(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(features.VARIABLE, way)
    assert support().path == way
    assert support().isa.way == way


def test_they_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(features.VARIABLE, "off")
    assert support().path == "off"
    with pytest.raises(LookupError):
        _ = support().isa


def test_an_unknown_word_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(features.VARIABLE, "fast")
    with pytest.raises(ConfigError, match="PENJING_KERNELS=fast is none of off, vector"):
        support()


def test_what_the_processor_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "features", lambda: frozenset({"avx2"}))
    assert features.candidates() == ["avx2", "vector"]
    monkeypatch.setenv(features.VARIABLE, "avx512")
    with pytest.raises(ConfigError, match="can do avx2, vector only"):
        support()


def test_what_computes_wrongly_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(features.VARIABLE, raising=False)
    monkeypatch.setattr(features, "available", lambda: ["avx2", "vector"])
    wrong = lambda isa: None if isa.way == "vector" else "nonsense"  # noqa: E731
    monkeypatch.setattr(selftest, "failure", wrong)
    with pytest.warns(RuntimeWarning, match="nonsense"):
        assert support().path == "vector"


def test_without_any_pytorch_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(features.VARIABLE, raising=False)

    def broken(_isa: features.Isa) -> None:
        raise OSError("no compiler")

    monkeypatch.setattr(selftest, "failure", broken)
    monkeypatch.setattr(features, "available", lambda: ["vector"])
    with pytest.warns(RuntimeWarning) as warned:
        assert support().path == "off"
    assert "PyTorch computes" in str(warned[-1].message)
    assert "no compiler" in support().reason


def test_what_has_passed_is_not_tested_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(features, "available", lambda: ["vector"])
    monkeypatch.delenv(features.VARIABLE, raising=False)
    tested: list[str] = []
    for sources in ("old", "old", "new"):
        monkeypatch.setattr(selftest, "passed_mark", lambda _isa, name=sources: tmp_path / name)
        monkeypatch.setattr(selftest, "failure", lambda _isa, name=sources: tested.append(name))
        support.cache_clear()
        assert support().path == "vector"
    assert tested == ["old", "new"]
    monkeypatch.setattr(selftest, "passed_mark", lambda _isa: tmp_path / "wrong")
    monkeypatch.setattr(selftest, "failure", lambda _isa: "nonsense")
    for _ in range(2):  # what has failed leaves no mark
        support.cache_clear()
        with pytest.warns(RuntimeWarning, match="nonsense"):
            assert support().path == "off"


def test_the_self_test_sees_a_wrong_product(monkeypatch: pytest.MonkeyPatch) -> None:
    right = selftest.product
    nudged = lambda *args: right(*args) * 1.001  # noqa: E731
    monkeypatch.setattr(selftest, "product", nudged)
    assert "differs from NumPy" in str(selftest.failure(features.isa("vector")))


def test_the_self_test_sees_a_wrong_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    right = selftest._logits
    nudged = lambda *args: right(*args) * 1.01  # noqa: E731
    monkeypatch.setattr(selftest, "_logits", nudged)
    assert "a whole pass gave other logits" in str(selftest.failure(features.isa("vector")))


PROGRAM = """
import numpy as np
from numba.core import event
from penjing.kernels.features import isa
from penjing.kernels.matmul import product_address
from penjing.kernels.layout import BFLOAT16
with event.install_recorder("numba:compile") as compiled:
    product_address(isa("{way}"), BFLOAT16)
print(len(compiled.buffer))
"""


def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    """Also from a package that cannot be written to: the cache is elsewhere then. Only the first
    says, once, that it compiles."""

    def compiled(way: str) -> int:
        source = Path(penjing.__file__).parents[1]
        environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(source)}
        command = [sys.executable, "-c", PROGRAM.format(way=way)]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert ran.stderr.count("kernels are being compiled") == (ran.stdout != "0\n")
        return int(ran.stdout)

    first = compiled("vector")
    assert first > 0
    assert compiled("vector") == 0
    for index in tmp_path.rglob("*.nbi"):  # as after a crash: neither an error nor for ever
        index.write_bytes(index.read_bytes()[:20])
    assert compiled("vector") > 0
    assert compiled("vector") == 0
    if "avx2" in features.available():
        assert compiled("avx2") > 0  # each way has code of its own
        assert compiled("vector") == 0
