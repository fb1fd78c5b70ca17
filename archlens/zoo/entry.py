"""What the catalogue says about a network: an `Entry`, and the `Option`s that it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from archlens.errors import InputSizeError, OptionError, did_you_mean
from archlens.zoo.sizes import ANY, SizeRule

if TYPE_CHECKING:
    from torch import nn

Kind = Literal["int", "float", "bool", "str", "ints"]

_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


@dataclass(frozen=True)
class Option:
    """A choice that a network leaves open.

    Attributes:
        name: the keyword of the network's factory.
        kind: "ints" is a tuple of integers, written `1,2,3,6`.
        default: the factory's default; None where it depends on other options, as `help` then says.
        help: one line.
        choices: the values that are allowed; empty: any value of the kind.
        minimum: the least value of an "int", a "float" or each of the "ints".
    """

    name: str
    kind: Kind
    default: object
    help: str
    choices: tuple[object, ...] = ()
    minimum: int = 1

    def parse(self, text: str) -> object:
        """The value that `text` spells. Raises OptionError, which lists what is allowed."""
        text = text.strip()
        value: object = text
        try:
            if self.kind == "int":
                value = int(text)
            elif self.kind == "float":
                value = float(text)
            elif self.kind == "ints":
                value = tuple(int(part) for part in text.strip("()[]").rstrip(",").split(","))
            elif self.kind == "bool":
                if text.lower() not in _TRUE + _FALSE:
                    raise ValueError(text)
                value = text.lower() in _TRUE
        except ValueError:
            raise self._refusal(text) from None
        return self.check(value)

    def check(self, value: object) -> object:
        """`value` in the form that the factory takes. Raises OptionError, which lists what is allowed."""
        if value is None and self.default is None:
            return value
        if self.kind == "ints" and isinstance(value, list):
            value = tuple(value)
        if not self._fits(value) or (self.choices and value not in self.choices):
            raise self._refusal(value)
        return value

    @property
    def allowed(self) -> str:
        """What may stand for the value, in words."""
        if self.choices:
            return " or ".join(_spell(choice) for choice in self.choices)
        return {
            "int": f"an integer of at least {self.minimum}",
            "float": f"a number of at least {self.minimum}",
            "bool": "true or false",
            "str": "a word",
            "ints": f"integers of at least {self.minimum}, such as 1,2,3,6",
        }[self.kind]

    def _fits(self, value: object) -> bool:
        if self.kind == "bool":
            return isinstance(value, bool)
        if self.kind == "str":
            return isinstance(value, str)
        if self.kind == "ints":
            return isinstance(value, tuple) and len(value) > 0 and all(self._is_number(v) for v in value)
        return self._is_number(value)

    def _is_number(self, value: object) -> bool:
        types = (int, float) if self.kind == "float" else (int,)
        return isinstance(value, types) and not isinstance(value, bool) and value >= self.minimum

    def _refusal(self, value: object) -> OptionError:
        return OptionError(
            f"Option {self.name} does not take {_spell(value)!r}.", hint=f"Allowed: {self.allowed}."
        )


@dataclass(frozen=True)
class Entry:
    """A network of the lineage, described without importing torch.

    Attributes:
        name: the canonical name, `fcn8s_vgg16`.
        aliases: other names, `("fcn",)`.
        year: of the first publication.
        paper: `arXiv:1411.4038`.
        title: of the paper.
        venue: where it appeared.
        mechanism: how the network gathers context, in a few words.
        factory: `module:callable`, imported when the network is built.
        input_shape: the default input, (C, H, W).
        options: what the factory lets one choose.
        sizes: legal heights and widths.
        sizes_with: (option, value, rule): another rule where the option has that value; the first that
            applies counts.
        preset: keywords that make the factory's network this one; an option of the same name overrides.
        notes: for instance how torchvision's network of the same name differs.
    """

    name: str
    aliases: tuple[str, ...]
    year: int
    paper: str
    title: str
    venue: str
    mechanism: str
    factory: str
    input_shape: tuple[int, int, int] = (3, 513, 513)
    options: tuple[Option, ...] = ()
    sizes: SizeRule = ANY
    sizes_with: tuple[tuple[str, object, SizeRule], ...] = ()
    preset: tuple[tuple[str, object], ...] = ()
    notes: str = ""

    def option(self, name: str) -> Option:
        """The option of that name. Raises OptionError."""
        for option in self.options:
            if option.name == name:
                return option
        known = [option.name for option in self.options]
        raise OptionError(
            f"{self.name} has no option {name!r}.",
            hint=did_you_mean(name, known) if known else "It has no options.",
        )

    def parse_options(self, texts: Mapping[str, str]) -> dict[str, object]:
        """Typed and checked values of options given as text. Raises OptionError."""
        return {name: self.option(name).parse(text) for name, text in texts.items()}

    def legal_sizes(self, options: Mapping[str, object] | None = None) -> SizeRule:
        """The rule for heights and widths, with these options."""
        values = {option.name: option.default for option in self.options} | dict(options or {})
        for name, value, rule in self.sizes_with:
            if values.get(name) == value:
                return rule
        return self.sizes

    def check_input(self, shape: Sequence[int], options: Mapping[str, object] | None = None) -> None:
        """Raise InputSizeError unless the network takes inputs of this (C, H, W)."""
        if len(shape) != 3:
            raise InputSizeError(
                f"{self.name} takes an input of channels x height x width, not {_by(shape)}.",
                hint=f"For instance {_by(self.input_shape)}.",
            )
        if shape[0] != self.input_shape[0]:
            raise InputSizeError(
                f"{self.name} takes {self.input_shape[0]} input channels, not {shape[0]}.",
                hint=f"For instance {_by((self.input_shape[0], *shape[1:]))}.",
            )
        self.legal_sizes(options).check(self.name, shape[1:])

    def build(self, **options: object) -> nn.Module:
        """The network, freshly initialised. Raises OptionError.

        Under `torch.device("meta")` it is built without memory and without values.
        """
        values: dict[str, Any] = {name: self.option(name).check(value) for name, value in options.items()}
        module, _, attribute = self.factory.partition(":")
        network: nn.Module = getattr(import_module(module), attribute)(**{**dict(self.preset), **values})
        return network


def _spell(value: object) -> str:
    """A value as it is written on the command line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return ",".join(map(str, value))
    return str(value)


def _by(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
