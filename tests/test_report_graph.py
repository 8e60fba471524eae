"""The graph for other programs: networkx reads back what was written, and its parts mean what they say."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import networkx as nx
import pytest
from report_factory import typical

from detector.cli.main import status
from detector.evidence.finding import Edge, Finding, Graph, Node, Span
from detector.report.graph import to_gexf, to_graphml, to_networkx
from detector.report.model import Report

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with graph and report of the example repositories, by the command line."""
    out = tmp_path_factory.mktemp("graph")
    subprocess.run([sys.executable, EXAMPLES / "make_repositories.py", out], check=True, capture_output=True)
    outputs = ["--graph", str(out / "r.graphml"), "--json", str(out / "r.json"), "-q", "--only", "code"]
    assert status(["compare", str(out / "original"), str(out / "laundered"), *outputs]) == 0
    return out


def test_the_file_holds_the_units_and_edges_of_the_report(written: Path) -> None:
    report = json.loads((written / "r.json").read_text("utf-8"))
    graph = nx.read_graphml(written / "r.graphml")
    assert set(graph) == {node["id"] for node in report["graph"]["nodes"]}
    assert set(graph.edges) == {(edge["source"], edge["target"]) for edge in report["graph"]["edges"]}
    assert {told["kind"] for *_, told in graph.edges(data=True)} >= {"match", "calls", "contains"}
    for node, told in graph.nodes(data=True):
        assert node == f"{told['side']}:{told['path']}::{told['name']}"


def test_matches_carry_what_their_findings_say(written: Path) -> None:
    findings = {f["id"]: f for f in json.loads((written / "r.json").read_text("utf-8"))["findings"]}
    graph = nx.read_graphml(written / "r.graphml")
    matches = [(a, b, told) for a, b, told in graph.edges(data=True) if told["kind"] == "match"]
    assert len(matches) == len(findings) > 20
    for a, b, told in matches:
        finding = findings[told["finding"]]
        assert a.endswith(finding["a"][0]["name"]) and b.endswith(finding["b"][0]["name"])
        assert (told["bits"], told["strength"]) == (finding["bits"], finding["strength"])
        assert graph.nodes[a]["share"] >= finding["details"]["share_a"]
        assert graph.nodes[b]["bits"] >= finding["bits"]


def test_what_was_taken_over_together_is_one_cluster(written: Path) -> None:
    graph = nx.read_graphml(written / "r.graphml")
    clusters = nx.get_node_attributes(graph, "cluster")
    for places in (("a:sifter.py::Sifter.", "b:skylark/connector.py::Connector."), ("a:wavefield.py::",)):
        together = {number for node, number in clusters.items() if node.startswith(places)}
        assert len(together) == 1 and 0 not in together
    sizes = [sum(number == each for each in clusters.values()) for number in range(1, max(clusters.values()))]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > sizes[-1]


def test_a_saved_report_gives_the_same_graph_and_gexf_as_well(written: Path) -> None:
    again, gexf = written / "again.GraphML", written / "r.gexf"
    assert status(["report", str(written / "r.json"), "--graph", str(again)]) == 0
    assert again.read_bytes() == (written / "r.graphml").read_bytes()
    assert status(["report", str(written / "r.json"), "--graph", str(gexf)]) == 0
    graph = nx.read_gexf(gexf)
    assert {*graph.edges} == {*nx.read_graphml(again).edges}
    assert {told["side"] for _, told in graph.nodes(data=True)} == {"a", "b"}


def chained(explained: tuple[str, ...]) -> Report:
    """A calls two matched units on each side; the match of the first is explained, or not."""
    names = ("f", "g", "lone")
    nodes = [Node(f"{side}:m.py::{n}", side, "m.py", n, "function") for side in ("a", "b") for n in names]
    matches = [Edge(f"a:m.py::{n}", f"b:m.py::{n}", "match", 20.0) for n in names]
    calls = [Edge(f"{side}:m.py::f", f"{side}:m.py::g", "calls") for side in ("a", "b")]
    findings = [
        Finding("code", n, "strong", 20.0, (Span("m.py", n),), (Span("m.py", n),), id=n) for n in names
    ]
    findings[0] = replace(findings[0], explained_by=explained)
    graph = Graph(tuple(nodes), (*matches, *calls))
    return replace(typical(), graph=graph, findings=tuple(findings))


@pytest.mark.parametrize(
    ("explained", "expected"),
    [((), {"f": 1, "g": 1, "lone": 2}), (("torchvision",), {"f": 0, "g": 1, "lone": 2})],
)
def test_matches_that_something_explains_join_no_cluster(
    explained: tuple[str, ...], expected: dict[str, int]
) -> None:
    graph = to_networkx(chained(explained))
    assert {told["name"]: told["cluster"] for _, told in graph.nodes(data=True)} == expected
    assert graph.edges["a:m.py::f", "b:m.py::f"]["explained_by"] == ", ".join(explained)


def test_units_of_one_name_in_a_file_are_one_node_with_their_best_match() -> None:
    report = chained(())
    weaker = replace(report.graph.edges[0], weight=3.0)
    graph = to_networkx(replace(report, graph=replace(report.graph, edges=(*report.graph.edges, weaker))))
    assert graph.edges["a:m.py::f", "b:m.py::f"]["bits"] == 20.0


@pytest.mark.parametrize(
    "hostile", ["</node>&amp;\"'", "\x00\x1b[2J", "\u202ed", "\ud800", "\ufffe\uffff", "é"]
)
def test_hostile_names_are_text_in_valid_xml(hostile: str) -> None:
    report = chained((hostile,))
    node = Node(f"a:{hostile}::{hostile}", "a", hostile, hostile, "function")
    report = replace(report, graph=replace(report.graph, nodes=(*report.graph.nodes, node)))
    graphml = to_graphml(report)
    assert len(nx.parse_graphml(graphml)) == len(report.graph.nodes)
    ElementTree.fromstring(to_gexf(report).encode())
    assert not set(graphml) & set("\x00\x1b\u202e\ud800\ufffe\uffff")


def test_a_report_without_matched_units_is_an_empty_graph() -> None:
    report = replace(typical(), graph=Graph())
    assert len(nx.parse_graphml(to_graphml(report))) == 0
