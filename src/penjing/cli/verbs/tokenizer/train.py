"""`penjing tokenizer train`: a tokenizer of one's own text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import arg

from penjing.cli.arguments import Sources, command, parse
from penjing.tokenizer.config import TokenizerConfig

if TYPE_CHECKING:
    from penjing.core.events import Listener
    from penjing.tokenizer.sample import Reservoir
    from penjing.tokenizer.tokenizer import Tokenizer

MEASURED = 1 << 25  # bytes of the text, at most, on which the tokenizer is measured


@dataclass(frozen=True)
class Arguments:
    """Train a tokenizer on files, folders or corpora. A text of any size is read in flat memory."""

    sources: Sources
    out: Path
    """a new folder for tokenizer.json, tokenizer_config.json, and for BPE merges.json"""
    settings: Annotated[TokenizerConfig, arg(name="")] = field(default_factory=TokenizerConfig)


def run(args: Sequence[str]) -> int:
    """Read the text, train, save."""
    arguments: Arguments = parse(Arguments, args, "tokenizer train")
    from penjing.cli.console import show
    from penjing.cli.tokenizer_progress import TokenizerProgress
    from penjing.core.files import atomic_directory, check_free
    from penjing.tokenizer.sample import Reservoir
    from penjing.tokenizer.train import train_tokenizer

    out = arguments.out
    check_free(out)
    measured = Reservoir(MEASURED)
    with TokenizerProgress() as progress:
        texts = _texts(arguments.sources, measured, progress)
        tokenizer = train_tokenizer(texts, arguments.settings, progress)
        for _ in texts:  # a kind that learns nothing has not read it
            pass
        with atomic_directory(out) as folder:
            tokenizer.save(folder)
    show(
        progress.console, f"tokenizer  {tokenizer.kind}, {tokenizer.vocab_size:,} tokens, in {out}"
    )
    show(progress.console, _measure(tokenizer, measured))
    next_command = command("tokenizer", "show", "Hello", "--tokenizer", str(out))
    show(progress.console, f"\nNext: {next_command}")
    return 0


def _texts(sources: Sequence[str], measured: "Reservoir", listener: "Listener") -> Iterator[str]:
    """All texts, large ones in parts; some are kept to be measured."""
    from penjing.core.errors import DataError
    from penjing.data.readers import READERS, stream_parts
    from penjing.data.sources import find_sources

    for name, found in zip(sources, find_sources(sources, READERS), strict=True):
        some = False
        for source in found:
            for part in stream_parts(source, listener=listener):
                some = some or bool(part.text.strip())
                measured.add(part.text)
                yield part.text
        if not some:
            raise DataError(f"{'Standard input' if name == '-' else name} holds no text.")


def _measure(tokenizer: "Tokenizer", measured: "Reservoir") -> str:
    """How many tokens the text is, or what is kept of it."""
    from penjing.report.units import size

    sample = measured.sample()
    tokenizer.expect(sample.n_bytes)
    n_tokens = sum(len(ids) for ids, _ in tokenizer.encode_arrays(sample.texts))
    per_token = f"{n_tokens:,} tokens, {sample.n_bytes / n_tokens:.2f} bytes a token"
    if sample.sampled:
        return f"this text  {size(sample.n_read)}; of it {size(sample.n_bytes)} are {per_token}"
    return f"this text  {per_token}"
