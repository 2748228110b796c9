"""Vectors of 16 numbers for compiled functions: Numba types, and the arithmetic on them.

`Vector("float32")` is a value in a register, as a float is: `a * b + c` in a compiled function is
two instructions. LLVM cuts 16 lanes into the registers that the processor has (one of AVX512, two
of AVX2, four of NEON): the arithmetic and its order are the same everywhere, and so are the bits.
Nothing is reassociated or fused behind one's back; `fma` rounds once, wherever it runs.

A vector may have a *shape* of several rows and blocks: a grid of registers. Operands of shapes
(R, 1) and (1, B) give (R, B), broadcast as in NumPy; numbers are spread to all lanes.

For compiled functions only: Python itself cannot call these.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils, imputils
from numba.core.datamodel import models
from numba.core.datamodel.registry import register_default
from numba.extending import type_callable, typeof_impl

from penjing.compiling.functions import intrinsic

LANES = 16
_cgutils: Any = cgutils
_imputils: Any = imputils
_models: Any = models
_ELEMENTS = {"float32": ir.FloatType(), "int32": ir.IntType(32)}
_INDEX = ir.IntType(32)


@dataclass(frozen=True)
class Shape:
    """A constant: how many vectors a grid has. Compiled functions are made anew for each shape."""

    rows: int = 1
    blocks: int = 1


class ShapeType(types.Type):
    """What a `Shape` is to Numba: a type of its own, without a value."""

    def __init__(self, rows: int, blocks: int) -> None:
        self.rows, self.blocks = rows, blocks
        super().__init__(name=f"Shape({rows}, {blocks})")


class Vector(types.Type):
    """A grid of `rows` x `blocks` vectors of 16 lanes; a single one by default."""

    def __init__(self, element: str, rows: int = 1, blocks: int = 1) -> None:
        self.element, self.rows, self.blocks = element, rows, blocks
        super().__init__(name=f"Vector({element}, {rows}, {blocks})")

    @property
    def is_float(self) -> bool:
        """Whether the lanes are float32; else they are int32."""
        return self.element == "float32"


FLOATS = Vector("float32")
INTS = Vector("int32")


def _vector_model(manager: Any, vector: Vector) -> Any:
    return _models.PrimitiveModel(manager, vector, grid_type(vector))


def _typeof_shape(shape: Shape, _context: Any) -> ShapeType:
    return ShapeType(shape.rows, shape.blocks)


def _constant_shape(context: Any, _builder: Any, _type: Any, _value: Any) -> Any:
    return context.get_dummy_value()


register_default(ShapeType)(models.OpaqueModel)
register_default(Vector)(_vector_model)
typeof_impl.register(Shape)(_typeof_shape)
_imputils.lower_constant(ShapeType)(_constant_shape)


def lanes_type(element: str) -> Any:
    """LLVM's type of one vector."""
    return ir.VectorType(_ELEMENTS[element], LANES)


def grid_type(vector: Vector) -> Any:
    """LLVM's type of a vector or a grid of them."""
    one, count = lanes_type(vector.element), vector.rows * vector.blocks
    return one if count == 1 else ir.ArrayType(one, count)


def constant(element: str, value: float) -> Any:
    """The same number in all lanes."""
    return ir.Constant(lanes_type(element), [value] * LANES)


def spread(builder: Any, scalar: Any) -> Any:
    """A number, copied into all lanes."""
    empty = ir.Constant(ir.VectorType(scalar.type, LANES), ir.Undefined)
    first = builder.insert_element(empty, scalar, _INDEX(0))
    zeros = ir.Constant(ir.VectorType(_INDEX, LANES), [0] * LANES)
    return builder.shuffle_vector(first, empty, zeros)


def call(builder: Any, name: str, result: Any, *args: Any) -> Any:
    """Call one of LLVM's intrinsics."""
    kind = ir.FunctionType(result, [arg.type for arg in args])
    return builder.call(_cgutils.get_or_insert_function(builder.module, kind, name), args)


def pick(builder: Any, vector: Vector, value: Any, row: int, block: int) -> Any:
    """One vector of a grid; a row or column that stands for all is found for each of them."""
    if vector.rows * vector.blocks == 1:
        return value
    row, block = min(row, vector.rows - 1), min(block, vector.blocks - 1)
    return builder.extract_value(value, row * vector.blocks + block)


