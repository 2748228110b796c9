"""One text from a model in memory: an engine for a single request."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from penjing.core.types import SamplingParams
from penjing.generate.engine.drafters import Drafter
from penjing.generate.engine.engine import Engine
from penjing.generate.engine.generation import Generation
from penjing.generate.engine.request import Overflow, prompt_ids
from penjing.generate.runners.runner import Past, Runner
from penjing.tokenizer.tokenizer import Tokenizer

if TYPE_CHECKING:
    from penjing.model.base import LanguageModel


def generate(
    model: "LanguageModel | Runner",
    tokenizer: Tokenizer,
    prompt: str | Sequence[int],
    params: SamplingParams | None = None,
    *,
    cache: Past | None = None,
    on_overflow: Overflow = "stop",
    stop_ids: Collection[int] | None = None,
    context_length: int | None = None,
    drafter: Drafter | None = None,
) -> Generation:
    """Continue `prompt`, a text or token ids, one `TokenStep` at a time.

    It ends at a token of `stop_ids` (by default the tokenizer's end token), at a stop string, or
    after `max_new_tokens`. At the context's end, "stop" ends it too: the last token is the one
    predicted from the full context. "slide" goes on: the later half of the context becomes the
    new context, read again from position 0, so what came before it is forgotten.

    A text is encoded plainly: special tokens written in it stay text. An empty prompt starts from
    the tokenizer's first or end token. A `cache` of batch size 1 may hold the prompt's beginning
    already (a conversation's earlier turns); the caller vouches that it is the same. Its capacity
    counts as the context's end if it is smaller. Afterwards it holds all but the last token.

    The model may have more rows than the tokenizer has tokens (padding): these are never chosen.

    Raises:
        GenerationError: the prompt is too long (it is never cut), empty without a token to start
            from, or outside the vocabulary; the tokenizer does not fit the model; a setting
            cannot be used; and, while iterating, logits that are not numbers.
    """
    runner = model if isinstance(model, Runner) else _torch_runner(model)
    params = params or SamplingParams()
    ids = prompt_ids(prompt, tokenizer)
    engine = Engine(
        runner,
        tokenizer,
        cache_tokens=len(ids) + params.max_new_tokens + runner.block,
        max_running=1,
        prefix_cache=False,
        context_length=context_length,
        drafter=drafter,
    )
    return engine.submit(ids, params, on_overflow=on_overflow, stop_ids=stop_ids, past=cache)


def _torch_runner(model: "LanguageModel") -> Runner:
    from penjing.generate.runners.torch_runner import TorchRunner  # torch is there already

    return TorchRunner(model)
