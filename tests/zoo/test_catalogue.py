"""The catalogue: names, options as text, legal sizes, and what importing it costs."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module

import pytest

from archlens.errors import InputSizeError, OptionError, UnknownModelError
from archlens.zoo.catalogue import CATALOGUE, Entry, Option, SizeRule, find

NAMES = [entry.name for entry in CATALOGUE]


def test_importing_it_imports_neither_torch_nor_numpy() -> None:
    code = "import sys, archlens.zoo.catalogue; print(sorted({'torch', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_names_are_unique() -> None:
    names = [name for entry in CATALOGUE for name in (entry.name, *entry.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("alexnet", "alexnet_imagenet"),
        ("fcn", "fcn8s_vgg16"),
        ("deeplabv1", "deeplabv1_largefov_vgg16"),
        ("dilatednet", "dilatednet_large_vgg16"),
    ],
)
def test_aliases(alias: str, name: str) -> None:
    assert find(alias) is find(name)
    assert find(alias).name == name


def test_an_unknown_name_brings_the_nearest() -> None:
    with pytest.raises(UnknownModelError) as caught:
        find("deeplabv1_largefov_vgg")
    assert "deeplabv1_largefov_vgg16" in caught.value.hint


@pytest.mark.parametrize("entry", CATALOGUE, ids=NAMES)
def test_an_entry_agrees_with_its_factory(entry: Entry) -> None:
    module, _, attribute = entry.factory.partition(":")
    parameters = inspect.signature(getattr(import_module(module), attribute)).parameters
    assert set(dict(entry.preset)) <= set(parameters)
    for option in entry.options:
        default = dict(entry.preset).get(option.name, parameters[option.name].default)
        assert option.default == default, option.name
        assert option.check(option.default) == option.default
        assert option.help


@pytest.mark.parametrize("entry", CATALOGUE, ids=NAMES)
def test_the_default_input_is_legal(entry: Entry) -> None:
    entry.check_input(entry.input_shape)
    assert entry.paper.startswith("arXiv:")
    assert entry.title
    assert entry.venue
    assert entry.mechanism


INT = Option("rate", "int", 12, "")
FLOAT = Option("scale", "float", 1.5, "")
BOOL = Option("atonce", "bool", False, "")
INTS = Option("rates", "ints", None, "")
WORD = Option("pools", "str", "released", "", choices=("released", "plain"))
STRIDE = Option("output_stride", "int", 16, "", choices=(8, 16))


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        (INT, " 6 ", 6),
        (FLOAT, "2.5", 2.5),
        (BOOL, "True", True),
        (BOOL, "no", False),
        (INTS, "1,2,3,6", (1, 2, 3, 6)),
        (INTS, "(6, 12)", (6, 12)),
        (INTS, "6", (6,)),
        (WORD, "plain", "plain"),
        (STRIDE, "8", 8),
    ],
)
def test_options_from_text(option: Option, text: str, value: object) -> None:
    assert option.parse(text) == value
    assert type(option.parse(text)) is type(value)


@pytest.mark.parametrize(
    ("option", "text", "allowed"),
    [
        (INT, "six", "an integer of at least 1"),
        (INT, "0", "an integer of at least 1"),
        (INT, "6.5", "an integer"),
        (FLOAT, "nan", "a number"),
        (BOOL, "maybe", "true or false"),
        (INTS, "1,,2", "1,2,3,6"),
        (INTS, "", "1,2,3,6"),
        (INTS, "6,-1", "at least 1"),
        (WORD, "pain", "released or plain"),
        (STRIDE, "32", "8 or 16"),
    ],
)
def test_a_wrong_value_brings_what_is_allowed(option: Option, text: str, allowed: str) -> None:
    with pytest.raises(OptionError) as caught:
        option.parse(text)
    assert option.name in caught.value.message
    assert allowed in caught.value.hint


@pytest.mark.parametrize("value", ["12", 12.0, True, None, (12,)])
def test_values_are_not_converted_silently(value: object) -> None:
    with pytest.raises(OptionError):
        find("deeplabv1").build(rate=value)


def test_options_of_an_entry() -> None:
    entry = find("deeplabv1")
    parsed = entry.parse_options({"num_classes": "19", "pools": "plain"})
    assert parsed == {"num_classes": 19, "pools": "plain"}
    with pytest.raises(OptionError) as caught:
        entry.parse_options({"num_clases": "19"})
    assert "num_classes" in caught.value.hint
    with pytest.raises(OptionError) as caught:
        entry.build(colour="red")
    assert "rate" in caught.value.hint


@pytest.mark.parametrize(
    ("rule", "length", "nearest"),
    [
        (SizeRule(), 500, (500,)),
        (SizeRule(), 0, (1,)),
        (SizeRule(multiple=8, remainder=1), 500, (497, 505)),
        (SizeRule(multiple=8, remainder=1), 513, (513,)),
        (SizeRule(multiple=8, remainder=1), -20, (1,)),
        (SizeRule(minimum=20, multiple=8, remainder=1), 3, (25,)),
        (SizeRule(minimum=2, multiple=8, remainder=2), 513, (506, 514)),
        (SizeRule(minimum=187), 12, (187,)),
        (SizeRule(minimum=227, maximum=227), 224, (227,)),
        (SizeRule(minimum=227, maximum=227), 512, (227,)),
        (SizeRule(minimum=9, maximum=100, multiple=8, remainder=1), 512, (97,)),
    ],
)
def test_nearest_sizes(rule: SizeRule, length: int, nearest: tuple[int, ...]) -> None:
    assert rule.nearest(length) == nearest
    assert all(rule.allows(length) for length in nearest)


@pytest.mark.parametrize(
    ("name", "shape", "options", "hint"),
    [
        ("deeplabv1", (3, 500, 513), {}, "497x513 and 505x513"),
        ("deeplabv1_4x4_vgg16", (3, 513, 513), {}, "506x506 and 514x514"),
        ("deeplabv1_4x4_vgg16", (3, 1, 513), {"pool4": "train"}, "2x513"),
        ("dilatednet", (3, 186, 513), {}, "187x513"),
        ("alexnet", (3, 224, 224), {}, "227x227"),
        ("fcn", (3, 0, 10), {}, "1x10"),
        ("fcn", (1, 513, 513), {}, "3x513x513"),
        ("fcn", (513, 513), {}, "3x513x513"),
    ],
)
def test_an_illegal_size_brings_the_nearest_legal_ones(
    name: str, shape: tuple[int, ...], options: dict[str, object], hint: str
) -> None:
    with pytest.raises(InputSizeError) as caught:
        find(name).check_input(shape, options)
    assert hint in caught.value.hint
    assert "network" not in caught.value.message


@pytest.mark.parametrize("side", [9, 321, 513, 713, 1025])
def test_zoomed_networks_take_8m_plus_1(side: int) -> None:
    for name in ("deeplabv1", "deeplabv1_msc_largefov_vgg16", "deeplabv2_vgg16", "deeplabv2_largefov_vgg16"):
        find(name).check_input((3, side, side))


def test_training_nets_take_sizes_that_the_test_nets_do_not() -> None:
    entry = find("deeplabv1_7x7_vgg16")
    entry.check_input((3, 513, 313), {"pool4": "train"})
    assert entry.legal_sizes() != entry.legal_sizes({"pool4": "train"})
