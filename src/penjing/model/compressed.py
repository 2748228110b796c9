"""Weights as compressed-tensors keeps them in safetensors files: read, and written.

For a module M, `M.weight` becomes

    pack-quantized   M.weight_packed      levels, several to a 32-bit word (quantization/packing.py)
                     M.weight_shape       (N, K)
    int-quantized    M.weight             levels, int8
    both             M.weight_scale       (1,), (N, 1) or (N, K / group), in the model's precision
                     M.weight_zero_point  where they are asymmetric; packed along the rows or int8
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penjing.core.errors import CheckpointError
from penjing.model.tensor_files import Header, TensorFiles
from penjing.model.weights import FLOATS, QUANTIZED, Rule, Stored
from penjing.quantization.compressed_config import CompressedConfig, Storage
from penjing.quantization.floats import to_float32
from penjing.quantization.packing import check_words, to_unsigned, unpack_rows
from penjing.quantization.stored import Quantization
from penjing.quantization.tensor import QuantizedTensor

PARTS = ("weight_packed", "weight_shape", "weight_scale", "weight_zero_point")


class CompressedWeights(Mapping[str, Stored]):
    """The weights of a directory by their names at Hugging Face, each read when asked for.

    Raises:
        CheckpointError: parts of a quantized weight are missing, or are not of its scheme.
    """

    def __init__(self, files: TensorFiles, config: CompressedConfig, rules: list[Rule]) -> None:
        self.files = files
        self.storages = {
            name: storage
            for rule in rules
            for name in rule.theirs
            if (storage := _storage(name, rule, files, config)) is not None
        }
        self.headers = dict(files.headers)
        for name, storage in self.storages.items():
            module = name.removesuffix(".weight")
            self.headers[name] = Header(_shape(module, storage, files), QUANTIZED)
            for part in PARTS:
                self.headers.pop(f"{module}.{part}", None)

    @property
    def quantization(self) -> Quantization:
        """Which of them are quantized, and how."""
        return Quantization(
            "compressed-tensors",
            {name: storage.scheme.name for name, storage in self.storages.items()},
            {n: h.dtype for n, h in self.headers.items() if n not in self.storages},
            frozenset(n for n, storage in self.storages.items() if storage.scheme.activations),
        )

    def __getitem__(self, name: str) -> Stored:
        storage = self.storages.get(name)
        if storage is None:
            return self.files[name]
        module, shape = name.removesuffix(".weight"), self.headers[name].shape
        try:
            return _read(module, storage, shape, self.files)
        except CheckpointError as error:
            raise CheckpointError(f"{self.files.paths[0].parent}: {error}") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self.headers)

    def __len__(self) -> int:
        return len(self.headers)


def module_class(rule: Rule) -> str:
    """What Hugging Face's module is, that holds this: what a target such as "Linear" means."""
    if rule.ours in ("embedding.weight", "position.table.weight"):
        return "Embedding"
    if "norm" in rule.ours:
        return "Norm"
    return "Conv1D" if rule.transpose else "Linear"


def _storage(name: str, rule: Rule, files: TensorFiles, config: CompressedConfig) -> Storage | None:
    """How this weight is kept, if it is quantized: the configuration and the files must agree."""
    if not name.endswith(".weight"):
        return None
    module, kind = name.removesuffix(".weight"), module_class(rule)
    storage = None if kind == "Norm" else config.storage_of(module, kind)
    parts = [part for part in (*PARTS, "weight_g_idx") if f"{module}.{part}" in files.headers]
    if storage is None and parts:
        raise CheckpointError(
            f"Tensor {module}.{parts[0]} is there, but quantization_config does not say how "
            f"{module} is quantized."
        )
    if storage is not None and "weight_g_idx" in parts:
        raise CheckpointError(
            f"Tensor {module}.weight_g_idx: its columns are in the order of their activations "
            "(actorder), which is not computed here. Quantize the original model anew."
        )
    if storage is not None and storage.packed and name in files.headers:
        raise CheckpointError(f"Tensor {name} is there twice: as it is, and packed.")
    if storage is not None and kind == "Conv1D":
        raise CheckpointError(f"{module} is a Conv1D, which compressed-tensors cannot hold.")
    return storage


def _header(name: str, files: TensorFiles, dtypes: tuple[str, ...]) -> Header:
    if name not in files.headers:
        raise CheckpointError(
            f"Tensor {name} is missing, though quantization_config asks for it. The file was "
            "written only in part, or belongs to another model."
        )
    header = files.headers[name]
    if header.dtype not in dtypes:
        raise CheckpointError(
            f"Tensor {name} is of type {header.dtype}, not one of {', '.join(dtypes)}."
        )
    return header


