"""The table's rows, and what is left on disk: all or nothing."""

import errno
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from penjing.core.errors import ConfigError, DataError, StorageError
from penjing.core.events import Event
from penjing.data.batches import Tokens
from penjing.formats.opening import open_checkpoint
from penjing.generate.runners.torch_runner import TorchRunner
from penjing.model.checkpoint import Checkpoint
from penjing.transform import compare as module
from penjing.transform import save
from penjing.transform.compare import compare, name_of
from penjing.transform.config import Measuring, QuantizeConfig
from penjing.transform.speed import Speed
from penjing.transform.table import Comparison

Make = Callable[..., Checkpoint]
QUICK = Measuring(window=32, tokens=640, speed=False)
INT8, INT4 = (
    QuantizeConfig("int8", windows=8, window=32),
    QuantizeConfig("int4-g32", windows=8, window=32),
)


def rows_of(comparison: Comparison) -> list[str]:
    return [row.name for row in comparison.rows]


def test_rows_beside_the_original(make: Make, text: Tokens, tmp_path: Path) -> None:
    source = make("llama")
    ways = [INT8, INT4, replace(INT4, method="gptq"), QuantizeConfig("w8a8")]
    got = compare(
        source.path, ways, calibration=text, evaluation=text, measuring=QUICK, out=tmp_path / "out"
    )
    assert rows_of(got) == ["original", "int8", "int4-g32", "int4-g32-gptq", "w8a8"]
    original, int8, int4, gptq, w8a8 = got.rows
    assert original.bits_per_weight == 32
    assert int4.n_bytes < int8.n_bytes < original.n_bytes
    for row in got.rows[1:]:
        path = tmp_path / "out" / row.name
        assert row.path == str(path)
        assert row.n_bytes == (path / "model.safetensors").stat().st_size
        assert row.quality is not None and row.quality.n_tokens == 640
    q8, q4, qg, qa = (row.quality.divergence.value for row in got.rows[1:] if row.quality)
    assert 0 < q8 < qa < q4 and qg < q4
    assert original.quality is not None and original.quality.divergence.value == 0
    # Bits: 8 or 4 for each weight of the layers, a scale in float32, and the rest in 32 bits.
    n = got.n_parameters
    layers = sum(2 * rows * 64 for rows in (64 + 2 * 32, 64, 2 * 128, 2 * 64))
    assert int4.bits_per_weight == pytest.approx((layers * 5 + (n - layers) * 32) / n, rel=0.01)
    row = Checkpoint.open(tmp_path / "out" / "int4-g32-gptq").lineage[-1]
    assert row.data is not None and len(row.data) == 64
    assert row.figures["divergence"]["value"] == pytest.approx(qg)
    assert set(int8.schemes.values()) == {"int8"} and len(int8.schemes) == 14
    assert set(w8a8.schemes.values()) == {"w8a8"}
    assert gptq.errors.keys() >= {"layers.0.attention.qkv"} and not int4.errors


def test_one_way_becomes_the_place_itself(make: Make, tmp_path: Path) -> None:
    source = make("qwen3")
    got = compare(source.path, [INT8], out=tmp_path / "one", measuring=QUICK)
    assert got.rows[1].path == str(tmp_path / "one")
    assert Checkpoint.open(tmp_path / "one").quantization is not None
    compare(source.path, [INT8], out=tmp_path / "two", form="gguf", measuring=QUICK)
    assert open_checkpoint(tmp_path / "two.gguf").quantization is not None
    assert got.rows[1].quality is None


