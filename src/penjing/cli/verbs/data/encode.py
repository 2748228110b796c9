"""`penjing data encode`: any amount of text as shards, which a run reads like the text itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import FlagCreatePairsOff, arg

from penjing.cli.arguments import ANY_TOKENIZER, Sources, command, parse
from penjing.cli.errors import INTERRUPTED

if TYPE_CHECKING:
    from rich.console import Console

    from penjing.data.shards.index import Index


@dataclass(frozen=True)
class Arguments:
    """Encode text once, on all cores, into files that training maps into memory. After a kill or
    Ctrl-C, the same command goes on where it stood."""

    sources: Sources
    tokenizer: Annotated[str, arg(help=ANY_TOKENIZER)]
    out: Path
    """a new folder for the shards"""
    validation_fraction: float = 0.05
    """share of the bytes for validation, in whole documents where that is possible"""
    exact_split: FlagCreatePairsOff[bool] = False
    """cut one document at exactly that fraction of its characters"""
    workers: int = 0
    """processes, at most; 0: as many as there are processors"""


def run(args: Sequence[str]) -> int:
    """Encode, with progress on the screen; 130 if Ctrl-C ended it."""
    arguments: Arguments = parse(Arguments, args, "data encode")
    from penjing.cli.console import show
    from penjing.cli.study_progress import StudyProgress
    from penjing.data.shards.encode import encode_shards, work_folder
    from penjing.data.shards.plan import ShardConfig
    from penjing.formats.package_tokenizers import open_tokenizer

    out = arguments.out
    config = ShardConfig(arguments.validation_fraction, arguments.exact_split)
    with StudyProgress() as progress:
        try:
            tokenizer = open_tokenizer(arguments.tokenizer, listener=progress)
            index = encode_shards(
                arguments.sources,
                tokenizer,
                out,
                config,
                workers=arguments.workers,
                listener=progress,
            )
        except KeyboardInterrupt:
            kept = f" What is done is kept in {work_folder(out)}: the same command goes on with it."
            show(progress.console, f"Interrupted.{kept if work_folder(out).exists() else ''}")
            return INTERRUPTED
    _report(progress.console, index, out)
    return 0


def _report(console: "Console", index: "Index", out: Path) -> None:
    from penjing.cli.console import show
    from penjing.report.units import plural, size

    left_out = f", {plural(index.duplicates, 'duplicate')} left out" if index.duplicates else ""
    show(console, f"text       {plural(index.documents, 'document')}{left_out}")
    for name, split in (("training", index.train), ("validation", index.validation)):
        if split.tokens:
            show(
                console,
                f"{name:<10} {plural(split.documents, 'document')}, {size(split.bytes)}, "
                f"{split.tokens:,} tokens, {split.bytes / split.tokens:.2f} bytes a token",
            )
    on_disk = (index.train.tokens + index.validation.tokens) * index.id_type.itemsize
    show(console, f"shards     {size(on_disk)} of {index.dtype} in {out}")
    if index.validation.tokens:
        show(console, f"\nNext: {command('pretrain', 'text', '--data.sources', str(out))}")
    else:
        show(
            console,
            "\nThere is no validation part. A run needs one: for `penjing pretrain`, encode with a "
            "--validation-fraction above 0.",
        )
