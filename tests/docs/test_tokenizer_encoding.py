"""docs/tokenizers.md: how fast large texts become ids, as it was measured."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tokenizers.md").read_text(encoding="utf-8")
RESULTS = json.loads((ROOT / "benchmarks/results/tokenizers.json").read_text(encoding="utf-8"))
WHO = ("penjing, arrays", "penjing, lists", "tokie", "tiktoken", "tokenizers")


def rows() -> list[str]:
    return [
        f"| {row['text']}, {row['vocabulary']} | "
        + " | ".join(f"{row['mb_per_second'][who]:.0f}" for who in WHO)
        + f" | {row['ratio']:.1f} |"
        for row in RESULTS["encoding"]["figures"]
    ]


@pytest.mark.parametrize("row", rows())
def test_a_figure_is_one_that_was_measured(row: str) -> None:
    assert row in PAGE.splitlines()


def test_who_gives_other_ids_is_named() -> None:
    assert all(not set(row["other_ids"]) - {"tokie"} for row in RESULTS["encoding"]["figures"])


def test_showing_takes_as_long_as_is_said() -> None:
    assert f"at most {RESULTS['show']['slowest_ms']:.0f} ms" in PAGE
