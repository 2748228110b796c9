"""From settings to what a run needs: text -> tokenizer -> tokens, and a model with random weights.

It follows from the settings and the text alone, so that a resumed run can make it again.
"""

import hashlib
import time
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import torch

from penjing.core.errors import ConfigError, DataError
from penjing.data.batches import Tokens, check_length, content
from penjing.data.readers import read_documents
from penjing.model.base import LanguageModel
from penjing.model.checkpoint import Checkpoint
from penjing.model.config import ModelConfig
from penjing.model.families import build_model
from penjing.model.runtime import fast_bfloat16, pick_device
from penjing.tokenizer.record import load_record
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.train import train_tokenizer
from penjing.train.config import PretrainConfig, TrainConfig
from penjing.train.parallel.distributed import SINGLE, World
from penjing.train.parent import Origin, Parent, begin
from penjing.train.run import Journal
from penjing.train.text import RunText, open_text, read_text
from penjing.train.transfer import Transfer, transfer


@dataclass(frozen=True)
class Prepared:
    """The text as a run sees it, and the shape of its model."""

    tokenizer: Tokenizer
    training: Tokens
    validation: Tokens
    shape: ModelConfig  # resolved
    parent: Parent | None = None  # the model to go on from; not needed once there is a checkpoint
    transfer: Transfer | None = None  # what going on from a model brings besides

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the training ids, of the validation ids, and of those to replay."""
        digest = hashlib.sha256(content(self.training))
        digest.update(content(self.validation))
        if self.transfer is not None and self.transfer.replay is not None:
            digest.update(content(self.transfer.replay))
        return digest.hexdigest()


def check(config: PretrainConfig) -> None:
    """What can be seen to be wrong before any text is read.

    Raises:
        ConfigError: a setting cannot work, or there is no such device.
    """
    config.check()
    pick_device(config.train.device)


def prepare(
    config: PretrainConfig,
    tell: Journal,
    *,
    saved: Checkpoint | None = None,
    world: World = SINGLE,
) -> Prepared:
    """Read, split and encode the text; with a new tokenizer, or that of the model to go on from.

    A run that is resumed has its tokenizer and its sizes from its checkpoint, `saved`. Each of
    several processes does all this by itself; only what must be fetched is fetched once.

    Raises:
        DataError, TokenizerError, CheckpointError, ConfigError: see their texts.
    """
    _fetch_once(config, tell, world)
    parent = begin(config) if config.start.model and saved is None else None
    text = read_text(config, tell, world)
    if saved is not None:
        tokenizer, shape = saved.tokenizer, saved.config
        tokenizer.record = load_record(saved.path, tokenizer)  # the next checkpoints note it too
    else:
        tokenizer, parent = _tokenizer(config, text, parent, tell)
        shape = _shape(config, tokenizer) if parent is None else parent.shape
    validation = text.validation(tokenizer)
    further = None
    if config.start.model:
        origin = parent.origin if parent else Origin.of_run(saved) if saved else Origin()
        opened = partial(open_text, listener=tell.emit, world=world)
        further = transfer(config, origin, text, validation, tokenizer, opened)
    training = text.training(tokenizer)
    check_length(training, shape.context_length)
    prepared = Prepared(
        tokenizer=tokenizer,
        training=training,
        validation=validation,
        shape=shape,
        parent=parent,
        transfer=further,
    )
    if len(set(world.gather(prepared.fingerprint if not world.is_single else ""))) > 1:
        raise DataError(
            f"The {world.size} processes of this run do not see the same text in "
            f"{', '.join(config.data.sources)}. Put it on a disk that all machines share."
        )
    return prepared


def new_model(config: PretrainConfig, prepared: Prepared) -> LanguageModel:
    """The weights that a run begins with, on its device and in its precision: random, or those of
    the model to go on from."""
    device = pick_device(config.train.device)
    dtype = training_dtype(config.train, device)
    if prepared.parent is not None:
        return prepared.parent.model(device=device, dtype=dtype)
    model = build_model(prepared.shape, seed=config.train.seed, init=config.train.init)
    return model.to(device=device, dtype=dtype)


def training_dtype(config: TrainConfig, device: torch.device) -> torch.dtype:
    """The precision of the weights that the model computes with."""
    if config.precision == "auto":
        return torch.bfloat16 if fast_bfloat16(device) else torch.float32
    return torch.bfloat16 if config.precision == "bfloat16" else torch.float32


def tell_model(model: LanguageModel, tell: Journal) -> None:
    """The "model" event."""
    c, weight = model.config, next(model.parameters())
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
        dtype=str(weight.dtype).removeprefix("torch."),
        device=str(weight.device),
        threads=torch.get_num_threads(),
    )


def _fetch_once(config: PretrainConfig, tell: Journal, world: World) -> None:
    """Have one of several processes on one disk fetch what is not there yet.

    Raises:
        ConfigError: the text is standard input, which only one process can read.
    """
    if world.is_single:
        return
    sources = (*config.data.sources, *config.start.replay)
    if "-" in sources:
        raise ConfigError(
            f"Standard input cannot be read by {world.size} processes. Write the text to a file "
            "and name that in data.sources."
        )
    corpora = [source for source in sources if not Path(source).exists()]
    if corpora:
        world.main_first(lambda: read_documents(corpora, listener=tell.emit))


def _tokenizer(
    config: PretrainConfig, text: RunText, parent: Parent | None, tell: Journal
) -> tuple[Tokenizer, Parent | None]:
    """That of the shards, a new one, or the parent's with what it learns from the text."""
    start = time.perf_counter()
    if parent is not None:
        if config.start.new_tokens:
            parent = parent.learn_tokens(text.texts(), config)
        tokenizer = parent.vocabulary.tokenizer
    else:
        tokenizer = text.tokenizer or train_tokenizer(text.texts(), config.tokenizer)
    tell(
        "tokenizer",
        kind=tokenizer.kind,
        vocab_size=tokenizer.vocab_size,
        seconds=time.perf_counter() - start,
        bytes_per_token=text.bytes_per_token(tokenizer),
    )
    return tokenizer, parent


def _shape(config: PretrainConfig, tokenizer: Tokenizer) -> ModelConfig:
    vocab_size = config.model.vocab_size or tokenizer.vocab_size
    if vocab_size < tokenizer.vocab_size:
        raise ConfigError(
            f"model.vocab_size is {vocab_size}, but the tokenizer has {tokenizer.vocab_size} "
            "tokens. Leave it out: it follows from the tokenizer."
        )
    return replace(config.model, vocab_size=vocab_size).resolve()
