"""Position encodings: what a model knows of order, and what it does beyond the trained length."""

from collections.abc import Mapping
from typing import Any

from penjing.study.bench import Bench
from penjing.study.lengths import measure_lengths, present_lengths
from penjing.study.order import ENCODINGS, SETTINGS, measure_order, present_order
from penjing.study.parts import Part


def measure(bench: Bench) -> dict[str, Any]:
    """Permutations told apart, and loss by window length."""
    bench.expect(len(ENCODINGS) * len(bench.seeds) * (len(SETTINGS) + 8))
    return {"figures": {"order": measure_order(bench), "lengths": measure_lengths(bench)}}


def present(results: Mapping[str, Any]) -> list[Part]:
    """Four parts: permutations, the two phrases, long windows, stretched RoPE."""
    figures = results["figures"]
    return [*present_order(figures["order"]), *present_lengths(figures["lengths"])]
