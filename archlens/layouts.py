"""Following the input's axes through a tensor's dimensions.

A layout says for each dimension which factors (`Atom`s) it is made of. Flattening a map to tokens puts the
atoms of two axes into one dimension, folding it back takes them apart again; a window partition splits an
axis in two. Where positions are reordered in a way that atoms can't tell (a class token put in front), the
atom is *scrambled*: stride 0. Its units are still positions, but the axis is no longer a lattice.
"""

from __future__ import annotations

from collections.abc import Sequence

from archlens.graph import Along, Atom, Full, Layout, Masked, Permute, Reshape, Step

CHANNEL = -1


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
        case Along(dim, geometry, size):
            atoms = _along(
                layout[dim], isinstance(geometry, Full), isinstance(geometry, Masked), shape[dim], size
            )
            return (*layout[:dim], atoms, *layout[dim + 1 :]), (*shape[:dim], size, *shape[dim + 1 :])


def joined(layouts: Sequence[Layout], shape: Sequence[int]) -> Layout:
    """The layout of a node from those that its edges arrive with: per dimension the one that knows most."""
    out = []
    for d, n in enumerate(shape):
        known = [lay[d] for lay in layouts if any(a.axis >= 0 for a in lay[d])]
        intact = [atoms for atoms in known if all(a.stride > 0 or a.axis < 0 for a in atoms)]
        out.append((intact or known or [(Atom(CHANNEL, n, 0),)])[0])
    return tuple(out)


def _along(atoms: tuple[Atom, ...], full: bool, masked: bool, n_in: int, size: int) -> tuple[Atom, ...]:
    axes = list(dict.fromkeys(a.axis for a in atoms if a.axis >= 0))
    if not axes:
        return (Atom(CHANNEL, size, 0),)
    if masked:
        return atoms
    if full:
        if size == 1:
            return tuple(Atom(a, 1, 1) for a in axes)
        if n_in == 1:
            return (Atom(axes[0], size, 1),) if len(axes) == 1 else scrambled(axes, size)
        return (Atom(CHANNEL, size, 0),)
    if len(atoms) == 1 and atoms[0].stride == 1:
        return (Atom(axes[0], size, 1),)
    return atoms if size == n_in else scrambled(axes, size)


def scrambled(axes: Sequence[int], size: int) -> tuple[Atom, ...]:
    """Positions along `axes` in no particular order."""
    return (Atom(axes[0], size, 0), *(Atom(a, 1, 0) for a in axes[1:]))


def relayout(layout: Layout, new: Sequence[int]) -> Layout:
    """The layout after a row-major reshape: atoms are split and joined along with the dimensions."""
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
    axes = sorted({a.axis for dim in layout for a in dim if a.axis >= 0})
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
