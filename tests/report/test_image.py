"""Charts as files: SVG as it is, PNG for whoever shows no SVG."""

import io
import sys
from pathlib import Path

import pytest
from PIL import Image

from penjing.core.errors import ConfigError
from penjing.report.image import ZOOM, check_image_name, save_image
from penjing.report.svg import bar_chart

CHART = bar_chart(["今天", "Latin"], [1.5, 0.25], title="Tokens per character")


def test_svg_is_kept_as_it_is(tmp_path: Path) -> None:
    save_image(CHART, tmp_path / "chart.SVG")
    assert (tmp_path / "chart.SVG").read_text(encoding="utf-8") == CHART


def test_png_is_the_same_picture(tmp_path: Path) -> None:
    pytest.importorskip("resvg_py")
    save_image(CHART, tmp_path / "chart.png")
    image = Image.open(io.BytesIO((tmp_path / "chart.png").read_bytes())).convert("RGB")
    width = float(CHART.split('width="')[1].split('"')[0])
    assert image.width == pytest.approx(width * ZOOM, abs=1)
    colours = [colour for _, colour in image.getcolors(1 << 20)]
    assert (0, 0x72, 0xB2) in colours  # the first colour of light paper
    assert image.getpixel((image.width // 2, image.height - 1)) == (255, 255, 255)


def test_another_name_is_refused_before_any_work(tmp_path: Path) -> None:
    for name in ("chart.jpg", "chart", ".png.pdf"):
        with pytest.raises(ConfigError, match=r"saved as \.svg or \.png"):
            check_image_name(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    check_image_name(tmp_path / "chart.svg")
    with pytest.raises(ConfigError, match=r'pip install "penjing\[png\]"'):
        check_image_name(tmp_path / "chart.png")
