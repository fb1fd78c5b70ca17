"""A graph as JSON and back, so that a saved report can be analysed again without torch."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

from archlens import graph as g
from archlens.errors import ReportError

_GEOMETRIES: dict[str, type] = {
    cls.__name__: cls
    for cls in (
        g.Window, g.TransposedWindow, g.AdaptivePool, g.Resize, g.Pad, g.Slice, g.Roll, g.IndexMap, g.Full,
        g.Grouped,
    )
}  # fmt: skip


def encode(graph: g.Graph) -> dict[str, Any]:
    """Plain dictionaries and lists; defaults are left out."""
    return {
        "name": graph.name,
        "nodes": [_node(n) for n in graph.nodes],
        "layers": [
            {
                "name": r.name,
                "op": r.op,
                "nodes": list(r.nodes),
                "module": r.module,
                "kind": r.kind,
                "params": r.params,
            }
            for r in graph.layers
        ],
        "inputs": list(graph.inputs),
        "outputs": dict(graph.outputs),
        "params": graph.params,
        "param_bytes": graph.param_bytes,
        "uncalled": dict(graph.uncalled),
        "notes": list(graph.notes),
    }


def decode(data: dict[str, Any]) -> g.Graph:
    """The graph of `encode`.

    Raises:
        ReportError: The data is not a graph of ours.
    """
    try:
        return g.Graph(
            name=data["name"],
            nodes=tuple(_read_node(i, n) for i, n in enumerate(data["nodes"])),
            layers=tuple(
                g.Layer(
                    r["name"], r["op"], tuple(r["nodes"]), r["module"], r.get("kind", ""), r.get("params", 0)
                )
                for r in data["layers"]
            ),
            inputs=tuple(data["inputs"]),
            outputs=dict(data["outputs"]),
            params=data["params"],
            param_bytes=data["param_bytes"],
            uncalled=dict(data.get("uncalled", {})),
            notes=tuple(data.get("notes", ())),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ReportError(f"the saved graph is damaged ({error!r})", "Write the report again.") from error


def _node(n: g.Node) -> dict[str, Any]:
    out: dict[str, Any] = {
        "op": n.op,
        "shape": list(n.shape),
        "layout": [[list(a) for a in dim] for dim in n.layout],
        "edges": [_edge(e) for e in n.edges],
    }
    for key in ("macs", "elementwise", "bytes"):
        if value := getattr(n, key):
            out[key] = value
    if n.storage >= 0:
        out["storage"] = n.storage
    if n.attrs:
        out["attrs"] = dict(n.attrs)
    if n.unknown is not None:
        out["unknown"] = n.unknown
    if n.bound is not None:
        out["bound"] = n.bound
    return out


def _edge(e: g.Edge) -> list[Any]:
    steps: list[Any] = []
    for step in e.steps:
        match step:
            case g.Along(dim, geometry, size):
                steps.append([dim, size, type(geometry).__name__, *_fields(geometry)])
            case g.Reshape(shape):
                steps.append(["reshape", list(shape)])
            case g.Permute(dims):
                steps.append(["permute", list(dims)])
            case g.Keep(shape, bits):
                steps.append(["keep", list(shape), bits])
    return [e.source, steps, 1] if e.gate else [e.source, steps]


def _fields(geometry: g.Geometry) -> list[Any]:
    return [list(v) if isinstance(v, tuple) else v for v in astuple(geometry)]


def _read_node(index: int, data: dict[str, Any]) -> g.Node:
    return g.Node(
        id=index,
        op=data["op"],
        shape=tuple(data["shape"]),
        layout=tuple(tuple(g.Atom(*a) for a in dim) for dim in data["layout"]),
        edges=tuple(_read_edge(e) for e in data["edges"]),
        macs=data.get("macs", 0),
        elementwise=data.get("elementwise", 0),
        bytes=data.get("bytes", 0),
        storage=data.get("storage", -1),
        attrs=data.get("attrs", {}),
        unknown=data.get("unknown"),
        bound=data.get("bound"),
    )


def _read_edge(data: list[Any]) -> g.Edge:
    steps: list[g.Step] = []
    for step in data[1]:
        if step[0] == "reshape":
            steps.append(g.Reshape(tuple(step[1])))
        elif step[0] == "permute":
            steps.append(g.Permute(tuple(step[1])))
        elif step[0] == "keep":
            steps.append(g.Keep(tuple(step[1]), step[2]))
        else:
            fields = [tuple(v) if isinstance(v, list) else v for v in step[3:]]
            steps.append(g.Along(step[0], _GEOMETRIES[step[2]](*fields), step[1]))
    return g.Edge(data[0], tuple(steps), len(data) > 2 and bool(data[2]))
