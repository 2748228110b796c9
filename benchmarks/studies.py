"""Run every study in full, keep its results, and write its tables and charts into docs/studies.md.

    python benchmarks/studies.py                 # all of them; nothing else should run meanwhile
    python benchmarks/studies.py positions       # one of them
    python benchmarks/studies.py --docs          # only write the docs anew, from the kept results

Results lie in benchmarks/results/studies/NAME.json, charts in docs/studies/NAME-1.svg, -2, ... In
docs/studies.md what stands between `<!-- NAME -->` and `<!-- end of NAME -->` is written anew; the
rest is written by hand.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from penjing.study.render import document
from penjing.study.table import STUDIES

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "studies"
PAGE = ROOT / "docs" / "studies.md"
CHARTS = ROOT / "docs" / "studies"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(STUDIES))
    parser.add_argument("--docs", action="store_true", help="only write the docs anew")
    args = parser.parse_args()
    for name in args.names or STUDIES:
        if not args.docs:
            run(name)
        write_docs(name)


def run(name: str) -> None:
    """The study as a user runs it, in a process of its own; its results are kept."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "report"
        command = [sys.executable, "-m", "penjing", "study", name, "--out", str(out)]
        subprocess.run(command, check=True)
        RESULTS.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(out / "results.json", RESULTS / f"{name}.json")


def write_docs(name: str, page: Path = PAGE, charts: Path = CHARTS) -> None:
    """The part of the page that belongs to the study, and its charts, from its kept results."""
    results = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    text, images = document(results, STUDIES[name].load().present(results), charts.name)
    charts.mkdir(exist_ok=True)
    for old in charts.glob(f"{name}-*.svg"):
        old.unlink()
    for image, svg in images.items():
        (charts / image).write_text(svg, encoding="utf-8")
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->\n"
    head, _, rest = page.read_text(encoding="utf-8").partition(begin)
    tail = rest.partition(end)[2]
    page.write_text(head + begin + "\n" + text + end + tail, encoding="utf-8")


if __name__ == "__main__":
    main()
