"""Model specs as text: what kind they are and what options they carry. No torch.

deeplabv2                                   a network of the zoo
'deeplabv3_resnet50?output_stride=8'        with options
torchvision:resnet50  timm:NAME  smp:NAME   from an installed package
path/to/file.py:factory                     a user's file (runs its code)
package.module:factory                      an importable function (runs its code)
model.pt2                                   an exported program (can carry pickles, so it is code too)
report.json                                 a saved archlens report
"""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import dataclass
from math import prod
from numbers import Integral, Real
from operator import index
from typing import Any, Literal

from archlens.errors import UsageError

Kind = Literal["zoo", "torchvision", "timm", "smp", "file", "module", "exported", "report"]
MOST_VALUES = 2**40
"""Of one input: more is a slip of the hand, and beyond what torch can count."""
_PACKAGES: tuple[Literal["torchvision", "timm", "smp"], ...] = ("torchvision", "timm", "smp")


@dataclass(frozen=True)
class Spec:
    """A parsed model spec.

    Attributes:
        text: As given.
        kind: Where the model comes from.
        target: Zoo name, package's model name, file or module path.
        factory: Callable in a file or module; "" elsewhere.
        options: Key -> text, from the query and from --set.
    """

    text: str
    kind: Kind
    target: str
    factory: str
    options: dict[str, str]


def parse_spec(text: str, settings: Sequence[str] = ()) -> Spec:
    """Take a spec apart.

    Args:
        text: As on the command line.
        settings: `key=value` texts of --set; they override the query's.

    Raises:
        UsageError: Empty, or an option without a value.
    """
    base, _, query = text.partition("?")
    if not base:
        raise UsageError("an empty model spec", "`archlens models` lists the networks.")
    options = {}
    for item in [*(query.split("&") if query else []), *texts(settings, "settings")]:
        key, equals, value = item.partition("=")
        if not equals or not key:
            raise UsageError(
                f"option {item!r} of {base} has no value", "Write key=value, as in output_stride=8."
            )
        options[key.strip()] = value.strip()
    for package in _PACKAGES:
        if base.startswith(package + ":"):
            return Spec(text, package, base[len(package) + 1 :], "", options)
    if base.endswith(".json"):
        return Spec(text, "report", base, "", options)
    if base.endswith(".pt2"):
        return Spec(text, "exported", base, "", options)
    path, colon, factory = base.rpartition(":")
    if colon and path.endswith(".py"):
        return Spec(text, "file", path, factory, options)
    if base.endswith(".py"):
        raise UsageError(f"{base} names a file, but no function in it", f"Write {base}:FUNCTION.")
    if colon:
        return Spec(text, "module", path, factory, options)
    return Spec(text, "zoo", base, "", options)


def parse_size(text: str) -> tuple[int, ...]:
    """`3x513x513` -> (3, 513, 513): channels x spatial sizes, never the batch.

    Raises:
        UsageError: Not positive integers joined by `x`.
    """
    parts = text.lower().replace("×", "x").split("x")
    if not all(p.strip().isdigit() and int(p) > 0 for p in parts):
        raise UsageError(
            f"{text!r} is no input size", "Write channels x height x width, as in --input-size 3x513x513."
        )
    return tuple(int(p) for p in parts)


def parse_sizes(text: str) -> tuple[tuple[int, ...], ...]:
    """`3x224x224,1x16000` -> ((3, 224, 224), (1, 16000)): one size an input.

    Raises:
        UsageError: As `parse_size`.
    """
    return tuple(parse_size(part) for part in text.split(","))


def input_sizes(
    given: str | int | Sequence[int] | Sequence[str] | Sequence[Sequence[int]] | None,
) -> tuple[tuple[int, ...], ...]:
    """Sizes in any of the forms that a caller may give, one an input; none where nothing is given.

    Raises:
        UsageError: It is none, or nothing that could be run.
    """
    if given is None or (isinstance(given, Sized) and len(given) == 0):
        return ()
    several: Any = (given,) if isinstance(given, (str, Integral)) else given
    sizes: list[tuple[int, ...]] = []
    try:
        for one in [several] if isinstance(several[0], Real) else several:
            sizes += parse_sizes(one) if isinstance(one, str) else [tuple(map(index, one))]
    except (TypeError, LookupError):
        sizes = [()]
    if not all(size and min(size) > 0 and prod(size) <= MOST_VALUES for size in sizes):
        raise UsageError(
            f"{given!r} is no input size",
            "Whole numbers, channels first, 2^40 values at most: (3, 513, 513) or '3x513x513'.",
        )
    return tuple(sizes)


def unit_index(given: Sequence[int] | None) -> tuple[int, ...] | None:
    """A unit's indices, of any whole numbers.

    Raises:
        UsageError: It holds something else.
    """
    try:
        return None if given is None else tuple(map(index, given))
    except TypeError as error:
        raise UsageError(f"{given!r} is no unit", "Its indices, row first: (12, 30).") from error


def check_device(name: str) -> None:
    """Refuse a device that is none, whether or not there is one here.

    Raises:
        UsageError: Not auto, cpu, cuda, cuda:N or meta.
    """
    kind, colon, number = name.partition(":")
    if kind in ("auto", "cpu", "meta", "cuda") and (not colon or (kind == "cuda" and number.isdigit())):
        return
    raise UsageError(f"{name!r} is not a device that archlens knows", "Use auto, cpu, cuda, cuda:N or meta.")


def texts(given: Sequence[str], what: str) -> Sequence[str]:
    """Several texts; one alone would be read letter by letter.

    Raises:
        UsageError: It is one alone.
    """
    if isinstance(given, str):
        raise UsageError(f"{what} is a sequence of texts, not one", f"Write [{given!r}].")
    return given


def parse_unit(text: str) -> tuple[int, ...]:
    """`12,30` -> (12, 30).

    Raises:
        UsageError: Not integers joined by commas.
    """
    try:
        unit = tuple(int(p) for p in text.split(","))
    except ValueError:
        unit = ()
    if not unit or min(unit) < 0:
        raise UsageError(f"{text!r} is no unit", "Write its indices, row first, as in --unit 12,30.")
    return unit


def spelled(value: Any) -> str:
    """The value of an option as a spec takes it: `true`, `1,2,3,6`."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
