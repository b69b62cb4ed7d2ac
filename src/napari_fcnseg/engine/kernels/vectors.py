"""Vector instructions inside compiled functions: what Numba's loops become of themselves is several times slower.

A compiled function calls an *intrinsic*, which writes its part of the function in LLVM's language. LLVM makes of it
whatever instructions the processor has: vectors here are as long as its registers.

Imported in the engine's child process alone.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.registry import cpu_target
from numba.extending import intrinsic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_code: Any = cgutils  # untyped
_FLOAT, INT = ir.FloatType(), ir.IntType(64)


def _features() -> str:
    """Return what instructions Numba compiles for."""
    features: str = cpu_target.target_context.codegen().magic_tuple()[2]
    return features


def _lanes() -> int:
    features = _features()
    if "+avx512f" in features:
        return 16
    return 8 if "+avx" in features else 4


#: Numbers in a vector.
LANES = _lanes()
#: Vector registers of the processor.
REGISTERS = 32 if LANES == 16 or platform.machine().lower() in ("aarch64", "arm64") else 16
_VECTOR = ir.VectorType(_FLOAT, LANES)


class Vectors:
    """Writes operations on vectors into a function that is being compiled.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
        Where they are written.
    """

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def number(self, value: int) -> Any:
        """Return a constant integer."""
        return INT(value)

    def at(self, pointer: Any, *offsets: Any) -> Any:
        """Return a pointer so many numbers further on."""
        for offset in offsets:
            pointer = self.builder.gep(pointer, [INT(offset) if isinstance(offset, int) else offset])
        return pointer

    def pointer(self, address: Any) -> Any:
        """Return a pointer to float32 from an address."""
        return self.builder.inttoptr(address, _FLOAT.as_pointer())

    def load(self, pointer: Any, lanes: int = LANES) -> Any:
        """Return the vector at a pointer to float32."""
        kind = ir.VectorType(_FLOAT, lanes).as_pointer()
        return self.builder.load(self.builder.bitcast(pointer, kind), align=4)

    def store(self, vector: Any, pointer: Any) -> None:
        """Write a vector to a pointer to float32."""
        self.builder.store(vector, self.builder.bitcast(pointer, vector.type.as_pointer()), align=4)

    def spread(self, scalar: Any) -> Any:
        """Return a vector with one number in every lane."""
        if isinstance(scalar, float):
            return ir.Constant(_VECTOR, [scalar] * LANES)
        first = self.builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), scalar, ir.IntType(32)(0))
        order = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return self.builder.shuffle_vector(first, ir.Constant(_VECTOR, ir.Undefined), order)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """Return ``a * b + c``, rounded once where the processor can."""
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
        function = _code.get_or_insert_function(self.builder.module, kind, f"llvm.fmuladd.v{LANES}f32")
        return self.builder.call(function, [a, b, c])

    def larger(self, a: Any, b: Any) -> Any:
        """Return the larger of ``a`` and ``b``; ``a`` where it is not a number."""
        return self.builder.select(self.builder.fcmp_ordered("<", a, b), b, a)

    def room(self, vectors: int) -> Any:
        """Return a pointer to float32 with room for so many vectors, on the function's stack."""
        room = _code.alloca_once(self.builder, ir.ArrayType(_VECTOR, vectors))
        room.align = 4 * LANES
        return self.builder.bitcast(room, _FLOAT.as_pointer())

    def variable(self, vector: Any) -> Any:
        """Return a variable that holds a vector or a number; LLVM keeps it in a register."""
        variable = _code.alloca_once(self.builder, vector.type)
        self.builder.store(vector, variable)
        return variable

    def some(self, source: Any, target: Any, count: Any) -> None:
        """Copy less than a vector, ``count`` numbers, from one pointer to another."""
        builder, place = self.builder, _code.alloca_once_value(self.builder, INT(0))
        lanes = LANES // 2
        while lanes:
            with builder.if_then(builder.icmp_signed("!=", builder.and_(count, INT(lanes)), INT(0))):
                first = builder.load(place)
                self.store(self.load(self.at(source, first), lanes), self.at(target, first))
                builder.store(builder.add(first, INT(lanes)), place)
            lanes //= 2

    def copy(self, source: Any, target: Any, count: Any) -> None:
        """Copy so many numbers from one pointer to another."""
        builder = self.builder
        whole = builder.and_(count, INT(-LANES))

        def vector(number: Any) -> None:
            at = builder.mul(number, INT(LANES))
            self.store(self.load(self.at(source, at)), self.at(target, at))

        self.repeat(builder.sdiv(whole, INT(LANES)), vector)
        self.some(self.at(source, whole), self.at(target, whole), builder.sub(count, whole))

    def combine(self, factors: Sequence[float], vectors: Sequence[Any]) -> Any:
        """Return a linear combination with constant factors."""
        total = None
        for factor, vector in zip(factors, vectors, strict=True):
            if factor == 0:
                continue
            by = self.spread(float(factor))
            total = self.builder.fmul(by, vector) if total is None else self.multiply_add(by, vector, total)
        return total if total is not None else self.spread(0.0)

    def switch(self, value: Any, cases: Sequence[int]) -> Iterator[int]:
        """Yield each case, for what is written then to be done where the value is that one."""
        for case in cases:
            with self.builder.if_then(self.builder.icmp_signed("==", value, INT(case))):
                yield case

    def repeat(self, count: Any, body: Callable[[Any], None]) -> None:
        """Write a loop whose body gets 0, 1, … below a count."""
        with _code.for_range(self.builder, count, intp=INT) as loop:
            body(loop.index)


def pointers(context: Any, builder: Any, kinds: Sequence[Any], values: Sequence[Any]) -> list[Any]:
    """Return an intrinsic's arguments: of an array the pointer to its first entry, of others themselves."""
    return [
        context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else value
        for kind, value in zip(kinds, values, strict=True)
    ]


def call_at(builder: Any, address: Any, values: Sequence[Any]) -> None:
    """Call a function that returns nothing by its address."""
    kind = ir.FunctionType(ir.VoidType(), [value.type for value in values])
    builder.call(builder.inttoptr(address, kind.as_pointer()), values)


@intrinsic
def _place(typing: Any, x: Any, first: Any) -> Any:
    """Return the address of an entry of an array of 4-byte numbers, or so many of them after an address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        start, first = pointers(context, builder, signature.args, arguments)
        start = builder.ptrtoint(start, INT) if isinstance(start.type, ir.PointerType) else start
        return builder.add(start, builder.mul(first, INT(4)))

    return types.int64(x, types.int64), generate


#: The address of an entry of an array of 4-byte numbers, or so many of them after an address.
place: Any = _place
