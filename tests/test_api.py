"""`import penjing`: a flat interface that costs nothing until it is used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import penjing
from penjing.core.errors import ConfigError

SOURCE = Path(penjing.__file__).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", penjing.__all__)
def test_every_public_name_is_there(name):
    assert getattr(penjing, name) is not None
    assert name in dir(penjing)


def test_import_costs_nothing():
    code = "import sys, penjing; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "penjing" in loaded
    assert not {"torch", "numpy", "tokenizers", "tyro", "rich"}.intersection(loaded)


def test_what_mypy_sees_is_what_is_loaded():
    declared = {
        alias.name: node.module
        for block in ast.parse(SOURCE).body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert declared == penjing._MODULE_OF
    assert {*declared, "recipe", "__version__"} == set(penjing.__all__)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="no attribute 'laod'"):
        _ = penjing.laod


def test_recipe():
    assert penjing.recipe("tang") == penjing.RECIPES["tang"]()
    assert penjing.recipe("tang", depth=2).model.n_layer == 2
    with pytest.raises(ConfigError, match="Did you mean 'tang'"):
        penjing.recipe("tagn")


def test_a_tokenizer_from_its_text_to_its_steps(tmp_path):
    text = "unhappiness, happiness, happy people, 今天天气不错"
    trained = penjing.train_tokenizer([text], penjing.TokenizerConfig(vocab_size=265))
    trained.save(tmp_path)

    tokenizer = penjing.open_tokenizer(tmp_path)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    cuts = penjing.compare_tokenizers({"trained": trained, "opened": tokenizer}, [text])
    assert cuts["trained"] == cuts["opened"] and cuts["opened"].tokens == len(ids)

    record = penjing.load_record(tmp_path, tokenizer)
    assert record == trained.record
    counts = [merge.count for merge in record.merges]
    view = penjing.view_text(tokenizer, "happiness")
    first = penjing.Explainer(tokenizer, counts).explain(view)[0].steps
    assert list(first.states())[::3] == [("h", "a", "p", "p"), ("happ",)]
    assert [merge.count for merge in first.merges] == [3, 3, 3]
