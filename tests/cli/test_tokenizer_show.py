"""`penjing tokenizer show`: what is printed is the encoding, and the steps that led to it."""

import json
import re

import pytest
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, normalizers, pre_tokenizers

from penjing.tokenizer.config import TokenizerConfig
from penjing.tokenizer.tokenizer import Tokenizer
from penjing.tokenizer.train import train_tokenizer

FAMILY = "👨‍👩‍👧‍👦"
ROW = re.compile(r"^ *(\d+)  (\d+)-(\d+) +((?:[0-9a-f]{2} )+) *(\S+)(.*)$", re.MULTILINE)


@pytest.fixture
def bpe(tmp_path) -> Tokenizer:
    lines = [f"{n}: unhappiness, happiness, unhappy; 今天天气不错。" for n in range(50)]
    tokenizer = train_tokenizer(lines, TokenizerConfig(vocab_size=285))
    tokenizer.save(tmp_path / "tok")
    return tokenizer


@pytest.fixture
def shown(penjing):
    def call(text: str, *more: str) -> str:
        result = penjing("tokenizer", "show", text, "--tokenizer", "tok", *more)
        assert result.code == 0, result.err
        return result.out

    return call


def test_rows_are_ids_places_and_bytes(shown, bpe):
    text = "unhappiness 今天 龘𠮷"
    rows = ROW.findall(shown(text))
    assert [int(row[0]) for row in rows] == bpe.encode(text)
    raw = text.encode()
    assert all(raw[int(s) : int(e)] == bytes.fromhex(hexed) for _, s, e, hexed, _, _ in rows)
    assert b"".join(bytes.fromhex(row[3]) for row in rows) == raw


def test_the_foot_counts(shown, bpe):
    n = len(bpe.encode("the 龘 cat"))
    assert f"{n} tokens, 9 characters, 11 bytes, {11 / n:.2f} bytes a token" in shown("the 龘 cat")
    assert shown("", "--steps") == "0 tokens, 0 characters, 0 bytes\n"


def test_a_model_directory_brings_its_tokenizer(penjing, model_dir):
    result = penjing("tokenizer", "show", "a", "--tokenizer", str(model_dir))
    assert result.code == 0 and [row[0] for row in ROW.findall(result.out)] == ["97"]


def test_brackets_join_what_makes_a_character(shown, bpe):
    out = shown(f"龘{FAMILY}")
    assert "\ufffd" not in out
    remarks = [row[5].strip() for row in ROW.findall(out)]
    assert remarks[:3] == ["┐", "│", "┘ 龘"] and remarks[-1] == f"┘ {FAMILY}"
    assert remarks[3] == "┐" and set(remarks[4:-1]) == {"│"}


def test_the_ladder_of_each_token_once(shown, bpe):
    out = shown("unhappy unhappy", "--steps")
    ladders = out.partition("bytes a token\n")[2]
    tokens = {bpe.token_text(id).replace(" ", "␣") for id in bpe.encode("unhappy unhappy")}
    merged = {token for token in tokens if len(token) > 1}
    assert merged and all(ladders.count(f"\n{token}\nrank") == 1 for token in merged)
    merges = json.loads(bpe.text)["model"]["merges"]
    rows = re.findall(r"^ *(\d+) +\d+  (\S+) \+ (\S+) ", ladders, re.MULTILINE)
    assert rows
    for rank, left, right in rows:
        assert [left, right] == [part.replace("Ġ", "␣") for part in merges[int(rank)]]


def test_the_ladder_has_the_counts_of_training(penjing, shown, tmp_path):
    (tmp_path / "my.txt").write_text("ab abc abcd xyz " * 50, encoding="utf-8")
    words = ("my.txt", "--vocab-size", "262", "--out", "tok")
    assert penjing("tokenizer", "train", *words).code == 0
    out = shown(" abc", "--steps")
    counted = re.findall(r"^ *(\d+) +([\d,]+)  (\S+ \+ \S+)", out, re.MULTILINE)
    assert ("0", "150", "a + b") in counted and len(counted) == 3
    (tmp_path / "tok" / "merges.json").write_text("[]", encoding="utf-8")
    broken = penjing("tokenizer", "show", "a", "--tokenizer", "tok/tokenizer.json", "--steps")
    assert broken.code == 1 and "merges.json is damaged" in broken.err


