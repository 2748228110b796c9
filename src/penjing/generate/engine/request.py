"""One request: the state of a text from its prompt to its last token.

It knows nothing of batches. The engine reads `unread` ids into `past`, and calls `advance` with
the logits after the last of them; so the same code speaks alone and in company.
"""

import math
from collections.abc import Collection, Sequence
from operator import index
from queue import SimpleQueue
from typing import Literal

from penjing.core.errors import GenerationError
from penjing.core.types import FilterRecord, FinishReason, SamplingParams, TokenStep
from penjing.generate.engine.stop import StopStrings
from penjing.generate.runners.runner import Past
from penjing.generate.sampling.candidates import Distribution, filter_record
from penjing.generate.sampling.draw import check_logits, summarize
from penjing.generate.sampling.sampler import Sampler
from penjing.kernels.scores import Logits, Summary
from penjing.tokenizer.stream import StreamDecoder
from penjing.tokenizer.tokenizer import Tokenizer

Overflow = Literal["stop", "slide"]

# What its reader is handed: a step, the error that ended it, or None after the last step.
Outbox = SimpleQueue[TokenStep | Exception | None]


class Request:
    """A text that is being continued.

    `context` is how many positions it may see. With `on_overflow` "stop" it ends there; with
    "slide" the later half of the context becomes the new context, read again from position 0.

    Raises:
        GenerationError: the prompt does not fit in the context, or a setting cannot be used.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        prompt_ids: Sequence[int],
        params: SamplingParams,
        *,
        context: int,
        on_overflow: Overflow = "stop",
        stop_ids: Collection[int] = (),
    ) -> None:
        if on_overflow not in ("stop", "slide"):
            raise GenerationError(f"on_overflow must be 'stop' or 'slide', got {on_overflow!r}.")
        if len(prompt_ids) > context:
            raise GenerationError(
                f"The prompt has {len(prompt_ids)} tokens but the context holds {context}. "
                "Shorten the prompt; it is never cut silently."
            )
        self.tokenizer, self.params = tokenizer, params
        self.context, self.on_overflow, self.stop_ids = context, on_overflow, frozenset(stop_ids)
        self.ids = list(prompt_ids)  # the prompt, then what was chosen
        self.n_prompt = len(prompt_ids)
        self.start = 0  # which of `ids` is at the past's position 0: moves when the context slides
        self.past: Past | None = None  # of ids[start:], all but the unread; the engine lends it
        self.whole = 0  # positions of the past that were read in whole pieces: others may share
        self.reused = 0  # tokens of the prompt that another request had read already
        self.closed = False  # nobody reads on
        self.outbox: Outbox = SimpleQueue()
        self.sampler = Sampler(
            params, tokenizer.vocab_size, self.ids, tokenizer=tokenizer, stop_ids=self.stop_ids
        )
        self._decoder = StreamDecoder(tokenizer)
        self._stops = StopStrings(params.stop)

    @property
    def capacity(self) -> int:
        """Positions that its past needs: the last token is never read."""
        return min(self.context, self.n_prompt + self.params.max_new_tokens - 1)

    @property
    def n_output(self) -> int:
        return len(self.ids) - self.n_prompt

    @property
    def left(self) -> int:
        """Tokens that may still be chosen."""
        return self.params.max_new_tokens - self.n_output

    @property
    def window(self) -> list[int]:
        """The ids that are in the context now."""
        return self.ids[self.start :] if self.start else self.ids

    @property
    def shareable(self) -> list[int]:
        """The ids whose positions in the past another text may use."""
        return self.window[: self.whole]

    @property
    def n_unread(self) -> int:
        assert self.past is not None, "not admitted"
        return len(self.ids) - self.start - self.past.length

    def unread(self, n: int) -> list[int]:
        """The next `n` ids to be read."""
        assert self.past is not None, "not admitted"
        begin = self.start + self.past.length
        return self.ids[begin : begin + n]

    def read(self, n: int, piece: int) -> None:
        """`n` more positions were read, in a runner whose pieces are `piece` tokens."""
        assert self.past is not None, "not admitted"
        begin = self.past.length - n
        if self.whole == begin:
            self.whole += n // piece * piece

    def slide(self) -> None:
        """At the context's end, forget what is before its later half."""
        if self.past is not None and self.past.length == self.context:
            self.start = len(self.ids) - max(1, self.context // 2)
            self.past.trim(0)
            self.whole = 0

    def advance(self, logits: Logits, summary: Summary | None = None) -> TokenStep:
        """Choose the next token by the logits (V,) after all ids, and say what there is to say.

        `summary` is that of the logits, for those who have it.

        Raises:
            GenerationError: the logits are not numbers, or no token is possible.
        """
        params, text_of = self.params, self.tokenizer.token_text
        records: list[FilterRecord] = []

        def watch(step: str, before: Logits, after: Logits) -> None:
            records.append(filter_record(step, before, after, text_of))

        n = self.tokenizer.vocab_size  # what lies beyond is padding
        summary = summary or summarize(logits)
        if math.isnan(summary.logsumexp):  # of padding too: it has its share of the probability
            check_logits(logits, f"The model's logits at step {self.n_output}")
        known = summary if n == len(logits) else None
        id = self.sampler.choose(logits[:n], watch if params.trace else None, known)
        self.ids.append(id)
        text = "" if id in self.stop_ids else self._stops.push(self._decoder.push(id))
        reason = self._finish_reason(id)
        if reason is not None:
            text += self._stops.push(self._decoder.flush()) + self._stops.flush()
        model = Distribution(logits, n, summary.logsumexp)
        return TokenStep(
            index=self.n_output - 1,
            id=id,
            text=text,
            logprob=model.logprob(id),
            candidates=model.likeliest(params.logprobs, text_of) if params.logprobs else (),
            named=model.named(params.logprob_ids),
            trace=tuple(records),
            finish_reason="stop" if self._stops.stopped else reason,
        )

    def _finish_reason(self, id: int) -> FinishReason | None:
        if id in self.stop_ids or self._stops.stopped or self.sampler.finished:
            return "stop"
        if self.left == 0:
            return "length"
        full = len(self.ids) - self.start > self.context  # the new token has no position
        return "length" if full and self.on_overflow == "stop" else None


def prompt_ids(prompt: str | Sequence[int], tokenizer: Tokenizer) -> list[int]:
    """The prompt as token ids that are in the vocabulary, at least one.

    A text is encoded plainly: special tokens written in it stay text. The first token comes before
    it if the model was trained so (the tokenizer's `adds_bos`). An empty prompt starts from the
    tokenizer's first or end token.

    Raises:
        GenerationError: it is no text and no list of ids of the vocabulary, or it is empty and
            there is no token to start from.
    """
    try:
        ids = _text_ids(prompt, tokenizer) if isinstance(prompt, str) else list(map(index, prompt))
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


def _text_ids(text: str, tokenizer: Tokenizer) -> list[int]:
    first = [tokenizer.bos_id] if tokenizer.adds_bos and tokenizer.bos_id is not None else []
    return first + tokenizer.encode(text)
