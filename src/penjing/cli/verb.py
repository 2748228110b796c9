"""Verbs by name: a table of modules, each loaded only when it is called."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

from penjing.cli.errors import UsageError
from penjing.core.table import Table, suggest


@dataclass(frozen=True)
class Verb:
    """One verb: `run(args) -> exit code` in its module, which is loaded only when it is used."""

    summary: str
    module: str

    def run(self, args: Sequence[str]) -> int:
        code: int = import_module(self.module).run(args)
        return code


def find(verbs: Table[Verb], name: str) -> Verb:
    """The verb of that name.

    Raises:
        UsageError: there is none; it says which ones there are.
    """
    if name not in verbs:
        what = "option" if name.startswith("-") else "verb"
        raise UsageError(f"Unknown {what} {name!r}.{suggest(name, list(verbs))}")
    return verbs[name]


def summaries(verbs: Table[Verb]) -> str:
    """One line a verb, for help."""
    return "\n".join(f"  {name:<10} {verb.summary}" for name, verb in verbs.items())


def run_part(verbs: Table[Verb], args: Sequence[str], whole: str, about: str) -> int:
    """Run the part of a verb that `args` begins with: `penjing tokenizer train ...`.

    `whole` is the verb's own name, and `about` what it is for. Without a part it is 2.
    """
    from penjing.cli.arguments import program

    if args and args[0] not in ("-h", "--help", "help"):
        return find(verbs, args[0]).run(args[1:])
    called = f"{program()} {whole}"
    print(
        f"usage: {called} VERB [OPTIONS]\n\n{about}\n\n{summaries(verbs)}\n\n"
        f"`{called} VERB --help` shows the options of one."
    )
    return 0 if args else 2
