"""Writes graph bundles: a network as a list of operators, with samples of what it answers.

engine/twin/graph/README.md describes the format. Shapes are lists of extents; an extent is an
integer, "batch" for the number of rows in a call, or {"batch": k} for k times as many.
"""

import json
import math

import numpy as np
from safetensors.numpy import save

from bundle_writer import ConversionError, write_bundle
from graph_operators import OPERATORS

GRAPH_FORMAT = 1
SAMPLE_ROWS = 8
LONGEST_NAME = 256
INPUT = "image"


def batch_extent(times):
    """The extent that is so many times the number of rows."""
    return "batch" if times == 1 else {"batch": times}


def in_rows(value, rows):
    """An attribute or shape with integers for "batch" and {"batch": k}."""
    if value == "batch":
        return rows
    if isinstance(value, dict):
        return rows * value["batch"]
    if isinstance(value, (list, tuple)):
        return [in_rows(item, rows) for item in value]
    return value


def values_of(shape):
    """Values in one row of a tensor [batch, ...]."""
    return math.prod(shape[1:])


def names_in(inputs):
    """All names that a node's inputs hold, in order."""
    for value in inputs.values():
        yield from value if isinstance(value, list) else [value]


def check_name(name):
    if not 1 <= len(name.encode()) <= LONGEST_NAME or any(ord(letter) < 32 or ord(letter) == 127
                                                          for letter in name):
        raise ConversionError(f"{name!r} cannot name a node or tensor (1 to {LONGEST_NAME} bytes "
                              "without control characters)")


class GraphBuilder:
    """A graph that grows node by node. Names are unique among input, nodes and tensors.

    shapes   {name: shape} of the input and of all nodes
    tensors  {name: array} of the constants
    """

    def __init__(self, row_shape):
        """row_shape: extents of one input, without the batch."""
        self.shapes = {INPUT: ["batch", *row_shape]}
        self.tensors = {}
        self.nodes = []

    def unique(self, name):
        """The name, with a number behind it if it is taken."""
        candidate, number = name, 0
        while candidate in self.shapes or candidate in self.tensors:
            number += 1
            candidate = f"{name}_{number}"
        check_name(candidate)
        return candidate

    def constant(self, name, array):
        """Adds a tensor; returns its name."""
        name = self.unique(name)
        self.tensors[name] = np.asarray(array)
        return name

    def add(self, operator, name, inputs, attributes=None, shape=None):
        """Adds a node; returns its name.

        inputs  {argument: name or list of names}; arguments of None are left out
        """
        if operator not in OPERATORS:
            raise ConversionError(f"node '{name}': a graph cannot call '{operator}'")
        name = self.unique(name)
        inputs = {key: value for key, value in inputs.items() if value is not None}
        for used in names_in(inputs):
            if used not in self.shapes and used not in self.tensors:
                raise ConversionError(f"node '{name}' uses '{used}', which does not exist")
        self.shapes[name] = list(shape)
        self.nodes.append({"name": name, "operator": operator, "inputs": inputs,
                           "attributes": attributes or {}, "shape": list(shape)})
        return name

    def graph(self, outputs):
        """The content of graph.json: the nodes that the outputs need."""
        for name in outputs:
            shape = self.shapes.get(name)
            if name == INPUT or shape is None or shape[0:1] != ["batch"]:
                raise ConversionError(f"'{name}' cannot be an output (its shape is {shape}, "
                                      "expected a computed [\"batch\", ...])")
        needed = set(outputs)
        for node in reversed(self.nodes):
            if node["name"] in needed:
                needed.update(names_in(node["inputs"]))
        return {"format": GRAPH_FORMAT,
                "input": {"name": INPUT, "shape": self.shapes[INPUT]},
                "nodes": [node for node in self.nodes if node["name"] in needed],
                "outputs": list(outputs)}


def graph_json(graph):
    """Text of graph.json, one node a line."""
    try:
        nodes = [json.dumps(node, allow_nan=False) for node in graph["nodes"]]
    except ValueError:
        raise ConversionError("an attribute of the graph is not finite") from None
    rest = ", ".join(f"{json.dumps(key)}: {json.dumps(graph[key])}"
                     for key in ("format", "input", "outputs"))
    return "{" + rest + ', "nodes": [\n' + ",\n".join(nodes) + "\n]}\n"


def readout_parts(network):
    """Names of the tensors that the readout of a [[networks]] entry may own."""
    kind = network["readout"]
    if kind == "identity":
        return []
    if kind == "dense":
        return ["kernel", "bias"]
    if kind == "sampled":
        return ["weight", "bias", "position"]
    fields = [f"{field}.{tap}" for field in ("field", "field_logits")
              for tap in range(len(network.get("taps", [1])))]
    return ["weight", "bias", *fields]


