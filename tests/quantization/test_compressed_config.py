"""The "quantization_config": what matches, what is refused; compressed-tensors reads ours."""

import copy
from typing import Any

import pytest
import torch
from compressed_tensors.quantization import QuantizationConfig
from compressed_tensors.utils.match import match_targets
from hypothesis import given
from hypothesis import strategies as st

from penjing.core.errors import CheckpointError
from penjing.quantization.compressed_config import (
    Storage,
    make_config,
    parse_config,
    stored_scheme,
)

INT4 = Storage(stored_scheme(4, True, "group", 32), packed=True)
INT8 = Storage(stored_scheme(8, True, "channel"), packed=True)
W8A8 = Storage(stored_scheme(8, True, "channel", activations=True), packed=False)


def config(group: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    weights = {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "channel"}
    return {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "quantization_status": "compressed",
        "config_groups": {"g": {"targets": ["Linear"], "weights": weights, **(group or {})}},
        **changes,
    }


def weights(**changes: Any) -> dict[str, Any]:
    return config({"weights": {"num_bits": 8, "strategy": "channel", **changes}})


@pytest.mark.parametrize(
    "storages",
    [{"a.q": INT4}, {"a.q": W8A8}, {"a.q": INT4, "a.down": INT8}, {"a.q": INT4, "a.down": W8A8}],
)
def test_what_we_write_both_read(storages: dict[str, Storage]) -> None:
    written = make_config(storages, ["lm_head", "a.up"])
    parsed = parse_config(written)
    for module, storage in storages.items():
        assert parsed.storage_of(module, "Linear") == storage
    assert parsed.storage_of("a.up", "Linear") is None
    theirs = QuantizationConfig.model_validate(written)
    forms = {storage.packed for storage in storages.values()}
    assert theirs.format == ("mixed-precision" if len(forms) == 2 else theirs.format)
    for scheme, storage in zip(theirs.config_groups.values(), storages.values(), strict=True):
        assert not isinstance(scheme, list) and scheme.weights is not None
        assert scheme.weights.num_bits == storage.scheme.bits
        assert scheme.weights.strategy == storage.scheme.granularity
        assert scheme.format == ("pack-quantized" if storage.packed else "int-quantized")
        if storage is W8A8:
            assert scheme.input_activations is not None
            assert scheme.input_activations.dynamic and scheme.input_activations.strategy == "token"


@pytest.mark.parametrize(
    "targets", [["Linear", "a.q", "re:.*q"], ["Linear", "re:a.*"], ["Linear", "re:z", "a.q"]]
)
def test_the_most_special_target_wins_as_with_theirs(targets: list[str]) -> None:
    groups = {
        target: {"targets": [target], "weights": {"num_bits": 2 + n, "strategy": "channel"}}
        for n, target in enumerate(targets)
    }
    ours = parse_config(config(config_groups=groups)).storage_of("a.q", "Linear")
    theirs = match_targets("a.q", torch.nn.Linear(1, 1), targets)[0]
    assert ours is not None and ours.scheme.bits == 2 + targets.index(theirs)


def test_what_is_ignored_or_of_another_class() -> None:
    parsed = parse_config(config(ignore=["lm_head", "re:.*layers\\.1\\.", "Embedding"]))
    assert parsed.storage_of("model.layers.0.q", "Linear") is not None
    assert parsed.storage_of("model.layers.1.q", "Linear") is None
    assert parsed.storage_of("lm_head", "Linear") is None
    assert parsed.storage_of("embed", "Embedding") is None


@pytest.mark.parametrize(
    ("group_size", "granularity"), [(None, "tensor"), (-1, "channel"), (64, "group")]
)
def test_a_strategy_left_out_follows_from_the_group(group_size: Any, granularity: str) -> None:
    storage = parse_config(weights(strategy=None, group_size=group_size)).storage_of("m", "Linear")
    assert storage is not None and storage.scheme.granularity == granularity
    assert storage.scheme.group == (64 if granularity == "group" else 0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (config(quant_method="gptq"), r"'gptq', which is not read here; compressed-tensors and GG"),
        (config(quant_method="bitsandbytes"), "'bitsandbytes', which is not read here"),
        ({"bits": 4}, "quantized with None"),
        (config(quantization_status="calibration"), "were not compressed yet"),
        (config(kv_cache_scheme={"num_bits": 8}), "kv_cache_scheme cannot be computed"),
        (config(sparsity_config={"format": "dense"}), "sparsity_config cannot be computed"),
        (config(config_groups=[]), "config_groups must be a table"),
        (config(config_groups={"g": 3}), "g: a table with a list of targets"),
        (config(ignore="lm_head"), "config_groups must be a table"),
        (config({"targets": "Linear"}), "g: a table with a list of targets"),
        (config({"targets": ["re:("]}), r"'re:\(' is no pattern"),
        (config({"weights": None}), "g: weights that stay as they are"),
        (config(format="float-quantized"), "'float-quantized' is not read here; pack-quantized"),
        (config(format="mixed-precision"), "'mixed-precision' is not read here"),
        (config({"output_activations": {"num_bits": 8}}), "quantized outputs"),
        (config({"input_activations": {"num_bits": 8, "dynamic": False}}), "inputs are quantized"),
        (config({"input_activations": "int8"}), "inputs are quantized in another way"),
        (weights(type="float"), "8 bits and type 'float'"),
        (weights(num_bits=16), "weights of 16 bits"),
        (weights(num_bits="4"), "weights of 4 bits"),
        (weights(dynamic=True), "dynamic scales"),
        (weights(actorder="group"), "actorder = 'group': .*g_idx"),
        (weights(strategy="block"), "strategy 'block'"),
        (weights(strategy="group"), "strategy 'group' with group_size = None"),
        (weights(strategy="channel", group_size=32), "strategy 'channel' with group_size = 32"),
        (weights(strategy="group", group_size="32"), "strategy 'group' with group_size = '32'"),
    ],
)
def test_what_is_refused_and_why(data: dict[str, Any], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        parse_config(data)


@pytest.mark.parametrize("order", [None, False, "weight", "static"])
def test_an_order_that_leaves_no_trace_is_read(order: Any) -> None:
    assert parse_config(weights(actorder=order)).storage_of("m", "Linear") == INT8


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 40) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
PATHS = st.sampled_from(
    [
        ("format",),
        ("ignore",),
        ("quantization_status",),
        ("config_groups",),
        ("config_groups", "g"),
        *(("config_groups", "g", name) for name in ("targets", "format", "input_activations")),
        *(
            ("config_groups", "g", "weights", name)
            for name in ("num_bits", "type", "symmetric", "strategy", "group_size", "actorder")
        ),
    ]
)


@given(st.lists(st.tuples(PATHS, JSON), min_size=1, max_size=2))
def test_any_damage_is_a_clear_error_or_none(changes: list[tuple[tuple[str, ...], Any]]) -> None:
    data = copy.deepcopy(weights())
    for path, value in changes:
        place: Any = data
        for step in path[:-1]:
            place = place.get(step) if isinstance(place, dict) else None
        if isinstance(place, dict):
            place[path[-1]] = value
    try:
        parse_config(data).storage_of("model.layers.0.mlp.up_proj", "Linear")
    except CheckpointError as error:
        assert "quantization_config" in str(error)
