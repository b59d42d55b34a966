"""Turns a torch.nn.Module into a graph by torch.export, with the number of rows left free.

Composite operators (conv2d, layer_norm, scaled_dot_product_attention, ...) stay whole; only those
that a graph cannot call are taken apart. What depends on no image is computed here and stored.
"""

import copy
import operator
import re
import warnings

import numpy as np
import torch

from bundle_writer import ConversionError
from graph_operators import OPERATORS
from graph_writer import INPUT, GraphBuilder, batch_extent, in_rows

EXPORTED_ROWS = 2
MOST_ROUNDS = 8
# They return their input, at inference.
PASSING = {"dropout", "dropout_", "feature_dropout", "alpha_dropout", "feature_alpha_dropout",
           "identity", "detach", "detach_", "clone", "alias", "lift_fresh_copy", "lift",
           "contiguous", "to.dtype", "to.device", "to.dtype_layout", "to.other", "_to_copy",
           "type_as"}
RENAMED = {"view": ("reshape", {"size": "shape"}), "_unsafe_view": ("reshape", {"size": "shape"}),
           "reshape": ("reshape", {}), "view_copy": ("reshape", {"size": "shape"})}
# add.Tensor and the like are called with a number, too.
WITH_NUMBER = {"add.Tensor": "add.Scalar", "sub.Tensor": "sub.Scalar", "mul.Tensor": "mul.Scalar",
               "div.Tensor": "div.Scalar"}
PARTS = {"split.Tensor", "split.sizes", "split_with_sizes", "chunk", "tensor_split.sections",
         "unsafe_split.Tensor", "unsafe_chunk", "tensor_split.indices"}
BATCH_NORM = "_native_batch_norm_legit_no_training"
SEVERAL = PARTS | {"unbind.int", BATCH_NORM}
INTEGERS = (torch.int64, torch.int32)
# They say where and how values are computed, not what they are.
IGNORED_ATTRIBUTES = {"memory_format", "layout", "device", "cudnn_enable"}


class Unsupported(Exception):
    """What a node asks for and a graph cannot say."""


def operator_name(target):
    """ATen's name with the overload, unless that is the default; None for other functions."""
    if not isinstance(target, torch._ops.OpOverload) or target.namespace != "aten":
        return None
    name, overload = target._schema.name.split("::")[1], target._overloadname
    return name if overload == "default" else f"{name}.{overload}"


def extent(value):
    """A size as the graph states it: an integer, "batch" or {"batch": k}."""
    if not isinstance(value, torch.SymInt):
        return int(value)
    expression = value.node.expr
    if expression.is_Integer:
        return int(expression)
    symbols = list(expression.free_symbols)
    times = expression.coeff(symbols[0]) if len(symbols) == 1 else None
    if times is None or not times.is_Integer or times < 1 or expression != times * symbols[0]:
        raise Unsupported(f"uses {expression} of the number of images, expected a multiple of it")
    return batch_extent(int(times))


def shape_of(node):
    value = node.meta.get("val")
    if not isinstance(value, torch.Tensor):
        raise Unsupported("does not give one tensor")
    return [extent(size) for size in value.shape]


def exported(module, row_shape):
    """The exported program, in which nothing is changed in place."""
    module = copy.deepcopy(module).eval().requires_grad_(False).to("cpu", torch.float32)
    example = torch.zeros(EXPORTED_ROWS, *row_shape)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's about itself
            program = torch.export.export(module, (example,), strict=False,
                                          dynamic_shapes=({0: torch.export.Dim("batch")},))
            return module, program.run_decompositions({})
    except Exception as problem:  # torch.export raises whatever it meets
        text = str(problem).strip().splitlines() or [type(problem).__name__]
        raise ConversionError("torch.export cannot export the module with a free number of "
                              f"images: {' '.join(text[:4])}") from problem


