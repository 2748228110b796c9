"""Text -> tokenizer -> tokens -> trained model: one run, from settings to a checkpoint."""

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from penjing.core.config import to_dict
from penjing.core.errors import ConfigError
from penjing.core.events import Listener
from penjing.core.files import check_free
from penjing.core.types import SamplingParams
from penjing.data.batches import Tokens, encode_documents
from penjing.data.documents import Split, split_documents
from penjing.data.readers import read_documents
from penjing.evaluate.baselines import baselines
from penjing.evaluate.loss import LossReport, evaluate_loss
from penjing.generate.engine import generate
from penjing.generate.load import DEFAULTS
from penjing.model.base import LanguageModel
from penjing.model.checkpoint import Checkpoint, Lineage, save_checkpoint
from penjing.model.families import build_model
from penjing.model.runtime import (
    default_threads,
    fast_bfloat16,
    keep_freed_memory,
    memory_errors,
    pick_device,
)
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.train import train_tokenizer
from penjing.train.config import PretrainConfig, TrainConfig
from penjing.train.curriculum import Curriculum
from penjing.train.loop import Hooks, Outcome, train
from penjing.train.objectives import NextToken
from penjing.train.run import Journal, Run, run_folder

EVAL_TOKENS = 8192  # tokens of one forward pass in evaluation


def pretrain(config: PretrainConfig, *, out: str | Path, listeners: Sequence[Listener] = ()) -> Run:
    """Train a tokenizer and a model on the text that `config.data` names, into a new folder `out`.

    Nothing is written before the text, the tokenizer, the model and the sample's prompt are known
    to be good. On Linux the process keeps freed memory from here on (`keep_freed_memory`).

    Raises:
        StorageError: `out` exists, or cannot be written.
        DataError, TokenizerError, ConfigError, TrainingError: see their texts.
        GenerationError: `train.sample_prompt` cannot be used.
    """
    begin = time.perf_counter()
    config.data.check()
    config.train.check()
    out = Path(out)
    replace(config.model, vocab_size=config.model.vocab_size or 1).resolve()
    pick_device(config.train.device)
    check_free(out)
    tell = Journal(listeners)
    split = _read(config, tell)
    tokenizer = _tokenizer(config, split, tell)
    training = encode_documents(split.train, tokenizer)
    validation = encode_documents(split.validation, tokenizer)
    keep_freed_memory()
    with _threads(config.train.threads), torch.random.fork_rng(), memory_errors():
        torch.manual_seed(config.train.seed)  # dropout draws from torch's own generator
        model = _model(config, tokenizer, tell)
        generator = torch.Generator().manual_seed(config.train.seed + 1)
        length = model.config.context_length
        objective = NextToken(Curriculum(training, config.train, length, generator))
        generate(model, tokenizer, config.train.sample_prompt, _sampling(config.train)).close()
        tell("start", **_plan(config.train, model, training, validation))
        with run_folder(out, config, tell):
            hooks = _hooks(config, model, tokenizer, training, validation, out, tell)
            outcome = train(model, objective, config.train, hooks)
            figures = _figures(outcome) | {
                "total_seconds": time.perf_counter() - begin,
                "path": str(out),
            }
            tell("done", **figures)
    return Run(out, Checkpoint.open(out / "model"), figures)


def _read(config: PretrainConfig, tell: Journal) -> Split:
    documents = read_documents(config.data.sources, listener=tell.emit)
    split = split_documents(
        documents,
        validation_fraction=config.data.validation_fraction,
        exact=config.data.exact_split,
    )
    sizes = {
        name: sum(len(d.text.encode()) for d in part)
        for name, part in (("train", split.train), ("validation", split.validation))
    }
    tell(
        "data",
        documents=len(documents),
        characters=sum(len(d.text) for d in documents),
        bytes=sum(sizes.values()),
        train_bytes=sizes["train"],
        validation_bytes=sizes["validation"],
        duplicates=split.duplicates,
        sources=list(config.data.sources),
    )
    return split