def test_without_a_place_nothing_is_written(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temp"))
    (tmp_path / "temp").mkdir()
    got = compare(make().path, [INT8, INT4], measuring=QUICK)
    assert all(row.path is None and row.n_bytes for row in got.rows)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["original", "temp"]
    assert not list((tmp_path / "temp").iterdir())


class Stopped(BaseException):
    """Ctrl-C, as far as Python can tell."""


@pytest.mark.parametrize("at", ["quantizing int8", "measuring int8", "quantizing int4-g32-gptq"])
def test_stopped_leaves_nothing(at: str, make: Make, text: Tokens, tmp_path: Path) -> None:
    source = make()

    def stop(event: Event) -> None:
        if event.data["label"] == at and event.data["done"] > 0:
            raise Stopped

    with pytest.raises(Stopped):
        compare(
            source.path,
            [INT8, replace(INT4, method="gptq")],
            calibration=text,
            evaluation=text,
            measuring=QUICK,
            out=tmp_path / "out",
            listener=stop,
        )
    assert [path.name for path in tmp_path.iterdir()] == ["original"]


def test_a_full_disk(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make()

    def refuse(*args: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("penjing.model.saving.save_tensors", refuse)
    with pytest.raises(StorageError, match="the disk is full"):
        compare(source.path, [INT8], measuring=QUICK, out=tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["original"]


def test_no_room_is_seen_before_it_is_measured(
    make: Make, text: Tokens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make()
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(StorageError, match=r"no room for the quantized model .* 1 kB are free"):
        compare(source.path, [INT8], measuring=QUICK, out=tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["original"]


def test_nothing_is_overwritten(make: Make, tmp_path: Path) -> None:
    source = make()
    before = source.digest
    with pytest.raises(StorageError, match="exists already"):
        compare(source.path, [INT8], measuring=QUICK, out=source.path)
    assert Checkpoint.open(source.path).digest == before


def test_events_tell_the_way(make: Make, text: Tokens) -> None:
    events: list[Event] = []
    compare(
        make().path,
        [replace(INT4, bits=11, mix=("int4-g32", "int8"))],
        calibration=text,
        evaluation=text,
        measuring=QUICK,
        listener=events.append,
    )
    assert {event.kind for event in events} == {"job"}
    labels = list(dict.fromkeys(event.data["label"] for event in events))
    assert labels[1:3] == ["quantizing mix-11", "measuring mix-11"]
    at = [event.data["label"] for event in events].index("measuring mix-11")
    quantizing = [e.data["done"] for e in events[:at] if e.data["label"] == "quantizing mix-11"]
    assert len(set(quantizing)) > 5 and quantizing[-1] == pytest.approx(events[at].data["done"])
    shares = [event.data["done"] for event in events]
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == pytest.approx(1)
    assert all(event.data["eta"] >= 0 for event in events)


def test_names() -> None:
    assert name_of(QuantizeConfig("int8")) == name_of(QuantizeConfig("Int8 ")) == "int8"
    assert name_of(QuantizeConfig("int4", "awq")) == "int4-awq"
    assert name_of(QuantizeConfig("int4-mse", "mse")) == "int4-mse"
    assert name_of(QuantizeConfig("int4", "gptq", bits=4.5)) == "mix-4.5-gptq"


def test_what_is_refused_before_the_work(
    make: Make, text: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make("gpt2")
    monkeypatch.setattr(module, "quantize", None)  # would be called in vain
    for ways, form, said in (
        ([INT8], "compressed-tensors", "Conv1D"),
        ([QuantizeConfig("uint8")], "gguf", "no asymmetric 8 bits"),
        ([INT8, INT8], "gguf", "asked for twice"),
        ([], "gguf", "No scheme"),
        ([QuantizeConfig("int8", "gptq")], "gguf", "needs a text"),
        ([INT8, QuantizeConfig(" INT8 ")], "gguf", "asked for twice"),
        ([replace(INT8, keep=("lm_heat",))], "gguf", "matches 'lm_heat'"),
        ([QuantizeConfig("int8-g128")], "gguf", "groups of 128"),
    ):
        with pytest.raises(ConfigError, match=said):
            compare(source.path, ways, form=form, measuring=QUICK)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"tokens": 0}, "one token"), ({"window": 0}, "one token"), ({"threads": -1}, "got -1")],
)
def test_what_cannot_be_measured(wrong: dict[str, int], said: str, make: Make) -> None:
    with pytest.raises(ConfigError, match=said):
        compare(make().path, [INT8], measuring=replace(QUICK, **wrong))  # type: ignore[arg-type]


def test_intervals_that_are_not_known_are_still_json(
    make: Make, text: Tokens, tmp_path: Path
) -> None:
    """One window has none."""
    one = Tokens(text.ids[:33], 33, 1)
    compare(make().path, [INT8], evaluation=one, measuring=QUICK, out=tmp_path / "out")
    notes = (tmp_path / "out" / "penjing.json").read_text(encoding="utf-8")
    figures = json.loads(notes, parse_constant=pytest.fail)["lineage"][-1]["figures"]
    assert figures["divergence"]["value"] > 0 and figures["divergence"]["low"] is None


def test_a_calibration_text_shorter_than_a_window(make: Make, text: Tokens) -> None:
    short = Tokens(text.ids[:20], 20, 1)
    with pytest.raises(DataError, match="has 20 tokens, and one window has 32"):
        compare(make().path, [replace(INT8, method="gptq")], calibration=short, measuring=QUICK)


def test_notes_say_what_one_has_to_know(make: Make, tmp_path: Path) -> None:
    source = make()
    got = compare(source.path, [INT8], out=tmp_path / "int8", measuring=QUICK)
    assert "table of embeddings is the head too" in got.notes[0]
    again = compare(tmp_path / "int8", [INT4], measuring=QUICK)
    assert "quantized already" in again.notes[0]
    untied = compare(source.path, [replace(INT8, head="int8")], measuring=QUICK)
    assert "matrix of its own now" in untied.notes[0]
    uneven = compare(source.path, [INT8, QuantizeConfig("uint8", head="int8")], measuring=QUICK)
    assert uneven.notes[-1].startswith("transformers cannot load uint8: ")


def test_speeds_are_those_of_the_engine(
    make: Make, text: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENJING_KERNELS", "off")  # whose compilation takes a while
    got = compare(
        make().path, [INT8], evaluation=text, measuring=replace(QUICK, speed=True, rounds=2)
    )
    for row in got.rows:
        assert isinstance(row.speed, Speed)
        assert row.speed.prefill > 0 and row.speed.decode > 0 and row.speed.runner


def test_what_the_kernels_add(make: Make, text: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a runner that computes on weights of its own, and not as torch does."""
    source = make()

    class Kernels(TorchRunner):
        exact = True

    def opened(path: Path, threads: int) -> SimpleNamespace:
        model = Checkpoint.open(path).load_model()
        model.get_parameter("norm.weight").mul_(1.1)
        return SimpleNamespace(runner=Kernels(model), close=lambda: None)

    monkeypatch.setattr(module, "open_quietly", opened)
    monkeypatch.setattr(module, "measure_speed", lambda paths, *_, **__: dict.fromkeys(paths))
    measuring = replace(QUICK, speed=True)
    got = compare(source.path, [INT8], evaluation=text, measuring=measuring).rows[1]
    assert got.runtime is not None and got.quality is not None
    assert got.runtime.value > 10 * got.quality.divergence.value


def test_the_size_of_the_numbers_alone(make: Make, tmp_path: Path) -> None:
    source = make("llama")
    on_disk, numbers = save.weight_bytes(source.path)
    assert numbers == 4 * source.load_model().n_parameters() < on_disk
    (source.path / "adapter.safetensors").write_bytes(b"of something else")
    assert save.weight_bytes(source.path) == (on_disk, numbers)
