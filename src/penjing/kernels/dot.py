"""The product of 8-bit integers: the one operation that each processor does in its own way.

Lane by lane, total + w0*x0 + w1*x1 + w2*x2 + w3*x3, where the four bytes of a lane of `weights` are
unsigned and those of `activations` signed (-127..127). Every way is exact, so all agree to the bit.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from penjing.compiling.functions import intrinsic
from penjing.kernels.features import IsaType
from penjing.kernels.vector import LANES, build, call, common, lanes_type, pick

_INT = ir.IntType(32)
_INTS = lanes_type("int32")


def _halves(builder: Any, value: Any) -> tuple[Any, Any]:
    """The lower and the upper half of a vector."""
    count = value.type.count // 2
    empty = ir.Constant(value.type, ir.Undefined)

    def half(first: int) -> Any:
        numbers = ir.Constant(ir.VectorType(_INT, count), list(range(first, first + count)))
        return builder.shuffle_vector(value, empty, numbers)

    return half(0), half(count)


def _join(builder: Any, low: Any, high: Any) -> Any:
    numbers = ir.Constant(ir.VectorType(_INT, LANES), list(range(LANES)))
    return builder.shuffle_vector(low, high, numbers)


def _each_half(builder: Any, emit: Any, *values: Any) -> Any:
    """`emit` on the lower and on the upper halves: for instructions of 256 bits."""
    parts = [_halves(builder, value) for value in values]
    low, high = (emit(*(part[side] for part in parts)) for side in (0, 1))
    return _join(builder, low, high)


def _vnni(builder: Any, width: int, *operands: Any) -> Any:
    """vpdpbusd. LLVM 22 wants the bytes as bytes, older ones as integers."""
    return call(builder, f"llvm.x86.avx512.vpdpbusd.{width}", operands[0].type, *operands)


def _avx512(builder: Any, total: Any, weights: Any, activations: Any, _small: bool) -> Any:
    return _vnni(builder, 512, total, weights, activations)


def _avxvnni(builder: Any, total: Any, weights: Any, activations: Any, _small: bool) -> Any:
    return _each_half(builder, lambda *v: _vnni(builder, 256, *v), total, weights, activations)


def _number(kind: Any, value: int) -> Any:
    return ir.Constant(kind, [value] * kind.count)


def _even_and_odd(builder: Any, weights: Any, activations: Any) -> tuple[Any, ...]:
    """Bytes 0 and 2, then 1 and 3 of each lane, as 16-bit integers: (w, x), (w, x)."""
    kind = ir.VectorType(ir.IntType(16), 2 * weights.type.count)
    w, x = builder.bitcast(weights, kind), builder.bitcast(activations, kind)
    eight = _number(kind, 8)
    even = builder.and_(w, _number(kind, 0xFF)), builder.ashr(builder.shl(x, eight), eight)
    odd = builder.lshr(w, eight), builder.ashr(x, eight)
    return *even, *odd


def _avx2(builder: Any, total: Any, weights: Any, activations: Any, small: bool) -> Any:
    """pmaddubsw adds two products in 16 bits: enough for weights below 16, not for larger ones."""

    def add_pairs(a: Any, b: Any) -> Any:
        return call(builder, "llvm.x86.avx2.pmadd.wd", ir.VectorType(_INT, 8), a, b)

    def half(total: Any, weights: Any, activations: Any) -> Any:
        if small:
            as_bytes = ir.VectorType(ir.IntType(8), 32)
            w, x = (builder.bitcast(v, as_bytes) for v in (weights, activations))
            shorts = ir.VectorType(ir.IntType(16), 16)
            sums = call(builder, "llvm.x86.avx2.pmadd.ub.sw", shorts, w, x)
            return builder.add(total, add_pairs(sums, _number(shorts, 1)))
        w_even, x_even, w_odd, x_odd = _even_and_odd(builder, weights, activations)
        total = builder.add(total, add_pairs(w_even, x_even))
        return builder.add(total, add_pairs(w_odd, x_odd))

    return _each_half(builder, half, total, weights, activations)


def _plain(builder: Any, total: Any, weights: Any, activations: Any, _small: bool) -> Any:
    """A product of two bytes fits into 16 bits; their sums need 32."""
    w_even, x_even, w_odd, x_odd = _even_and_odd(builder, weights, activations)
    sixteen = _number(_INTS, 16)
    for w, x in ((w_even, x_even), (w_odd, x_odd)):
        products = builder.bitcast(builder.mul(w, x), _INTS)
        total = builder.add(total, builder.ashr(builder.shl(products, sixteen), sixteen))
        total = builder.add(total, builder.ashr(products, sixteen))
    return total


_WAYS: dict[str, Callable[..., Any]] = {
    "avx512": _avx512,
    "avxvnni": _avxvnni,
    "avx2": _avx2,
    "vector": _plain,
}


def _define(isa: Any, total: Any, weights: Any, activations: Any, small: bool) -> Any:
    if not isinstance(isa, IsaType) or common((total, weights, activations)) != total:
        return None

    def generate(_context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args[1:]

        def part(row: int, block: int) -> Any:
            operands = [
                pick(builder, kind, value, row, block)
                for kind, value in zip(kinds, args[1:], strict=True)
            ]
            return _WAYS[isa.way](builder, *operands, small)

        return build(builder, total, part)

    return total(isa, total, weights, activations), generate


@intrinsic
def dot(_typing: Any, isa: Any, total: Any, weights: Any, activations: Any) -> Any:
    """dot(isa, total, weights, activations): weights 0..255."""
    return _define(isa, total, weights, activations, False)


@intrinsic
def dot_small(_typing: Any, isa: Any, total: Any, weights: Any, activations: Any) -> Any:
    """dot_small(isa, total, weights, activations): weights 0..15."""
    return _define(isa, total, weights, activations, True)
