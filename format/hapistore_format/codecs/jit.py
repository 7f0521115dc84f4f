"""How the kernels are compiled: serial and without the GIL; and the machine instructions that numba does not offer.

Callers bring their own threads, and nothing here starts a threading layer that a later fork would break.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

_F = TypeVar("_F", bound=Callable[..., Any])
_WORD = ir.IntType(64)


def jit(function: _F) -> _F:
    """Compile on first use, and keep the machine code on disk."""
    compiled = numba.njit(nogil=True, cache=True, boundscheck=False)(function)
    return cast(_F, compiled)


def _trailing_zeros(typing_context: Any, word: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return numba.int64(numba.uint64), generate


def _load_word(typing_context: Any, data: Any, at: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = builder.load(_word_pointer(context, builder, signature, arguments))
        word.align = 1
        return word

    return numba.uint64(data, numba.int64), generate


def _store_word(typing_context: Any, data: Any, at: Any, word: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], _word_pointer(context, builder, signature, arguments)).align = 1
        return context.get_dummy_value()

    return numba.void(data, numba.int64, numba.uint64), generate


def _word_pointer(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.bitcast(builder.gep(array.data, [arguments[1]]), _WORD.as_pointer())


def _float_of_bits(typing_context: Any, bits: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return numba.float32(numba.uint32), generate


def _pointer_to(kind: Any) -> Any:
    """An address as a pointer, for ``numba.carray``."""

    def at(typing_context: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

        return numba.types.CPointer(kind)(numba.int64), generate

    return intrinsic(at)


def _store_dequantised(typing_context: Any, codes: Any, scale: Any, zero: Any, out: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bytes_, words = (ir.VectorType(ir.IntType(bits), LANES) for bits in (8, 32))
        floats = ir.VectorType(ir.FloatType(), LANES)
        code = _load(builder, arguments[0], bytes_, align=1)
        factor, offset = (_load(builder, address, floats, align=4) for address in arguments[1:3])
        values = builder.fadd(offset, builder.fmul(factor, builder.uitofp(builder.zext(code, words), floats)))
        store = builder.store(values, builder.inttoptr(arguments[3], floats.as_pointer()))
        store.align = 4 * LANES
        store.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
        return context.get_dummy_value()

    return numba.void(numba.int64, numba.int64, numba.int64, numba.int64), generate


def _prefetch(typing_context: Any, address: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word, pointer = ir.IntType(32), ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [pointer, word, word, word])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        reading, into_all, of_data = (ir.Constant(word, value) for value in (0, 3, 1))
        builder.call(function, [builder.inttoptr(arguments[0], pointer), reading, into_all, of_data])
        return context.get_dummy_value()

    return numba.void(numba.int64), generate


def _load(builder: Any, address: Any, kind: Any, *, align: int) -> Any:
    value = builder.load(builder.inttoptr(address, kind.as_pointer()))
    value.align = align
    return value


LANES = 16
store_dequantised: Any = intrinsic(_store_dequantised)
"""For kernels only: ``zero + scale × code`` of 16 uint8 codes, float32 scales and zeros at these addresses, to an
address that is a multiple of 64. The values go past the caches: who writes more than these hold would first read all of
it into them. A lock that is taken or given afterwards, as in every handing over between threads, waits for them."""
prefetch: Any = intrinsic(_prefetch)
"""For kernels only: begin to fetch the line of the caches that an address is in; none is wrong."""
uint8_at: Any = _pointer_to(numba.uint8)
"""For kernels only: an int64 address as a pointer to uint8, for ``numba.carray``; unchecked."""
uint16_at: Any = _pointer_to(numba.uint16)
"""The same to uint16."""
float32_at: Any = _pointer_to(numba.float32)
"""The same to float32."""
carray: Any = numba.carray  # type: ignore[attr-defined]
"""For kernels only: an array of a pointer and a shape."""
float_of_bits: Any = intrinsic(_float_of_bits)
"""For kernels only: the float32 of which a uint32 holds the bits."""
trailing_zeros: Any = intrinsic(_trailing_zeros)
"""For kernels only: how many zeros are below a uint64's lowest one."""
load_word: Any = intrinsic(_load_word)
"""For kernels only: ``load_word(data, at)``, the eight bytes of uint8 [n] from ``at`` on as a uint64, unchecked."""
store_word: Any = intrinsic(_store_word)
"""For kernels only: ``store_word(data, at, word)``, its inverse."""
