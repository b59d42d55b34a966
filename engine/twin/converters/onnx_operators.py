"""What the operators of ONNX are in a graph: one function for each, (model, node) -> name.

`model` is the OnnxGraph that is being read, `node` one of its nodes; a function adds nodes of
ATen's operators and returns the name of the last one, or the names of all results.
"""

import math

import numpy as np
import onnx

FLOAT_TYPES = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE}
# Below every value of a network; -inf could not be stated.
LOWEST = float(np.finfo(np.float32).min)
HANDLERS = {}


class Unsupported(Exception):
    """What a node asks for and a graph cannot say."""


def handles(*kinds):
    """Registers a function (model, node) that adds nodes and returns the name of the last one."""
    def register(function):
        HANDLERS.update(dict.fromkeys(kinds, function))
        return function
    return register


def product(extents):
    """The extent of joined axes."""
    times = math.prod(extent for extent in extents if isinstance(extent, int))
    batches = [extent for extent in extents if not isinstance(extent, int)]
    if len(batches) > 1:
        raise Unsupported("joins two axes that both depend on the number of images")
    if not batches:
        return times
    times *= 1 if batches[0] == "batch" else batches[0]["batch"]
    return "batch" if times == 1 else {"batch": times}


# ---- one node for one node

UNARY = {"Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "Sqrt": "sqrt", "Exp": "exp",
         "Log": "log", "Neg": "neg", "Abs": "abs", "Erf": "erf", "Reciprocal": "reciprocal",
         "Floor": "floor", "Ceil": "ceil", "HardSwish": "hardswish"}
BINARY = {"Add": "add.Tensor", "Sub": "sub.Tensor", "Mul": "mul.Tensor", "Div": "div.Tensor"}
REDUCE = {"ReduceMean": "mean.dim", "ReduceSum": "sum.dim_IntList", "ReduceMax": "amax"}


@handles(*UNARY)
def unary(model, node):
    return model.add(UNARY[node.kind], node, {"self": model.operand(node.input(0))})


@handles(*BINARY)
def binary(model, node):
    return model.add(BINARY[node.kind], node, {"self": model.operand(node.input(0)),
                                               "other": model.operand(node.input(1))})


@handles("Pow")
def power(model, node):
    base = {"self": model.operand(node.input(0))}
    exponent = model.folded.get(node.input(1))
    if exponent is not None and exponent[0].size == 1:
        return model.add("pow.Tensor_Scalar", node, base, {"exponent": float(exponent[0].item())})
    return model.add("pow.Tensor_Tensor", node, {**base, "exponent": model.operand(node.input(1))})


@handles("MatMul")
def matmul(model, node):
    return model.add("matmul", node, {"self": model.operand(node.input(0)),
                                      "other": model.operand(node.input(1))})


@handles("LeakyRelu")
def leaky_relu(model, node):
    return model.add("leaky_relu", node, {"self": model.operand(node.input(0))},
                     {"negative_slope": node.get("alpha", 0.01)})


@handles("Elu")
def elu(model, node):
    return model.add("elu", node, {"self": model.operand(node.input(0))},
                     {"alpha": node.get("alpha", 1.0)})


@handles("HardSigmoid")
def hard_sigmoid(model, node):
    value = model.add("mul.Scalar", node, {"self": model.operand(node.input(0))},
                      {"other": node.get("alpha", 0.2)}, "slope")
    value = model.add("add.Scalar", node, {"self": value}, {"other": node.get("beta", 0.5)},
                      "offset")
    return model.add("clamp", node, {"self": value}, {"min": 0.0, "max": 1.0})


@handles("PRelu")
def prelu(model, node):
    slope = model.constant(node.input(1))
    channels = model.shape(node.input(0))[1]
    if slope.size not in (1, channels) or (slope.ndim >= 3 and slope.size != slope.shape[-3]):
        raise Unsupported(f"slopes of shape {list(slope.shape)}, expected one per channel")
    weight = model.new_constant(node, "weight", slope.reshape(-1))
    return model.add("prelu", node, {"self": model.operand(node.input(0)), "weight": weight})