def build(builder: Any, vector: Vector, part: Callable[[int, int], Any]) -> Any:
    """A grid of which each vector is part(row, block)."""
    if vector.rows * vector.blocks == 1:
        return part(0, 0)
    grid = ir.Constant(grid_type(vector), ir.Undefined)
    for row in range(vector.rows):
        for block in range(vector.blocks):
            grid = builder.insert_value(grid, part(row, block), row * vector.blocks + block)
    return grid


def common(operands: tuple[Any, ...], element: str | None = None) -> Vector | None:
    """The type that operands have together, or None if they don't fit; numbers fit everywhere."""
    vectors = [operand for operand in operands if isinstance(operand, Vector)]
    fitting = all(isinstance(operand, (Vector, types.Number)) for operand in operands)
    if not vectors or not fitting or len({vector.element for vector in vectors}) > 1:
        return None
    rows = max(vector.rows for vector in vectors)
    blocks = max(vector.blocks for vector in vectors)
    if any(v.rows not in (1, rows) or v.blocks not in (1, blocks) for v in vectors):
        return None
    return Vector(element or vectors[0].element, rows, blocks)


def elementwise(context: Any, builder: Any, signature: Any, args: Any, emit: Any) -> Any:
    """`emit(builder, *operands)` for each vector of the result's shape."""
    element = next(t.element for t in signature.args if isinstance(t, Vector))
    number = types.float32 if element == "float32" else types.int32
    operands = []
    for kind, value in zip(signature.args, args, strict=True):
        if not isinstance(kind, Vector):
            kind, value = (
                Vector(element),
                spread(builder, context.cast(builder, value, kind, number)),
            )
        operands.append((kind, value))

    def part(row: int, block: int) -> Any:
        return emit(builder, *(pick(builder, kind, v, row, block) for kind, v in operands))

    return build(builder, signature.return_type, part)


def operation(arity: int, emit: Any, *, of: str, gives: str | None = None) -> Any:
    """A function of `arity` vectors (or numbers beside vectors) of one element type."""

    def define(*operands: Any) -> Any:
        result = common(operands, gives)
        if result is None or common(operands).element != of:  # type: ignore[union-attr]
            return None

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return elementwise(context, builder, signature, args, emit)

        return result(*operands), generate

    if arity == 1:
        return intrinsic(lambda _typing, a: define(a))
    if arity == 2:
        return intrinsic(lambda _typing, a, b: define(a, b))
    return intrinsic(lambda _typing, a, b, c: define(a, b, c))


def _select(builder: Any, test: str, a: Any, b: Any) -> Any:
    """`a` where the comparison holds, else `b`; a NaN in either gives `b`."""
    return builder.select(builder.fcmp_ordered(test, a, b), a, b)


def _convert(element: str, method: str) -> Callable[..., Any]:
    return lambda builder, a: getattr(builder, method)(a, lanes_type(element))


def _named(name: str, element: str) -> Callable[..., Any]:
    suffix = "v16f32" if element == "float32" else "v16i32"
    return lambda b, *args: call(b, f"llvm.{name}.{suffix}", lanes_type(element), *args)


# fma(a, b, c): a * b + c, rounded once.
# maximum, minimum: of floats; where one is a NaN, the second of the two.
fma = operation(3, _named("fma", "float32"), of="float32")
maximum = operation(2, lambda b, x, y: _select(b, ">", x, y), of="float32")
minimum = operation(2, lambda b, x, y: _select(b, "<", x, y), of="float32")
square_root = operation(1, _named("sqrt", "float32"), of="float32")
to_floats = operation(1, _convert("float32", "sitofp"), of="int32", gives="float32")
# The integer of the same bits, and back.
as_ints = operation(1, _convert("int32", "bitcast"), of="float32", gives="int32")
as_floats = operation(1, _convert("float32", "bitcast"), of="int32", gives="float32")
larger = operation(
    2, lambda b, x, y: b.select(b.icmp_signed(">", x, y), x, y), of="int32"
)  # of integers


@intrinsic
def splat(_typing: Any, number: Any) -> Any:
    """splat(number): the number in all lanes; floats as float32, integers as int32."""
    if not isinstance(number, types.Number):
        return None
    is_float = isinstance(number, types.Float)
    element = types.float32 if is_float else types.int32

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return spread(builder, context.cast(builder, args[0], signature.args[0], element))

    return (FLOATS if is_float else INTS)(number), generate


