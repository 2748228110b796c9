"""What a run ends with: a sample, the figures, where everything lies, and what to try next."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from penjing.cli.arguments import command
from penjing.cli.console import show
from penjing.cli.text import indented
from penjing.core.events import Event
from penjing.report.units import plural


def report(
    console: Console,
    out: Path,
    figures: Mapping[str, Any],
    latest: Mapping[str, Event],
    prompt: str,
) -> None:
    """Close a run that `latest` events and `figures` (those of "done") tell of."""
    if sample := latest.get("sample"):
        show(console, f"\nA sample after {plural(sample.data['step'], 'step')}:\n", "bold")
        show(console, indented(sample.data["prompt"] + sample.data["text"]))
    show(console, "\nFigures\n", "bold")
    for name, value in _figures(figures, latest):
        show(console, f"  {name:<18}{value}")
    show(console, f"\nEverything lies in {out}\n", "bold")
    show(console, "  model/            the model, as Hugging Face's programs read it")
    show(console, "  checkpoints/      the best and the last, with all that training needs")
    show(console, "  report.html       the run as a page: curves, samples, settings")
    show(console, "  events.jsonl      what happened, one JSON object a line")
    show(console, "  config.json       all settings")
    show(console, "\nNext\n", "bold")
    for line in next_commands(out, prompt):
        show(console, f"  {line}")


def next_commands(out: Path, prompt: str) -> list[str]:
    """Three commands to paste into the shell."""
    ask = ["--prompt", prompt.strip()] if prompt.strip() else []
    return [
        command("generate", str(out), *ask),
        command("info", str(out)),
        command("pretrain", "text", "--data.sources", "my.txt"),
    ]


def interrupted(console: Console, out: Path, steps: int) -> None:
    """What Ctrl-C leaves."""
    show(
        console,
        f"\nInterrupted after {plural(steps, 'step')}; all is saved. Go on, or try it as it is:\n\n"
        f"  {command('pretrain', '--resume', str(out))}\n"
        f"  {command('generate', str(out))}\n",
    )


def _figures(figures: Mapping[str, Any], latest: Mapping[str, Event]) -> list[tuple[str, str]]:
    start = latest["start"].data
    seconds = figures["train_seconds"]
    rows = []
    if figures["loss"] is not None:
        floor = start["baselines"]
        rows = [
            ("validation loss", f"{figures['loss']:.4f} nats a token"),
            ("perplexity", f"{figures['perplexity']:.2f}"),
            (
                "bits per byte",
                f"{figures['bits_per_byte']:.4f} (unigram {floor['unigram']:.2f}, "
                f"bigram {floor['bigram']:.2f}, trigram {floor['trigram']:.2f})",
            ),
        ]
    if figures["best_step"] not in (None, figures["step"]):
        best = f"{figures['best_loss']:.4f} after step {figures['best_step']}: that is model/"
        rows.append(("best loss", best))
    tokens = figures["step"] * start["tokens_per_step"]
    return [
        *rows,
        ("speed", f"{tokens / seconds if seconds else 0:,.0f} tokens/s"),
        (
            "time",
            f"{figures['total_seconds'] / 60:.1f} minutes, {seconds / 60:.1f} of them training",
        ),
    ]