def take_apart(program):
    """Decomposes operators that a graph cannot call, for as long as PyTorch knows how."""
    known = torch.export.default_decompositions()
    tried = set()
    for _ in range(MOST_ROUNDS):
        unknown = {node.target for node in program.graph.nodes
                   if node.op == "call_function" and node.target is not operator.getitem
                   and not is_known(node)}
        table = {target: known[target] for target in unknown - tried if target in known}
        if not table:
            return program
        tried |= set(table)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = program.run_decompositions(table)
    return program


def is_known(node):
    name = operator_name(node.target)
    return name is None or name.startswith(("sym_", "_assert_")) or any(
        name in known for known in (OPERATORS, PASSING, RENAMED, SEVERAL, CONVERTERS))


class TorchGraph:
    """The graph of a module.

    builder  its nodes and constants
    outputs  names of the nodes that the module returns
    """

    def __init__(self, module, row_shape):
        self.module, program = exported(module, row_shape)
        self.program = take_apart(program)
        self.builder = GraphBuilder(row_shape)
        self.names = {}  # {fx node: its name in the graph}
        self.constants = {}  # {fx node: tensor that depends on no image}
        self.paths = {}  # {node of the graph: paths of the modules around it}
        self.outputs = []
        self.modules = dict(module.named_modules())
        self.calls = calls_of(self.program.graph)
        self.tensor_names = set()  # not for nodes
        self.read_placeholders()
        self.read()

    def read_placeholders(self):
        signature = self.program.graph_signature
        state = {**self.program.state_dict, **self.program.constants}
        for spec, node in zip(signature.input_specs, self.program.graph.find_nodes(
                op="placeholder")):
            if spec.target is None:
                self.names[node] = INPUT
                continue
            self.constants[node] = state[spec.target].detach()
            node.meta["tensor_name"] = spec.target
            self.tensor_names.add(spec.target)

    def read(self):
        problems, unknown = [], set()
        for node in self.program.graph.nodes:
            if node.op == "output":
                self.read_outputs(node, unknown)
            if node.op != "call_function":
                continue
            try:
                if unknown & set(node.all_input_nodes):
                    unknown.add(node)
                    if is_known(node):
                        continue
                    raise Unsupported("no such operator in a graph")
                self.read_node(node)
            except (Unsupported, ConversionError) as problem:
                unknown.add(node)
                called = operator_name(node.target) or str(node.target)
                problems.append(f"  {node.name} ({called}) in "
                                f"'{self.path(node) or 'the module itself'}': {problem}")
        if problems:
            raise ConversionError(f"{len(problems)} nodes of the module are not supported:\n"
                                  + "\n".join(problems))

    def read_outputs(self, node, unknown):
        for value in node.args[0]:
            if value in unknown:
                continue
            if not isinstance(value, torch.fx.Node) or value not in self.names \
                    or self.names[value] == INPUT:
                raise ConversionError("the module returns something that is not computed from the "
                                      "image")
            self.outputs.append(self.names[value])

    def read_node(self, node):
        if not isinstance(node.meta.get("val"), (torch.Tensor, list, tuple)):
            return  # an assertion; or a number, which is known where it is used
        if node.target is operator.getitem:
            self.read_part(node)
            return
        if not self.fold(node):
            name = operator_name(node.target)
            if name in PASSING:
                self.pass_on(node)
            elif name in SEVERAL:
                pass  # its results are nodes
            elif name in CONVERTERS:
                CONVERTERS[name](self, node)
            else:
                self.call(node, name)

    def fold(self, node):
        """Computes a node that depends on no image; whether it did."""
        inputs = node.all_input_nodes
        if not all(used in self.constants for used in inputs) or operator_name(node.target) is None:
            return False
        # A size may depend on the number of images without any tensor doing so.
        if isinstance(node.meta.get("val"), torch.Tensor):
            if not all(isinstance(size, int) for size in shape_of(node)):
                return False
        elif not isinstance(node.meta.get("val"), (list, tuple)):
            return False
        arguments = torch.fx.node.map_arg((node.args, node.kwargs), self.constants.get)
        with torch.no_grad():
            self.constants[node] = node.target(*arguments[0], **arguments[1])
        return True

    def read_part(self, node):
        """One of the tensors of a split."""
        source, place = node.args
        if source in self.constants:
            self.constants[node] = self.constants[source][place]
            return
        name = operator_name(source.target)
        arguments = bound_arguments(source)
        if name == BATCH_NORM:
            self.batch_norm(node, arguments)
            return
        dim = arguments.get("dim", 0)
        tensor = {"self": self.operand(arguments["self"])}
        if name == "unbind.int":
            self.add(node, "select.int", tensor, {"dim": dim, "index": place})
            return
        if name not in PARTS:
            raise Unsupported(f"takes one of several results of {name}")
        sizes = [extent(part.shape[dim]) for part in source.meta["val"]]
        if not all(isinstance(size, int) for size in sizes):
            raise Unsupported("splits the images of a call")
        self.add(node, "narrow", tensor, {"dim": dim, "start": sum(sizes[:place]),
                                          "length": sizes[place]})

    def batch_norm(self, node, arguments):
        keys = ("input", "weight", "bias", "running_mean", "running_var")
        self.add(node, "batch_norm",
                 {key: self.operand(arguments[key]) for key in keys if arguments.get(key)},
                 {"training": False, "momentum": arguments["momentum"], "eps": arguments["eps"],
                  "cudnn_enabled": False})

    def pass_on(self, node):
        """A node that only returns its input."""
        if node.meta["val"].dtype != torch.float32:
            raise Unsupported(f"gives {node.meta['val'].dtype}, expected float32")
        arguments = bound_arguments(node)
        if arguments.get("train") or arguments.get("training"):
            raise Unsupported("draws at random (it is active in eval mode)")
        source = node.all_input_nodes[0]
        if source.meta["val"].dtype != torch.float32:
            raise Unsupported(f"turns {source.meta['val'].dtype} into numbers")
        self.names[node] = self.operand(source)

    def call(self, node, name):
        """A node of the same operator."""
        arguments = bound_arguments(node)
        if name in WITH_NUMBER and not isinstance(arguments["other"], torch.fx.Node):
            name = WITH_NUMBER[name]
        name, renamed = RENAMED.get(name, (name, {}))
        if name not in OPERATORS:
            raise Unsupported("no such operator in a graph")
        if name == "slice.Tensor" and node.meta["val"].shape == node.args[0].meta["val"].shape \
                and arguments.get("step", 1) == 1:
            self.names[node] = self.operand(node.args[0])
            return
        counted = {item.name for item in node.target._schema.arguments if "int" in str(item.type)}
        inputs, attributes = {}, {}
        for key, value in arguments.items():
            if is_tensor(value) or isinstance(value, (list, tuple)) and any(map(is_tensor, value)):
                inputs[key] = self.operands(value)
            elif key not in IGNORED_ATTRIBUTES:
                if isinstance(value, torch.fx.Node) and key not in counted:
                    raise Unsupported("computes with the number of images")
                attributes[renamed.get(key, key)] = attribute(key, value)
        self.add(node, name, inputs, attributes)

    def operands(self, value):
        return [self.operand(item) for item in value] if isinstance(value, (list, tuple)) \
            else self.operand(value)

    def operand(self, node):
        """The name of a node or constant; constants enter the graph when they are first used."""
        if node not in self.names:
            value = self.constants[node]
            if value.dtype == torch.bool:
                raise Unsupported(f"uses a boolean constant ('{node.name}'; a graph holds numbers: "
                                  "write a mask as float, with 0 and a large negative number)")
            wanted = node.meta.get("tensor_name") or self.name_for(node)
            value = value if value.dtype in INTEGERS else value.float()
            array = np.array(value.detach().contiguous().numpy())
            self.names[node] = self.builder.constant(wanted, array)
        return self.names[node]

    def add(self, node, operator, inputs, attributes, shape=None):
        """Adds a node, named after the module in which it is."""
        if node.meta["val"].dtype not in (torch.float32, torch.bool, *INTEGERS):
            raise Unsupported(f"gives {node.meta['val'].dtype}, expected float32")
        name = self.builder.add(operator, self.name_for(node), inputs, attributes,
                                shape or shape_of(node))
        self.names[node] = name
        self.paths[name] = [path for path, _ in stack_of(node)]

    def path(self, node):
        """The path of the innermost module that holds the node."""
        stack = stack_of(node)
        return stack[-1][0] if stack else ""

    def name_for(self, node):
        """The path of its module, and what it does there unless that is all the module does."""
        stack, path = stack_of(node), self.path(node)
        does = action(node)
        module = self.modules.get(path)
        alone = stack and self.calls[stack[-1][1]] == 1
        if path and module is not None and alone and not list(module.children()):
            name = path
        else:
            name = f"{path}.{does}" if path else does
        while name in self.tensor_names:
            name += ".value"
        return name

    def node_named(self, name):
        """A node by its name, or the last one inside a module by the module's path."""
        if name in self.builder.shapes and name != INPUT:
            return name
        inside = [node for node, paths in self.paths.items() if name in paths]
        if not inside:
            raise ConversionError(f"the module has no node or submodule '{name}' to tap")
        return inside[-1]


