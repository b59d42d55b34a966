"""Computes a graph in double precision with numpy: the reference that needs no PyTorch.

It knows the operators that our converters and the ONNX import use, with the arguments and defaults
of ATen's schema. Slow and plain on purpose.
"""

import math

import numpy as np

from bundle_writer import ConversionError
from graph_writer import INPUT, GraphBuilder, batch_extent, in_rows, names_in

PROBED_ROWS = (1, 2)


def pair(value):
    """[height, width] of an argument that may be one number."""
    values = [value] if isinstance(value, int) else list(value)
    return values * 2 if len(values) == 1 else values


def windows(image, kernel, stride, dilation):
    """The values under each place of the kernel: (row, column, [..., height, width])."""
    extents = [(image.shape[axis - 2] - dilation[axis] * (kernel[axis] - 1) - 1) // stride[axis] + 1
               for axis in (0, 1)]
    for row in range(kernel[0]):
        for column in range(kernel[1]):
            top, left = row * dilation[0], column * dilation[1]
            yield row, column, image[..., top:top + (extents[0] - 1) * stride[0] + 1:stride[0],
                                     left:left + (extents[1] - 1) * stride[1] + 1:stride[1]]


def padded(image, before, after, value=0.0):
    """The image with rows and columns of a value around it."""
    around = [(0, 0)] * (image.ndim - 2) + [(before[0], after[0]), (before[1], after[1])]
    return np.pad(image, around, constant_values=value)


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    stride, padding, dilation = pair(stride), pair(padding), pair(dilation)
    rows, channels = input.shape[:2]
    image = padded(input, padding, padding)
    kernels = weight.reshape(groups, -1, *weight.shape[1:])
    total = 0.0
    for row, column, part in windows(image, weight.shape[2:], stride, dilation):
        flat = part.reshape(rows, groups, channels // groups, -1)
        total = total + np.matmul(kernels[..., row, column], flat)
        extents = part.shape[2:]
    total = total.reshape(rows, -1, *extents)
    return total if bias is None else total + bias[:, None, None]


def pool_padding(image, kernel, stride, padding, dilation, ceil_mode):
    """Rows and columns to add behind the image: the padding, and for a last partial window."""
    after = []
    for axis in (0, 1):
        length, span = image.shape[axis - 2], dilation[axis] * (kernel[axis] - 1) + 1
        steps = (length + 2 * padding[axis] - span) / stride[axis]
        count = (math.ceil if ceil_mode else math.floor)(steps) + 1
        if ceil_mode and (count - 1) * stride[axis] >= length + padding[axis]:
            count -= 1
        after.append(max(padding[axis], (count - 1) * stride[axis] + span - length - padding[axis]))
    return after


def max_pool2d(self, kernel_size, stride=(), padding=0, dilation=1, ceil_mode=False):
    kernel, stride = pair(kernel_size), pair(stride or kernel_size)
    padding, dilation = pair(padding), pair(dilation)
    after = pool_padding(self, kernel, stride, padding, dilation, ceil_mode)
    image = padded(self, padding, after, -np.inf)
    return np.maximum.reduce([part for _, _, part in windows(image, kernel, stride, dilation)])


def avg_pool2d(self, kernel_size, stride=(), padding=0, ceil_mode=False, count_include_pad=True):
    kernel, stride, padding = pair(kernel_size), pair(stride or kernel_size), pair(padding)
    after = pool_padding(self, kernel, stride, padding, (1, 1), ceil_mode)
    ones = np.ones(self.shape[2:])
    if count_include_pad:
        ones = padded(ones, padding, padding, 1.0)
        counted = padded(ones, (0, 0), [end - want for end, want in zip(after, padding)])
    else:
        counted = padded(ones, padding, after)
    total, count = (sum(part for _, _, part in windows(image, kernel, stride, (1, 1)))
                    for image in (padded(self, padding, after), counted))
    return total / count


def batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps,
               cudnn_enabled=False):
    mean, variance, weight, bias = (value.reshape(-1, *[1] * (input.ndim - 2)) for value in
                                    (running_mean, running_var, weight, bias))
    return (input - mean) / np.sqrt(variance + eps) * weight + bias


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5):
    axes = tuple(range(-len(normalized_shape), 0))
    centred = input - input.mean(axes, keepdims=True)
    scaled = centred / np.sqrt((centred ** 2).mean(axes, keepdims=True) + eps)
    return scaled * (1 if weight is None else weight) + (0 if bias is None else bias)


def softmax(self, dim):
    powers = np.exp(self - self.max(dim, keepdims=True))
    return powers / powers.sum(dim, keepdims=True)


def slice_tensor(self, dim=0, start=None, end=None, step=1):
    parts = [slice(None)] * self.ndim
    parts[dim] = slice(start, end, step)
    return self[tuple(parts)]


