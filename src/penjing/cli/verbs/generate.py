"""`penjing generate`: a model continues a text, and each step can be seen."""

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, Positional, arg

from penjing.cli.arguments import OptionalFloat, OptionalInt, OptionalPath, OptionalText, parse
from penjing.cli.errors import UsageError
from penjing.core.errors import GenerationError
from penjing.core.types import SamplingParams, Structure, StructureKind

if TYPE_CHECKING:
    from penjing.generate.engine.generation import Generation

_KEEP = arg(help_behavior_hint="(default: the model's)")


@dataclass(frozen=True)
class Sampling:
    """how the next token is chosen; what is not named is as the model recommends"""

    temperature: Annotated[OptionalFloat, _KEEP] = None
    """divides the logits: above 1 flattens, below 1 sharpens, 0 is greedy"""
    top_k: Annotated[OptionalInt, _KEEP] = None
    """keep the k likeliest tokens; 0 keeps all"""
    top_p: Annotated[OptionalFloat, _KEEP] = None
    """keep the smallest set whose probability reaches p"""
    min_p: Annotated[OptionalFloat, _KEEP] = None
    """drop tokens below this share of the likeliest one's probability"""
    typical_p: float = 1.0
    """keep the most typical tokens whose probability reaches p"""
    logit_bias: Annotated[dict[int, float], arg(help_behavior_hint="(default: none)")] = field(
        default_factory=dict
    )
    """token ids, each with a number that is added to its logit"""
    seed: Annotated[OptionalInt, arg(help_behavior_hint="(default: a new one each time)")] = None
    """the same seed gives the same text"""


@dataclass(frozen=True)
class Repetition:
    """what was said already becomes less likely"""

    repetition_penalty: Annotated[OptionalFloat, _KEEP] = None
    """above 1: tokens that were seen become less likely"""
    presence_penalty: float = 0.0
    """taken from the logit of each token that was generated"""
    frequency_penalty: float = 0.0
    """taken for each time that a token was generated"""
    penalty_window: int = 0
    """these three look at so many last tokens; 0: at the whole text"""
    dry_multiplier: float = 0.0
    """how strongly DRY keeps sequences from repeating; 0 is off"""
    dry_base: float = 1.75
    """its penalty grows by this factor for each further repeated token"""
    dry_allowed_length: int = 2
    """repeats shorter than this many tokens go free"""
    dry_window: int = 0
    """DRY looks for repeats in so many last tokens; 0: in the whole text"""
    dry_sequence_breakers: Annotated[
        tuple[str, ...], arg(help_behavior_hint='(default: a line feed, ":", a quote and "*")')
    ] = SamplingParams.dry_sequence_breakers
    """no repeat reaches over these texts"""


@dataclass(frozen=True)
class Surprise:
    """less of the obvious, or as much of it all along"""

    xtc_probability: float = 0.0
    """how often XTC takes the top choices away; 0 is off"""
    xtc_threshold: float = 0.1
    """a top choice has at least this probability; at most 0.5"""
    mirostat: Literal[0, 1, 2] = 0
    """version of mirostat; 0 is off"""
    mirostat_tau: float = 5.0
    """the surprise that it holds the text to, in bits per token"""
    mirostat_eta: float = 0.1
    """how fast it corrects itself"""


@dataclass(frozen=True)
class Form:
    """the form that the text must have: one of these (they need penjing[structured])"""

    json_schema: Annotated[OptionalPath, arg(metavar="FILE", help_behavior_hint="")] = None
    """JSON that is as the schema in this file wants it"""
    json_object: FlagCreatePairsOff[bool] = False
    """any JSON object"""
    regex: Annotated[OptionalText, arg(help_behavior_hint="")] = None
    """a text that matches this regular expression from beginning to end"""
    grammar: Annotated[OptionalPath, arg(metavar="FILE", help_behavior_hint="")] = None
    """a text that follows the Lark grammar in this file"""

    def structure(self) -> Structure | None:
        """What was asked for, if anything.

        Raises:
            UsageError: it is more than one form.
            GenerationError: a file cannot be read, or holds nothing.
        """
        named: list[tuple[StructureKind, str | Path]] = []
        if self.json_schema is not None:
            named.append(("json_schema", self.json_schema))
        if self.json_object:
            named.append(("json_object", ""))
        if self.regex is not None:
            named.append(("regex", self.regex))
        if self.grammar is not None:
            named.append(("lark", self.grammar))
        if len(named) > 1:
            raise UsageError(
                "A text has one form: give one of --json-schema, --json-object, --regex, --grammar."
            )
        for kind, text in named:
            return Structure(kind, _read(text) if isinstance(text, Path) else text)
        return None


