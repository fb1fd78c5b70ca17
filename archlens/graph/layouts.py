"""Following the input's axes through a tensor's dimensions.

A layout says for each dimension which factors (`Atom`s) it is made of. Flattening a map to tokens puts the
atoms of two axes into one dimension, folding it back takes them apart again; a window partition splits an
axis in two. Extra tokens at the ends of flattened positions (a class token) are told by a leading `EXTRA`
atom, so cutting them off again restores the map. Where positions are reordered in a way that atoms can't
tell, the atom is *scrambled*: stride 0. Its units are still positions, but the axis is no longer a lattice.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from archlens.graph import Along, Atom, Full, Geometry, Keep, Layout, Pad, Permute, Reshape, Slice, Step

CHANNEL = -1
EXTRA = -2  # Atom(EXTRA, before, after): so many extra elements in front of and behind the dimension's atoms


def plain(shape: Sequence[int], axes: Sequence[int]) -> Layout:
    """The layout of an input: `axes[k]` is the dimension that carries axis k, all else are channels."""
    of = {dim: axis for axis, dim in enumerate(axes)}
    return tuple((Atom(of[d], n, 1),) if d in of else (Atom(CHANNEL, n, 0),) for d, n in enumerate(shape))


def constant(shape: Sequence[int]) -> Layout:
    """The layout of a tensor that does not depend on the input."""
    return plain(shape, ())


def carry(layout: Layout, shape: tuple[int, ...], step: Step) -> tuple[Layout, tuple[int, ...]]:
    """Layout and shape after one step."""
    match step:
        case Reshape(new):
            return relayout(layout, new), new
        case Permute(dims):
            return tuple(layout[d] for d in dims), tuple(shape[d] for d in dims)
        case Keep():
            return layout, shape
        case Along(dim, geometry, size):
            atoms = along(layout[dim], geometry, shape[dim], size)
            return (*layout[:dim], atoms, *layout[dim + 1 :]), (*shape[:dim], size, *shape[dim + 1 :])


def joined(layouts: Sequence[Layout], shape: Sequence[int]) -> Layout:
    """The layout of a node from those that its edges arrive with: per dimension the one that knows most."""
    out = []
    for d, n in enumerate(shape):
        known = [lay[d] for lay in layouts if any(a.axis >= 0 for a in lay[d])]
        # Of an operation that is not understood all that is known is which axes it saw.
        known = [
            atoms if _length(atoms) == n else scrambled([a.axis for a in atoms if a.axis >= 0], n)
            for atoms in known
        ]
        known.sort(key=lambda atoms: -prod(a.size for a in atoms if a.axis >= 0))
        intact = [atoms for atoms in known if all(a.stride > 0 or a.axis < 0 for a in atoms)]
        out.append((intact or known or [(Atom(CHANNEL, n, 0),)])[0])
    # What is left of a contracted axis is no position where the axis lives on elsewhere (attention whose
    # values have a single channel).
    alive = {a.axis for dim in out for a in dim if a.size > 1}
    return tuple(
        (Atom(CHANNEL, 1, 0),) if n == 1 and any(a.axis >= 0 and a.axis in alive for a in dim) else dim
        for dim, n in zip(out, shape, strict=True)
    )


def along(atoms: tuple[Atom, ...], geometry: Geometry, n_in: int, size: int) -> tuple[Atom, ...]:
    """The atoms of one dimension after it is read through `geometry`."""
    axes = list(dict.fromkeys(a.axis for a in atoms if a.axis >= 0))
    if not axes:
        return (Atom(CHANNEL, size, 0),)
    if isinstance(geometry, Full):
        if size == 1:
            return tuple(Atom(a, 1, 1) for a in axes)
        if n_in == 1:
            return (Atom(axes[0], size, 1),) if len(axes) == 1 else scrambled(axes, size)
        return (Atom(CHANNEL, size, 0),)
    if len(atoms) == 1 and atoms[0].stride == 1:
        return (Atom(axes[0], size, 1),)
    if isinstance(geometry, (Slice, Pad)) and is_ordered(atoms):
        start = -geometry.before if isinstance(geometry, Pad) else geometry.start
        if isinstance(geometry, Pad) or geometry.step == 1:
            return _shifted(atoms, start, size) or scrambled(axes, size)
    return atoms if size == n_in else scrambled(axes, size)


def is_ordered(atoms: tuple[Atom, ...]) -> bool:
    """Whether the atoms tell where each position lies."""
    return all(a.stride > 0 for a in atoms if a.axis >= 0)


def _shifted(atoms: tuple[Atom, ...], start: int, size: int) -> tuple[Atom, ...] | None:
    """Flattened positions with elements added or taken away at the ends; None where positions are lost."""
    before, after, core = (atoms[0].size, atoms[0].stride, atoms[1:]) if has_extra(atoms) else (0, 0, atoms)
    if has_extra(atoms) and (start + size <= before or start >= before + prod(a.size for a in core)):
        return (Atom(CHANNEL, size, 0),)  # extra tokens alone, a class token or queries: they lie nowhere
    before -= start
    after = size - before - prod(a.size for a in core)
    if min(before, after) < 0:
        return None
    return (Atom(EXTRA, before, after), *core) if before or after else core


def has_extra(atoms: tuple[Atom, ...]) -> bool:
    """Whether a dimension holds tokens beside the positions of its axes."""
    return bool(atoms) and atoms[0].axis == EXTRA


def _length(atoms: tuple[Atom, ...]) -> int:
    if has_extra(atoms):
        return atoms[0].size + atoms[0].stride + prod(a.size for a in atoms[1:])
    return prod(a.size for a in atoms)


def scrambled(axes: Sequence[int], size: int) -> tuple[Atom, ...]:
    """Positions along `axes` in no particular order."""
    return (Atom(axes[0], size, 0), *(Atom(a, 1, 0) for a in axes[1:]))


def relayout(layout: Layout, new: Sequence[int]) -> Layout:
    """The layout after a row-major reshape: atoms are split and joined along with the dimensions."""
    held = {EXTRA - 1 - d: dim for d, dim in enumerate(layout) if has_extra(dim)}
    if not held:
        return _relayout(layout, new)
    # A dimension with extra tokens only stays what it is where the reshape leaves it whole.
    marked = tuple(
        (Atom(EXTRA - 1 - d, _length(dim), 0),) if has_extra(dim) else dim for d, dim in enumerate(layout)
    )
    out = []
    for dim in _relayout(marked, new):
        marks = [a for a in dim if a.axis in held]
        if len(marks) == len(dim) == 1 and marks[0].size == _length(held[marks[0].axis]):
            out.append(held[marks[0].axis])
        elif marks:
            axes = {a.axis for m in marks for a in held[m.axis]} | {a.axis for a in dim}
            out.append(scrambled(sorted(a for a in axes if a >= 0), prod(a.size for a in dim)))
        else:
            out.append(dim)
    return tuple(out)


def _relayout(layout: Layout, new: Sequence[int]) -> Layout:
    queue = [a for dim in layout for a in dim if a.size > 1]
    ones = [a for dim in layout for a in dim if a.size == 1 and a.axis >= 0]
    out: list[tuple[Atom, ...]] = []
    for size in new:
        dim: list[Atom] = []
        need = size
        while need > 1:
            atom = queue.pop(0)
            if need % atom.size == 0:
                dim.append(atom)
                need //= atom.size
            elif atom.size % need == 0:
                inner = atom.size // need
                dim.append(Atom(atom.axis, need, atom.stride * inner))
                queue.insert(0, Atom(atom.axis, inner, atom.stride))
                need = 1
            else:
                return _crossed(layout, new)
        out.append(_join(dim))
    return _place_ones(out, ones, new)


def _crossed(layout: Layout, new: Sequence[int]) -> Layout:
    """Boundaries that don't nest: every dimension may run along every axis."""
    axes = sorted({a.axis for dim in layout for a in dim if a.axis >= 0 or a.axis < EXTRA})
    if not axes:
        return constant(new)
    return tuple(scrambled(axes, n) if n > 1 else (Atom(CHANNEL, n, 0),) for n in new)


def _join(dim: Sequence[Atom]) -> tuple[Atom, ...]:
    """Neighbouring atoms of one axis that follow each other become one again."""
    out: list[Atom] = []
    for atom in dim:
        last = out[-1] if out else None
        follows = last is not None and last.axis == atom.axis
        if (
            follows
            and last is not None
            and (atom.axis < 0 or (atom.stride > 0 and last.stride == atom.stride * atom.size))
        ):
            out[-1] = Atom(atom.axis, last.size * atom.size, atom.stride)
        else:
            out.append(atom)
    return tuple(out)


def _place_ones(out: list[tuple[Atom, ...]], ones: list[Atom], new: Sequence[int]) -> Layout:
    """Axes of size 1 (after a global mean) keep the last dimensions of size 1, if the new shape has any
    beside the batch."""
    free = [d for d, n in enumerate(new) if d > 0 and n == 1 and not out[d]]
    for atom, d in zip(reversed(ones), reversed(free), strict=False):
        out[d] = (atom,)
    return tuple(dim or (Atom(CHANNEL, n, 0),) for dim, n in zip(out, new, strict=True))
