"""`penjing VERB ...`: find the verb, run it, and show what goes wrong as one paragraph."""

import os
import sys
from collections.abc import Sequence

from penjing.cli.errors import guarded
from penjing.cli.verb import Verb, find, summaries
from penjing.cli.warned import warnings_shown
from penjing.core.table import Table
from penjing.version import __version__

VERBS: Table[Verb] = Table(
    "verb",
    {
        "demo": Verb("from nothing to a model that writes, in minutes", "penjing.cli.verbs.demo"),
        "data": Verb("look at a text: files, folders, or a corpus", "penjing.cli.verbs.data"),
        "tokenizer": Verb(
            "train one, see how it cuts a text, compare several", "penjing.cli.verbs.tokenizer"
        ),
        "pretrain": Verb("train a model from scratch on a text", "penjing.cli.verbs.pretrain"),
        "runs": Verb("list, compare and examine runs", "penjing.cli.verbs.runs"),
        "generate": Verb("let a model continue a text", "penjing.cli.verbs.generate"),
        "chat": Verb("talk with a model", "penjing.cli.verbs.chat"),
        "import": Verb(
            "turn a model of another form into a directory of ours",
            "penjing.cli.verbs.import_model",
        ),
        "quantize": Verb(
            "make a model smaller and faster, with the loss measured", "penjing.cli.verbs.quantize"
        ),
        "study": Verb("repeat an experiment, with a report", "penjing.cli.verbs.study"),
        "info": Verb("what a model directory holds, or this machine", "penjing.cli.verbs.info"),
    },
)


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code: 0, 1 (error), 2 (usage), 130 (Ctrl-C)."""
    # An idle thread of GNU OpenMP spins 300,000 rounds before it sleeps, on a core that another
    # could use. 2,000 still bridges the gaps within a training step. Read when torch is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by the caller: `penjing ... >&-`
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):  # a terminal that is not UTF-8 must not end a run
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    words = list(sys.argv[1:] if args is None else args)
    with warnings_shown():
        return guarded(lambda: _dispatch(words))


def _dispatch(args: Sequence[str]) -> int:
    if not args:
        print(overview(), file=sys.stderr)
        return 2
    verb, rest = args[0], args[1:]
    if verb in ("-h", "--help", "help"):
        print(overview())
        return 0
    if verb in ("-V", "--version"):
        print(f"penjing {__version__}")
        return 0
    return find(VERBS, verb).run(rest)


def overview() -> str:
    """What `penjing --help` shows: one line a verb."""
    return "\n".join(
        [
            "usage: penjing VERB [OPTIONS]",
            "",
            "Grow a small language model whole, on one machine, and see every step.",
            "",
            summaries(VERBS),
            "",
            "`penjing VERB --help` shows the options of a verb, `penjing --version` the version.",
            "PENJING_CACHE names the folder of fetched corpora; PENJING_DEBUG=1 shows tracebacks.",
        ]
    )
