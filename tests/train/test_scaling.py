"""The law's constants are those that were measured, and it is silent where it knows nothing."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import penjing
from penjing.model.config import ModelConfig
from penjing.tokenizer.config import TokenizerConfig
from penjing.train.config import DataConfig, PretrainConfig, TrainConfig
from penjing.train.scaling import EDGE, FORM, LAW, UNIT, Band, expected

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "scaling.json"
BASELINES = {"uniform": 3.8, "unigram": 3.1, "bigram": 2.4, "trigram": 2.3}


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RESULTS.read_text())
    return found


def test_the_constants_are_the_measured_ones(measured: dict[str, Any]) -> None:
    assert measured["unit"] == UNIT
    for name, value in measured["fit"].items():
        if name != "largest":
            assert getattr(LAW, name) == pytest.approx(value, rel=1e-3), name
    for name in ("parameters", "tokens"):
        values = [row[name] for row in measured["runs"]]
        assert getattr(LAW, name) == (min(values), max(values))
    assert LAW.epochs == pytest.approx(max(row["epochs"] for row in measured["runs"]), rel=1e-3)
    lengths = [row["bytes_per_token"] for row in measured["runs"]]
    assert LAW.bytes_per_token == pytest.approx((min(lengths), max(lengths)), rel=1e-3)


def test_the_runs_themselves_lie_in_the_band(measured: dict[str, Any]) -> None:
    inside = 0
    for row in measured["runs"]:
        band = expected(
            row["parameters"],
            row["tokens"],
            row["baselines"],
            form=FORM,
            epochs=row["epochs"],
            bytes_per_token=row["bytes_per_token"],
        )
        assert band is not None
        inside += band.low <= row["bits_per_byte"] <= band.high
    assert inside >= 0.9 * len(measured["runs"])


def asked(n: float, d: float, **changes: Any) -> Band | None:
    options: dict[str, Any] = {"epochs": 0.5, "bytes_per_token": LAW.bytes_per_token[0]}
    return expected(round(n), round(d), BASELINES, **{"form": FORM} | options | changes)


def test_more_of_either_lowers_the_band() -> None:
    (n, many_n), (d, many_d) = LAW.parameters, LAW.tokens
    least, size, text = asked(n, d), asked(many_n, d), asked(n, many_d)
    assert least and size and text
    assert size.high < least.high and text.high < least.high
    assert 0 < least.low < least.high


def test_it_is_silent_beyond_what_was_measured() -> None:
    (n, many_n), (d, many_d) = LAW.parameters, LAW.tokens
    assert asked(n, d)
    for size, text in ((n / 2, d), (many_n * 2, d), (n, d / 2), (n, many_d * 2)):
        assert asked(size, text) is None
    assert asked(n, d, epochs=LAW.epochs * EDGE * 1.1) is None
    assert asked(n, d, bytes_per_token=1.0) is None  # characters
    for form in (("gpt2", *FORM[1:]), (FORM[0], "adamw", FORM[2]), (*FORM[:2], "scaled")):
        assert asked(n, d, form=form) is None


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import scaling

    yield scaling
    sys.modules.pop("scaling")


def test_the_fit_finds_a_law_that_is_there(benchmark: Any) -> None:
    """Runs made up from a law: the fit gives their losses back, noise and all."""
    law = {"E": 0.4, "A": 12.0, "a": 0.3, "B": 90.0, "b": 0.4}
    rows = [
        {
            "parameters": n,
            "tokens": d,
            "bits_per_byte": 2 * benchmark.predict(law, n, d) * (1 + 0.002 * (-1) ** i),
            "baselines": {UNIT: 2.0},
        }
        for i, (n, d) in enumerate(
            (n, d) for n in (10**5, 10**6, 10**7) for d in (10**5, 10**6, 10**7)
        )
    ]
    fit = benchmark.fit(rows)
    for n, d in ((10**5, 10**7), (3 * 10**6, 3 * 10**5)):
        assert benchmark.predict(fit, n, d) == pytest.approx(benchmark.predict(law, n, d), rel=0.01)
    assert fit["spread"] < 0.004


def test_the_grid_holds_the_recipes_own_runs(benchmark: Any) -> None:
    found = benchmark.points(benchmark.CORPORA, list(benchmark.GRID), None)
    assert ("stdlib", 4, 700) in found and ("tang", 4, 600) in found
    assert len(found) == len(set(found)) == 3 * 12 + 2
    assert benchmark.points(["stdlib"], [1], [5]) == [("stdlib", 1, 5)]


def test_one_point_is_a_whole_run(
    benchmark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("".join(f"{i} bottles of beer on the wall,\n" for i in range(400)))
    config = PretrainConfig(
        data=DataConfig(sources=(str(text),)),
        tokenizer=TokenizerConfig(kind="char"),
        model=ModelConfig(n_layer=1, n_embd=32, context_length=16),
        train=TrainConfig(batch_size=4),
    )
    monkeypatch.setattr(penjing, "recipe", lambda _name, _depth: config)
    row = benchmark.run_point("stdlib", 1, 3, 1)
    result = benchmark.write(tmp_path / "scaling.json", [row])
    assert json.loads((tmp_path / "scaling.json").read_text()) == result
    assert "fit" not in result and benchmark.key(row) == ("stdlib", 1, 3)
    assert row["tokens"] == 3 * 4 * 16 and 0 < row["embedding"] < row["parameters"]
    assert row["baselines"]["trigram"] < row["bits_per_byte"] < row["baselines"]["uniform"] * 1.1
    assert len(list(tmp_path.iterdir())) == 2  # the run itself is gone
