"""Rules for operators that archlens does not know: a user's own, or a library's.

    @archlens.register_geometry("mylib::blur")
    def blur(call):
        x, (_, _, h, w) = call.tensor(0), call.shape
        window = Window(kernel=3, padding=1)
        return Lowered("blur", call.edge(x, Along(2, window, h), Along(3, window, w)))

See docs/custom_ops.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from archlens.capture.call import Rule
from archlens.capture.ops import RULES
from archlens.errors import UsageError

R = TypeVar("R", bound=Rule)


def register_geometry(name: str) -> Callable[[R], R]:
    """A decorator: the function below it says what an operator reads.

    Args:
        name: The operator as torch names it, `library::operator` without overload. `aten::` is understood.

    Raises:
        UsageError: Not of that form.
    """
    library, separator, operator = name.partition("::")
    if not (library and separator and operator) or "." in operator:
        raise UsageError(
            f"{name!r} names no operator", "Write library::operator, without overload: mylib::blur."
        )

    def register(rule: R) -> R:
        RULES[name.removeprefix("aten::")] = rule
        return rule

    return register
