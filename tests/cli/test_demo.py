"""`penjing demo`: each corpus has its recipe, and the run ends with all that was promised."""

from dataclasses import replace
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from penjing.cli.verbs import demo, pretrain
from penjing.data.corpora import CORPORA
from penjing.recipes.recipes import RECIPES


@pytest.mark.parametrize("name", get_args(get_type_hints(demo.Arguments)["corpus"]))
def test_each_corpus_has_a_recipe_of_its_name(name):
    assert name in CORPORA
    assert RECIPES[name]().data.sources == (f"corpus:{name}",)


def test_the_demo_from_corpus_to_report(penjing, monkeypatch):
    def small(name: str, depth: int | None):
        full = RECIPES[name](depth)
        train = replace(full.train, steps=2, batch_size=2, eval_every=0, sample_tokens=8, threads=1)
        return replace(
            full,
            train=replace(train, sample_every=0, save_every=0, log_every=1),
            tokenizer=replace(full.tokenizer, kind="byte"),
            model=replace(full.model, n_embd=32, head_dim=16, context_length=32),
            data=replace(full.data, validation_fraction=0.001),
        )

    monkeypatch.setattr(pretrain, "recipe_settings", small)
    result = penjing("demo", "--corpus", "stdlib", "--depth", "1", "--out", "d")
    assert result.code == 0, result.err
    for part in (
        "licence    PSF-2.0",
        "validation loss",
        "A sample after 2 steps:",
        "perplexity",
        "bits per byte     ",
        " (unigram ",
        "tokens/s",
        "minutes",
        "Everything lies in d",
        "penjing generate d --prompt",
        "penjing info d",
    ):
        assert part in result.out, part


def test_it_is_pretrain_with_fewer_options(monkeypatch):
    given = []
    monkeypatch.setattr(
        pretrain, "train", lambda config, out, **_: given.append((config, out)) or 0
    )
    assert demo.run(["--corpus", "tang", "--steps", "5", "--depth", "2", "--out", "auto"]) == 0
    full = RECIPES["tang"](2)
    config = replace(full, train=replace(full.train, steps=5))
    assert given == [(config, Path("auto"))]


def test_an_unknown_corpus_names_the_known_ones(penjing):
    result = penjing("demo", "--corpus", "song")
    assert result.code == 2 and "'shakespeare', 'tang', 'stdlib'" in result.err
