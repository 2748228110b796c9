"""Grow a small language model whole, on one machine, and see every step.

import penjing

run = penjing.pretrain(penjing.recipe("shakespeare"), out="runs/first")
model = penjing.load("runs/first")
for step in model.generate("ROMEO:"):
    print(step.text, end="", flush=True)

Every name in `__all__` is loaded on first use, so that `import penjing` loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from penjing.core.garbage import no_collecting
from penjing.version import __version__

if TYPE_CHECKING:
    from penjing.core.config import load_toml
    from penjing.core.errors import (
        BusyError,
        CheckpointError,
        ConfigError,
        CorpusError,
        DataError,
        GenerationError,
        PenjingError,
        StorageError,
        TokenizerError,
        TrainingError,
    )
    from penjing.core.events import Event, JsonLines, Listener, read_events
    from penjing.core.types import (
        Candidate,
        Document,
        FilterRecord,
        SamplingParams,
        Structure,
        TokenStep,
    )
    from penjing.data.corpora import CORPORA, load_corpus
    from penjing.data.readers import read_documents
    from penjing.data.shards.encode import encode_shards
    from penjing.data.shards.reading import Shards
    from penjing.evaluate.loss import LossReport, evaluate_loss
    from penjing.formats.gguf.writer import write_gguf
    from penjing.formats.importing import import_checkpoint
    from penjing.formats.opening import open_checkpoint
    from penjing.formats.package_models import MODELS
    from penjing.formats.package_tokenizers import TOKENIZERS, open_tokenizer
    from penjing.generate.conversation import Conversation
    from penjing.generate.engine.engine import Engine
    from penjing.generate.engine.generation import Generation
    from penjing.generate.load import LoadedModel, load
    from penjing.model.cache import Cache, KVCache
    from penjing.model.checkpoint import Checkpoint, Lineage
    from penjing.model.config import ModelConfig
    from penjing.model.embeddings import read_embeddings
    from penjing.model.families import build_model
    from penjing.model.saving import save_checkpoint
    from penjing.model.trace import record, taps
    from penjing.quantization.scheme import SCHEMES, Scheme, parse_scheme
    from penjing.quantization.tensor import QuantizedTensor
    from penjing.recipes.recipes import RECIPES
    from penjing.tokenizer.chat import ChatTemplate
    from penjing.tokenizer.compare import compare_tokenizers
    from penjing.tokenizer.config import TokenizerConfig
    from penjing.tokenizer.record import load_record
    from penjing.tokenizer.steps import Explainer
    from penjing.tokenizer.stream import StreamDecoder
    from penjing.tokenizer.tokenizer import Tokenizer
    from penjing.tokenizer.train import train_tokenizer
    from penjing.tokenizer.view import TextView, view_text
    from penjing.train.config import (
        DataConfig,
        OptimizerConfig,
        PretrainConfig,
        ScheduleConfig,
        StartConfig,
        TrainConfig,
    )
    from penjing.train.doctor.doctor import Diagnosis, examine
    from penjing.train.pretrain import pretrain, resume
    from penjing.train.run import Run
    from penjing.transform.config import QuantizeConfig
    from penjing.transform.quantize import quantize

_NAMES = {
    "penjing.core.config": ("load_toml",),
    "penjing.core.errors": (
        "BusyError",
        "CheckpointError",
        "ConfigError",
        "CorpusError",
        "DataError",
        "GenerationError",
        "PenjingError",
        "StorageError",
        "TokenizerError",
        "TrainingError",
    ),
    "penjing.core.events": ("Event", "JsonLines", "Listener", "read_events"),
    "penjing.core.types": (
        "Candidate",
        "Document",
        "FilterRecord",
        "SamplingParams",
        "Structure",
        "TokenStep",
    ),
    "penjing.data.corpora": ("CORPORA", "load_corpus"),
    "penjing.data.readers": ("read_documents",),
    "penjing.data.shards.encode": ("encode_shards",),
    "penjing.data.shards.reading": ("Shards",),
    "penjing.evaluate.loss": ("LossReport", "evaluate_loss"),
    "penjing.formats.gguf.writer": ("write_gguf",),
    "penjing.formats.importing": ("import_checkpoint",),
    "penjing.formats.opening": ("open_checkpoint",),
    "penjing.formats.package_models": ("MODELS",),
    "penjing.formats.package_tokenizers": ("TOKENIZERS", "open_tokenizer"),
    "penjing.generate.conversation": ("Conversation",),
    "penjing.generate.engine.engine": ("Engine",),
    "penjing.generate.engine.generation": ("Generation",),
    "penjing.generate.load": ("LoadedModel", "load"),
    "penjing.model.cache": ("Cache", "KVCache"),
    "penjing.model.checkpoint": ("Checkpoint", "Lineage"),
    "penjing.model.config": ("ModelConfig",),
    "penjing.model.embeddings": ("read_embeddings",),
    "penjing.model.families": ("build_model",),
    "penjing.model.saving": ("save_checkpoint",),
    "penjing.model.trace": ("record", "taps"),
    "penjing.quantization.scheme": ("SCHEMES", "Scheme", "parse_scheme"),
    "penjing.quantization.tensor": ("QuantizedTensor",),
    "penjing.recipes.recipes": ("RECIPES",),
    "penjing.tokenizer.chat": ("ChatTemplate",),
    "penjing.tokenizer.compare": ("compare_tokenizers",),
    "penjing.tokenizer.config": ("TokenizerConfig",),
    "penjing.tokenizer.record": ("load_record",),
    "penjing.tokenizer.steps": ("Explainer",),
    "penjing.tokenizer.stream": ("StreamDecoder",),
    "penjing.tokenizer.tokenizer": ("Tokenizer",),
    "penjing.tokenizer.train": ("train_tokenizer",),
    "penjing.tokenizer.view": ("TextView", "view_text"),
    "penjing.train.config": (
        "DataConfig",
        "OptimizerConfig",
        "PretrainConfig",
        "ScheduleConfig",
        "StartConfig",
        "TrainConfig",
    ),
    "penjing.train.doctor.doctor": ("Diagnosis", "examine"),
    "penjing.train.pretrain": ("pretrain", "resume"),
    "penjing.train.run": ("Run",),
    "penjing.transform.config": ("QuantizeConfig",),
    "penjing.transform.quantize": ("quantize",),
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}


def recipe(name: str, depth: int | None = None) -> "PretrainConfig":
    """The settings of a named recipe; `depth` is its one dial, None the recipe's own.

    Raises:
        ConfigError: there is no recipe of that name.
    """
    from penjing.recipes.recipes import RECIPES

    return RECIPES[name](depth)


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for (PEP 562)."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'penjing' has no attribute {name!r}")
    with no_collecting():
        value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
    "CORPORA",
    "MODELS",
    "RECIPES",
    "SCHEMES",
    "TOKENIZERS",
    "BusyError",
    "Cache",
    "Candidate",
    "ChatTemplate",
    "Checkpoint",
    "CheckpointError",
    "ConfigError",
    "Conversation",
    "CorpusError",
    "DataConfig",
    "DataError",
    "Diagnosis",
    "Document",
    "Engine",
    "Event",
    "Explainer",
    "FilterRecord",
    "Generation",
    "GenerationError",
    "JsonLines",
    "KVCache",
    "Lineage",
    "Listener",
    "LoadedModel",
    "LossReport",
    "ModelConfig",
    "OptimizerConfig",
    "PenjingError",
    "PretrainConfig",
    "QuantizeConfig",
    "QuantizedTensor",
    "Run",
    "SamplingParams",
    "ScheduleConfig",
    "Scheme",
    "Shards",
    "StartConfig",
    "StorageError",
    "StreamDecoder",
    "Structure",
    "TextView",
    "TokenStep",
    "Tokenizer",
    "TokenizerConfig",
    "TokenizerError",
    "TrainConfig",
    "TrainingError",
    "__version__",
    "build_model",
    "compare_tokenizers",
    "encode_shards",
    "evaluate_loss",
    "examine",
    "import_checkpoint",
    "load",
    "load_corpus",
    "load_record",
    "load_toml",
    "open_checkpoint",
    "open_tokenizer",
    "parse_scheme",
    "pretrain",
    "quantize",
    "read_documents",
    "read_embeddings",
    "read_events",
    "recipe",
    "record",
    "resume",
    "save_checkpoint",
    "taps",
    "train_tokenizer",
    "view_text",
    "write_gguf",
]
