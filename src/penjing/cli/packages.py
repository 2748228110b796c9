"""What registry packages bring, as `--list` shows it: names, origins, licences."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penjing.data.fetch import PackageSource


def list_packages(entries: "Iterable[tuple[str, str, PackageSource | None, str]]") -> None:
    """Print two lines for each: its name and title, then its package, if any, and licence."""
    for name, title, package, licence in entries:
        origin = "no network"
        if package is not None:
            origin = f"{package.registry}: {package.name} {package.version}"
        print(f"{name:<13} {title}")
        print(f"{'':<13} {origin}; {licence}")
