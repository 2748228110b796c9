"""Package corpora: what is cleaned away, what is kept, and that they can be fetched."""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from penjing.core.errors import ConfigError, CorpusError
from penjing.core.events import Event
from penjing.data import cleaning
from penjing.data.archives import opened_member, read_members
from penjing.data.corpora import CORPORA, Corpus, load_corpus


@pytest.mark.parametrize("corpus", CORPORA.values(), ids=list(CORPORA))
def test_every_corpus_says_what_it_is(corpus: Corpus) -> None:
    assert corpus.title and corpus.language and corpus.licence
    assert CORPORA[corpus.name] is corpus
    if corpus.package:
        assert len(bytes.fromhex(corpus.package.sha256)) == 32
        assert corpus.package.version in corpus.package.filename


def test_an_unknown_corpus() -> None:
    with pytest.raises(ConfigError, match=r"Unknown corpus 'shakespear'.*'shakespeare'"):
        load_corpus("shakespear")


def test_the_standard_library_without_packages_or_machine_paths() -> None:
    events: list[Event] = []
    docs = load_corpus("stdlib", listener=events.append)
    names = [doc.source for doc in docs]
    assert {"argparse.py", "dataclasses.py", "textwrap.py"} <= set(names)
    assert not any("/" in name or name.startswith("_sysconfigdata") for name in names)
    assert 3_000_000 < sum(len(doc.text) for doc in docs) < 6_000_000
    assert docs == load_corpus("stdlib")
    assert [(event.kind, event.data["licence"]) for event in events] == [("corpus", "PSF-2.0")]


def test_a_play_without_markdown() -> None:
    markdown = (
        "# Hamlet\n\n## ACT I\n\n_Enter GHOST,\nand HAMLET_\n\n**HAMLET**  \n_\\[Aside]_  \n"
        "Alas, poor ghost!  \n'Or'\\--well, & c.\n\n_Exit_\n\n\n**GHOST**\n[Within]_\nMark me.\n"
    )
    assert cleaning.play_text(markdown) == (
        "Hamlet\n\nACT I\n\n[Enter GHOST, and HAMLET]\n\nHAMLET:\n[Aside]\n"
        "Alas, poor ghost!\n'Or'--well, &c.\n\n[Exit]\n\nGHOST:\n[Within]\nMark me.\n"
    )


def poem(verse: str, title: str = "登鸛雀樓") -> list[str]:
    row = {"title": title, "author": "王之渙", "paragraphs": [verse], "id": "1"}
    return [doc.text for doc in cleaning.poems([("a.json", json.dumps([row]).encode())])]


VERSE = "白日依山盡，黃河入海流。欲窮千里目，更上一層樓。"
CLEAN = "登鸛雀樓\n王之渙\n\n白日依山盡，黃河入海流。\n欲窮千里目，更上一層樓。\n"


@pytest.mark.parametrize(
    "verse",
    [
        VERSE,
        VERSE.replace("海", "海（一作「江（河）」）"),
        VERSE.replace("黃河", "[黃]河"),
        VERSE.replace("白日", "「白日」"),
    ],
)
def test_a_poem_is_title_author_and_couplets(verse: str) -> None:
    assert poem(verse, title="登鸛雀樓（一作登樓）") == [CLEAN]


@pytest.mark.parametrize(
    "verse",
    [
        "",
        VERSE.replace("山", "□"),
        VERSE.replace("山", "{山/水}"),
        VERSE.replace("依山", "依"),
        VERSE.replace("海", "海（一作"),
        VERSE[:-1],
        VERSE * 30,
    ],
)
def test_damaged_and_irregular_poems_are_left_out(verse: str) -> None:
    assert poem(verse) == []


def test_a_poem_comes_once() -> None:
    rows = [{"title": t, "author": "王之渙", "paragraphs": [VERSE], "id": t} for t in ("甲", "乙")]
    assert len(list(cleaning.poems([("a.json", json.dumps(rows).encode())]))) == 1


def test_dictionary_meanings_stand_on_lines_of_their_own() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr(
            "words.txt", "晨风\t1.清晨的风。 2.长1.5尺的鸟。\n闯祸\t惹起灾祸;闹出乱子。\n空\t\n"
        )
    docs = list(cleaning.definitions([("x/words.zip", out.getvalue())]))
    assert [doc.text for doc in docs] == [
        "晨风\n1.清晨的风。\n2.长1.5尺的鸟。\n",
        "闯祸\n惹起灾祸;闹出乱子。\n",
    ]


def write_zip(path: Path, files: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as out:
        for name, content in files.items():
            out.writestr(name, content)


def write_tgz(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz") as out:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            out.addfile(member, io.BytesIO(content))


FILES = {"p/b.json": b"2", "p/a.json": b"1", "../../evil.json": b"3", "p/c.txt": b"4"}


@pytest.mark.parametrize(("name", "write"), [("a.whl", write_zip), ("a.tgz", write_tgz)])
def test_members_are_read_in_order_and_nothing_is_extracted(
    name: str, write: Callable[[Path, dict[str, bytes]], None], tmp_path: Path
) -> None:
    archive = tmp_path / "sub" / name
    archive.parent.mkdir()
    write(archive, FILES)
    for _ in range(2):
        found = list(read_members(archive, "*.json"))
        assert found == [("../../evil.json", b"3"), ("p/a.json", b"1"), ("p/b.json", b"2")]
    assert not list(tmp_path.rglob("*.json"))
    with pytest.raises(CorpusError, match=r"holds no file p/\*\.md"):
        list(read_members(archive, "p/*.md"))
    with opened_member(archive, "p/a.json") as file:
        assert file.read() == b"1"
    for missing in ("p/*.json", "p"):
        with (
            pytest.raises(CorpusError, match="holds no file p"),
            opened_member(archive, missing),
        ):
            pass


def test_what_else_lies_in_the_cache_is_never_read(tmp_path: Path) -> None:
    write_tgz(tmp_path / "a.tgz", FILES)
    first = list(read_members(tmp_path / "a.tgz", "p/*.json"))
    assert list(tmp_path.iterdir()) == [tmp_path / "a.tgz"]
    assert [content for _, content in first] == [b"1", b"2"]


def test_a_damaged_archive_is_told(tmp_path: Path) -> None:
    for name in ("a.tgz", "a.whl"):
        (tmp_path / name).write_bytes(b"not an archive")
        with pytest.raises(CorpusError, match=r"is damaged .* Remove it"):
            list(read_members(tmp_path / name, "*"))
        with (
            pytest.raises(CorpusError, match=r"is damaged .* Remove it"),
            opened_member(tmp_path / name, "a"),
        ):
            pass


@pytest.mark.network
@pytest.mark.parametrize(
    ("name", "documents", "sample"),
    [
        ("shakespeare", 38, "HAMLET:\nTo be, or not to be: that is the question:"),
        ("tang", 48_606, "白日依山盡，黃河入海流。\n欲窮千里目，更上一層樓。\n"),
        ("wiki", 10_033, "Cattle\n\nCattle are large, domesticated"),
        ("dictionary", 33_988, "晨风\n1.清晨的风。\n2.鸟名。\n"),
    ],
)
def test_a_corpus_can_be_fetched(name: str, documents: int, sample: str, tmp_path: Path) -> None:
    docs = load_corpus(name, cache=tmp_path)
    assert len(docs) == documents
    assert any(sample in doc.text for doc in docs)
    assert docs == load_corpus(name, cache=tmp_path)
