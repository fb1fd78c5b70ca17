"""Laying a graph out: by pygraphviz in this process, else by the `dot` program, else an error that says what
to install. The caller can always write the DOT text itself."""

from __future__ import annotations

import shutil
import subprocess

from archlens.errors import ArchlensError, MissingPackageError

ADVICE = "pip install 'archlens[graph]' (pygraphviz, with Graphviz in its wheels), or install Graphviz' dot."
PATIENCE = 120
"""Seconds that `dot` may take."""


def lay_out(dot: str, form: str) -> bytes:
    """The picture of a DOT text.

    Args:
        form: svg | png | pdf.

    Raises:
        MissingPackageError: Neither pygraphviz nor `dot` is there.
        ArchlensError: `dot` failed.
    """
    drawn = _in_process(dot, form)
    if drawn is not None:
        return drawn
    program = shutil.which("dot")
    if program is None:
        raise MissingPackageError("nothing is installed that lays graphs out", ADVICE)
    try:
        done = subprocess.run(
            [program, f"-T{form}", *_resolution(form)],
            input=dot.encode("utf-8"),
            capture_output=True,
            check=True,
            timeout=PATIENCE,
        )
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "replace").strip().splitlines()
        raise ArchlensError(
            f"dot failed: {said[-1] if said else error}", "Write a .dot file instead."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise ArchlensError(f"dot took longer than {PATIENCE} s", "Give a lower --depth.") from error
    return done.stdout


def _in_process(dot: str, form: str) -> bytes | None:
    """By pygraphviz; None where it is absent, or older than the wheels with Graphviz in them."""
    try:
        import pygraphviz
    except ImportError:
        return None
    graph = pygraphviz.AGraph(string=dot)
    try:
        if _resolution(form):
            graph.graph_attr["dpi"] = str(DPI)
        return bytes(graph.draw(format=form, prog="dot"))
    finally:
        graph.close()


DPI = 144
"""Of PNG: sharp on a dense screen and in print."""


def _resolution(form: str) -> list[str]:
    return [f"-Gdpi={DPI}"] if form == "png" else []
