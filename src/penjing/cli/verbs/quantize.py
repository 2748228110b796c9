"""`penjing quantize`: a model made smaller and faster, with the loss measured."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from penjing.cli.arguments import ANY_MODEL, OptionalFloat, OptionalPath, parse
from penjing.cli.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from penjing.core.events import Listener
    from penjing.core.types import Document
    from penjing.data.batches import Tokens
    from penjing.tokenizer.tokenizer import Tokenizer
    from penjing.transform.config import QuantizeConfig

COMPARED = ("int8", "int4-g32")  # where no scheme is named
HELD_OUT = 0.3  # of the calibration text, where no other text is there to evaluate


@dataclass(frozen=True)
class Arguments:
    """Quantize a model, in one way or in several side by side, and measure what it costs.

    Without --out nothing is written: the table alone is shown.
    """

    path: Annotated[Positional[str], arg(metavar="MODEL", help=ANY_MODEL)]
    scheme: Annotated[
        tuple[str, ...], arg(help_behavior_hint=f"(default: {' '.join(COMPARED)})")
    ] = ()
    """int8, uint8, int4 or int4-asym; alone or with -tensor, -g32, -g64, -g128; w8a8, w4a8-g32"""
    method: tuple[str, ...] = ("rtn",)
    """rtn (round to nearest), mse (ranges clipped); gptq and awq need --calibrate"""
    calibrate: tuple[str, ...] = ()
    """the text that gptq, awq and --bits look at: files, folders, or corpora"""
    evaluate: Annotated[
        tuple[str, ...],
        arg(help_behavior_hint="(default: a part of the calibration text that is held out)"),
    ] = ()
    """the text to measure on"""
    bits: OptionalFloat = None
    """a budget in bits per weight: mixes the schemes by what each matrix suffers"""
    keep: tuple[str, ...] = ()
    """matrices that stay as they are: shell patterns such as '*down_proj'"""
    head: str = "keep"
    """scheme of the matrix to the logits (GGUF: of the table of embeddings too)"""
    format: Literal["compressed-tensors", "gguf"] = "compressed-tensors"
    """of what is written"""
    out: OptionalPath = None
    """a new place: the model itself, or a folder of them if there are several"""
    json: OptionalPath = None
    """a file for all figures"""
    windows: int = 64
    """of the calibration text"""
    window: int = 512
    """tokens in each, at most the model's context"""
    damping: float = 0.01
    """gptq: added to the Hessian's diagonal, as a share of its mean"""
    in_order: FlagCreatePairsOff[bool] = False
    """gptq: columns in their own order, not those with the largest inputs first"""
    tokens: int = 16_384
    """of the text to evaluate, at most"""
    threads: int = 0
    """for timing; 0 takes all processors"""
    no_speed: FlagCreatePairsOff[bool] = False
    """leave the timing out"""
    seed: int = 0
    """which windows are taken to calibrate"""
    explain: Annotated[str, arg(metavar="TENSOR", help_behavior_hint="(default: none)")] = ""
    """only show what each scheme does to one tensor"""
    report: OptionalPath = None
    """with --explain: a page for a browser"""


def run(args: Sequence[str]) -> int:
    """Quantize, measure, and show one table."""
    arguments: Arguments = parse(Arguments, args, "quantize")
    if arguments.explain:
        _check_explain(arguments)
        return _explain(arguments)
    if arguments.report is not None:
        raise UsageError("--report belongs to --explain; for the table there is --json.")
    from penjing.cli.console import show
    from penjing.cli.quantize_table import show_comparison
    from penjing.cli.study_progress import StudyProgress
    from penjing.core.files import check_free, write_json
    from penjing.formats.opening import open_checkpoint
    from penjing.transform.config import Measuring

    if arguments.json is not None:
        check_free(arguments.json)
    configs = _configs(arguments)
    for config in configs:
        config.check(with_text=bool(arguments.calibrate))
    measuring = Measuring(
        window=arguments.window,
        tokens=arguments.tokens,
        speed=not arguments.no_speed,
        threads=arguments.threads,
    )
    measuring.check()
    with StudyProgress() as progress:
        source = open_checkpoint(arguments.path, listener=progress)
        calibration, evaluation = _texts(arguments, source.tokenizer, progress)
        if evaluation is None:
            _say_what_is_missing(progress.console)
        from penjing.transform.compare import compare  # now, for it loads torch

        comparison = compare(
            arguments.path,
            configs,
            calibration=calibration,
            evaluation=evaluation,
            form=arguments.format,
            out=arguments.out,
            measuring=measuring,
            listener=progress,
        )
    show_comparison(progress.console, comparison)
    if arguments.json is not None:
        write_json(arguments.json, asdict(comparison))
        show(progress.console, f"All figures: {arguments.json}")
    return 0


