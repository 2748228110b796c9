"""`penjing info`: what a model holds; without one, this machine."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from penjing.cli.arguments import ANY_MODEL, OptionalPath, parse

Row = tuple[str, str]


@dataclass(frozen=True)
class Arguments:
    """Show a model; without one, versions and what this machine can do."""

    path: Annotated[
        Positional[OptionalPath],
        arg(
            metavar="[MODEL]",
            help=ANY_MODEL,
            help_behavior_hint="(default: this machine)",
        ),
    ] = None


def run(args: Sequence[str]) -> int:
    """Print names and values in two columns."""
    arguments: Arguments = parse(Arguments, args, "info")
    from penjing.cli.console import make_console, show

    console = make_console()
    rows = machine() if arguments.path is None else model(arguments.path)
    for name, value in rows:
        show(console, f"{name:<16} {value}" if value else name, "" if value else "bold")
    return 0


def machine() -> Iterator[Row]:
    """Versions, processor, precision, places."""
    import platform
    from importlib.metadata import version

    import torch

    from penjing.data.fetch import cache_directory
    from penjing.model.runtime import default_threads, fast_bfloat16, pick_device
    from penjing.version import __version__

    device = pick_device()
    yield "penjing", __version__
    yield "Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    for name in ("torch", "tokenizers", "safetensors", "numpy"):
        yield name, version(name)
    yield "processor", _processor()
    yield "threads", f"{torch.get_num_threads()} of torch, {default_threads()} processors"
    yield "device", str(device)
    yield (
        "bfloat16",
        "fast: used for training" if fast_bfloat16(device) else "slow: float32 is used",
    )
    yield "corpora", str(cache_directory())


def model(path: Path) -> Iterator[Row]:
    """Sizes, tokenizer, files and lineage.

    Raises:
        CheckpointError: it is missing, damaged, or of a form unknown to us.
    """
    from penjing.cli.console import make_console, teller
    from penjing.formats.opening import open_checkpoint
    from penjing.report.units import size

    checkpoint = open_checkpoint(path, listener=teller(make_console(stderr=True)))
    from penjing.model.families import skeleton  # now, for it loads torch

    tokenizer = checkpoint.tokenizer
    generation = checkpoint.generation
    checkpoint.weights()  # an error, if they are damaged
    n_parameters = skeleton(checkpoint.config).n_parameters()
    yield "model", str(checkpoint.path)
    yield "parameters", f"{n_parameters:,}"
    if checkpoint.quantization is not None:
        yield "tensors", checkpoint.quantization.described
    yield "tokenizer", f"{tokenizer.kind}, {tokenizer.vocab_size:,} tokens"
    yield "Configuration", ""
    for name, value in asdict(checkpoint.config).items():
        yield f"  {name}", str(value)
    yield "Generation", ""
    for name, value in generation.items():
        yield f"  {name}", str(value)
    yield "Files", ""
    inside = checkpoint.path.is_dir()
    for file in sorted(checkpoint.path.iterdir()) if inside else [checkpoint.path]:
        if file.is_file():
            yield f"  {size(file.stat().st_size):>9}", file.name
    for number, row in enumerate(checkpoint.lineage, start=1):
        yield f"Lineage {number}: {row.operation}, by penjing {row.version}", ""
        for name, digest in (("parent", row.parent), ("data", row.data)):
            if digest:
                yield f"  {name}", f"SHA-256 {digest[:16]}..."
        for name, figure in row.figures.items():
            yield f"  {name}", f"{figure:.4f}" if isinstance(figure, float) else str(figure)


def _processor() -> str:
    """The name that Linux knows, else Python's."""
    import platform

    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or "unknown"
