"""`penjing generate`: a model continues a text, and each step can be seen."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

from penjing.cli.arguments import OptionalFloat, OptionalInt, parse
from penjing.cli.errors import UsageError

if TYPE_CHECKING:
    from penjing.generate.engine import Generation

_KEEP = arg(help_behavior_hint="(default: the model's)")


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen; what is not named is as the model's directory recommends."""

    temperature: Annotated[OptionalFloat, _KEEP] = None
    """divides the logits: above 1 flattens, below 1 sharpens, 0 is greedy"""
    top_k: Annotated[OptionalInt, _KEEP] = None
    """keep the k likeliest tokens; 0 keeps all"""
    top_p: Annotated[OptionalFloat, _KEEP] = None
    """keep the smallest set whose probability reaches p"""
    min_p: Annotated[OptionalFloat, _KEEP] = None
    """drop tokens below this share of the likeliest one's probability"""
    repetition_penalty: Annotated[OptionalFloat, _KEEP] = None
    """above 1: tokens that were seen become less likely"""
    presence_penalty: Annotated[OptionalFloat, _KEEP] = None
    """taken from the logit of each token that was generated"""
    frequency_penalty: Annotated[OptionalFloat, _KEEP] = None
    """taken for each time that a token was generated"""
    logit_bias: Annotated[dict[int, float], arg(help_behavior_hint="(default: none)")] = field(
        default_factory=dict
    )
    """token ids, each with a number that is added to its logit"""
    max_new_tokens: int = 256
    """it ends after so many tokens, if not before"""
    stop: tuple[str, ...] = ()
    """it ends before any of these texts"""
    seed: Annotated[OptionalInt, arg(help_behavior_hint="(default: a new one each time)")] = None
    """the same seed gives the same text"""
    logprobs: int = 0
    """how many of the likeliest candidates each step reports, with --json"""

    def named(self) -> dict[str, Any]:
        """What is not left to the model's directory, by the names of `SamplingParams`."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class Arguments:
    """Let a model continue a text. The text goes to standard output, figures to standard error."""

    path: Annotated[Positional[Path], arg(metavar="DIR", help="a run or a model directory")]
    prompt: str = ""
    """what comes before; "-" reads standard input"""
    on_overflow: Literal["stop", "slide"] = "stop"
    """at the context's end: stop, or forget the older half and go on"""
    no_echo: FlagCreatePairsOff[bool] = False
    """leave out the prompt"""
    trace: FlagCreatePairsOff[bool] = False
    """show what each sampling step kept and removed"""
    json: FlagCreatePairsOff[bool] = False
    """one JSON object a token, and nothing else"""
    sampling: Annotated[Sampling, arg(name="")] = field(default_factory=Sampling)


def run(args: Sequence[str]) -> int:
    """Load, and write token by token."""
    arguments: Arguments = parse(Arguments, args, "generate")
    from penjing.cli.prompt import read_prompt
    from penjing.generate.load import load

    if arguments.sampling.logprobs and not arguments.json:
        raise UsageError("--logprobs needs --json; or use --trace, which shows candidates too.")
    prompt = read_prompt(arguments.prompt)
    model = load(arguments.path)
    steps = model.generate(
        prompt,
        on_overflow=arguments.on_overflow,
        trace=arguments.trace,
        **arguments.sampling.named(),
    )
    begin = time.perf_counter()
    if arguments.json:
        _write_json(steps)
    elif arguments.trace:
        _write_trace(steps)
    else:
        _write_text(steps, "" if arguments.no_echo else prompt)
    seconds = time.perf_counter() - begin
    n = len(steps.output_ids)
    print(
        f"{n} tokens in {seconds:.2f} s, {n / seconds:.0f} tokens/s; seed {steps.seed}",
        file=sys.stderr,
    )
    return 0


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
    from dataclasses import asdict

    from penjing.cli.text import safe_json

    for step in steps:
        line = json.dumps(asdict(step), ensure_ascii=False, allow_nan=False)
        print(safe_json(line), flush=True)


def _write_trace(steps: "Generation") -> None:
    from penjing.cli.console import make_console
    from penjing.cli.trace import show_trace

    console = make_console()
    text_of = steps.tokenizer.token_text
    for step in steps:
        show_trace(console, step, text_of(step.id))