@handles("Clip")
def clip(model, node):
    if model.opset < 11:
        limits = [node.get("min"), node.get("max")]
    else:
        limits = [model.constant(name).item() if name else None
                  for name in (node.input(1), node.input(2))]
    inputs = {"self": model.operand(node.input(0))}
    if limits == [0, 6]:
        return model.add("relu6", node, inputs)
    names = {key: float(value) for key, value in zip(("min", "max"), limits) if value is not None}
    return model.add("clamp", node, inputs, names)


@handles("Softmax")
def softmax(model, node):
    inputs = {"self": model.operand(node.input(0))}
    if model.opset >= 13:
        return model.add("softmax.int", node, inputs, {"dim": node.get("axis", -1)})
    # Before opset 13 it goes over all axes from this one on.
    axis, shape = model.axis(node, node.get("axis", 1)), model.shape(node.input(0))
    if all(extent == 1 for extent in shape[axis + 1:]):
        return model.add("softmax.int", node, inputs, {"dim": axis})
    joined = [*shape[:axis], product(shape[axis:])]
    flat = model.add("reshape", node, inputs, {"shape": joined}, "joined")
    flat = model.add("softmax.int", node, {"self": flat}, {"dim": axis}, "softmax")
    return model.add("reshape", node, {"self": flat}, {"shape": shape})


@handles("Identity", "Dropout", "Cast")
def identity(model, node):
    if node.kind == "Dropout" and node.input(2) and model.constant(node.input(2)):
        raise Unsupported("draws at random (training_mode is true)")
    if node.kind == "Cast" and node.get("to") not in FLOAT_TYPES:
        raise Unsupported(f"to {onnx.TensorProto.DataType.Name(node.get('to'))}, expected a "
                          "floating-point type")
    return model.operand(node.input(0))


@handles("Concat")
def concat(model, node):
    return model.add("cat", node, {"tensors": [model.operand(name) for name in node.inputs]},
                     {"dim": node.get("axis")})


@handles("Transpose")
def transpose(model, node):
    axes = len(model.shape(node.input(0)))
    return model.add("permute", node, {"self": model.operand(node.input(0))},
                     {"dims": node.get("perm", list(range(axes))[::-1])})


def axes_of(model, node, since):
    """The axes that are an input since an opset, and an attribute before; None where left out."""
    if model.opset < since:
        return node.get("axes")
    return model.constant(node.input(1)).reshape(-1).tolist() if node.input(1) else None


@handles(*REDUCE)
def reduce(model, node):
    axes = axes_of(model, node, 13 if node.kind == "ReduceSum" else 18)
    if not axes or 0 in [model.axis(node, axis) for axis in axes]:
        raise Unsupported("reduces over the images of a call")
    return model.add(REDUCE[node.kind], node, {"self": model.operand(node.input(0))},
                     {"dim": axes, "keepdim": bool(node.get("keepdims", 1))})


@handles("GlobalAveragePool", "GlobalMaxPool")
def global_pool(model, node):
    axes = list(range(2, len(model.shape(node.input(0)))))
    operator = "mean.dim" if node.kind == "GlobalAveragePool" else "amax"
    return model.add(operator, node, {"self": model.operand(node.input(0))},
                     {"dim": axes, "keepdim": True})


# ---- shapes

@handles("Flatten")
def flatten(model, node):
    shape = model.shape(node.input(0))
    axis = node.get("axis", 1)
    axis = axis + len(shape) if axis < 0 else axis
    return model.add("reshape", node, {"self": model.operand(node.input(0))},
                     {"shape": [product(shape[:axis]), product(shape[axis:])]})