def _configs(arguments: Arguments) -> list["QuantizeConfig"]:
    """A way to quantize for each scheme and method; with a budget one mix for each method."""
    from penjing.transform.config import QuantizeConfig

    if not arguments.method:
        raise UsageError("Name a method: --method rtn.")
    schemes, mixing = arguments.scheme or COMPARED, arguments.bits is not None
    return [
        QuantizeConfig(
            scheme=scheme,
            method=method,
            keep=arguments.keep,
            head=_head(arguments),
            table=_head(arguments) if arguments.format == "gguf" else "keep",
            bits=arguments.bits,
            mix=schemes if mixing else (),
            windows=arguments.windows,
            window=arguments.window,
            damping=arguments.damping,
            by_size=not arguments.in_order,
            seed=arguments.seed,
        )
        for scheme in (schemes[:1] if mixing else schemes)
        for method in arguments.method
    ]


def _head(arguments: Arguments) -> str:
    """GGUF files hold a quantized table of embeddings, as Q8_0 where nothing else is said."""
    if arguments.format == "gguf" and arguments.head == "keep":
        return "int8-g32"
    return arguments.head


def _texts(
    arguments: Arguments, tokenizer: "Tokenizer", listener: "Listener"
) -> tuple["Tokens | None", "Tokens | None"]:
    """What to calibrate on and what to evaluate: never the same documents.

    Raises:
        UsageError: all that is to be evaluated is calibrated on.
    """
    from penjing.data.documents import split_documents
    from penjing.data.readers import read_documents

    def ids(documents: "Sequence[Document]") -> "Tokens":
        from penjing.data.batches import encode_documents  # loads torch

        return encode_documents(documents, tokenizer)

    if not arguments.calibrate:
        if not arguments.evaluate:
            return None, None
        return None, ids(read_documents(arguments.evaluate, listener=listener))
    documents = read_documents(arguments.calibrate, listener=listener)
    if not arguments.evaluate or set(arguments.evaluate) == set(arguments.calibrate):
        split = split_documents(documents, validation_fraction=HELD_OUT)
        return ids(split.train), ids(split.validation)
    seen = {document.text for document in documents}
    asked = read_documents(arguments.evaluate, listener=listener)
    unseen = [document for document in asked if document.text not in seen]
    if not unseen:
        raise UsageError(
            "All of the text to evaluate is in the calibration text. Name another one, or leave "
            "--evaluate out: then a part of the calibration text is held out."
        )
    return ids(documents), ids(unseen)


def _say_what_is_missing(console: "Console") -> None:
    from penjing.cli.console import show

    show(
        console,
        "No text was named, so sizes and speeds alone are measured, and the methods are rtn and "
        "mse. --evaluate TEXT measures the loss; --calibrate TEXT allows gptq, awq and --bits.",
        "yellow",
    )


def _check_explain(arguments: Arguments) -> None:
    """Raises UsageError for an option that --explain would pass over."""
    for option in fields(Arguments):
        given = getattr(arguments, option.name) != option.default
        if given and option.name not in ("path", "scheme", "explain", "report"):
            raise UsageError(
                f"--explain only shows one tensor: --scheme and --report go with it, "
                f"--{option.name.replace('_', '-')} does not."
            )


def _explain(arguments: Arguments) -> int:
    """One tensor: its weights, what each scheme makes of them, and what outliers cost."""
    from penjing.cli.console import make_console, show, teller
    from penjing.cli.explain import show_explanation
    from penjing.core.files import check_free
    from penjing.formats.opening import open_checkpoint
    from penjing.quantization.scheme import parse_scheme
    from penjing.report.explanation import write_explanation
    from penjing.transform.explanation import explain_tensor

    console = make_console()
    if arguments.report is not None:
        check_free(arguments.report)
    schemes = [parse_scheme(name) for name in arguments.scheme]
    checkpoint = open_checkpoint(arguments.path, listener=teller(console))
    explanation = explain_tensor(checkpoint, arguments.explain, schemes)
    show_explanation(console, explanation)
    if arguments.report is not None:
        write_explanation(asdict(explanation), arguments.report)
        show(console, f"\nThe page lies in {arguments.report}")
    return 0
