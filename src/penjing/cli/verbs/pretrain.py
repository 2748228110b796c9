"""`penjing pretrain`: a recipe, then a settings file, then the words of the command line."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from penjing.cli.arguments import OptionalInt, OptionalPath, command, parse
from penjing.cli.errors import INTERRUPTED, UsageError
from penjing.cli.runs import run_directory
from penjing.core.config import load_toml
from penjing.core.errors import ConfigError
from penjing.data.shards.place import is_shards
from penjing.model.config import ModelConfig
from penjing.recipes.recipes import RECIPES
from penjing.tokenizer.config import TokenizerConfig
from penjing.train.config import PretrainConfig

if TYPE_CHECKING:
    from penjing.core.events import Listener
    from penjing.train.run import Run


@dataclass(frozen=True)
class Arguments:
    """Train a model: a recipe's settings, those of --config over them, and those named here over
    both. Or go on with an interrupted run: --resume DIR, and nothing else."""

    recipe: Annotated[
        Positional[str],
        arg(metavar="[RECIPE]", help=f"named settings to start from: {', '.join(RECIPES)}"),
    ] = "text"
    depth: Annotated[OptionalInt, arg(help_behavior_hint="(default: the recipe's)")] = None
    """the recipe's one dial: layers, from which the other sizes follow"""
    config: OptionalPath = None
    """a TOML file with settings, such as `[train]` and `steps = 500`"""
    out: Annotated[OptionalPath, arg(help_behavior_hint="(default: runs/RECIPE, numbered)")] = None
    """a new folder for the run"""
    resume: OptionalPath = None
    """an interrupted run to go on with, exactly as if it had never stopped"""
    or_resume: FlagCreatePairsOff[bool] = False
    """go on with --out if a run with these settings lies there; else begin it"""
    accept_changed_data: FlagCreatePairsOff[bool] = False
    """resume although the text is no longer the same"""
    start_from: Annotated[OptionalPath, arg(name="from")] = None
    """a run, a model directory, a GGUF file or a package model to train further; --start.model"""
    dry_run: FlagCreatePairsOff[bool] = False
    """only say what the run would need: memory, time, disk"""
    range_test: FlagCreatePairsOff[bool] = False
    """only try learning rates, from small to large, and say which is good"""
    tensorboard: FlagCreatePairsOff[bool] = False
    """write the curves for TensorBoard too, in the run's folder"""
    settings: Annotated[PretrainConfig, arg(name="")] = field(default_factory=PretrainConfig)


def run(args: Sequence[str]) -> int:
    """Parse, train, and report."""
    arguments = read_arguments(args)
    if arguments.resume is not None:
        return _resume(arguments)
    config = arguments.settings
    if not config.data.sources:
        raise UsageError(f"No text to train on. {_on_a_file('FILE')}")
    config.check()
    if arguments.dry_run and arguments.range_test:
        raise UsageError("--dry-run and --range-test are two questions: ask one at a time.")
    if arguments.dry_run:
        return _dry_run(config, arguments.out or Path())
    if arguments.range_test:
        return _range_test(config)
    if arguments.accept_changed_data:
        raise UsageError(
            "--accept-changed-data belongs to --resume: "
            + command("pretrain", "--resume", str(arguments.out or "DIR"), "--accept-changed-data")
        )
    if arguments.or_resume:
        if arguments.out is None:
            raise UsageError("--or-resume needs --out: the folder that the run has each time.")
        if arguments.out.exists():
            return _go_on(arguments.out, config, tensorboard=arguments.tensorboard)
    out = run_directory(arguments.recipe, arguments.out)
    return train(config, out, tensorboard=arguments.tensorboard)


