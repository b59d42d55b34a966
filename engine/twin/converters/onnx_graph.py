"""Turns an ONNX model (opset 7 to 18) into a graph; needs the onnx package, but no PyTorch.

What depends on no image is computed while reading, also where it depends on the number of images:
such values are kept for one image and for two, so that a size is seen to be "batch" or a multiple.
"""

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from bundle_writer import ConversionError
from graph_reference import PROBED_ROWS, ProbedBuilder, extent_of
from graph_writer import INPUT, in_rows
from onnx_operators import FLOAT_TYPES, HANDLERS, Unsupported

OPSETS = range(7, 19)


class Node:
    """An ONNX node: its attributes as plain values, its name, its inputs ("" where left out)."""

    def __init__(self, proto):
        self.proto = proto
        self.kind = f"{proto.domain}.{proto.op_type}" if proto.domain else proto.op_type
        self.name = proto.name or proto.output[0]
        self.outputs = list(proto.output)
        self.inputs = list(proto.input)
        self.attributes = {a.name: onnx.helper.get_attribute_value(a) for a in proto.attribute}

    def get(self, key, default=None):
        value = self.attributes.get(key, default)
        return value.decode() if isinstance(value, bytes) else value

    def input(self, place):
        return self.inputs[place] if place < len(self.inputs) else ""