@handles("Reshape")
def reshape(model, node):
    old, new = model.shape(node.input(0)), model.integers(node.input(1))
    if not node.get("allowzero", 0):
        new = [old[place] if extent == 0 else extent for place, extent in enumerate(new)]
    # A model that was written for one image says 1 where it means the number of images.
    if model.fixed_batch and old[:1] == ["batch"] and new[:1] == [1]:
        new[0] = "batch"
    return model.add("reshape", node, {"self": model.operand(node.input(0))}, {"shape": new})


@handles("Squeeze")
def squeeze(model, node):
    shape = model.shape(node.input(0))
    axes = axes_of(model, node, 13)
    if axes is None:
        axes = [place for place, extent in enumerate(shape) if extent == 1]
    name = model.operand(node.input(0))
    for axis in sorted((model.axis(node, axis) for axis in axes), reverse=True):
        name = model.add("squeeze.dim", node, {"self": name}, {"dim": axis})
    return name


@handles("Unsqueeze")
def unsqueeze(model, node):
    axes = axes_of(model, node, 13)
    count = len(model.shape(node.input(0))) + len(axes)
    name = model.operand(node.input(0))
    for axis in sorted(axis % count for axis in axes):
        name = model.add("unsqueeze", node, {"self": name}, {"dim": axis})
    return name


@handles("Expand")
def expand(model, node):
    """ONNX lets both sides broadcast; ATen's size must hold the larger."""
    old, new = model.shape(node.input(0)), model.integers(node.input(1))
    ahead = len(new) - len(old)
    size = [old[place - ahead] if extent == 1 and place >= ahead else extent
            for place, extent in enumerate(new)]
    if ahead < 0:
        size = [*old[:-ahead], *size]
    return model.add("expand", node, {"self": model.operand(node.input(0))}, {"size": size})


@handles("Slice")
def slice_axes(model, node):
    if model.opset < 10:
        starts, ends = node.get("starts"), node.get("ends")
        axes, steps = node.get("axes"), None
    else:
        starts, ends, axes, steps = (model.integers(name) if name else None for name in
                                     (node.input(place) for place in (1, 2, 3, 4)))
    axes = axes or list(range(len(starts)))
    name = model.operand(node.input(0))
    for start, end, axis, step in zip(starts, ends, axes, steps or [1] * len(starts)):
        if not isinstance(step, int) or step < 1:
            raise Unsupported(f"steps of {step}, expected 1 or more")
        name = model.add("slice.Tensor", node, {"self": name},
                         {"dim": axis, "start": start, "end": end, "step": step})
    return name


