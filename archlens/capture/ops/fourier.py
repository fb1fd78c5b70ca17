"""Lowering rules: Fourier transforms and complex numbers."""

from __future__ import annotations

from archlens.capture.call import Call, Lowered, Rule
from archlens.graph import Along, Full, Reshape, Step

UNDONE = "what a transform mixed its inverse may take apart again"

PARTS = "real and imaginary part are not told apart"


def transform(call: Call) -> Lowered:
    """aten::_fft_r2c, _fft_c2r, _fft_c2c: each frequency reads every position along the dimensions."""
    x = call.tensor(0)
    steps: list[Step] = []
    for d in call.given("dim"):
        dim = d % x.ndim
        steps += [Along(dim, Full(), 1), Along(dim, Full(), call.shape[dim])]
    inverse = call.name == "_fft_c2r" or not call.given("forward", True)
    return Lowered(
        call.name, call.edge(x, *steps), attrs={"uncounted": True}, bound=UNDONE if inverse else None
    )


def parts(call: Call) -> Lowered:
    """view_as_real: a last dimension of real and imaginary part."""
    x = call.tensor(0)
    return Lowered(call.name, call.edge(x, Reshape((*x.shape, 1)), Along(x.ndim, Full(), 2)), bound=PARTS)


def joined(call: Call) -> Lowered:
    """view_as_complex: the last dimension holds real and imaginary part."""
    x = call.tensor(0)
    return Lowered(call.name, call.edge(x, Along(x.ndim - 1, Full(), 1), Reshape(call.shape)))


RULES: dict[str, Rule] = {
    **dict.fromkeys(("_fft_r2c", "_fft_c2r", "_fft_c2c"), transform),
    "view_as_real": parts,
    "view_as_complex": joined,
}
