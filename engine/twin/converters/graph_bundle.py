"""A graph bundle as it lies on the disk, to be built upon."""

import json
import math
import tomllib

from bundle_writer import ConversionError
from convert_v4_compact import load
from graph_reference import evaluate
from graph_writer import names_in


class GraphBundle:
    """graph, tensors, samples and description of a folder; nodes may be added to the graph."""

    def __init__(self, folder):
        self.description = tomllib.loads((folder / "twin.toml").read_text(encoding="utf-8"))
        if self.description.get("family") != "graph":
            raise ConversionError(f"{folder}: is a bundle of family "
                                  f"'{self.description.get('family')}', expected 'graph'")
        self.graph = json.loads((folder / "graph.json").read_text(encoding="utf-8"))
        self.tensors = load(folder / self.description["weights"])
        self.samples = load(folder / self.description["samples"])
        self.images = self.samples["input"]

    def exported_taps(self):
        """The taps with which the network was exported; its own last output comes before them."""
        taps = [tap["tap"] for network in self.description["networks"]
                for tap in network.get("taps", [network])][1:]
        if not taps:
            raise ConversionError("the backbone was exported without --tap; name its nodes")
        return taps

    def facts(self):
        return {name: (fact["value"], fact["source"])
                for name, fact in self.description["stimulus"].items()}

    def shape_of(self, name):
        for node in self.graph["nodes"]:
            if node["name"] == name:
                return node["shape"]
        near = [node["name"] for node in self.graph["nodes"] if name.lower() in node["name"].lower()]
        raise ConversionError(f"the network has no node '{name}'"
                              + (f"; similar: {', '.join(near[:8])}" if near else ""))

    def row_of(self, name):
        """The shape of one row of a node."""
        shape = self.shape_of(name)
        if shape[:1] != ["batch"] or not all(isinstance(extent, int) for extent in shape[1:]):
            raise ConversionError(f"node '{name}' has shape {shape}, expected one row per image")
        return shape[1:]

    def width_of(self, name):
        return math.prod(self.row_of(name))

    def add(self, operator, name, inputs, attributes, shape):
        self.graph["nodes"].append({"name": name, "operator": operator, "inputs": inputs,
                                    "attributes": attributes, "shape": shape})
        return name

    def up_to(self, *outputs):
        """The graph that ends at these nodes."""
        needed = set(outputs)
        for node in reversed(self.graph["nodes"]):
            if node["name"] in needed:
                needed.update(names_in(node["inputs"]))
        nodes = [node for node in self.graph["nodes"] if node["name"] in needed]
        return dict(self.graph, nodes=nodes, outputs=list(outputs))

    def answers(self, *names):
        """{node: values [8, ...]} for the sample images: stored ones, or computed with numpy."""
        if all(f"output.{name}" in self.samples for name in names):
            return {name: self.samples[f"output.{name}"] for name in names}
        try:
            return evaluate(self.up_to(*names), self.tensors, self.images)
        except ConversionError as problem:
            raise ConversionError(f"the samples of the backbone do not hold {', '.join(names)}: "
                                  f"export it with --tap for each ({problem})") from None

    def licence(self, own):
        return f"{own}; backbone: {self.description['licence']}"

    def citation(self, own):
        return f"{own}; backbone: {self.description['citation']}"
