"""Figures as people read them: 31.2k, 4.19 MB, 12:30, 3 documents."""

import math


def si(number: float) -> str:
    """A count with three digits that matter: 950, 31.2k, 4.19M."""
    if not math.isfinite(number):
        return "?"
    rounded = float(f"{number:.3g}")  # first, for 999,600 is 1M
    for limit, unit in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if rounded >= limit:
            return f"{rounded / limit:g}{unit}"
    return f"{rounded:.0f}"


def size(n_bytes: float) -> str:
    """Bytes in decimal units: 950 B, 31.2 kB, 4.19 MB."""
    return amount(n_bytes, "B")


def amount(number: float, unit: str) -> str:
    """A count with its unit: 950 B, 4.19 TFLOP."""
    short = si(number)
    return f"{short[:-1]} {short[-1]}{unit}" if short[-1].isalpha() else f"{short} {unit}"


def clock(seconds: float) -> str:
    """Minutes and seconds: 0:07, 12:30, 1:02:30; nobody knows when: --:--."""
    if not math.isfinite(seconds):
        return "--:--"
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def plural(n: int, noun: str) -> str:
    """`1 document`, `3 documents`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def percent(share: float) -> str:
    """A share of 1: 41%, 3.6%; nobody knows: ?."""
    if not math.isfinite(share):
        return "?"
    return f"{share * 100:.0f}%" if share >= 0.0995 else f"{share * 100:.1f}%"
