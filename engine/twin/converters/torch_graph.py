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
from graph_writer import INPUT, GraphBuilder, in_rows
from torch_operators import (BATCH_NORM, CONVERTERS, IGNORED_ATTRIBUTES, INTEGERS, PARTS, PASSING,
                             RENAMED, SEVERAL, WITH_NUMBER, Unsupported, attribute,
                             bound_arguments, extent, is_known, is_tensor, operator_name, shape_of)

EXPORTED_ROWS = 2
MOST_ROUNDS = 8
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