def used_tensors(graph, networks, tensors):
    """{name: array} of the tensors that nodes or readouts need; the format allows no others."""
    used = {name for node in graph["nodes"] for name in names_in(node["inputs"])}
    used |= {f"{network['prefix']}readout.{part}" for network in networks
             for part in readout_parts(network)}
    return {name: array for name, array in tensors.items() if name in used}


def write_graph_bundle(folder, head, graph, tensors, facts, networks, units, samples):
    """Writes the folder; an existing bundle of that name is replaced as a whole.

    head      {key: value} of twin.toml: name, response_unit, licence, citation
    graph     as GraphBuilder.graph gives it
    networks  one dict per readout: prefix, readout, units and tap, tap_shape, or taps: [{tap,
              tap_shape}, ...]
    samples   {"input": [8, ...], "output.<node>": [8, ...] for each of the outputs}
    """
    expected = ["input", *(f"output.{name}" for name in graph["outputs"])]
    if sorted(samples) != sorted(expected):
        raise ConversionError(f"the samples are {sorted(samples)}, expected {sorted(expected)}")
    arrays = {}
    for name in sorted(samples):
        arrays[name] = np.ascontiguousarray(samples[name], dtype=np.float32)
        if not np.isfinite(arrays[name]).all():
            raise ConversionError(f"the network's answer '{name}' to a sample is not finite")
    head = {"name": head["name"], "family": "graph", **head, "graph": "graph.json",
            "samples": "samples.safetensors"}
    write_bundle(folder, head, [], networks, facts, units, used_tensors(graph, networks, tensors),
                 files={"graph.json": graph_json(graph).encode(),
                        "samples.safetensors": save(arrays)})


def identity_network(graph, tap):
    """The [[networks]] entry whose units are the values of a node."""
    shape = next(node["shape"] for node in graph["nodes"] if node["name"] == tap)
    if shape[0] != "batch" or not all(isinstance(extent, int) for extent in shape[1:]):
        raise ConversionError(f"'{tap}' of shape {shape} cannot be tapped: [\"batch\", ...] is "
                              "expected")
    return {"prefix": "", "tap": tap, "tap_shape": shape[1:] or [1], "readout": "identity",
            "units": values_of(shape)}


def unit_rows(names, subject, area):
    """The unit table of a network of which nothing is known but its units' names."""
    rows, seen = [], set()
    for number, name in enumerate(names):
        # Two of ImageNet's classes are called "crane".
        name = f"{name} ({number})" if name in seen else name
        seen.add(name)
        rows.append({"id": name, "subject": subject, "area": area, "heldout_r": math.nan,
                     "noise_ceiling": math.nan, "x": math.nan, "y": math.nan})
    return rows


def stimulus_facts(row_shape, mean, scale, source, *, fit="cover"):
    """The facts of twin.toml for an input [channels, height, width] of (value - mean) / scale.

    mean, scale  one number per channel, in units of 0..255, in the order of the image's channels
    source       where mean and scale are known from
    """
    channels, height, width = row_shape
    shape_source = "the network's input"
    return {
        "channels": (channels, shape_source),
        "height": (height, shape_source),
        "width": (width, shape_source),
        "layout": ("channels_first", shape_source),
        "fit": (fit, "assumed"),
        "filter": ("pil_bilinear", "assumed"),
        "mean": ([float(value) for value in mean], source),
        "scale": ([float(value) for value in scale], source),
        "background": (127.5, "assumed"),
        "luminance_range": ("0..255", "assumed"),
        "frame_rate": ("none", "static model"),
        "degrees_per_pixel": ("unknown", "not a property of the network"),
    }


def stretched(coarse, extent, axis):
    """Linear interpolation along an axis, from corner to corner."""
    place = np.linspace(0, coarse.shape[axis] - 1, extent)
    below = np.minimum(place.astype(np.int64), coarse.shape[axis] - 2)
    share = (place - below).reshape([-1 if i == axis else 1 for i in range(coarse.ndim)])
    return (np.take(coarse, below, axis) * (1 - share)
            + np.take(coarse, below + 1, axis) * share)


def sample_images(row_shape, mean, scale):
    """Eight smooth random images [8, channels, height, width], ready for the network (float32)."""
    channels, height, width = row_shape
    coarse = np.random.default_rng(20).uniform(0, 255, (SAMPLE_ROWS, channels, 7, 7))
    images = stretched(stretched(coarse, height, 2), width, 3)
    per_channel = [np.reshape(np.asarray(values, np.float64), (-1, 1, 1))
                   for values in (mean, scale)]
    return ((images - per_channel[0]) / per_channel[1]).astype(np.float32)
