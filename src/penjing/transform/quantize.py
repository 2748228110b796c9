"""Quantize a checkpoint: which matrices, in which scheme, by which method; the model that results.

The model is worked on layer by layer, in float32. What comes out computes with the weights that
will be stored, exactly.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from penjing.data.batches import Tokens
from penjing.model.base import LanguageModel
from penjing.model.checkpoint import Checkpoint
from penjing.model.config import ModelConfig
from penjing.model.families import rebuild, skeleton
from penjing.model.forms import FORMS
from penjing.quantization.floats import FloatName
from penjing.quantization.scheme import Scheme
from penjing.quantization.tensor import QuantizedTensor
from penjing.transform.calibration import calibration_windows
from penjing.transform.config import KEEP, Format, QuantizeConfig, parse
from penjing.transform.job import Job, check_finite
from penjing.transform.methods import run
from penjing.transform.mix import Mix, choose_mix
from penjing.transform.plan import Plan, make_plan

MIXING = 0.9  # of the time, where a mix is chosen: each matrix is measured at each scheme


@dataclass(frozen=True)
class Quantized:
    """A quantized model in memory."""

    config: QuantizeConfig
    model: LanguageModel  # float32, with the weights that the integers stand for
    tensors: Mapping[str, QuantizedTensor]  # by Hugging Face's names
    schemes: Mapping[str, Scheme]  # the same names
    kept: Mapping[str, str]  # all other tensors -> why they stay as they are
    inputs: tuple[str, ...]  # our names of the matrices whose inputs are rounded
    errors: Mapping[str, float]  # by our names: error of the outputs on the calibration text
    divergences: Mapping[str, Mapping[str, float]]  # by our names and schemes, with a budget


def quantize(
    checkpoint: Checkpoint,
    config: QuantizeConfig,
    text: Tokens | None = None,
    *,
    form: Format = "compressed-tensors",
    tick: Callable[[float], None] = lambda done: None,
) -> Quantized:
    """Quantize a model; nothing is written.

    Args:
        text: the calibration text, as ids.
        tick: is told the share of the work that is done.
        form: what it will be written as, which says how exactly scales can be stored.

    Raises:
        ConfigError: settings that cannot be, a method that needs a text without one, an impossible
            budget, or a model that cannot be quantized.
        CheckpointError: the model is damaged, or a tensor of it is not finite.
        DataError: the text is shorter than one window.
    """
    config.check(with_text=text is not None)
    check_finite(checkpoint.weights(), str(checkpoint.path))
    stored = stored_dtype(checkpoint)
    model = afresh(checkpoint.load_model(dtype=torch.float32), config)
    n_parameters = skeleton(checkpoint.config).n_parameters()
    windows = None
    if text is not None:
        length = min(config.window, model.config.context_length)
        windows = calibration_windows(text, length, config.windows, seed=config.seed)
    plan = plan_for(model, config, form, stored)
    mix, begun = None, 0.0
    if config.bits is not None and windows is not None:
        width = 8 * getattr(torch, stored).itemsize
        mix = _mix(model, plan, config, windows, n_parameters, width, lambda d: tick(d * MIXING))
        plan, begun = plan_for(model, config, form, stored, mix), MIXING
    dtype = getattr(torch, stored)
    job = Job(model, plan.rounders, windows, dtype, config.damping, config.by_size)
    run(job, config.method, plan.matrices, lambda done: tick(begun + done * (1 - begun)))
    job.round_kept()
    return Quantized(
        config=config,
        model=model,
        tensors=job.tensors,
        schemes=job.schemes,
        kept=plan.kept,
        inputs=tuple(n for n, r in plan.rounders.items() if r.scheme.activations),
        errors=job.errors,
        divergences=mix.divergences if mix else {},
    )


def plan_for(
    model: LanguageModel,
    config: QuantizeConfig,
    form: Format,
    stored: FloatName,
    mix: Mix | None = None,
) -> Plan:
    """Which matrices get which scheme. Before a mix is chosen: one that fits all widths."""
    whole = parse(config.scheme if config.bits is None else "int8", config.method)
    return make_plan(
        model,
        mix.schemes if mix else whole,
        keep=config.keep,
        head=_or_none(config.head, config.method),
        table=_or_none(config.table, config.method),
        scale_dtype="float16" if form == "gguf" else stored,
        gguf=form == "gguf",
    )


def _or_none(name: str, method: str) -> Scheme | None:
    return None if name == KEEP else parse(name, method)


def _mix(
    model: LanguageModel,
    plan: Plan,
    config: QuantizeConfig,
    windows: Tensor,
    n_parameters: int,
    kept_bits: int,
    tick: Callable[[float], None],
) -> Mix:
    """The mix for the budget of `config`."""
    assert config.bits is not None
    return choose_mix(
        model,
        plan,
        [parse(name, config.method) for name in config.mix or (config.scheme,)],
        windows[: config.sensitivity_windows],
        bits=config.bits,
        n_parameters=n_parameters,
        kept_bits=kept_bits,
        tick=tick,
    )


def afresh(model: LanguageModel, config: QuantizeConfig) -> LanguageModel:
    """The same weights, to be quantized by `config`.

    A tied head that gets a scheme becomes a matrix of its own. Where the original's inputs are
    rounded, as with "w8a8", these are not: the new schemes say which are.
    """
    state, shape = dict(model.state_dict()), shape_for(config, model.config)
    if shape != model.config:
        state["unembedding.weight"] = state["unembedding.weight"].clone()
    return rebuild(shape, state).eval().requires_grad_(False)


def shape_for(config: QuantizeConfig, original: ModelConfig) -> ModelConfig:
    """What the model of this shape becomes: a tied head that gets a scheme is tied no more."""
    own_head = config.head != KEEP and config.table == KEEP
    return replace(original, tie_embeddings=original.tie_embeddings and not own_head)


def foresee(checkpoint: Checkpoint, config: QuantizeConfig, form: Format) -> None:
    """See without any weights whether a model can be quantized so.

    Raises:
        ConfigError: it cannot; see `quantize`.
    """
    plan_for(skeleton(shape_for(config, checkpoint.config)), config, form, "float32")


def stored_dtype(checkpoint: Checkpoint) -> FloatName:
    """The type of the tensors that are kept, and of scales: that of the embeddings."""
    form = FORMS[checkpoint.config.family]
    rule = next(r for r in form.rules(checkpoint.config) if r.ours == "embedding.weight")
    table = checkpoint.weights()[rule.theirs[0]]
    if isinstance(table, QuantizedTensor):
        return "float16"
    return _FLOATS.get(table.dtype.name, "float32")


_FLOATS: dict[str, FloatName] = {"uint16": "bfloat16", "float16": "float16"}  # NumPy's names first
