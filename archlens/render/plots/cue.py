"""Accuracy against distance, a curve a network, with the spread over seeds."""

from __future__ import annotations

from archlens.errors import UsageError
from archlens.render.colours import SERIES
from archlens.render.plots.canvas import STYLES, figure, look, written
from archlens.render.text.cue import reach_words
from archlens.trained import CHANCE, CueResult


def cue_picture(result: CueResult, form: str) -> bytes:
    """The curves as a picture.

    Args:
        result: Of at least one network.
        form: svg | png | pdf.

    Raises:
        UsageError: There is no network.
    """
    if not result.models:
        raise UsageError("there is no trained network to draw", "Train one first.")
    with look():
        made, (ax,) = figure(7.2, 4.2)
        last = 0.0
        for k, model in enumerate(result.models):
            bins = [b for b in model["curve"] if b["accuracy"] is not None]
            if not bins:
                continue
            at = [sum(b["distance"]) / 2 for b in bins]
            colour, style = SERIES[k % len(SERIES)], STYLES[k % len(STYLES)]
            label = f"{model['spec']}: {reach_words(model)}"
            ax.plot(
                at, [b["accuracy"] for b in bins], color=colour, linestyle=style, linewidth=1.8, label=label
            )
            if len(model["seeds"]) > 1:
                low, high = ([b["spread"][i] for b in bins] for i in (0, 1))
                ax.fill_between(at, low, high, color=colour, alpha=0.15, linewidth=0)
            last = max(last, at[-1])
        ax.axhline(CHANCE, color="0.5", linewidth=0.8, linestyle=(0, (1, 2)))
        ax.annotate("chance", (0, CHANCE), xytext=(2, 3), textcoords="offset points", fontsize=8, color="0.4")
        ax.set_ylim(0, 1.03)
        ax.set_xlim(0, last or 1.0)
        ax.set_xlabel("distance from the cue, px")
        ax.set_ylabel("accuracy of a cell")
        made.legend(loc="outside lower center", ncols=2 if len(result.models) > 3 else 1, title="reach, px")
        sizes = sorted({f"{m['input_shape'][-1]} px, width {m['width']:g}" for m in result.models})
        ax.set_title(f"How far a cue carries ({'; '.join(sizes)})")
        names = ", ".join(m["spec"] for m in result.models)
        return written(made, form, f"Accuracy of a cell against its distance from the cue: {names}")
