"""Every operator that has a rule, in every form of its schema, against the network itself."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import table_maps  # noqa: F401  (they fill the table)
import table_moves  # noqa: F401
import table_nets  # noqa: F401
import table_values  # noqa: F401
import torch
from holding import Net, hold
from table import CASES, Case
from torch.utils._python_dispatch import TorchDispatchMode

from archlens.capture.forms import filled, form_of
from archlens.capture.ops import RULES

# Rules for calls that cannot be made here.
ELSEWHERE = {
    "cudnn_batch_norm": "a card's",
    "_scaled_dot_product_flash_attention": "a card's",
    "_scaled_dot_product_efficient_attention": "a card's",
    "_scaled_dot_product_cudnn_attention": "a card's",
    "_scaled_dot_product_fused_attention_overrideable": "another device's",
    "mkldnn_rnn_layer": "of float32 only; tests/capture/test_hard_models.py",
    "_scaled_dot_product_flash_attention_for_cpu": "of one dtype only; tests/capture/test_attention.py",
    "lift_fresh": "of torch's own tracing", "alias": "archlens' own, for rows without a call",
    "_reshape_alias": "of older versions", "contiguous": "arrives as clone", "reshape": "arrives as view",
    "flatten": "arrives as view", "view_as": "arrives as view", "linear": "arrives as addmm",
    "dropout": "arrives as nothing or as native_dropout", "alpha_dropout": "as dropout",
    "adaptive_avg_pool1d": "arrives in two dimensions", "avg_pool1d": "arrives in two dimensions",
    "channel_shuffle": "arrives as native_channel_shuffle", "argsort": "arrives as sort",
    "log_sigmoid": "arrives as log_sigmoid_forward", "relu6": "arrives as hardtanh", "selu": "arrives as elu",
    "square": "arrives as pow", "positive": "arrives as nothing",
    "resolve_conj": "arrives as nothing", "resolve_neg": "arrives as nothing",
    "native_channel_shuffle": "arrives in parts",
}  # fmt: skip
# What arguments say that no position hangs on: types, numbers, how something is computed, which of several
# results are wanted; or where nothing is told apart anyway (of a factorisation, of what values pick).
ASIDE = {
    "dtype", "layout", "device", "pin_memory", "memory_format", "generator", "non_blocking", "out", "values",
    "indices", "implicit", "copy", "is_coalesced", "self", "input", "other", "alpha", "beta", "out_dtype",
    "out_int32", "compute_mode", "compute_v", "compute_uv", "full_matrices", "driver", "check_errors", "left",
    "upper", "unitriangular", "transpose", "pivot", "hermitian", "atol", "rtol", "rcond", "mode", "UPLO",
    "unroll_dim", "sorted", "return_inverse", "return_counts", "scale_grad_by_freq", "sparse", "padding_idx",
    "sparse_grad", "unsafe", "assume_unique", "invert", "unbiased", "right", "side",
    # overloads that arrive as others: of lists of sizes, of scale factors, of numbers for tensors
    "split_sizes", "scale_factors", "scales_h", "scales_w", "el", "element", "test_element",
}  # fmt: skip


def net(case: Case) -> Net:
    torch.manual_seed(0)
    return Net(case.run, *case.parts())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_what_is_said_is_what_answers(case: Case) -> None:
    held = hold(net(case), case.shape, *case.others, draws=3 if case.blind else case.draws)
    assert held.missed == []
    if not case.blind:
        assert held.unseen == []
    reasons = [n.unknown or n.bound for n in held.graph.nodes if n.unknown or n.bound]
    assert held.word == case.word, reasons


class Taken(TorchDispatchMode):
    """Takes down which operators are called, and which of their arguments are given."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, set[str]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        schema = func._schema
        form = form_of(schema)
        own = self.names.setdefault(form.name, set())
        given = zip(schema.arguments, filled(schema, args, kwargs or {}), strict=True)
        own |= {a.name for a, v in given if not _same(v, a.default_value)}
        return func(*args, **(kwargs or {}))


def _same(value: Any, default: Any) -> bool:
    return isinstance(value, type(default)) and not isinstance(value, torch.Tensor) and value == default


def taken() -> dict[str, set[str]]:
    found = Taken()
    for case in CASES:
        image = torch.rand((1, *case.shape), dtype=torch.float64)
        model = net(case).double().eval()
        with warnings.catch_warnings(), torch.no_grad(), found:
            warnings.simplefilter("ignore")
            model(image)
    return found.names


def test_every_rule_is_in_the_table() -> None:
    names = taken()
    missing = sorted(n for n in RULES if n not in names and n not in ELSEWHERE and "mylib" not in n)
    assert missing == []
    assert sorted(n for n in ELSEWHERE if n not in RULES) == []


def test_every_argument_is_given_somewhere() -> None:
    names = taken()
    missing = []
    for name, given in names.items():
        if name not in RULES or name in ELSEWHERE:
            continue
        packet = getattr(torch.ops.aten, name, None)
        for overload in [] if packet is None else packet.overloads():
            if overload in ("out", "names", "dimname") or "out" in overload or "imname" in overload:
                continue
            schema = getattr(packet, overload)._schema
            if any(str(a.type) == "Tensor" for a in schema.arguments):
                asked = [a.name for a in schema.arguments if not (a.alias_info and a.alias_info.is_write)]
                missing += [f"{name}: {a}" for a in asked if a not in given | ASIDE]
    assert sorted(set(missing)) == []