def _tokenizer(config: PretrainConfig, split: Split, tell: Journal) -> Tokenizer:
    begin = time.perf_counter()
    tokenizer = train_tokenizer((d.text for d in split.train), config.tokenizer)
    probe = split.validation[0].text[:100_000]
    tell(
        "tokenizer",
        kind=config.tokenizer.kind,
        vocab_size=tokenizer.vocab_size,
        seconds=time.perf_counter() - begin,
        bytes_per_token=len(probe.encode()) / max(1, len(tokenizer.encode(probe))),
    )
    return tokenizer


def _model(config: PretrainConfig, tokenizer: Tokenizer, tell: Journal) -> LanguageModel:
    device = pick_device(config.train.device)
    vocab_size = config.model.vocab_size or tokenizer.vocab_size
    if vocab_size < tokenizer.vocab_size:
        raise ConfigError(
            f"model.vocab_size is {vocab_size}, but the tokenizer has {tokenizer.vocab_size} "
            "tokens. Leave it out: it follows from the tokenizer."
        )
    shape = replace(config.model, vocab_size=vocab_size)
    model = build_model(shape, seed=config.train.seed, init=config.train.init)
    half = config.train.precision == "bfloat16" or (
        config.train.precision == "auto" and fast_bfloat16(device)
    )
    model.to(device=device, dtype=torch.bfloat16 if half else torch.float32)
    c = model.config
    tell(
        "model",
        family=c.family,
        n_layer=c.n_layer,
        n_embd=c.n_embd,
        n_head=c.n_head,
        n_kv_head=c.n_kv_head,
        context_length=c.context_length,
        vocab_size=c.vocab_size,
        parameters=model.n_parameters(),
        dtype="bfloat16" if half else "float32",
        device=str(device),
        threads=torch.get_num_threads(),
    )
    return model


def _plan(
    config: TrainConfig, model: LanguageModel, training: Tokens, validation: Tokens
) -> dict[str, Any]:
    per_step = config.batch_size * model.config.context_length
    floor = baselines(validation, model.config.vocab_size)
    return {
        "steps": config.steps,
        "batch_size": config.batch_size,
        "tokens_per_step": per_step,
        "train_tokens": len(training.ids),
        "validation_tokens": len(validation.ids),
        "epochs": config.steps * per_step / len(training.ids),
        "unigram_bits_per_byte": floor.unigram.bits_per_byte,
    }


def _hooks(
    config: PretrainConfig,
    model: LanguageModel,
    tokenizer: Tokenizer,
    training: Tokens,
    validation: Tokens,
    out: Path,
    tell: Journal,
) -> Hooks:
    """What the loop does beside its steps, for a model of text."""
    data = hashlib.sha256(training.ids.numpy().tobytes()).hexdigest()

    def evaluate() -> LossReport:
        length = model.config.context_length
        batch_size = max(1, EVAL_TOKENS // length)
        return evaluate_loss(model, validation, context_length=length, batch_size=batch_size)

    def sample() -> str:
        steps = generate(model, tokenizer, config.train.sample_prompt, _sampling(config.train))
        return "".join(step.text for step in steps)

    def save(step: int, report: LossReport | None) -> Path:
        figures: dict[str, Any] = {"step": step}
        if report is not None:
            figures |= {"loss": report.loss, "bits_per_byte": report.bits_per_byte}
        lineage = Lineage("pretrain", settings=to_dict(config), data=data, figures=figures)
        path = out / "model"
        save_checkpoint(path, model=model, tokenizer=tokenizer, lineage=(lineage,), replace=True)
        return path

    return Hooks(evaluate=evaluate, sample=sample, save=save, tell=tell.emit)


def _sampling(config: TrainConfig) -> SamplingParams:
    return replace(DEFAULTS, max_new_tokens=config.sample_tokens, seed=config.seed)


def _figures(outcome: Outcome) -> dict[str, Any]:
    report = outcome.report
    return {
        "step": outcome.steps,
        "loss": report.loss if report else None,
        "perplexity": report.perplexity if report else None,
        "bits_per_byte": report.bits_per_byte if report else None,
        "train_seconds": outcome.seconds,
        "interrupted": outcome.interrupted,
    }


@contextmanager
def _threads(wanted: int) -> Iterator[None]:
    """As many CPU threads as asked for, until the block ends."""
    before = torch.get_num_threads()
    torch.set_num_threads(wanted or default_threads())
    try:
        yield
    finally:
        torch.set_num_threads(before)
