"""The figures in docs/data.md are those of the benchmark's results."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_table_of_speeds_is_that_of_the_results() -> None:
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    results = (ROOT / "benchmarks" / "results" / "data_doctor.json").read_text(encoding="utf-8")
    shown = set(re.findall(r"^\| (?:English|Chinese) \|.*$", page, re.MULTILINE))
    assert shown == {line_of(row) for row in json.loads(results)["rows"]}


def line_of(row: dict[str, object]) -> str:
    speed = f"{row['megabytes_per_cpu_second']:.1f}"
    if row["verb"] == "datasketch":
        return f"| {row['text']} | near duplicates with datasketch | | {speed} | |"
    size, memory = f"{row['megabytes']:.0f} MB", f"{row['peak_megabytes']:.0f} MB"
    return f"| {row['text']} | {row['verb']} | {size} | {speed} | {memory} |"
