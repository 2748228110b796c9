"""`penjing tokenizer train`: a tokenizer of one's own text."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from penjing.cli.arguments import command, parse
from penjing.tokenizer.config import TokenizerConfig


@dataclass(frozen=True)
class Arguments:
    """Train a tokenizer on files, folders or corpora."""

    sources: Annotated[
        Positional[tuple[str, ...]],
        arg(
            metavar="SOURCE [SOURCE ...]",
            help='files, folders, "-", or corpora',
            help_behavior_hint="(required)",
        ),
    ]
    out: Path
    """a new folder for tokenizer.json and tokenizer_config.json"""
    settings: Annotated[TokenizerConfig, arg(name="")] = field(default_factory=TokenizerConfig)


def run(args: Sequence[str]) -> int:
    """Read the text, train, save."""
    arguments: Arguments = parse(Arguments, args, "tokenizer train")
    from penjing.cli.console import make_console, show, teller
    from penjing.cli.runs import free
    from penjing.core.files import atomic_directory
    from penjing.data.readers import read_documents
    from penjing.tokenizer.train import train_tokenizer

    console = make_console()
    out = free(arguments.out)
    documents = read_documents(arguments.sources, listener=teller(console))
    tokenizer = train_tokenizer((doc.text for doc in documents), arguments.settings)
    with atomic_directory(out) as folder:
        tokenizer.save(folder)
    n_bytes = sum(len(doc.text.encode()) for doc in documents)
    n_tokens = sum(len(ids) for ids, _ in tokenizer.encode_pieces(doc.text for doc in documents))
    show(console, f"tokenizer  {tokenizer.kind}, {tokenizer.vocab_size:,} tokens, in {out}")
    show(console, f"this text  {n_tokens:,} tokens, {n_bytes / n_tokens:.2f} bytes a token")
    show(console, f"\nNext: {command('tokenizer', 'show', 'Hello', '--tokenizer', str(out))}")
    return 0