def _zeros(element: str, grid: Callable[[ShapeType], tuple[int, int]]) -> Any:
    @intrinsic
    def zeros(_typing: Any, shape: Any) -> Any:
        if not isinstance(shape, ShapeType):
            return None
        result = Vector(element, *grid(shape))

        def generate(_context: Any, builder: Any, _signature: Any, _args: Any) -> Any:
            return build(builder, result, lambda _row, _block: constant(element, 0))

        return result(shape), generate

    return zeros


# zeros(shape): a grid of zeros, (rows, blocks) or (rows, 1).
zeros = _zeros("float32", lambda shape: (shape.rows, shape.blocks))
int_zeros = _zeros("int32", lambda shape: (shape.rows, shape.blocks))
row_zeros = _zeros("float32", lambda shape: (shape.rows, 1))


def _halve(builder: Any, value: Any, width: int, emit: Any) -> Any:
    """Fold the upper half of the lanes onto the lower half until one is left: always one order."""
    while width > 1:
        width //= 2
        low, high = (
            builder.shuffle_vector(
                value,
                ir.Constant(value.type, ir.Undefined),
                ir.Constant(ir.VectorType(_INDEX, width), list(range(first, first + width))),
            )
            for first in (0, width)
        )
        value = emit(builder, low, high)
    return builder.extract_element(value, _INDEX(0))


def _reduction(emit: Any, of: str) -> Any:
    @intrinsic
    def reduce(_typing: Any, vector: Any) -> Any:
        if vector != Vector(of):
            return None
        result = types.float32 if of == "float32" else types.int32

        def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return _halve(builder, args[0], LANES, emit)

        return result(vector), generate

    return reduce


# Of the lanes of one vector, halves onto halves: always the same order.
total = _reduction(lambda b, x, y: b.fadd(x, y), "float32")
largest = _reduction(lambda b, x, y: _select(b, ">", x, y), "float32")
total_int = _reduction(lambda b, x, y: b.add(x, y), "int32")
largest_int = _reduction(lambda b, x, y: b.select(b.icmp_signed(">", x, y), x, y), "int32")


@intrinsic
def lane(_typing: Any, vector: Any, index: Any) -> Any:
    """lane(vector, index): one number of it."""
    if vector not in (FLOATS, INTS) or not isinstance(index, types.Integer):
        return None

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.extract_element(args[0], args[1])

    return (types.float32 if vector.is_float else types.int32)(vector, index), generate


@intrinsic
def set_lane(_typing: Any, vector: Any, index: Any, number: Any) -> Any:
    """set_lane(vector, index, number): the vector with one number of it replaced."""
    if vector not in (FLOATS, INTS) or not isinstance(index, types.Integer):
        return None
    element = types.float32 if vector.is_float else types.int32

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.insert_element(args[0], args[2], args[1])

    return vector(vector, index, element), generate


def _operator(function: Any, floats: str | None, ints: str | None) -> None:
    """Python's operator on vectors, and on a vector and a number."""

    @type_callable(function)
    def _typing(_context: Any) -> Any:
        def typer(a: Any, b: Any) -> Any:
            result = common((a, b))
            known = result is not None and (floats if result.is_float else ints)
            return result if known else None

        return typer

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        method = str(floats if signature.return_type.is_float else ints)
        return elementwise(
            context, builder, signature, args, lambda b, x, y: getattr(b, method)(x, y)
        )

    for left, right in ((Vector, Vector), (Vector, types.Number), (types.Number, Vector)):
        _imputils.lower_builtin(function, left, right)(generate)


_operator(operator.add, "fadd", "add")
_operator(operator.sub, "fsub", "sub")
_operator(operator.mul, "fmul", "mul")
_operator(operator.truediv, "fdiv", None)
_operator(operator.and_, None, "and_")
_operator(operator.or_, None, "or_")
_operator(operator.xor, None, "xor")
_operator(operator.lshift, None, "shl")
_operator(operator.rshift, None, "ashr")
_operator(operator.iadd, "fadd", "add")
_operator(operator.isub, "fsub", "sub")
_operator(operator.imul, "fmul", "mul")
