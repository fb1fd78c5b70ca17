"""Turning a linear walk round: the same operations, transposed, in the opposite order.

The backward walk of gradient energies is linear in what it starts from: energy at the origin = T times energy
at the units. One unit's field is a column of T. What one pixel gives to every unit is a row of it, and for
that the walk is made once with `Recorded` maps, which remember each linear operation and its transpose.
Whatever is not one of theirs is an error, never a wrong map.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Map = Callable[[Floats], Floats]
_order = count()


class Operation:
    """One operation of the record: when it was made, and how a dual goes back to each of its sources. Knows
    no values, which are freed as the walk goes on."""

    def __init__(self, sources: tuple[tuple[Operation, Map], ...]) -> None:
        self.sources = sources
        self.turn = next(_order)


class Recorded:
    """A map with the operations that it came from. Stands in for an array in `lags` and `walk`.

    `np.asarray` gives its values, for decisions that nothing linear hangs on.
    """

    __array_ufunc__ = None  # numpy leaves array * Recorded to us

    def __init__(self, value: Floats, sources: tuple[tuple[Operation, Map], ...] = ()) -> None:
        self.value = value
        self.entry = Operation(sources)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.value.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Floats:
        return np.array(self.value, dtype=dtype, copy=copy)

    def __add__(self, other: Recorded) -> Recorded:
        a, b = self.shape, other.shape
        return Recorded(
            self.value + other.value,
            ((self.entry, lambda d: _summed(d, a)), (other.entry, lambda d: _summed(d, b))),
        )

    def __mul__(self, factor: Any) -> Recorded:
        if isinstance(factor, Recorded):
            raise TypeError("a product of two maps is not linear")
        shape = self.shape
        return Recorded(self.value * factor, ((self.entry, lambda d: _summed(d * factor, shape)),))

    __rmul__ = __mul__

    def __truediv__(self, factor: Any) -> Recorded:
        return self.__mul__(1.0 / factor)

    def transposed(self, dual: Floats, start: Recorded) -> Floats:
        """What each entry of `start` gives to this map, weighted by `dual` (of this map's shape)."""
        duals: dict[int, tuple[Operation, Floats]] = {self.entry.turn: (self.entry, dual)}
        while duals:
            latest = max(duals)
            here, held = duals.pop(latest)
            if here is start.entry:
                return held
            for source, back in here.sources:
                part = back(held)
                known = duals.get(source.turn)
                duals[source.turn] = (source, part if known is None else known[1] + part)
        return np.zeros(start.shape)


def _summed(values: Floats, shape: tuple[int, ...]) -> Floats:
    """The transpose of a broadcast from `shape`."""
    values = np.asarray(values)
    values = values.sum(axis=tuple(range(values.ndim - len(shape))))
    grown = tuple(d for d, n in enumerate(shape) if n == 1 and values.shape[d] != 1)
    return values.sum(axis=grown, keepdims=True) if grown else values


def linear(values: Any, forward: Map, transposed: Map) -> Any:
    """A linear operation on a map, recorded where the map is."""
    if isinstance(values, Recorded):
        return Recorded(forward(values.value), ((values.entry, transposed),))
    return forward(values)


def broadcast(values: Any, shape: tuple[int, ...]) -> Any:
    """The same value at every place along the dimensions of size 1 that grow."""
    before = tuple(values.shape)
    if before == shape:
        return values
    return linear(values, lambda v: np.broadcast_to(v, shape).copy(), lambda d: _summed(d, before))


def summed(values: Any, axes: tuple[int, ...]) -> Any:
    """The sum along dimensions, which stay with size 1."""
    before = tuple(values.shape)
    return linear(
        values,
        lambda v: np.asarray(v.sum(axis=axes, keepdims=True)),
        lambda d: np.broadcast_to(d, before).copy(),
    )


def reshaped(values: Any, shape: tuple[int, ...]) -> Any:
    """The same values in the same order."""
    before = tuple(values.shape)
    return linear(values, lambda v: v.reshape(shape), lambda d: d.reshape(before))


def permuted(values: Any, dims: tuple[int, ...]) -> Any:
    """Dimensions in another order."""
    back = tuple(int(i) for i in np.argsort(dims))
    return linear(values, lambda v: np.transpose(v, dims), lambda d: np.transpose(d, back))
