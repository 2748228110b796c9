"""A GGUF file as a `Checkpoint`: its weights stay where they are, mapped and quantized."""

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penjing.core.config import from_dict
from penjing.core.errors import CheckpointError, ConfigError
from penjing.data.fetch import sha256_of
from penjing.formats.gguf.config import architecture_of, read_config
from penjing.formats.gguf.reader import GgufFile
from penjing.formats.gguf.tokenizer import end_ids, tokenizer_from_metadata
from penjing.formats.gguf.vocabulary import Vocabulary, read_vocabulary
from penjing.formats.gguf.weights import GgufWeights, places
from penjing.model.checkpoint import Checkpoint, Lineage
from penjing.model.config import ModelConfig
from penjing.quantization.ggml import FLOAT_TYPES
from penjing.quantization.stored import Quantization
from penjing.tokenizer.tokenizer import Tokenizer

if TYPE_CHECKING:
    import torch

    from penjing.model.base import LanguageModel

LINEAGE = "penjing.lineage"  # the metadata that hold our lineage, as JSON


class GgufCheckpoint(Checkpoint):
    """A GGUF file of the architectures llama, qwen2, qwen3 or gpt2; `path` is the file."""

    def __init__(
        self, file: GgufFile, config: ModelConfig, lineage: tuple[Lineage, ...], architecture: str
    ) -> None:
        super().__init__(file.path, config, lineage)
        self.file, self.architecture = file, architecture

    @classmethod
    def open(cls, path: str | Path) -> "GgufCheckpoint":
        """Map a GGUF file and read what it says of its model.

        Raises:
            CheckpointError: it is missing, damaged, or of a form that we do not compute.
        """
        file = GgufFile.open(path)
        return cls(file, read_config(file), _lineage(file), architecture_of(file))

    def _read_tokenizer(self) -> Tokenizer:
        return tokenizer_from_metadata(self.file.metadata, str(self.path), self._vocabulary)

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return read_vocabulary(self.file.metadata, str(self.path))

    @cached_property
    def generation(self) -> Mapping[str, Any]:
        """The tokens that end a text, under the names of generation_config.json."""
        ends = end_ids(self.file.metadata, str(self.path), self._vocabulary)
        return {"eos_token_id": ends} if ends else {}

    @cached_property
    def quantization(self) -> Quantization | None:
        """How each tensor is stored; None: all of them as floats."""
        types = {
            place.hf: self.file.tensors[place.theirs].type
            for place in places(self.config, self.architecture)
            if place.theirs in self.file.tensors
        }
        schemes = {name: kind for name, kind in types.items() if kind not in FLOAT_TYPES}
        if not schemes:
            return None
        kept = {name: kind for name, kind in types.items() if kind in FLOAT_TYPES}
        return Quantization("gguf", schemes, kept)

    def weights(self) -> GgufWeights:
        """The stored weights by their Hugging Face names, each read when asked for.

        Raises:
            CheckpointError: they are not those of the configuration.
        """
        return GgufWeights(self.file, self.config, self.architecture)

    def release(self) -> None:
        self.file.release()

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file: a parent in a lineage."""
        return sha256_of(self.path)

    def load_model(
        self, *, device: "torch.device | str" = "cpu", dtype: "torch.dtype | None" = None
    ) -> "LanguageModel":
        """The model in evaluation mode; where a part is quantized, all of it in float32.

        Raises:
            CheckpointError: see `weights`.
        """
        if dtype is None and self.quantization is not None:
            import torch

            dtype = torch.float32
        return super().load_model(device=device, dtype=dtype)


def _lineage(file: GgufFile) -> tuple[Lineage, ...]:
    """What a file that we wrote says of its model's life."""
    text = file.metadata.text(LINEAGE, "[]")
    try:
        rows = json.loads(text)
        return tuple(from_dict(Lineage, row, where="lineage") for row in rows)
    except (ValueError, TypeError, AttributeError, RecursionError, ConfigError) as error:
        raise CheckpointError(
            f"{file.path}: the metadata {LINEAGE!r} is damaged: {error}."
        ) from error
