"""A first reading of the summary figures: what they say, in plain words and nothing beyond them.

Each sentence is made from the figures that it quotes, and is absent where they are. The findings, which
argue from closer evidence, come after it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from archlens.explain.figures import Figures

Named = tuple[str, Figures]


def reading(models: Sequence[Named], image: Sequence[int]) -> list[str]:
    """Sentences on reach, global fields, resolution and cost, in that order.

    Args:
        models: Names with their figures, all at one input size.
        image: Its spatial sizes.
    """
    sentences = [*_reach(models), *_global(models, image), *_finite(models, image), *_resolution(models)]
    if len(models) > 1:
        sentences += _cost(models)
    return sentences


def _reach(models: Sequence[Named]) -> list[str]:
    out = []
    whole = [name for name, f in models if f.reach == 1.0]
    if whole:
        out.append(
            f"At this size the centre class-score cell of {_and(whole)} reaches the whole image"
            + (": reach alone does not tell them apart." if len(whole) > 1 else ".")
        )
    for name, f in models:
        if f.reach is not None and f.reach < 1.0 and f.visible_field is not None:
            out.append(
                f"That of {name} reaches {_percent(f.reach)} of the image, "
                f"a box of {' x '.join(map(str, f.visible_field))} px."
            )
    return out


def _global(models: Sequence[Named], image: Sequence[int]) -> list[str]:
    out = []
    for name, f in models:
        if f.global_from is None:
            continue
        text = f"{name} reads the whole input whatever its size, from {f.global_from} on"
        if f.local_field is not None and all(s is not None for s in f.local_field):
            side = _by(f.local_field)
            share = min((s or 0) / n for s, n in zip(f.local_field, image, strict=False))
            text += f"; its finite paths alone span {side} px, {share:.2f} times the image's side"
            if share >= 1:
                text += ", so what the global path adds here is not reach"
            elif share >= 0.9:
                text += ", so little of what the global path adds here is reach"
        out.append(text + ".")
    return out


def _finite(models: Sequence[Named], image: Sequence[int]) -> list[str]:
    out = []
    for name, f in models:
        if f.field is None or any(s is None for s in f.field):
            continue
        share = min((s or 0) / n for s, n in zip(f.field, image, strict=False))
        text = f"{name}'s theoretical field is {_by(f.field)} px, {share:.2f} times the image's side"
        if f.whole_from is not None and f.whole_at is not None:
            text += f"; a centre unit first reaches every pixel at {f.whole_from}"
            text += f", {_percent(f.whole_at)} of the MACs in"
        out.append(text + ".")
    return out


def _resolution(models: Sequence[Named]) -> list[str]:
    out = []
    for name, f in models:
        deepest, scored = max(f.deepest_stride, default=1), max(f.output_stride, default=1)
        if deepest > scored:
            out.append(
                f"{name} goes down to stride {_number(deepest)} and scores at stride {_number(scored)}: "
                "it restores resolution after its deepest layer."
            )
    flat = [(name, max(f.output_stride, default=1)) for name, f in models if not _restores(f)]
    if flat and len(models) > 1:
        strides = {stride for _, stride in flat}
        if len(strides) == 1:
            verb, whose = ("scores", "its") if len(flat) == 1 else ("score", "their")
            names = _and([name for name, _ in flat])
            out.append(f"{names} {verb} at {whose} deepest stride, {_number(strides.pop())}.")
        else:
            out.append(
                "At their deepest stride score " + _and([f"{n} ({_number(s)})" for n, s in flat]) + "."
            )
    return out


def _restores(f: Figures) -> bool:
    return max(f.deepest_stride, default=1) > max(f.output_stride, default=1)


def _cost(models: Sequence[Named]) -> list[str]:
    return [
        text
        for what, value in (
            ("MACs", lambda f: f.macs),
            ("parameters", lambda f: f.params),
            ("peak activation memory", lambda f: f.peak_activation_bytes),
        )
        if (text := _ratio(models, what, value))
    ]


def _ratio(models: Sequence[Named], what: str, value: Callable[[Figures], int]) -> str | None:
    most, least = max(models, key=lambda m: value(m[1])), min(models, key=lambda m: value(m[1]))
    if not value(least[1]):
        return None
    ratio = value(most[1]) / value(least[1])
    names = [name for name, _ in models]
    if ratio < 1.05:
        return f"{_and(names)} need the same {what} to within {_percent(ratio - 1)}."
    return f"{most[0]} needs {ratio:.2f} times the {what} of {least[0]}."


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _by(sizes: Sequence[int | float | None]) -> str:
    texts = [_number(s or 0) for s in sizes]
    return texts[0] if len(set(texts)) == 1 else " x ".join(texts)


def _number(value: int | float) -> str:
    return f"{value:g}" if value < 1e5 else str(int(value))


def _percent(share: float) -> str:
    if 0 < share < 0.001:
        return "<0.1 %"
    return f"{100 * share:.1f} %" if share < 0.1 else f"{100 * share:.0f} %"
