"""Several ways to quantize a model beside each other and beside the original, and their files."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from penjing.core.errors import ConfigError
from penjing.core.events import Listener
from penjing.core.files import finite
from penjing.data.batches import Tokens
from penjing.formats.opening import open_checkpoint
from penjing.model.activations import rounded_inputs
from penjing.model.checkpoint import Checkpoint
from penjing.transform.config import METHODS, Format, Measuring, QuantizeConfig, parse
from penjing.transform.interval import Interval
from penjing.transform.measure import Quality, Reference
from penjing.transform.meter import Meter
from penjing.transform.place import Place
from penjing.transform.quantize import Quantized, foresee, quantize
from penjing.transform.save import check_format, check_space, weight_bytes, write
from penjing.transform.speed import measure_speed, open_quietly
from penjing.transform.table import ORIGINAL, Comparison, Row, notes_on


def name_of(config: QuantizeConfig) -> str:
    """What a way to quantize is called: "int4-g32", "int4-g32-gptq", "mix-4.5-awq"."""
    base = config.scheme.strip().lower() if config.bits is None else f"mix-{config.bits:g}"
    plain = config.method == "rtn" or base.endswith(f"-{config.method}")
    return base if plain else f"{base}-{config.method}"


def compare(
    path: str | Path,
    configs: Sequence[QuantizeConfig],
    *,
    calibration: Tokens | None = None,
    evaluation: Tokens | None = None,
    form: Format = "compressed-tensors",
    out: Path | None = None,
    measuring: Measuring | None = None,
    listener: Listener | None = None,
) -> Comparison:
    """Quantize a model in each of these ways, measure all, and write them, if `out` is given.

    Several ways are written to one sub-directory each (with GGUF: one file). Without `out` they are
    written to a temporary place, for the sizes and speeds, and removed. Nothing is left if it fails
    or is stopped.

    Raises:
        ConfigError: settings or a format that cannot be; see `quantize`.
        CheckpointError: the model is damaged.
        DataError: a text is too short.
        StorageError: `out` exists, or the disk is full or refuses.
    """
    measuring = measuring or Measuring()
    measuring.check()
    source = open_checkpoint(path)
    names = [name_of(config) for config in configs]
    _check(configs, names, source, form, with_text=calibration is not None)
    with Place(out, names, form) as place:
        bench = _Bench(source, form, measuring, calibration)
        meter = Meter(bench.stages(configs, evaluation), listener)
        rows = [bench.original(evaluation, meter.next())]
        for config, target in zip(configs, place.targets, strict=True):
            rows.append(bench.one(config, target, meter))
        rows = bench.timed(rows, place.targets, meter.next())
        for n, final in enumerate(place.settle(), start=1):
            rows[n] = replace(rows[n], path=str(final))
    return Comparison(tuple(rows), bench.n_parameters, tuple(notes_on(source, configs, rows, form)))


class _Bench:
    """One model on the bench: the same text and the same settings for all that becomes of it."""

    def __init__(
        self, source: Checkpoint, form: Format, measuring: Measuring, calibration: Tokens | None
    ) -> None:
        self.source, self.form, self.measuring = source, form, measuring
        self.calibration = calibration
        self.reference: Reference | None = None
        self.n_parameters = 0

    def stages(
        self, configs: Sequence[QuantizeConfig], evaluation: Tokens | None
    ) -> list[tuple[str, float]]:
        """The work ahead, with rough weights, for the time left."""
        once = 1.0 if evaluation else 0.01
        stages = [(f"measuring the {ORIGINAL}", once)]
        for config in configs:
            mixing = 0.0 if config.bits is None else self._mixing(config)
            stages.append((f"quantizing {name_of(config)}", METHODS[config.method].work + mixing))
            stages.append((f"measuring {name_of(config)}", once))
        return [*stages, ("timing", 0.3 * (len(configs) + 1) if self.measuring.speed else 0.01)]

    def _mixing(self, config: QuantizeConfig) -> float:
        """Some four matrices of a layer at each scheme, each followed by half of the layers."""
        passes = 2.0 * self.source.config.n_layer * len(config.mix or (config.scheme,))
        return passes * config.sensitivity_windows * config.window / self.measuring.tokens

    def original(self, evaluation: Tokens | None, tick: Callable[[float], None]) -> Row:
        """The first row."""
        model = self.source.load_model(dtype=torch.float32)
        self.n_parameters = model.n_parameters()
        quality = None
        if evaluation is not None:
            window = min(self.measuring.window, model.config.context_length)
            limit = self.measuring.tokens
            self.reference = Reference(model, evaluation, window=window, limit=limit, tick=tick)
            quality = self.reference.itself
        return self._row(ORIGINAL, self.source.path, quality=quality)

    def one(
        self,
        config: QuantizeConfig,
        target: Path,
        meter: Meter,
    ) -> Row:
        """Quantize, measure, write to `target`, and see what the runtime makes of it."""
        done = quantize(self.source, config, self.calibration, form=self.form, tick=meter.next())
        tick = meter.next()
        check_space(done, self.source, target)
        quality = runtime = None
        if self.reference is not None:
            around = partial(rounded_inputs, done.model, done.inputs)
            quality = self.reference.compare(done.model, around, tick)
        write(
            done,
            self.source,
            target,
            form=self.form,
            data=_digest(self.calibration),
            figures=_figures(quality),
        )
        if self.reference is not None and self.measuring.speed:
            runtime = self._runtime(done, target)
        return self._row(
            name_of(config),
            target,
            quality=quality,
            runtime=runtime,
            schemes={name: scheme.name for name, scheme in done.schemes.items()},
            kept=dict(done.kept),
            errors=dict(done.errors),
            divergences={name: dict(row) for name, row in done.divergences.items()},
        )

    def timed(
        self, rows: list[Row], targets: Sequence[Path], tick: Callable[[float], None]
    ) -> list[Row]:
        """The rows with their speeds."""
        if not self.measuring.speed:
            tick(1.0)
            return rows
        paths = dict(zip((row.name for row in rows), (self.source.path, *targets), strict=True))
        ids = [n % self.source.tokenizer.vocab_size for n in range(7, 4096, 11)]
        settings = {"threads": self.measuring.threads, "rounds": self.measuring.rounds}
        speeds = measure_speed(paths, ids, tick=tick, **settings)
        return [replace(row, speed=speeds[row.name]) for row in rows]

    def _runtime(self, done: Quantized, target: Path) -> Interval | None:
        """What the kernels' own arithmetic adds; torch computes with the very same weights."""
        assert self.reference is not None
        loaded = open_quietly(target, self.measuring.threads)
        try:
            if not loaded.runner.exact:
                return None
            around = partial(rounded_inputs, done.model, done.inputs)
            return self.reference.runtime(loaded.runner, done.model, around)
        finally:
            loaded.close()

    def _row(self, name: str, path: Path, **more: Any) -> Row:
        on_disk, weights = weight_bytes(path)
        return Row(name, on_disk, 8 * weights / self.n_parameters, **more)


def _check(
    configs: Sequence[QuantizeConfig],
    names: Sequence[str],
    source: Checkpoint,
    form: Format,
    *,
    with_text: bool,
) -> None:
    """What can be seen before the work."""
    if not configs:
        raise ConfigError("No scheme was named.")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ConfigError(f"{twice[0]} was asked for twice.")
    for config in configs:
        config.check(with_text=with_text)
        for scheme in config.mix or (config.scheme,):
            check_format(form, parse(scheme, config.method), source.config)
        foresee(source, config, form)


def _digest(tokens: Tokens | None) -> str | None:
    """SHA-256 of a text's ids, for the lineage."""
    if tokens is None:
        return None
    return hashlib.sha256(tokens.ids[:].to(torch.int64).numpy().astype("<i8").tobytes()).hexdigest()


def _figures(quality: Quality | None) -> dict[str, Any]:
    """For the lineage."""
    figures: dict[str, Any] = {} if quality is None else finite(asdict(quality))
    return figures