def pad_last_axes(self, pad, mode="constant", value=0.0):
    """pad: before and after of the last axis, then of the one before it; may be negative."""
    around = [(0, 0)] * self.ndim
    for axis in range(len(pad) // 2):
        before, after = pad[2 * axis:2 * axis + 2]
        self = slice_tensor(self, -1 - axis, max(0, -before),
                            self.shape[-1 - axis] - max(0, -after))
        around[-1 - axis] = (max(0, before), max(0, after))
    if mode == "constant":
        return np.pad(self, around, constant_values=value or 0.0)
    return np.pad(self, around, mode={"reflect": "reflect", "replicate": "edge"}[mode])


def upsample_nearest2d(self, output_size, scales_h=None, scales_w=None):
    for axis, extent in enumerate(output_size):
        self = np.take(self, np.arange(extent) * self.shape[2 + axis] // extent, 2 + axis)
    return self


def upsample_bilinear2d(self, output_size, align_corners, scales_h=None, scales_w=None):
    for axis, (extent, scale) in enumerate(zip(output_size, (scales_h, scales_w)), start=2):
        length = self.shape[axis]
        if align_corners:
            place = np.arange(extent) * ((length - 1) / max(extent - 1, 1))
        else:
            place = np.maximum((np.arange(extent) + 0.5) / (scale or extent / length) - 0.5, 0)
        below = np.minimum(place.astype(np.int64), length - 1)
        share = (place - below).reshape([-1 if i == axis else 1 for i in range(self.ndim)])
        self = (np.take(self, below, axis) * (1 - share)
                + np.take(self, np.minimum(below + 1, length - 1), axis) * share)
    return self


def grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners):
    """Values between pixels [rows, channels, ...] at grid [rows, height, width, (x, y)] of -1..1."""
    if interpolation_mode != 0 or padding_mode != 0:
        raise ValueError("only bilinear sampling with zeros outside is known")
    rows, _, height, width = input.shape
    ends = [(extent - 1 if align_corners else extent) / 2 for extent in (width, height)]
    places = [(grid[..., axis] + 1) * end - (0 if align_corners else 0.5)
              for axis, end in enumerate(ends)]
    corner = [np.floor(place).astype(np.int64) for place in places]
    row = np.arange(rows).reshape(-1, 1, 1)
    total = 0.0
    for right in (0, 1):
        for down in (0, 1):
            x, y = corner[0] + right, corner[1] + down
            share = (1 - np.abs(places[0] - x)) * (1 - np.abs(places[1] - y))
            share = share * ((x >= 0) & (x < width) & (y >= 0) & (y < height))
            pixels = input[row, :, np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
            total = total + pixels * share[..., None]
    return total.transpose(0, 3, 1, 2)


def clamp(self, min=None, max=None):
    return np.clip(self, -np.inf if min is None else min, np.inf if max is None else max)


def expand(self, size):
    ahead = len(size) - self.ndim
    return np.broadcast_to(self, [self.shape[i - ahead] if extent == -1 else extent
                                  for i, extent in enumerate(size)])


erf = np.vectorize(math.erf, otypes=[np.float64])

REFERENCE = {
    "conv2d": conv2d,
    "linear": lambda input, weight, bias=0.0: input @ weight.T + bias,
    "matmul": lambda self, other: self @ other,
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "max_pool2d": max_pool2d,
    "avg_pool2d": avg_pool2d,
    "softmax.int": softmax,
    "relu": lambda self: np.maximum(self, 0),
    "relu6": lambda self: np.clip(self, 0, 6),
    "leaky_relu": lambda self, negative_slope=0.01: np.where(self > 0, self, self * negative_slope),
    "prelu": lambda self, weight: np.where(self > 0, self, self * weight.reshape(-1, 1, 1)),
    "elu": lambda self, alpha=1.0: np.where(self > 0, self, alpha * np.expm1(np.minimum(self, 0))),
    "gelu": lambda self: self * (1 + erf(self / math.sqrt(2))) / 2,
    "hardswish": lambda self: self * np.clip(self + 3, 0, 6) / 6,
    "sigmoid": lambda self: 1 / (1 + np.exp(-self)),
    "tanh": np.tanh, "sqrt": np.sqrt, "exp": np.exp, "log": np.log, "neg": np.negative,
    "abs": np.abs, "erf": erf, "reciprocal": np.reciprocal, "floor": np.floor, "ceil": np.ceil,
    "add.Tensor": np.add, "sub.Tensor": np.subtract, "mul.Tensor": np.multiply,
    "div.Tensor": np.divide, "pow.Tensor_Tensor": np.power,
    "maximum": np.maximum, "minimum": np.minimum, "clamp": clamp,
    "add.Scalar": lambda self, other: self + other,
    "mul.Scalar": lambda self, other: self * other,
    "pow.Tensor_Scalar": lambda self, exponent: self ** exponent,
    "constant_pad_nd": lambda self, pad, value=0.0: pad_last_axes(self, pad, "constant", value),
    "pad": pad_last_axes,
    "upsample_nearest2d": upsample_nearest2d,
    "upsample_bilinear2d": upsample_bilinear2d,
    "grid_sampler": grid_sampler,
    "reshape": lambda self, shape: self.reshape(shape),
    "permute": lambda self, dims: self.transpose(dims),
    "squeeze.dim": lambda self, dim: self.squeeze(dim),
    "unsqueeze": lambda self, dim: np.expand_dims(self, dim),
    "expand": expand,
    "cat": lambda tensors, dim=0: np.concatenate(tensors, dim),
    "slice.Tensor": slice_tensor,
    "select.int": lambda self, dim, index: np.take(self, index, dim),
    "index_select": lambda self, dim, index: np.take(self, index, dim),
    "flip": lambda self, dims: np.flip(self, dims),
    "mean.dim": lambda self, dim, keepdim=False: self.mean(tuple(dim), keepdims=keepdim),
    "amax": lambda self, dim, keepdim=False: self.max(tuple(dim), keepdims=keepdim),
    "sum.dim_IntList": lambda self, dim, keepdim=False: self.sum(tuple(dim), keepdims=keepdim),
}


def as_double(array):
    """Indices stay what they are."""
    return np.asarray(array) if np.asarray(array).dtype.kind in "iu" else np.asarray(array, float)


def compute(node, values, rows):
    """The value of one node from {name: array}."""
    inputs = {key: [values[name] for name in used] if isinstance(used, list) else values[used]
              for key, used in node["inputs"].items()}
    attributes = {key: in_rows(value, rows) for key, value in node["attributes"].items()}
    operator = REFERENCE.get(node["operator"])
    if operator is None:
        raise ConversionError(f"node '{node['name']}': the reference lacks {node['operator']}")
    arguments = {**inputs, **attributes}
    # numpy's own functions take no keywords
    if isinstance(operator, (np.ufunc, np.vectorize)):
        return operator(*arguments.values())
    return operator(**arguments)


def evaluate(graph, tensors, images):
    """{output: float32 array} of a graph for images [rows, ...]; frees values after last use."""
    values = {name: as_double(array) for name, array in tensors.items()}
    values[graph["input"]["name"]] = as_double(images)
    last_use = {name: place for place, node in enumerate(graph["nodes"])
                for name in names_in(node["inputs"])}
    for place, node in enumerate(graph["nodes"]):
        result = compute(node, values, len(images))
        if list(np.shape(result)) != in_rows(node["shape"], len(images)):
            raise ConversionError(f"node '{node['name']}' gives {list(np.shape(result))}, its "
                                  f"shape is {node['shape']}")
        values[node["name"]] = result
        for name in set(names_in(node["inputs"])):
            if last_use[name] == place and name not in graph["outputs"]:
                del values[name]
    return {name: values[name].astype(np.float32) for name in graph["outputs"]}


def extent_of(name, extents):
    """The extent that was seen with each of the PROBED_ROWS."""
    if len(set(extents)) == 1:
        return extents[0]
    times = extents[0] // PROBED_ROWS[0]
    if [times * rows for rows in PROBED_ROWS] != list(extents):
        raise ConversionError(f"node '{name}': its size is {extents} for {list(PROBED_ROWS)} "
                              "images, expected a multiple of their number")
    return batch_extent(times)


class ProbedBuilder(GraphBuilder):
    """Knows the shape of a node by computing it, for one image and for two."""

    def __init__(self, row_shape):
        super().__init__(row_shape)
        rng = np.random.default_rng(0)
        self.probes = {rows: {INPUT: rng.normal(size=(rows, *row_shape))} for rows in PROBED_ROWS}

    def constant(self, name, array):
        name = super().constant(name, array)
        for values in self.probes.values():
            values[name] = as_double(array)
        return name

    def add(self, operator, name, inputs, attributes=None, shape=None):
        inputs = {key: value for key, value in inputs.items() if value is not None}
        node = {"name": name, "operator": operator, "inputs": inputs,
                "attributes": attributes or {}}
        found = []
        for rows, values in self.probes.items():
            try:
                found.append(compute(node, values, rows))
            except (ValueError, IndexError, TypeError) as problem:
                raise ConversionError(f"node '{name}' ({operator}) cannot be computed: "
                                      f"{problem}") from None
        if len({value.ndim for value in found}) != 1:
            raise ConversionError(f"node '{name}': its axes depend on the number of images")
        shape = [extent_of(name, extents) for extents in zip(*(value.shape for value in found))]
        name = super().add(operator, name, inputs, attributes, shape)
        for values, value in zip(self.probes.values(), found):
            values[name] = value
        return name