def action(node):
    """What a node does, as its name says it."""
    if node.op != "call_function":
        return node.name
    if node.target is operator.getitem:
        source = operator_name(node.args[0].target)
        return "batch_norm" if source == BATCH_NORM else f"{source.split('.')[0]}_{node.args[1]}"
    return operator_name(node.target).split(".")[0].strip("_")


def stack_of(node):
    """[(path, call)] of the modules around a node, the outermost first."""
    stack = node.meta.get("nn_module_stack") or {}
    return [(re.sub(r"@\d+$", "", path), call) for call, (path, _) in stack.items()]


def calls_of(graph):
    """{module call: number of nodes in it that compute something}."""
    counts = {}
    for node in graph.nodes:
        stack = stack_of(node)
        name = operator_name(node.target) if node.op == "call_function" else None
        if stack and name and name not in PASSING and not name.startswith("sym_"):
            counts[stack[-1][1]] = counts.get(stack[-1][1], 0) + 1
    return counts


def is_tensor(value):
    return isinstance(value, torch.fx.Node) and isinstance(value.meta.get("val"), torch.Tensor)


def bound_arguments(node):
    """{argument of the schema: value}, without those that have their default."""
    schema = node.target._schema.arguments
    given = {item.name: value for item, value in zip(schema, node.args)} | dict(node.kwargs)
    defaults = {item.name: item.default_value for item in schema if item.has_default_value()}
    return {key: value for key, value in given.items()
            if key not in defaults or isinstance(value, torch.fx.Node) or value != defaults[key]}


