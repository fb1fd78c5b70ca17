"""What form an ATen call has: what its arguments are called, what it writes to, whether it is a view.

All of it is read off the schema, never off the position of an argument: overloads differ in that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

# In-place calls that change how a tensor is looked at, and not what it holds.
_RESHAPING = {
    "unsqueeze_": "unsqueeze", "squeeze_": "squeeze", "transpose_": "transpose", "t_": "t",
    "as_strided_": "as_strided", "detach_": "detach", "swapaxes_": "transpose", "swapdims_": "transpose",
    "resize_": "resize_", "resize_as_": "resize_",
}  # fmt: skip
# Kept under their own names: what was there before does not matter.
_OVERWRITING = ("copy_", "fill_", "zero_")
MOVED = (
    "reshape",
    "permute",
    "slice",
    "crop",
    "select",
    "copy",
    "identity",
    "view",
    "pad",
    "expand",
    "flip",
    "roll",
)
"""Operations that hand on single elements of one tensor."""


def tensors_in(values: Any) -> Iterator[torch.Tensor]:
    """All tensors in nested arguments or results, in order."""
    for v in values.values() if isinstance(values, Mapping) else values:
        if isinstance(v, torch.Tensor):
            yield v
        elif isinstance(v, (list, tuple, dict)):
            yield from tensors_in(v)


@dataclass(frozen=True)
class Form:
    """One overload.

    Attributes:
        name: The operator that says what is computed: without namespace, overload and in-place underscore.
        arguments: Names of all arguments, in order.
        defaults: Their defaults.
        target: 0 where the first argument is overwritten, else None.
        outs: Whether the results are written into tensors that are handed over (`out=`).
        reshapes: Whether the first argument is looked at in another way afterwards.
        view: Whether the results share the storage of the first argument.
        others: Which further arguments are written to.
    """

    name: str
    arguments: tuple[str, ...]
    defaults: tuple[Any, ...]
    target: int | None
    outs: bool
    reshapes: bool
    view: bool
    others: tuple[int, ...] = ()

    def written(self, full: Sequence[Any]) -> list[Any]:
        """The arguments that are written to."""
        return [full[k] for k in self.others] + ([full[0]] if self.target == 0 else [])

    def written_aside(self, full: Sequence[Any]) -> list[Any]:
        """Those whose new values are no result."""
        return [] if self.outs else [full[k] for k in self.others]

    def read(self, full: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments without those that only take results."""
        return tuple(None if k in self.others else a for k, a in enumerate(full)) if self.outs else full


_FORMS: dict[int, Form] = {}


def form_of(schema: Any) -> Form:
    """What a schema says; looked at once."""
    known = _FORMS.get(id(schema))
    if known is None:
        known = _FORMS[id(schema)] = _read(schema)
    return known


def _read(schema: Any) -> Form:
    full = schema.name.removeprefix("aten::")
    arguments = schema.arguments
    written = [k for k, a in enumerate(arguments) if a.alias_info is not None and a.alias_info.is_write]
    in_place = bool(written) and written[0] == 0 and full.endswith("_") and not full.endswith("__")
    outs = bool(written) and all(arguments[k].is_out for k in written)
    name = full[:-1] if in_place and full not in _OVERWRITING else full
    returns = schema.returns
    view = bool(returns) and returns[0].alias_info is not None and not written
    return Form(
        _RESHAPING.get(full, name),
        tuple(a.name for a in arguments),
        tuple(a.default_value for a in arguments),
        0 if in_place else None,
        outs,
        full in _RESHAPING,
        view,
        tuple(k for k in written if not (in_place and k == 0)),
    )


def filled(schema: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    """All arguments by position: given ones, keyword ones, defaults."""
    form = form_of(schema)
    rest = zip(form.arguments[len(args) :], form.defaults[len(args) :], strict=True)
    return (*args, *(kwargs.get(name, default) for name, default in rest))


def one_by_one(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """A `_foreach_` call as one call for each of its tensors."""
    name = func._schema.name.removeprefix("aten::_foreach_")
    single = getattr(torch.ops.aten, name)
    lists = [a if isinstance(a, (list, tuple)) else None for a in args]
    count = len(lists[0] or ())
    out = [
        single(*(a if own is None else own[k] for a, own in zip(args, lists, strict=True)), **kwargs)
        for k in range(count)
    ]
    return None if name.endswith("_") else out