@dataclass(frozen=True)
class End:
    """where the text ends"""

    max_new_tokens: int = 256
    """after so many tokens, if not before"""
    stop: tuple[str, ...] = ()
    """before any of these texts"""
    on_overflow: Literal["stop", "slide"] = "stop"
    """at the context's end: stop, or forget the older half and go on"""


@dataclass(frozen=True)
class Output:
    """what is shown"""

    no_echo: FlagCreatePairsOff[bool] = False
    """leave out the prompt"""
    trace: FlagCreatePairsOff[bool] = False
    """show what each sampling step kept and removed"""
    json: FlagCreatePairsOff[bool] = False
    """one JSON object a token, and nothing else"""
    logprobs: int = 0
    """how many of the likeliest candidates each step reports, with --json"""
    logprob_ids: tuple[int, ...] = ()
    """tokens whose log-probabilities each step reports, with --json"""


@dataclass(frozen=True)
class Computing:
    """what computes it"""

    kernels: Literal["auto", "on", "off"] = "auto"
    """our CPU kernels: where they can, in any case, or torch instead"""
    threads: int = 0
    """threads that compute; 0: one for each processor"""
    context_length: Annotated[OptionalInt, _KEEP] = None
    """a shorter context than the model's, for less memory"""


@dataclass(frozen=True)
class Arguments:
    """Let a model continue a text. The text goes to standard output, figures to standard error."""

    path: Annotated[
        Positional[Path],
        arg(metavar="MODEL", help="a run or a model directory, a GGUF file, a known name"),
    ]
    prompt: str = ""
    """what comes before; "-" reads standard input"""
    sampling: OmitArgPrefixes[Sampling] = field(default_factory=Sampling)
    repetition: OmitArgPrefixes[Repetition] = field(default_factory=Repetition)
    surprise: OmitArgPrefixes[Surprise] = field(default_factory=Surprise)
    form: OmitArgPrefixes[Form] = field(default_factory=Form)
    end: OmitArgPrefixes[End] = field(default_factory=End)
    output: OmitArgPrefixes[Output] = field(default_factory=Output)
    computing: OmitArgPrefixes[Computing] = field(default_factory=Computing)

    def settings(self) -> dict[str, Any]:
        """What is not left to the model, by the names of `SamplingParams` and `on_overflow`."""
        groups = (self.sampling, self.repetition, self.surprise, self.end)
        values = {f.name: getattr(group, f.name) for group in groups for f in fields(group)}
        values |= {"structure": self.form.structure(), "trace": self.output.trace}
        values |= {"logprobs": self.output.logprobs, "logprob_ids": self.output.logprob_ids}
        return {name: value for name, value in values.items() if value is not None}


def run(args: Sequence[str]) -> int:
    """Load, and write token by token."""
    arguments: Arguments = parse(Arguments, args, "generate")
    from penjing.cli.prompt import read_prompt
    from penjing.generate.load import load

    output = arguments.output
    if (output.logprobs or output.logprob_ids) and not output.json:
        raise UsageError(
            "--logprobs and --logprob-ids need --json; or use --trace, which shows candidates too."
        )
    settings = arguments.settings()
    prompt = read_prompt(arguments.prompt)
    model = load(arguments.path, **asdict(arguments.computing))
    steps = model.generate(prompt, **settings)
    begin = time.perf_counter()
    if output.json:
        _write_json(steps)
    elif output.trace:
        _write_trace(steps)
    else:
        _write_text(steps, "" if output.no_echo else prompt)
    seconds = time.perf_counter() - begin
    n = len(steps.output_ids)
    print(
        f"{n} tokens in {seconds:.2f} s, {n / seconds:.0f} tokens/s; seed {steps.seed}",
        file=sys.stderr,
    )
    return 0


def _read(path: Path) -> str:
    """The text of a file that says what form is wanted."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise GenerationError(f"{path} cannot be read: {error}.") from error


def _write_text(steps: "Generation", prompt: str) -> None:
    from penjing.cli.text import safe

    # A terminal obeys control characters; a file or a pipe gets the text as it is.
    shown = safe if sys.stdout.isatty() else str
    print(shown(prompt), end="", flush=True)
    try:
        for step in steps:
            print(shown(step.text), end="", flush=True)
    finally:  # what went wrong is not said in the midst of a line
        print(flush=True)


def _write_json(steps: "Generation") -> None:
    import json

    from penjing.cli.text import safe_json

    for step in steps:
        record = asdict(step)  # what is impossible has no logarithm in JSON
        record["named"] = [value if math.isfinite(value) else None for value in step.named]
        line = json.dumps(record, ensure_ascii=False, allow_nan=False)
        print(safe_json(line), flush=True)


def _write_trace(steps: "Generation") -> None:
    from penjing.cli.console import make_console
    from penjing.cli.trace import show_trace

    console = make_console()
    text_of = steps.tokenizer.token_text
    for step in steps:
        show_trace(console, step, text_of(step.id))