def attribute(key, value):
    """An argument that is no tensor, as JSON has it."""
    if isinstance(value, torch.fx.Node):
        value = value.meta["val"]
    if isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool)):
        return extent(value) if isinstance(value, torch.SymInt) else unknown_attribute(key, value)
    if isinstance(value, (list, tuple)):
        return [attribute(key, item) for item in value]
    if value is torch.float32:
        return None
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return unknown_attribute(key, value)


def unknown_attribute(key, value):
    raise Unsupported(f"has {key} = {value}")


# ---- operators that a graph says otherwise

def upsample(graph, node):
    """Called with sizes or factors; a graph states both."""
    name = operator_name(node.target).split(".")[0]
    arguments = bound_arguments(node)
    factors = arguments.get("scale_factors") or [None, None]
    attributes = {"output_size": shape_of(node)[2:]}
    if "bilinear" in name or "bicubic" in name:
        attributes["align_corners"] = arguments["align_corners"]
    attributes |= {key: float(factor) for key, factor in zip(("scales_h", "scales_w"), factors)
                   if factor is not None}
    graph.add(node, name, {"self": graph.operand(arguments["input"])}, attributes)


def convolution(graph, node):
    """Called with padding = "same" or "valid"."""
    name = operator_name(node.target).split(".")[0]
    arguments = bound_arguments(node)
    inputs = {key: graph.operand(arguments[key]) for key in ("input", "weight", "bias")
              if arguments.get(key) is not None}
    kernel = shape_of(arguments["weight"])[2:]
    attributes = {key: arguments[key] for key in ("stride", "dilation", "groups")
                  if key in arguments}
    if arguments.get("padding", "valid") == "same":
        dilation = list(arguments.get("dilation", [1])) * len(kernel)
        total = [step * (extent - 1) for step, extent in zip(dilation, kernel)]
        attributes["padding"] = [amount // 2 for amount in total]
        if any(amount % 2 for amount in total):
            # One more behind than before: ahead of the convolution, as it pads alike on both sides.
            behind = [part for amount in total[::-1] for part in (0, amount % 2)]
            padded = [extent if place < 2 else extent + total[place - 2] % 2 for place, extent in
                      enumerate(shape_of(arguments["input"]))]
            inputs["input"] = graph.builder.add(
                "constant_pad_nd", graph.name_for(node) + ".pad", {"self": inputs["input"]},
                {"pad": behind}, padded)
    graph.add(node, name, inputs, attributes)


def index(graph, node):
    """Some places along one axis, known beforehand."""
    tensor, indices = node.args
    given = [(axis, item) for axis, item in enumerate(indices) if item is not None]
    if len(given) != 1 or given[0][1] not in graph.constants \
            or graph.constants[given[0][1]].ndim != 1 \
            or graph.constants[given[0][1]].dtype not in INTEGERS:
        raise Unsupported("takes places that are not one constant list along one axis")
    (axis, places), extents = given[0], shape_of(tensor)
    if not isinstance(extents[axis], int):
        raise Unsupported("chooses among the images of a call")
    # index_select does not count from behind.
    places = graph.builder.constant(graph.name_for(node) + ".index",
                                    (graph.constants[places] % extents[axis]).numpy())
    graph.add(node, "index_select", {"self": graph.operand(tensor), "index": places}, {"dim": axis})


CONVERTERS = {
    "upsample_nearest2d.vec": upsample, "upsample_bilinear2d.vec": upsample,
    "upsample_bicubic2d.vec": upsample, "conv1d.padding": convolution,
    "conv2d.padding": convolution, "conv3d.padding": convolution, "index.Tensor": index,
}


def run_graph(graph, tensors, images):
    """{node: tensor} of the outputs, computed by calling ATen node by node."""
    values = {name: torch.from_numpy(array) for name, array in tensors.items()}
    values[INPUT] = images
    with torch.no_grad():
        for node in graph["nodes"]:
            name, _, overload = node["operator"].partition(".")
            function = getattr(getattr(torch.ops.aten, name), overload or "default")
            inputs = {key: [values[item] for item in used] if isinstance(used, list)
                      else values[used] for key, used in node["inputs"].items()}
            attributes = {key: in_rows(value, len(images))
                          for key, value in node["attributes"].items()}
            values[node["name"]] = function(**inputs, **attributes)
    return {name: values[name] for name in graph["outputs"]}


def answers(model, graph, images, tolerance):
    """{node: values} of the graph's outputs for images; the module itself must agree.

    tolerance  largest difference allowed, as a share of the largest value
    """
    images = torch.from_numpy(images)
    found = run_graph(graph, model.builder.tensors, images)
    with torch.no_grad():
        returned, _ = torch.utils._pytree.tree_flatten(model.module(images))
    own = [value for value in returned if isinstance(value, torch.Tensor)]
    for rows in (len(images), 1):
        again = run_graph(graph, model.builder.tensors, images[:rows])
        for name, value in zip(model.outputs, own):
            difference = (again[name] - value[:rows]).abs().max()
            if not difference <= tolerance * value.abs().max():
                raise ConversionError(f"the exported graph differs from the module: '{name}' by "
                                      f"{difference:.3g} for {rows} images")
    return {name: value.numpy() for name, value in found.items()}
