"""`penjing tokenizer`: its parts."""

import pytest

from penjing.cli.verbs.tokenizer import PARTS


@pytest.mark.parametrize(("words", "code"), [((), 2), (("--help",), 0), (("help",), 0)])
def test_without_a_part_all_are_named(penjing, words, code):
    result = penjing("tokenizer", *words)
    assert result.code == code
    for name, part in PARTS.items():
        assert f"{name:<10} {part.summary}" in result.out


@pytest.mark.parametrize("name", list(PARTS))
def test_every_part_has_its_help(penjing, name):
    result = penjing("tokenizer", name, "--help")
    assert result.code == 0 and f"penjing tokenizer {name}" in result.out


def test_a_part_that_is_none(penjing):
    result = penjing("tokenizer", "shwo")
    assert result.code == 2 and "Unknown verb 'shwo'. Did you mean 'show'?" in result.err