def _shape(module: str, storage: Storage, files: TensorFiles) -> tuple[int, ...]:
    """(N, K) of a quantized weight, as the files have it."""
    _header(f"{module}.weight_scale", files, FLOATS)
    if not storage.packed:
        return _header(f"{module}.weight", files, ("I8",)).shape
    _header(f"{module}.weight_packed", files, ("I32",))
    header = _header(f"{module}.weight_shape", files, ("I64", "I32"))
    if header.shape != (2,):
        raise CheckpointError(f"Tensor {module}.weight_shape must hold two numbers, (rows, cols).")
    return tuple(int(size) for size in files[f"{module}.weight_shape"])


def _read(
    module: str, storage: Storage, shape: tuple[int, ...], files: TensorFiles
) -> QuantizedTensor:
    n, k = shape
    scheme, bits = storage.scheme, storage.scheme.bits
    group = scheme.group or k
    if k % group:
        raise CheckpointError(
            f"Tensor {module}.weight has {k} columns, which cannot be cut into groups of {group}."
        )
    scale = _per_group(f"{module}.weight_scale", scheme.granularity, n, k // group, files)
    if not np.isfinite(scale).all() or not scale.all():
        raise CheckpointError(
            f"Tensor {module}.weight_scale holds a zero, a NaN or an infinity. Restore the file "
            "from a copy, or quantize the original model anew."
        )
    levels = _levels(module, storage, n, k, files)  # unsigned
    if scheme.symmetric:
        _check_no_zero_points(module, files)
        half = 1 << (bits - 1)
        q: NDArray[Any] = (levels - np.uint8(half)).view(np.int8)
        return QuantizedTensor(q, scale, None, bits, group, scheme.name)
    zero = _zero_points(module, storage, n, k // group, files)
    offset = (-scale * zero).astype(np.float32)
    return QuantizedTensor(levels, scale, offset, bits, group, scheme.name)


def _levels(module: str, storage: Storage, n: int, k: int, files: TensorFiles) -> NDArray[np.uint8]:
    if not storage.packed:
        q, half = files[f"{module}.weight"], 1 << (storage.scheme.bits - 1)
        if q.size and not (-half <= q.min() and q.max() < half):
            raise CheckpointError(
                f"Tensor {module}.weight holds numbers that do not fit in {storage.scheme.bits} "
                "bits, which quantization_config gives it."
            )
        return to_unsigned(q, storage.scheme.bits)
    words = files[f"{module}.weight_packed"]
    check_words(words, n, k, storage.scheme.bits, f"{module}.weight_packed")
    return unpack_rows(words, storage.scheme.bits, k)


def _check_no_zero_points(module: str, files: TensorFiles) -> None:
    """Older versions write them for symmetric weights too, all zero."""
    name = f"{module}.weight_zero_point"
    if name in files.headers and bool(files[name].any()):
        raise CheckpointError(
            f"Tensor {name} is not zero, though quantization_config says that {module} is "
            "symmetric: one of the two is wrong."
        )


def _zero_points(
    module: str, storage: Storage, n: int, groups: int, files: TensorFiles
) -> NDArray[np.float32]:
    """(N, G), counted from the lowest level."""
    name, bits, granularity = f"{module}.weight_zero_point", storage.scheme.bits, "group"
    if storage.packed and storage.scheme.granularity != "tensor":  # packed down the columns
        _header(name, files, ("I32",))
        words = files[name].T
        check_words(words, groups, n, bits, name)
        return unpack_rows(words, bits, n).T.astype(np.float32)
    _header(name, files, ("I8",))
    granularity = storage.scheme.granularity
    return _per_group(name, granularity, n, groups, files) + (1 << (bits - 1))


def _per_group(
    name: str, granularity: str, n: int, groups: int, files: TensorFiles
) -> NDArray[np.float32]:
    """A number for each group, (N, G), of what is stored once for a tensor or for a channel."""
    tensor = files[name]
    wanted = {"tensor": ((1,), (), (1, 1)), "channel": ((n, 1), (n,))}.get(granularity)
    if tensor.shape not in (wanted or ((n, groups),)):
        raise CheckpointError(
            f"Tensor {name} has the shape {tensor.shape}; a weight of {n} rows asks for "
            f"{(wanted or ((n, groups),))[0]}."
        )
    values = to_float32(tensor)
    if granularity == "tensor":
        return np.full((n, 1), values.reshape(()) if values.ndim == 0 else values.flat[0])
    return values.reshape(n, groups).copy()
