"""What a study works with: its settings, its text, the one training loop, and who is told."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import torch

from penjing.core.events import Event, Listener
from penjing.core.meter import JobMeter
from penjing.core.types import Document
from penjing.data.batches import Tokens, encode_documents
from penjing.data.documents import split_documents
from penjing.data.readers import read_documents
from penjing.evaluate.loss import LossReport, evaluate_loss
from penjing.model.base import LanguageModel
from penjing.model.config import ModelConfig
from penjing.model.families import skeleton
from penjing.study.settings import Settings
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.train import train_tokenizer
from penjing.train.config import TrainConfig
from penjing.train.curriculum import Curriculum
from penjing.train.loop import train
from penjing.train.objectives import NextToken, Objective
from penjing.train.progress import Hooks

T = TypeVar("T")
Curve = list[tuple[int, float]]  # (steps done, loss in nats per token)

VOCABULARY = 1024
LITTLE_TEXT = 200_000  # bytes: of less, the tokens are the bytes themselves
VALIDATION_FRACTION = 0.02
QUICK_BYTES = 100_000  # of text, in a rehearsal
EVAL_TOKENS = 4096  # of one forward pass in evaluation


@dataclass(frozen=True)
class Text:
    """Real text as tokens of a small vocabulary."""

    train: Tokens
    validation: Tokens
    tokenizer: Tokenizer
    fingerprint: str  # SHA-256 of the training ids


@dataclass(frozen=True)
class Fit:
    """How a training went."""

    losses: Curve  # of training batches
    evaluated: Curve  # on the validation text, if it was looked at
    seconds: float  # of the training steps alone


class Bench:
    """Trains, times and tells for one study.

    Progress is told as "job" events.
    """

    def __init__(self, settings: Settings, tell: Listener) -> None:
        self.settings = settings
        self.quick = settings.quick
        self.seeds = range(settings.seed, settings.seed + (1 if settings.quick else settings.seeds))
        self._tell = tell
        self._meter = JobMeter(tell)
        self._total, self._done, self._weight, self._label = 1.0, 0.0, 0.0, ""

    @property
    def seconds(self) -> float:
        """Since the work began."""
        return self._meter.seconds

    def pick(self, full: T, *, quick: T) -> T:
        """The value for a study, or that for its rehearsal."""
        return quick if self.quick else full

    @cached_property
    def text(self) -> Text:
        """The text that the settings name; read, split and encoded when it is first needed."""
        documents = read_documents(self.settings.sources, listener=self._tell)
        if self.quick:
            documents = _beginning(documents, QUICK_BYTES)
        split = split_documents(documents, validation_fraction=VALIDATION_FRACTION)
        little = sum(len(doc.text.encode("utf-8")) for doc in split.train) < LITTLE_TEXT
        kind = TokenizerConfig(vocab_size=VOCABULARY, kind="byte" if little else "bpe")
        tokenizer = train_tokenizer((doc.text for doc in split.train), kind)
        training = encode_documents(split.train, tokenizer)
        validation = encode_documents(split.validation, tokenizer)
        digest = hashlib.sha256(training.ids[:].numpy().tobytes()).hexdigest()
        return Text(training, validation, tokenizer, digest)

    def expect(self, weight: float) -> None:
        """How much work all jobs are together, in the units of their weights."""
        self._total = weight
        self._meter = JobMeter(self._tell)

    @contextmanager
    def job(self, label: str, weight: float = 1.0) -> Iterator[None]:
        """One piece of the work, told when it begins and while it trains."""
        self._label, self._weight = label, weight
        self._progress(0.0)
        yield
        self._done += weight
        self._weight = 0.0
        self._progress(0.0)

    def train(
        self,
        model: LanguageModel,
        objective: Objective,
        config: TrainConfig,
        evaluate: Callable[[], LossReport] | None = None,
    ) -> Fit:
        """The one loop, with the losses of all steps kept.

        Raises:
            KeyboardInterrupt: Ctrl-C; a study that is not whole says nothing.
            TrainingError: the run diverged.
        """
        curves: dict[str, Curve] = {"step": [], "eval": []}

        def listen(event: Event) -> None:
            if event.kind in curves:
                curves[event.kind].append((event.data["step"], event.data["loss"]))
            if event.kind == "step":
                self._progress(event.data["step"] / event.data["steps"])

        config = replace(config, log_every=1)
        outcome = train(model, objective, config, Hooks(tell=listen, evaluate=evaluate))
        if outcome.interrupted:
            raise KeyboardInterrupt
        return Fit(curves["step"], curves["eval"], outcome.seconds)

    def train_on_text(self, model: LanguageModel, config: TrainConfig) -> Fit:
        """Next-token training on the text's windows; the same batches for the same seed."""
        length = model.config.context_length
        generator = torch.Generator().manual_seed(config.seed + 1)
        windows = Curriculum(self.text.train, config, length, generator)
        return self.train(model, NextToken(windows), config, lambda: self.evaluate(model))

    def evaluate(self, model: LanguageModel) -> LossReport:
        """The loss on the whole validation text, in windows of the model's context."""
        length = model.config.context_length
        rows = max(1, EVAL_TOKENS // length)
        return evaluate_loss(model, self.text.validation, context_length=length, batch_size=rows)

    def _progress(self, share: float) -> None:
        """Tell how far all is, with `share` of the job at hand done."""
        self._meter.tell(self._label, (self._done + share * self._weight) / self._total)


def _beginning(documents: list[Document], n_bytes: int) -> list[Document]:
    """The first documents, until there is so much text."""
    kept: list[Document] = []
    for doc in documents:
        kept.append(doc)
        n_bytes -= len(doc.text.encode("utf-8"))
        if n_bytes <= 0:
            break
    return kept


def closest_width(config: ModelConfig, n_parameters: int, *, multiple: int = 8) -> ModelConfig:
    """The model with the width whose number of parameters is nearest to `n_parameters`."""
    best, nearest = config, float("inf")
    for width in range(multiple, 4096, multiple):
        candidate = replace(config, n_embd=width)
        count = count_parameters(candidate)
        if abs(count - n_parameters) < nearest:
            best, nearest = candidate, abs(count - n_parameters)
        if count > n_parameters:
            break
    return best


def count_parameters(config: ModelConfig) -> int:
    """How many numbers a model of these sizes trains, without making it."""
    return skeleton(config).n_parameters()
