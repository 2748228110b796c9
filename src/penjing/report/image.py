"""A chart as a file: SVG as it is, or PNG for programs that show no SVG."""

from pathlib import Path

from penjing.core.errors import ConfigError
from penjing.core.files import atomic_file

FORMATS = (".svg", ".png")
ZOOM = 2.0  # pixels of a PNG for one of the chart's: sharp on today's screens


def check_image_name(path: Path) -> None:
    """See early whether a chart can be saved under this name.

    Raises:
        ConfigError: it ends neither in .svg nor in .png, or what draws PNG is not installed.
    """
    if path.suffix.lower() not in FORMATS:
        raise ConfigError(f"{path}: a chart is saved as .svg or .png; choose one of these names.")
    if path.suffix.lower() == ".png":
        to_png("<svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'/>")


def save_image(svg: str, path: Path) -> None:
    """Write a chart in the format that the name ends in, whole or not at all.

    Raises:
        ConfigError: as `check_image_name`.
        StorageError: the disk refuses.
    """
    check_image_name(path)
    content = to_png(svg) if path.suffix.lower() == ".png" else svg.encode("utf-8")
    with atomic_file(path) as scratch:
        scratch.write_bytes(content)


def to_png(svg: str) -> bytes:
    """The image in its colours for light paper, `ZOOM` times as large, in the system's fonts.

    Raises:
        ConfigError: resvg, which draws it, is not installed.
    """
    try:
        from resvg_py import svg_to_bytes
    except ImportError as error:
        raise ConfigError(
            'Charts as PNG need resvg: pip install "penjing[png]". Or choose .svg, which browsers '
            "and most editors show."
        ) from error
    return bytes(svg_to_bytes(svg_string=svg, zoom=ZOOM))