def read_arguments(args: Sequence[str]) -> Arguments:
    """Every setting filled in: those that the words do not name come from file and recipe.

    The words are read twice: for the recipe and the file, and then on top of what these say. Of a
    recipe, a model to go on from takes the text and the training, and not its sizes and tokenizer.

    Raises:
        UsageError: there is no recipe of that name, or its dial is out of range.
        ConfigError: the file is missing, or holds a wrong name or value.
    """
    words = [word for word in args if word not in ("-h", "--help")]
    first: Arguments = parse(Arguments, words, "pretrain")
    base = recipe_settings(first.recipe, first.depth)
    named = first.settings
    if first.config is not None:
        named = load_toml(PretrainConfig, first.config, base=named)
    parent = str(first.start_from or first.settings.start.model or named.start.model)
    if parent:
        if first.depth is not None:
            raise UsageError("--depth is for a model from scratch: that of --from has its sizes.")
        base = replace(base, model=ModelConfig(), tokenizer=TokenizerConfig())
    if any(map(is_shards, (*named.data.sources, *first.settings.data.sources))):
        base = replace(base, tokenizer=TokenizerConfig())  # shards have their own
    if first.config is not None:
        base = load_toml(PretrainConfig, first.config, base=base)
    # A flag that is set already could not be said once more.
    default = replace(
        first,
        settings=base,
        or_resume=False,
        accept_changed_data=False,
        dry_run=False,
        range_test=False,
        tensorboard=False,
    )
    both: Arguments = parse(Arguments, args, "pretrain", default=default)
    if both.start_from is not None:
        start = replace(both.settings.start, model=str(both.start_from))
        both = replace(both, settings=replace(both.settings, start=start))
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


def train(config: PretrainConfig, out: Path, *, tensorboard: bool = False) -> int:
    """Run it with progress on the screen; 130 if Ctrl-C ended it."""
    from penjing.train.pretrain import pretrain

    return _watched(lambda heard: pretrain(config, out=out, listeners=heard), out, tensorboard)


def _resume(arguments: Arguments) -> int:
    """Go on with a run; all settings are those that it began with."""
    given = replace(arguments, resume=None, accept_changed_data=False, tensorboard=False)
    if given != read_arguments(()):
        raise UsageError(
            "--resume goes on with the settings that the run began with: name no others. To train "
            "its model further in another way, start a new run with --from."
        )
    run, accept = arguments.resume, arguments.accept_changed_data
    assert run is not None
    from penjing.train.run import read_settings

    read_settings(run)  # an error, if there is none
    from penjing.train.pretrain import resume

    return _watched(
        lambda heard: resume(run, listeners=heard, accept_changed_data=accept),
        run,
        arguments.tensorboard,
    )


def _go_on(out: Path, config: PretrainConfig, *, tensorboard: bool) -> int:
    """The run in `out`, from where it stands; nothing, if it is complete."""
    from penjing.core.config import to_dict
    from penjing.train.pretrain import differences, is_complete, resume
    from penjing.train.run import read_settings

    differing = differences(to_dict(read_settings(out)), to_dict(config))
    if differing:
        raise ConfigError(
            f"The run in {out} has other settings ({', '.join(differing[:5])}). Choose another "
            f"--out, or go on with its own: {command('pretrain', '--resume', str(out))}"
        )
    if is_complete(out):
        print(f"The run in {out} is complete.")
        return 0
    return _watched(lambda heard: resume(out, listeners=heard), out, tensorboard)


def _dry_run(config: PretrainConfig, out: Path) -> int:
    """What the run would need; nothing is trained, and nothing is written."""
    from penjing.cli.console import make_console, teller
    from penjing.train.pretrain import dry_run

    dry_run(config, out=out, listeners=[teller(make_console())])
    return 0


def _range_test(config: PretrainConfig) -> int:
    """The loss over the learning rate, and which one to take."""
    from penjing.cli.console import make_console, show, teller
    from penjing.train.range_test import range_test

    console = make_console()
    found = range_test(config, [teller(console)])
    show(console, f"\n{found.chart()}\n\n{found.reason}\n")
    rates = [f"--train.optimizer.lr {found.lr:.2g}"]
    if config.train.optimizer.name == "muon":
        rates.append(f"--train.optimizer.muon-lr {found.muon_lr:.2g}")
    show(console, " ".join(rates))
    return 0


def _watched(work: "Callable[[list[Listener]], Run]", out: Path, tensorboard: bool) -> int:
    """Do the work with progress on the screen, and close with a report."""
    from penjing.cli.progress import Progress
    from penjing.cli.report import interrupted, report

    with ExitStack() as opened:
        heard: list[Listener] = []
        if tensorboard:
            from penjing.train.tensorboard import FOLDER, TensorBoard

            heard.append(opened.enter_context(closing(TensorBoard(out / FOLDER))))
        progress = opened.enter_context(Progress())
        done = work([progress, *heard])
    if not progress.latest:  # of several processes, only the main one reports
        return INTERRUPTED if done.figures["interrupted"] else 0
    if done.figures["interrupted"]:
        interrupted(progress.console, done.path, done.figures["step"])
        return INTERRUPTED
    sample = progress.latest.get("sample")
    prompt = sample.data["prompt"] if sample else ""
    report(progress.console, done.path, done.figures, progress.latest, prompt)
    return 0
