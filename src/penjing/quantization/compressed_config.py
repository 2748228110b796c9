"""The "quantization_config" of compressed-tensors: which modules are quantized, and how.

It lies in config.json. Groups of targets (module names, "re:" and a pattern, or a class such as
"Linear") each have their number of bits, strategy, and format; what `ignore` names stays as it is.
transformers and vLLM read it with the package `compressed-tensors`, whose rules these are.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penjing.core.errors import CheckpointError
from penjing.quantization.scheme import Granularity, Scheme

METHOD = "compressed-tensors"
PACKED, PLAIN = "pack-quantized", "int-quantized"
FORMATS = {PACKED: True, PLAIN: False, "naive-quantized": False}  # whether levels are packed
MIXED = "mixed-precision"
ACTIVATIONS = {
    "num_bits": 8,
    "type": "int",
    "symmetric": True,
    "strategy": "token",
    "dynamic": True,
}


@dataclass(frozen=True)
class Storage:
    """How the weight of one module is kept."""

    scheme: Scheme
    packed: bool  # several levels in a 32-bit word, or each in a byte


@dataclass(frozen=True)
class CompressedConfig:
    """What the file says, for modules by name and class."""

    groups: tuple[tuple[tuple[str, ...], Storage], ...]  # (targets, how)
    ignore: tuple[str, ...]

    def storage_of(self, module: str, kind: str) -> Storage | None:
        """How this module's weight is kept; None: as it is. `kind` is its class, as "Linear".

        A target that is the very name comes before a pattern, and that before a class.
        """
        if any(_names(target, module) or target == kind for target in self.ignore):
            return None
        named: list[Storage | None] = [None, None, None]  # by name, by pattern, by class
        for targets, storage in self.groups:
            for target in targets:
                rank = 0 if target == module else 1 if _names(target, module) else 2
                if (rank < 2 or target == kind) and named[rank] is None:
                    named[rank] = storage
        return next((storage for storage in named if storage), None)


def _names(target: str, module: str) -> bool:
    if target.startswith("re:"):
        return re.match(target[3:], module) is not None
    return target == module


def parse_config(data: Mapping[str, Any]) -> CompressedConfig:
    """Read a "quantization_config".

    Raises:
        CheckpointError: it is damaged, of another method, or asks for what cannot be computed here.
    """
    method = data.get("quant_method")
    if method != METHOD:
        raise CheckpointError(
            f"Its weights are quantized with {method!r}, which is not read here; {METHOD} and GGUF "
            "are. Quantize the original model with `penjing quantize`."
        )
    for name in ("kv_cache_scheme", "sparsity_config", "transform_config"):
        if data.get(name):
            raise CheckpointError(f"quantization_config: {name} cannot be computed here.")
    status = data.get("quantization_status", "compressed")
    if status not in ("compressed", "frozen"):  # older versions say frozen
        raise CheckpointError(
            f"quantization_config: the status is {status!r}: the weights were not compressed yet."
        )
    groups, ignore = data.get("config_groups"), data.get("ignore") or []
    if not isinstance(groups, dict) or not _is_list_of_text(ignore):
        raise CheckpointError("quantization_config is damaged: config_groups must be a table.")
    parsed = []
    for name, group in groups.items():
        where = f"quantization_config, {name}"
        if not isinstance(group, dict) or not _is_list_of_text(group.get("targets")):
            raise CheckpointError(f"{where}: a table with a list of targets was expected.")
        _check_patterns([*group["targets"], *ignore], where)
        parsed.append((tuple(group["targets"]), _storage(group, data.get("format"), where)))
    return CompressedConfig(tuple(parsed), tuple(ignore))


def _storage(group: Mapping[str, Any], common: Any, where: str) -> Storage:
    form = group.get("format") or common
    if not isinstance(form, str) or form not in FORMATS:
        raise CheckpointError(
            f"{where}: the format {form!r} is not read here; {', '.join(FORMATS)} are."
        )
    if group.get("output_activations"):
        raise CheckpointError(f"{where}: quantized outputs cannot be computed here.")
    return Storage(
        _scheme(group.get("weights"), group.get("input_activations"), where), FORMATS[form]
    )


def _scheme(weights: Any, inputs: Any, where: str) -> Scheme:
    if not isinstance(weights, dict):
        raise CheckpointError(f"{where}: weights that stay as they are, with quantized inputs.")
    bits, kind, group = weights.get("num_bits", 8), weights.get("type", "int"), _group(weights)
    if kind != "int" or not isinstance(bits, int) or not 2 <= bits <= 8:
        raise CheckpointError(
            f"{where}: weights of {bits} bits and type {kind!r}; integers of 2 to 8 bits are read."
        )
    if weights.get("dynamic"):
        raise CheckpointError(f"{where}: weights with dynamic scales cannot be computed here.")
    order = weights.get("actorder")
    if order not in (None, False, "weight", "static"):
        raise CheckpointError(
            f"{where}: actorder = {order!r}: its columns are in the order of their activations "
            "(g_idx). compressed-tensors has given this up too; quantize the original model anew."
        )
    strategy: Granularity = weights.get("strategy") or _implied(group)
    if strategy not in ("tensor", "channel", "group") or (strategy == "group") != (group > 0):
        raise CheckpointError(
            f"{where}: the strategy {strategy!r} with group_size = {weights.get('group_size')!r}; "
            "tensor, channel, and group with a size are read."
        )
    symmetric, rounded = bool(weights.get("symmetric", True)), _rounds_inputs(inputs, where)
    return stored_scheme(bits, symmetric, strategy, max(group, 0), activations=rounded)


def _rounds_inputs(inputs: Any, where: str) -> bool:
    if not inputs:
        return False
    said = {"num_bits": 8, "type": "int", "symmetric": True}
    said |= inputs if isinstance(inputs, dict) else {}
    if any(said.get(name) != value for name, value in ACTIVATIONS.items()):
        raise CheckpointError(
            f"{where}: inputs are quantized in another way than to int8, symmetric, with a scale "
            "for each token that is found as it comes."
        )
    return True


def _group(weights: Mapping[str, Any]) -> int:
    size = weights.get("group_size")
    return size if isinstance(size, int) else 0


def _implied(group: int) -> Granularity:
    """The strategy where the file leaves it out, as compressed-tensors infers it."""
    return "group" if group > 0 else "channel" if group == -1 else "tensor"


def stored_scheme(
    bits: int,
    symmetric: bool,
    granularity: Granularity,
    group: int = 0,
    *,
    activations: bool = False,
) -> Scheme:
    """The scheme of such a file, under our name for it. How its ranges were chosen is not known."""
    suffix = {"tensor": "-tensor", "channel": "", "group": f"-g{group}"}[granularity]
    if activations and symmetric:
        name = f"w{bits}a8{suffix}"
    elif bits == 8:
        name = f"{'int8' if symmetric else 'uint8'}{suffix}"
    else:
        name = f"int{bits}{'' if symmetric else '-asym'}{suffix}"
    return Scheme(
        name, bits, symmetric, granularity, group, activations="int8" if activations else None
    )


def make_config(storages: Mapping[str, Storage], kept: Sequence[str]) -> dict[str, Any]:
    """The "quantization_config" of these modules, and of the linear ones that are `kept`.

    One scheme for all goes by the class. Several name their modules one by one: vLLM joins q, k, v
    and would take a class before the names of the parts.

    transformers 5 expects packed zero points in the wrong shape, unless it is told to dequantize
    while it loads; then it takes all modules to be of the first group. vLLM passes over the word.
    """
    groups: dict[Storage, list[str]] = {}
    for module, storage in storages.items():
        groups.setdefault(storage, []).append(module)
    forms = {PACKED if storage.packed else PLAIN for storage in groups}
    packed_zeros = any(storage.packed and not storage.scheme.symmetric for storage in groups)
    dequantize = {"dequantize": True} if packed_zeros and len(groups) == 1 else {}
    return {
        "quant_method": METHOD,
        **dequantize,
        "format": forms.pop() if len(forms) == 1 else MIXED,
        "quantization_status": "compressed",
        "config_groups": {
            f"group_{n}": _group_entry(storage, modules if len(groups) > 1 else ["Linear"])
            for n, (storage, modules) in enumerate(groups.items())
        },
        "ignore": list(kept),
        "kv_cache_scheme": None,
        "global_compression_ratio": None,
    }


def _group_entry(storage: Storage, targets: list[str]) -> dict[str, Any]:
    scheme = storage.scheme
    return {
        "targets": targets,
        "weights": {
            "num_bits": scheme.bits,
            "type": "int",
            "symmetric": scheme.symmetric,
            "strategy": scheme.granularity,
            "group_size": scheme.group or None,
            "dynamic": False,
        },
        "input_activations": dict(ACTIVATIONS) if scheme.activations else None,
        "output_activations": None,
        "format": PACKED if storage.packed else PLAIN,
    }


def _check_patterns(targets: Sequence[str], where: str) -> None:
    for target in targets:
        try:
            re.compile(target.removeprefix("re:") if target.startswith("re:") else "")
        except re.error as error:
            raise CheckpointError(f"{where}: {target!r} is no pattern ({error}).") from error


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
