"""Lowering rules: Fourier transforms and complex numbers."""

from __future__ import annotations

from archlens.capture.call import Call, Lowered, Rule
from archlens.graph import Along, Full, Reshape, Step

UNCOUNTED = "the arithmetic of a Fourier transform is not counted"


def transform(call: Call) -> Lowered:
    """aten::_fft_r2c, _fft_c2r, _fft_c2c: each frequency reads every position along the dimensions."""
    x = call.tensor(0)
    steps: list[Step] = []
    for d in call.given("dim"):
        dim = d % x.ndim
        steps += [Along(dim, Full(), 1), Along(dim, Full(), call.shape[dim])]
    return Lowered("fft", call.edge(x, *steps), attrs={"uncounted": True})


def parts(call: Call) -> Lowered:
    """view_as_real: a last dimension of real and imaginary part."""
    x = call.tensor(0)
    return Lowered("reshape", call.edge(x, Reshape((*x.shape, 1)), Along(x.ndim, Full(), 2)))


def joined(call: Call) -> Lowered:
    """view_as_complex: the last dimension holds real and imaginary part."""
    x = call.tensor(0)
    return Lowered("reshape", call.edge(x, Along(x.ndim - 1, Full(), 1), Reshape(call.shape)))


RULES: dict[str, Rule] = {
    **dict.fromkeys(("_fft_r2c", "_fft_c2r", "_fft_c2c"), transform),
    "view_as_real": parts,
    "view_as_complex": joined,
}
