"""`penjing pretrain`: a recipe, then a settings file, then the words of the command line."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from penjing.cli.arguments import OptionalInt, OptionalPath, command, parse
from penjing.cli.errors import INTERRUPTED, UsageError
from penjing.cli.runs import run_directory
from penjing.core.config import load_toml
from penjing.core.errors import ConfigError
from penjing.recipes.recipes import RECIPES
from penjing.train.config import PretrainConfig


@dataclass(frozen=True)
class Arguments:
    """Train a model from scratch: a recipe's settings, those of --config over them, and those
    named here over both."""

    recipe: Annotated[
        Positional[str],
        arg(metavar="[RECIPE]", help=f"named settings to start from: {', '.join(RECIPES)}"),
    ] = "text"
    depth: Annotated[OptionalInt, arg(help_behavior_hint="(default: the recipe's)")] = None
    """the recipe's one dial: layers, from which the other sizes follow"""
    config: Annotated[OptionalPath, arg(help_behavior_hint="(default: none)")] = None
    """a TOML file with settings, such as `[train]` and `steps = 500`"""
    out: Annotated[OptionalPath, arg(help_behavior_hint="(default: runs/RECIPE, numbered)")] = None
    """a new folder for the run"""
    settings: Annotated[PretrainConfig, arg(name="")] = field(default_factory=PretrainConfig)


def run(args: Sequence[str]) -> int:
    """Parse, train, and report."""
    arguments = read_arguments(args)
    if not arguments.settings.data.sources:
        raise UsageError(f"No text to train on. {_on_a_file('FILE')}")
    return train(arguments.settings, run_directory(arguments.recipe, arguments.out))


def read_arguments(args: Sequence[str]) -> Arguments:
    """Every setting filled in: those that the words do not name come from file and recipe.

    The words are read twice: for the recipe and the file, and then on top of what these say.

    Raises:
        UsageError: there is no recipe of that name, or its dial is out of range.
        ConfigError: the file is missing, or holds a wrong name or value.
    """
    words = [word for word in args if word not in ("-h", "--help")]
    first: Arguments = parse(Arguments, words, "pretrain")
    base = recipe_settings(first.recipe, first.depth)
    if first.config is not None:
        base = load_toml(PretrainConfig, first.config, base=base)
    both: Arguments = parse(Arguments, args, "pretrain", default=replace(first, settings=base))
    return both


def recipe_settings(name: str, depth: int | None) -> PretrainConfig:
    """The recipe's settings; what is wrong with its name or dial is wrong with the command line."""
    if depth is not None and depth < 1:
        raise UsageError(f"--depth must be at least 1, got {depth}.")
    try:
        return RECIPES[name](depth)
    except ConfigError as error:
        is_file = Path(name).exists() or Path(name).suffix
        raise UsageError(
            f"{name} is no recipe. {_on_a_file(name)}" if is_file else str(error)
        ) from error


def _on_a_file(name: str) -> str:
    return f"To train on a file: {command('pretrain', 'text', '--data.sources', name)}"


def train(config: PretrainConfig, out: Path) -> int:
    """Run it with progress on the screen; 130 if Ctrl-C ended it."""
    from penjing.cli.progress import Progress
    from penjing.cli.report import interrupted, report
    from penjing.train.pretrain import pretrain

    with Progress() as progress:
        done = pretrain(config, out=out, listeners=[progress])
    if done.figures["interrupted"]:
        interrupted(progress.console, out, done.figures["step"])
        return INTERRUPTED
    report(progress.console, out, done.figures, progress.latest, config.train.sample_prompt)
    return 0