def test_json_is_all_of_it(shown, bpe):
    data = json.loads(shown("今天 龘", "--steps", "--json"))
    assert [piece["id"] for piece in data["pieces"]] == bpe.encode("今天 龘")
    assert {steps["kind"] for steps in data["steps"]} == {"merges"}
    assert "steps" not in json.loads(shown("a", "--json"))


def test_special_tokens_only_if_asked_for(shown, bpe):
    assert "|<|endoftext|>" not in shown("a<|endoftext|>")
    assert "a|<|endoftext|>" in shown("a<|endoftext|>", "--special", "--steps")


def test_longest_matches(shown, tmp_path):
    vocab = {"[UNK]": 0, "un": 1, "##happi": 2, "##ness": 3}
    backend = Backend(models.WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=20))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    Tokenizer(backend.to_str()).save(tmp_path / "tok")
    out = shown(f"Unhappiness 𠮷 {'x' * 21}", "--steps")
    assert "un|##happi|##ness|[UNK]|[UNK]" in out and re.search(r"\[UNK\] +← 𠮷\n", out)
    assert "unhappiness unhappines ... (6 more) unh" in out
    assert "##happiness ##happines ##happine ##happin" in out
    assert "the whole word is unknown" in out and "21 characters are more than" in out


def test_likeliest_paths(shown, tmp_path):
    vocab = [("<unk>", 0.0), ("▁", -3.0), ("▁a", -1.0), ("b", -2.0), ("▁ab", -3.5)]
    backend = Backend(models.Unigram(vocab, unk_id=0))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    Tokenizer(backend.to_str()).save(tmp_path / "tok")
    out = shown("ab 龘", "--steps")
    assert re.search(r"^ *-3\.00  ␣a -1\.00  b -2\.00$", out, re.MULTILINE)
    assert re.search(r"^ *-3\.50  ␣ab -3\.50$", out, re.MULTILINE)
    assert "0  ␣ -3.00  ␣a -1.00  ␣ab -3.50" in out and "(龘 -13.50)" in out


def test_a_token_without_merges_is_taken_whole(shown, tmp_path):
    vocab = {"a": 0, "b": 1, "ab": 2}
    Tokenizer(Backend(models.BPE(vocab, [], ignore_merges=True)).to_str()).save(tmp_path / "tok")
    assert "is taken at once" in shown("ab", "--steps")
    assert "begins with them: b a" in shown("ba", "--steps")


def test_a_kind_without_steps_says_so(penjing, tmp_path):
    model = models.WordLevel({"[UNK]": 0, "a": 1}, unk_token="[UNK]")
    Tokenizer(Backend(model).to_str()).save(tmp_path / "tok")
    assert penjing("tokenizer", "show", "a", "--tokenizer", "tok").code == 0
    result = penjing("tokenizer", "show", "a", "--tokenizer", "tok", "--steps")
    assert result.code == 1 and "WordLevel" in result.err


def test_colours_are_for_terminals(shown, bpe, monkeypatch):
    assert "\x1b" not in shown("unhappiness")
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = shown("unhappiness 今天")
    assert "\x1b[36m" in coloured and "\x1b[33m" in coloured


def test_control_characters_do_not_reach_the_terminal(shown, bpe):
    assert "\x1b" not in shown("a\x1b[31mb\x9b0m", "--steps")


def test_a_name_that_is_none(penjing):
    result = penjing("tokenizer", "show", "a", "--tokenizer", "gtp2")
    assert result.code == 1 and "gpt2" in result.err


@pytest.mark.network
def test_well_known_vocabularies(penjing):
    result = penjing("tokenizer", "show", "unhappiness", "--tokenizer", "gpt2", "--steps")
    assert "un|h|appiness" in result.out and "app + iness" in result.out