@handles("Split")
def split(model, node):
    axis = model.axis(node, node.get("axis", 0))
    sizes = node.get("split") if model.opset < 13 else \
        (model.constant(node.input(1)).tolist() if node.input(1) else None)
    if sizes is None:
        extent, count = model.shape(node.input(0))[axis], len(node.outputs)
        each = -(-extent // count)
        sizes = [min(each, extent - each * place) for place in range(count)]
    ends = np.cumsum(sizes).tolist()
    return [model.add("slice.Tensor", node, {"self": model.operand(node.input(0))},
                      {"dim": axis, "start": end - size, "end": end}, str(place))
            for place, (size, end) in enumerate(zip(sizes, ends))]


@handles("Gather")
def gather(model, node):
    axis = model.axis(node, node.get("axis", 0))
    index = model.constant(node.input(1))
    inputs = {"self": model.operand(node.input(0))}
    if index.ndim == 0:
        return model.add("select.int", node, inputs, {"dim": axis, "index": int(index)})
    if index.ndim != 1:
        raise Unsupported(f"an index of {index.ndim} axes, expected 0 or 1")
    extent = model.shape(node.input(0))[axis]
    places = model.new_constant(node, "index", index.astype(np.int64) % extent)
    return model.add("index_select", node, {**inputs, "index": places}, {"dim": axis})


@handles("Pad")
def pad(model, node):
    axes = len(model.shape(node.input(0)))
    value = node.get("value", 0.0)
    if model.opset < 11:
        pads = node.get("pads")
    else:
        pads = model.constant(node.input(1)).tolist()
        value = float(model.constant(node.input(2)).item()) if node.input(2) else 0.0
    listed = list(range(axes))
    if node.input(3):
        listed = [axis % axes for axis in model.constant(node.input(3)).tolist()]
    around = {axis: (pads[place], pads[place + len(listed)]) for place, axis in enumerate(listed)}
    flat = [amount for axis in reversed(range(axes)) for amount in around.get(axis, (0, 0))]
    inputs = {"self": model.operand(node.input(0))}
    mode = node.get("mode", "constant")
    if not any(flat[2 * (axes - 2):]):
        flat = flat[:2 * (axes - 2)]  # ATen reflects no more than the axes behind the channels
    if mode == "constant":
        return model.add("constant_pad_nd", node, inputs, {"pad": flat, "value": value})
    if mode not in ("reflect", "edge"):
        raise Unsupported(f"mode '{mode}'")
    return model.add("pad", node, inputs,
                     {"pad": flat, "mode": "replicate" if mode == "edge" else mode})


@handles("Resize", "Upsample")
def resize(model, node):
    shape = model.shape(node.input(0))
    scales, sizes = resize_target(model, node)
    mode, place = node.get("mode", "nearest"), node.get("coordinate_transformation_mode",
                                                        "half_pixel")
    if model.opset < 11:
        place = "asymmetric"
    if scales is not None:
        sizes = [extent if scale == 1 else int(extent * scale)
                 for extent, scale in zip(shape, scales)]
    if sizes[:2] != shape[:2] and not (model.fixed_batch and sizes[1:2] == shape[1:2]):
        raise Unsupported(f"changes {shape} to {sizes}, expected the same rows and channels")
    inputs = {"self": model.operand(node.input(0))}
    if mode == "nearest":
        check_nearest(node, model.opset, place, shape, sizes)
        return model.add("upsample_nearest2d", node, inputs, {"output_size": sizes[2:]})
    if mode != "linear" or place not in ("half_pixel", "pytorch_half_pixel", "align_corners") \
            or node.get("antialias", 0):
        raise Unsupported(f"mode '{mode}' of '{place}', expected nearest or linear at half pixels")
    attributes = {"output_size": sizes[2:], "align_corners": place == "align_corners"}
    if scales is not None and place != "align_corners":
        attributes |= {"scales_h": float(scales[2]), "scales_w": float(scales[3])}
    return model.add("upsample_bilinear2d", node, inputs, attributes)


def resize_target(model, node):
    """(scales, sizes), one of which is None."""
    if node.get("scales") is not None:
        return node.get("scales"), None
    scales = node.input(1 if node.kind == "Upsample" or model.opset < 11 else 2)
    if scales and model.constant(scales).size:
        return model.constant(scales).tolist(), None
    if node.get("axes") is not None or not node.input(3):
        raise Unsupported("needs scales or sizes of all axes")
    return None, model.integers(node.input(3))


def check_nearest(node, opset, place, old, new):
    """Only whole-numbered factors, where every pixel is repeated."""
    factors = [extent / before for before, extent in zip(old[2:], new[2:])]
    rounding = "floor" if opset < 11 else node.get("nearest_mode", "round_prefer_floor")
    repeats = (place == "asymmetric" and (rounding == "floor" or factors == [2, 2])
               or place in ("half_pixel", "pytorch_half_pixel")
               and rounding.startswith("round_prefer"))
    if any(factor != int(factor) for factor in factors) or not repeats:
        raise Unsupported(f"nearest with factors {factors}, '{place}' and '{rounding}', expected "
                          "whole-numbered factors that repeat every pixel")


# ---- convolutions and pools

def pads_of(model, node, kernel, stride, dilation):
    """[top, left, bottom, right]."""
    automatic = node.get("auto_pad", "NOTSET")
    if automatic == "NOTSET":
        return node.get("pads", [0, 0, 0, 0])
    if automatic == "VALID":
        return [0, 0, 0, 0]
    before, after = [], []
    for axis, extent in enumerate(model.shape(node.input(0))[2:]):
        span = dilation[axis] * (kernel[axis] - 1) + 1
        total = max((-(-extent // stride[axis]) - 1) * stride[axis] + span - extent, 0)
        less, more = total // 2, total - total // 2
        before.append(less if automatic == "SAME_UPPER" else more)
        after.append(more if automatic == "SAME_UPPER" else less)
    return before + after


def place_windows(model, node, kernel):
    """stride, dilation and pads of a two-dimensional convolution or pool."""
    if len(kernel) != 2:
        raise Unsupported(f"works on {len(kernel)} axes, expected 2")
    stride, dilation = node.get("strides", [1, 1]), node.get("dilations", [1, 1])
    return stride, dilation, pads_of(model, node, kernel, stride, dilation)


def padded_input(model, node, pads, value):
    """The input with a node before it that pads by [top, left, bottom, right]."""
    top, left, bottom, right = pads
    return model.add("constant_pad_nd", node, {"self": model.operand(node.input(0))},
                     {"pad": [left, right, top, bottom], "value": value}, "pad")


@handles("Conv")
def convolution(model, node):
    kernel = model.shape(node.input(1))[2:]
    stride, dilation, pads = place_windows(model, node, kernel)
    image, padding = model.operand(node.input(0)), pads[:2]
    if pads[:2] != pads[2:]:
        image, padding = padded_input(model, node, pads, 0.0), [0, 0]
    return model.add("conv2d", node, {"input": image, "weight": model.operand(node.input(1)),
                                      "bias": model.operand(node.input(2))},
                     {"stride": stride, "padding": padding, "dilation": dilation,
                      "groups": node.get("group", 1)})


def pool_attributes(node, kernel, pads):
    """Whether the pool can pad by itself; where not, padding and ceil_mode cannot be combined."""
    plain = pads[:2] == pads[2:] and all(2 * amount <= size for amount, size in zip(pads, kernel))
    if not plain and node.get("ceil_mode", 0):
        raise Unsupported("pads unequally and has ceil_mode")
    return plain


@handles("MaxPool")
def max_pool(model, node):
    kernel = node.get("kernel_shape")
    stride, dilation, pads = place_windows(model, node, kernel)
    if len(node.outputs) > 1 and node.outputs[1]:
        raise Unsupported("has the places of the maxima as an output")
    image, padding = model.operand(node.input(0)), pads[:2]
    if not pool_attributes(node, kernel, pads):
        image, padding = padded_input(model, node, pads, LOWEST), [0, 0]
    return model.add("max_pool2d", node, {"self": image},
                     {"kernel_size": kernel, "stride": stride, "padding": padding,
                      "dilation": dilation, "ceil_mode": bool(node.get("ceil_mode", 0))})


@handles("AveragePool")
def average_pool(model, node):
    kernel = node.get("kernel_shape")
    stride, dilation, pads = place_windows(model, node, kernel)
    if dilation != [1, 1]:
        raise Unsupported("has dilations")
    attributes = {"kernel_size": kernel, "stride": stride}
    if pool_attributes(node, kernel, pads):
        return model.add("avg_pool2d", node, {"self": model.operand(node.input(0))},
                         {**attributes, "padding": pads[:2],
                          "ceil_mode": bool(node.get("ceil_mode", 0)),
                          "count_include_pad": bool(node.get("count_include_pad", 0))})
    image = padded_input(model, node, pads, 0.0)
    if node.get("count_include_pad", 0):
        return model.add("avg_pool2d", node, {"self": image}, attributes)
    mean = model.add("avg_pool2d", node, {"self": image}, attributes, "with_padding")
    share = model.new_constant(node, "share", pixels_seen(model, node, kernel, stride, pads))
    return model.add("div.Tensor", node, {"self": mean, "other": share})


def pixels_seen(model, node, kernel, stride, pads):
    """Which share of each window lies in the image [height, width]."""
    shares = []
    for axis, extent in enumerate(model.shape(node.input(0))[2:]):
        inside = np.pad(np.ones(extent), (pads[axis], pads[axis + 2]))
        sums = np.convolve(inside, np.ones(kernel[axis]), "valid")[::stride[axis]]
        shares.append(sums / kernel[axis])
    return np.outer(*shares).astype(np.float32)


# ---- normalisation and matrices

@handles("BatchNormalization")
def batch_norm(model, node):
    if node.get("training_mode", 0) or not node.get("spatial", 1):
        raise Unsupported("normalises over the images of a call, or per pixel")
    keys = ("input", "weight", "bias", "running_mean", "running_var")
    inputs = {key: model.operand(node.input(place)) for place, key in enumerate(keys)}
    return model.add("batch_norm", node, inputs,
                     {"training": False, "momentum": 0.1, "eps": node.get("epsilon", 1e-5),
                      "cudnn_enabled": False})


@handles("LayerNormalization")
def layer_norm(model, node):
    shape = model.shape(node.input(0))[model.axis(node, node.get("axis", -1)):]
    keys = ("input", "weight", "bias")
    inputs = {key: model.operand(node.input(place)) for place, key in enumerate(keys)}
    return model.add("layer_norm", node, inputs,
                     {"normalized_shape": shape, "eps": node.get("epsilon", 1e-5)})


@handles("LRN")
def local_response(model, node):
    """x / (bias + alpha mean(x^2 over `size` channels))^beta."""
    image, size = model.operand(node.input(0)), node.get("size")
    shape = model.shape(node.input(0))
    rows, channels, height, width = shape
    before = (size - 1) // 2
    steps = [("reshape", {"shape": [rows, 1, channels, height * width]}),
             ("constant_pad_nd", {"pad": [0, 0, before, size - 1 - before]}),
             ("avg_pool2d", {"kernel_size": [size, 1], "stride": [1, 1]}),
             ("reshape", {"shape": shape}),
             ("mul.Scalar", {"other": node.get("alpha", 1e-4)}),
             ("add.Scalar", {"other": node.get("bias", 1.0)}),
             ("pow.Tensor_Scalar", {"exponent": node.get("beta", 0.75)})]
    value = model.add("mul.Tensor", node, {"self": image, "other": image}, part="square")
    for operator, attributes in steps:
        value = model.add(operator, node, {"self": value}, attributes, operator.split(".")[0])
    return model.add("div.Tensor", node, {"self": image, "other": value})


@handles("Gemm")
def gemm(model, node):
    """alpha A B + beta C, A and B transposed where asked."""
    if node.get("transA", 0):
        raise Unsupported("transposes the values of images")
    weight = model.constant(node.input(1))
    weight = weight if node.get("transB", 0) else weight.T
    if node.get("alpha", 1.0) != 1 or not node.get("transB", 0):
        weight = model.new_constant(node, "weight", scaled(weight, node.get("alpha", 1.0)))
    else:
        weight = model.operand(node.input(1))
    bias = None
    if node.input(2):
        bias = model.constant(node.input(2))
        units = model.builder.tensors[weight].shape[0]
        if bias.size not in (1, units):
            raise Unsupported(f"adds a tensor of shape {list(bias.shape)}, expected [{units}]")
        if bias.shape == (units,) and node.get("beta", 1.0) == 1:
            bias = model.operand(node.input(2))
        else:
            bias = np.broadcast_to(bias.reshape(-1), (units,))
            bias = model.new_constant(node, "bias", scaled(bias, node.get("beta", 1.0)))
    return model.add("linear", node, {"input": model.operand(node.input(0)), "weight": weight,
                                      "bias": bias})


def scaled(array, factor):
    """In its own precision if nothing changes."""
    return array if factor == 1 else array.astype(np.float32) * np.float32(factor)
