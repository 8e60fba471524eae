"""The report's graph for programs that draw and measure graphs (Gephi, yEd, Cytoscape), by networkx.

A node is a unit that takes part in a match; an edge is a match, from A to B, or says how two units of one
side are joined. docs/usage.md lists the attributes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from detector.evidence.finding import Finding
from detector.report.model import Report
from detector.report.text import visible

if TYPE_CHECKING:
    import networkx as nx

_NO_XML = str.maketrans("\ufffe\uffff", "\ufffd\ufffd")
"""what XML 1.0 forbids besides what `visible` spells out"""


def to_graphml(report: Report) -> str:
    """The graph as GraphML: the same report gives the same text."""
    from networkx import generate_graphml  # noqa: PLC0415  loading it takes 0.15 s

    return "\n".join(generate_graphml(to_networkx(report))) + "\n"


def to_gexf(report: Report) -> str:
    """The graph as GEXF 1.2, Gephi's own format; it carries the day on which it was written."""
    from networkx import generate_gexf  # noqa: PLC0415

    return "\n".join(generate_gexf(to_networkx(report))) + "\n"


def to_networkx(report: Report) -> nx.DiGraph:
    """The graph with its attributes, to go on with in Python. Of two edges at one place the heavier stays."""
    from networkx import DiGraph  # noqa: PLC0415

    graph = DiGraph(a=_text(report.a.label), b=_text(report.b.label))
    for node in report.graph.nodes:
        names = {"path": _text(node.path), "name": _text(node.name)}
        graph.add_node(_text(node.id), side=node.side, **names, kind=node.kind)
    for edge in sorted(report.graph.edges, key=lambda edge: edge.weight):
        bits = {"bits": float(edge.weight)} if edge.kind == "match" else {}
        graph.add_edge(_text(edge.source), _text(edge.target), kind=edge.kind, **bits)
    for finding in report.findings:
        _weigh(graph, finding)
    _number_clusters(graph)
    return graph


def _weigh(graph: nx.DiGraph, finding: Finding) -> None:
    """Put what a finding says of its match on the edge, and of each unit's best match on the node."""
    for a, b in _ends(finding):
        if graph.has_edge(a, b) and "finding" not in graph.edges[a, b]:  # counting and strong ones come first
            explained = _text(", ".join(finding.explained_by))
            graph.edges[a, b].update(finding=finding.id, strength=finding.strength, explained_by=explained)
            for node, key in ((a, "share_a"), (b, "share_b")):
                known = graph.nodes[node]
                known["bits"] = max(float(finding.bits), known.get("bits", 0.0))
                share = finding.details.get(key)
                if isinstance(share, int | float):
                    known["share"] = max(float(share), known.get("share", 0.0))


def _ends(finding: Finding) -> Iterator[tuple[str, str]]:
    """The nodes of a code finding's match."""
    if finding.kind == "code":
        for a in finding.a:
            for b in finding.b:
                yield _text(f"a:{a.path}::{a.name}"), _text(f"b:{b.path}::{b.name}")


def _number_clusters(graph: nx.DiGraph) -> None:
    """Tell which units hang together through matches that nothing explains: what was taken over as one.

    Each weakly connected part gets a number, 1 for the one with most units; 0 is for units all of whose
    matches an upstream or common public code explains. Members of a class hang together also where the class
    itself has no match.
    """
    from networkx import set_node_attributes, weakly_connected_components  # noqa: PLC0415

    matched = [ends for *ends, told in graph.edges(data=True) if told["kind"] == "match"]
    own = {node for ends in matched if not graph.edges[ends].get("explained_by") for node in ends}
    joined = graph.subgraph(own).copy()
    joined.add_edges_from((_outer(node), node) for node in own if "." in graph.nodes[node].get("name", ""))
    parts = [part & own for part in weakly_connected_components(joined)]
    parts.sort(key=lambda part: (-len(part), min(part)))
    numbers = {node: number for number, part in enumerate(parts, 1) for node in part}
    set_node_attributes(graph, {node: numbers.get(node, 0) for node in graph}, "cluster")


def _outer(node: str) -> str:
    """The node of the class or function that a unit stands in, matched or not."""
    return node.rpartition(".")[0]


def _text(text: str) -> str:
    return visible(text).translate(_NO_XML)