class OnnxGraph:
    """The graph of a model up to some of its nodes or tensors (default: its outputs).

    builder  its nodes and constants
    outputs  names of the nodes that compute what was asked for
    """

    def __init__(self, file, outputs=(), input_shape=None, bgr=False):
        model = load_model(file)
        self.file = file
        self.opset = opset_of(file, model)
        # {tensor: its value for each of the PROBED_ROWS}
        self.folded = {item.name: (numpy_helper.to_array(item),) * len(PROBED_ROWS)
                       for item in model.graph.initializer}
        self.names = {}  # {tensor: node or constant of the graph}
        self.read_input(model.graph, input_shape, bgr)
        self.nodes = [Node(proto) for proto in model.graph.node]
        wanted = [self.tensor_named(name) for name in outputs] \
            or [output.name for output in model.graph.output]
        self.read(needed_nodes(self.nodes, wanted))
        fixed = [name for name in wanted if name not in self.names]
        if fixed:
            raise ConversionError(f"{file}: '{fixed[0]}' depends on no image")
        self.outputs = list(dict.fromkeys(self.names[name] for name in wanted))

    def tensor_named(self, name):
        for node in self.nodes:
            if name in (node.name, *node.outputs):
                return name if name in node.outputs else node.outputs[0]
        raise ConversionError(f"{self.file}: has no node or tensor '{name}'")

    def node_named(self, name):
        """The node of the graph for the name of a node or tensor of the model."""
        found = self.names.get(self.tensor_named(name))
        if found is None:
            raise ConversionError(f"{self.file}: no output needs '{name}'")
        return found

    def read_input(self, graph, input_shape, bgr):
        """Begins the graph; an input that is channels-last or blue-green-red is turned so."""
        inputs = [item for item in graph.input if item.name not in self.folded]
        if len(inputs) != 1:
            raise ConversionError(f"{self.file}: has the inputs {[item.name for item in inputs]}, "
                                  "expected one, the image")
        kind = inputs[0].type.tensor_type
        if kind.elem_type not in FLOAT_TYPES:
            raise ConversionError(f"{self.file}: its input holds "
                                  f"{onnx.TensorProto.DataType.Name(kind.elem_type)}, expected "
                                  "floating-point numbers")
        extents = [extent.dim_value for extent in kind.shape.dim]
        self.fixed_batch = extents[:1] == [1]
        row = list(input_shape or extents[1:])
        channels_last = not input_shape and row[-1:] in ([1], [3]) and row[0] not in (1, 3)
        if channels_last:
            row = [row[2], row[0], row[1]]
        if len(row) != 3 or min(row) < 1:
            raise ConversionError(f"{self.file}: its input has shape {extents}, expected images "
                                  "[batch, channels, height, width]; state their size with "
                                  "--input-shape")
        self.builder = ProbedBuilder(row)
        name = INPUT
        if bgr:
            name = self.builder.add("flip", INPUT + ".bgr", {"self": name}, {"dims": [1]})
        if channels_last:
            name = self.builder.add("permute", INPUT + ".channels_last", {"self": name},
                                    {"dims": [0, 2, 3, 1]})
        self.names[inputs[0].name] = name

    def read(self, nodes):
        """Adds all nodes; what cannot be said is listed at once."""
        problems, unknown, sizes = [], set(), set()  # sizes: of tensors that are unknown
        for node in nodes:
            inputs = {name for name in node.inputs if name not in self.folded}
            if node.kind == "Shape" and inputs & unknown or inputs and inputs <= sizes:
                sizes.update(node.outputs)
                continue
            if inputs & (unknown | sizes) and node.kind in HANDLERS:
                unknown.update(node.outputs)
                continue
            try:
                self.read_node(node)
            except (Unsupported, ConversionError) as problem:
                problems.append(f"  {node.name} ({node.kind}): {problem}")
                unknown.update(node.outputs)
        if problems:
            hint = "\n(the model is written for one image; one of a free batch may do better)" \
                if self.fixed_batch else ""
            raise ConversionError(f"{self.file}: {len(problems)} nodes are not supported:\n"
                                  + "\n".join(problems) + hint)

    def read_node(self, node):
        if node.kind == "Shape" and node.input(0) not in self.folded:
            extents = self.shape(node.input(0))[node.get("start", 0):node.get("end")]
            self.folded[node.outputs[0]] = tuple(
                np.array(in_rows(extents, rows), np.int64) for rows in PROBED_ROWS)
        elif not self.fold(node):
            if node.kind not in HANDLERS:
                raise Unsupported("no such operator in a graph")
            result = HANDLERS[node.kind](self, node)
            for output, name in zip(node.outputs, [result] if isinstance(result, str) else result):
                self.names[output] = name

    def fold(self, node):
        """Computes a node that depends on no image; whether it did."""
        inputs = [name for name in node.inputs if name]
        if not all(name in self.folded for name in inputs) or "." in node.kind:
            return False
        values = []
        graph = onnx.helper.make_graph(
            [node.proto], "fold",
            [onnx.helper.make_empty_tensor_value_info(name) for name in set(inputs)],
            [onnx.helper.make_empty_tensor_value_info(node.outputs[0])])
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid(
            "", self.opset)])
        for place in range(len(PROBED_ROWS)):
            feeds = {name: self.folded[name][place] for name in inputs}
            values.append(np.asarray(ReferenceEvaluator(model).run(None, feeds)[0]))
        if len({value.shape for value in values}) != 1:
            return False  # a tensor whose size is the number of images: left to the graph
        self.folded[node.outputs[0]] = tuple(values)
        return True

    def shape(self, tensor):
        name = self.names.get(tensor)
        if name in self.builder.shapes:
            return self.builder.shapes[name]
        return list(self.constant(tensor).shape)

    def constant(self, tensor):
        """The value of a tensor that depends neither on images nor on their number."""
        values = self.folded.get(tensor)
        if values is None:
            raise Unsupported(f"'{tensor}' is computed from images, expected a constant")
        if not all(np.array_equal(value, values[0]) for value in values):
            raise Unsupported(f"'{tensor}' depends on the number of images")
        return values[0]

    def integers(self, tensor):
        """Extents: integers, "batch" or {"batch": k}."""
        if tensor not in self.folded:
            raise Unsupported(f"'{tensor}' is computed from images, expected a constant")
        values = [np.atleast_1d(value).tolist() for value in self.folded[tensor]]
        return [extent_of(tensor, extents) for extents in zip(*values)]

    def operand(self, tensor, as_index=False):
        """The name of a node or constant; constants enter the graph when they are first used."""
        if tensor == "":
            return None
        if tensor not in self.names:
            value = self.constant(tensor)
            keep = value.dtype == np.float16 or as_index
            self.names[tensor] = self.builder.constant(
                tensor, value if keep else value.astype(np.float32))
        return self.names[tensor]

    def new_constant(self, node, part, value):
        return self.builder.constant(f"{node.name}.{part}", value)

    def add(self, operator, node, inputs, attributes=None, part=""):
        """Adds a node called after the ONNX node; `part` tells several apart."""
        name = f"{node.name}.{part}" if part else node.name
        return self.builder.add(operator, name, inputs, attributes)

    def axis(self, node, axis, place=0):
        """A counted-from-behind axis, from the front."""
        return axis % len(self.shape(node.input(place)))


def load_model(file):
    try:
        return onnx.load(str(file))
    except (DecodeError, onnx.checker.ValidationError) as problem:
        raise ConversionError(f"{file}: is not a complete ONNX file ({problem})") from None


def opset_of(file, model):
    version = next((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")),
                   None)
    if version not in OPSETS:
        raise ConversionError(f"{file}: has opset {version}, expected {OPSETS[0]} to {OPSETS[-1]} "
                              "(onnx.version_converter changes it)")
    return version


def needed_nodes(nodes, wanted):
    """Those that the wanted tensors depend on, in order."""
    tensors, needed = set(wanted), []
    for node in reversed(nodes):
        if tensors & set(node.outputs):
            tensors.update(node.inputs)
            needed.append(node)
    return needed[::-1]
