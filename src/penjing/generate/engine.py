"""Autoregressive generation: read the prompt once, then token by token, each one seen."""

from collections.abc import Collection, Generator, Iterator, Sequence
from operator import index
from typing import Literal, get_args

import torch
from torch import Tensor

from penjing.core.errors import GenerationError
from penjing.core.types import FilterRecord, FinishReason, SamplingParams, TokenStep
from penjing.generate.candidates import candidates, filter_record
from penjing.generate.inference import inference
from penjing.generate.sampling import Sampler
from penjing.generate.stop import StopStrings
from penjing.model.base import LanguageModel
from penjing.model.cache import Cache
from penjing.tokenizer.stream import StreamDecoder
from penjing.tokenizer.tokenizer import Tokenizer

Overflow = Literal["stop", "slide"]
TokenSteps = Generator[TokenStep, None, None]


def generate(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompt: str | Sequence[int],
    params: SamplingParams | None = None,
    *,
    cache: Cache | None = None,
    on_overflow: Overflow = "stop",
    stop_ids: Collection[int] | None = None,
) -> "Generation":
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
    if on_overflow not in get_args(Overflow):
        raise GenerationError(f"on_overflow must be 'stop' or 'slide', got {on_overflow!r}.")
    if tokenizer.vocab_size > model.config.vocab_size:
        raise GenerationError(
            f"The tokenizer has {tokenizer.vocab_size} tokens but the model only "
            f"{model.config.vocab_size}. Use the tokenizer that the model was trained with."
        )
    ids = _prompt_ids(prompt, tokenizer)
    params = params or SamplingParams()
    context = model.config.context_length
    if cache is not None:
        context = min(context, cache.capacity)
    if len(ids) > context:
        raise GenerationError(
            f"The prompt has {len(ids)} tokens but the context holds {context}. "
            "Shorten the prompt; it is never cut silently."
        )
    if cache is None:
        cache = model.new_cache(capacity=min(context, len(ids) + params.max_new_tokens))
    if stop_ids is None:
        stop_ids = () if tokenizer.eos_id is None else (tokenizer.eos_id,)
    return Generation(model, tokenizer, ids, params, cache, on_overflow, frozenset(stop_ids))


class Generation(Iterator[TokenStep]):
    """A running generation: iterate over its steps. May be dropped or closed at any time.

    `seed` repeats it, `prompt_ids` is what the model read, `output_ids` what it has said so far.
    """

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        prompt_ids: Sequence[int],
        params: SamplingParams,
        cache: Cache,
        on_overflow: Overflow,
        stop_ids: Collection[int],
    ) -> None:
        self.model, self.tokenizer, self.params = model, tokenizer, params
        self.prompt_ids = tuple(prompt_ids)
        self.output_ids: list[int] = []
        self.stop_ids = stop_ids
        self.cache = cache
        cache.trim(min(cache.length, len(self.prompt_ids) - 1))  # one token must be read anew
        self._unread = list(self.prompt_ids[cache.length :])
        self.context = min(model.config.context_length, cache.capacity)
        self.on_overflow = on_overflow
        self._sampler = Sampler(params, tokenizer.vocab_size, self.prompt_ids)
        self._decoder = StreamDecoder(tokenizer)
        self._stops = StopStrings(params.stop)
        self._steps = self._run()

    @property
    def seed(self) -> int:
        """The seed in use: the one asked for, or one drawn at random."""
        return self._sampler.seed

    def __next__(self) -> TokenStep:
        return next(self._steps)

    def close(self) -> None:
        """End it here; further steps are not computed."""
        self._steps.close()

    def _run(self) -> TokenSteps:
        reason: FinishReason | None = None
        while reason is None:
            with inference(self.model):  # not around the yield: the caller may train in between
                step = self._step(self._forward())
            reason = step.finish_reason
            yield step

    def _forward(self) -> Tensor:
        """The model's logits of the next token, float32 (V,) on the CPU; the cache has the rest."""
        if self.cache.length == self.context:  # only with "slide"
            self.cache.trim(0)
            ids = [*self.prompt_ids, *self.output_ids]
            self._unread = ids[-max(1, self.context // 2) :]
        device = next(self.model.parameters()).device
        unread = torch.tensor([self._unread], device=device)  # (1, T)
        hidden = self.model.hidden(unread, cache=self.cache)  # (1, T, C)
        logits: Tensor = self.model.head(hidden[:, -1:])[0, -1].float().cpu()
        return logits

    def _step(self, logits: Tensor) -> TokenStep:
        """Choose a token and say what there is to say about it."""
        text_of = self.tokenizer.token_text
        records: list[FilterRecord] = []

        def watch(name: str, before: Tensor, after: Tensor) -> None:
            records.append(filter_record(name, before, after, text_of))

        n = self.tokenizer.vocab_size  # what lies beyond is padding
        id = self._sampler.choose(logits[:n], watch if self.params.trace else None)
        self.output_ids.append(id)
        self._unread = [id]
        logprobs = logits.log_softmax(0)
        text = "" if id in self.stop_ids else self._stops.push(self._decoder.push(id))
        reason = self._finish_reason(id)
        if reason is not None:
            text += self._stops.push(self._decoder.flush()) + self._stops.flush()
        return TokenStep(
            index=len(self.output_ids) - 1,
            id=id,
            text=text,
            logprob=logprobs[id].item(),
            candidates=candidates(logprobs[:n], self.params.logprobs, text_of),
            trace=tuple(records),
            finish_reason="stop" if self._stops.stopped else reason,
        )

    def _finish_reason(self, id: int) -> FinishReason | None:
        if id in self.stop_ids or self._stops.stopped:
            return "stop"
        if len(self.output_ids) == self.params.max_new_tokens:
            return "length"
        full = self.cache.length == self.context
        return "length" if full and self.on_overflow == "stop" else None


def _prompt_ids(prompt: str | Sequence[int], tokenizer: Tokenizer) -> list[int]:
    """The prompt as token ids that are in the vocabulary, at least one."""
    try:
        ids = tokenizer.encode(prompt) if isinstance(prompt, str) else list(map(index, prompt))
    except TypeError as error:
        raise GenerationError(f"A prompt is a text or a list of token ids: {error}.") from error
    for place, id in enumerate(ids):
        if not 0 <= id < tokenizer.vocab_size:
            raise GenerationError(
                f"The prompt's token {place} is {id}, but the vocabulary has the ids 0 to "
                f"{tokenizer.vocab_size - 1}."
            )
    if ids:
        return ids
    start = tokenizer.eos_id if tokenizer.bos_id is None else tokenizer.bos_id
    if start is None:
        raise GenerationError(
            "The prompt is empty, and the tokenizer has no first or end token to start from. "
            "Give at least one character."
        )
    return [start]
