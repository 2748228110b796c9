"""The explanation of one tensor in a terminal and in a pipe."""

import io

import numpy as np
import pytest
from rich.console import Console

from penjing.cli.explain import LINES, show_explanation
from penjing.quantization.explain import Explanation, explain
from penjing.quantization.scheme import parse_scheme


@pytest.fixture(scope="module")
def found() -> Explanation:
    w = np.random.default_rng(0).standard_normal((32, 96)).astype(np.float32)
    w[3, 50] = -30.0
    names = ("int8-tensor", "uint8", "int4-asym-g32-mse")
    return explain(w, [parse_scheme(name) for name in names], name="layers.0.up")


def shown(found: Explanation, **options: object) -> list[str]:
    file = io.StringIO()
    show_explanation(Console(file=file, **options), found)  # type: ignore[arg-type]
    return file.getvalue().splitlines()


def test_all_figures_in_a_pipe(found: Explanation) -> None:
    lines = shown(found, width=40)
    text = "\n".join(lines)
    assert lines[0] == "layers.0.up  32 x 96" and "largest −30 in row 3, column 50" in text
    assert sum("█" in line or line.endswith(" 0") for line in lines) == LINES
    for row in found.rounded:
        (line,) = [line for line in lines if line.startswith(f"{row.scheme} ")]
        assert f"{row.error.sqnr_db:.1f}" in line and f"{row.levels_used}/{row.n_levels}" in line
    tensor = next(line for line in lines if line.startswith("the tensor"))
    assert "100%" in tensor
    assert "1 channel of this tensor." in text


@pytest.mark.parametrize("width", [60, 80, 100])
def test_columns_make_way_in_a_narrow_terminal(found: Explanation, width: int) -> None:
    lines = shown(found, width=width, force_terminal=True, color_system=None)
    header = next(line for line in lines if line.startswith("scheme"))
    assert "SQNR dB" in header and "RMS error" in header and len(header) <= max(width, 60)


def test_constants_are_shown(found: Explanation) -> None:
    schemes = [parse_scheme("int8")]
    same = explain(np.zeros((2, 32), np.float32), schemes, name="zeros", stored="Q8_0")
    assert shown(same)[1].startswith("kept as Q8_0")
    assert any(line.startswith("int8 ") and "inf" in line for line in shown(same))
