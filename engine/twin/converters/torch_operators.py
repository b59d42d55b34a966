"""What ATen's operators are in a graph, where that is not a node of the same operator.

A converter is a function (graph, node): `graph` is the TorchGraph that is being read, `node` the
torch.fx node that it adds.
"""

import numpy as np
import torch

from graph_operators import OPERATORS
from graph_writer import batch_extent

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


def full(graph, node):
    """As many equal numbers as there are images, times a constant."""
    arguments = bound_arguments(node)
    number = graph.builder.constant(graph.name_for(node) + ".number",
                                    np.float32(arguments["fill_value"]))
    graph.add(node, "expand", {"self": number}, {"size": shape_of(node)})


CONVERTERS = {
    "full": full,
    "upsample_nearest2d.vec": upsample, "upsample_bilinear2d.vec": upsample,
    "upsample_bicubic2d.vec": upsample, "conv1d.padding": convolution,
    "conv2d.padding": convolution, "conv3d.padding": convolution, "index.Tensor": index,
}


def is_known(node):
    name = operator_name(node.target)
    return name is None or name.startswith(("sym_", "_assert_")) or any(
        name in known for known in (OPERATORS, PASSING, RENAMED, SEVERAL, CONVERTERS))
