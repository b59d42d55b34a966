"""Networks become graph bundles: from ONNX, from PyTorch and from published weights. What a bundle
computes is compared with the network itself, without the engine and, where there is an executable,
by `check` and `encode`. Parts that need PyTorch or an executable say so when skipped."""

import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys

import harness
from harness import Workplace, run

CONVERTERS = harness.source_folder() / "engine" / "twin" / "converters"
sys.dont_write_bytecode = True
sys.path.insert(0, str(CONVERTERS))

try:
    import numpy as np
    from PIL import Image
    from safetensors.numpy import load_file, save_file

    from bundle_writer import ConversionError
    from export_model import export_model, export_onnx
    from graph_operators import OPERATORS
    from graph_reference import ProbedBuilder, evaluate
    from graph_writer import (identity_network, sample_images, stimulus_facts, unit_rows,
                              write_graph_bundle)
except ImportError as missing:
    harness.skip(f"this Python lacks a package of the converters ({missing})")
try:
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    from onnx.reference import ReferenceEvaluator
except ImportError:
    onnx = None
try:
    import torch

    import export_modules
    from torch_graph import run_graph
    torch.set_num_threads(1)
    torch.manual_seed(0)
except ImportError:
    torch = None

# float32 against float32 in another order, as a share of the largest value
RELATIVE = 1e-4
ROWS = (1, 3, 8)
# Top-1 class and probability in PyTorch, as the README of the published models states them.
PICTURES = {"cat": (285, {"mobilenet_v1": 0.68, "squeezenet_1_1": 0.76}),
            "dog": (207, {"mobilenet_v1": 0.99, "squeezenet_1_1": 0.98}),
            "hummingbird": (94, {"mobilenet_v1": 0.98, "squeezenet_1_1": 0.92})}
ARCHITECTURES = {"torchvision.models": ("alexnet", "vgg16", "resnet18", "resnet50",
                                        "convnext_tiny", "vit_b_32", "swin_t"),
                 "timm.models": ("vit_small_patch14_dinov2", "resnet50d", "mixer_s32_224")}
# How far answers to several images must lie apart, as such a share: else RELATIVE hides a mistake.
SPREAD = 0.05
TWO_DIGITS = 0.0151  # of the probabilities: our resize is not the one they were measured with


def not_tried(reason):
    print(f"  not tried: {reason}", flush=True)


def silently(function, *arguments, **options):
    with contextlib.redirect_stdout(io.StringIO()):
        return function(*arguments, **options)


def refusal(function, *arguments, **options):
    """The sentence with which an export ends."""
    try:
        function(*arguments, **options)
    except ConversionError as problem:
        return str(problem)
    raise AssertionError("was not refused")


class Bundle:
    """What a folder holds."""

    def __init__(self, folder):
        self.folder = folder
        self.graph = json.loads((folder / "graph.json").read_text())
        self.tensors = load_file(folder / "weights.safetensors")
        self.samples = load_file(folder / "samples.safetensors")

    def answer(self, images):
        return evaluate(self.graph, self.tensors, images)

    def torch_answer(self, images):
        tensors = {name: array.astype(np.float32) if array.dtype.kind == "f" else array
                   for name, array in self.tensors.items()}
        found = run_graph(self.graph, tensors, torch.from_numpy(images))
        return {name: value.numpy() for name, value in found.items()}

    def is_sound(self):
        """What the format promises."""
        names = [self.graph["input"]["name"], *(node["name"] for node in self.graph["nodes"]),
                 *self.tensors]
        assert len(set(names)) == len(names)
        known, used = {self.graph["input"]["name"], *self.tensors}, set()
        for node in self.graph["nodes"]:
            assert node["operator"] in OPERATORS, node
            inputs = [name for value in node["inputs"].values()
                      for name in (value if isinstance(value, list) else [value])]
            assert set(inputs) <= known, node
            used |= set(inputs)
            known.add(node["name"])
        assert set(self.tensors) <= used
        assert all(np.isfinite(array).all() for array in self.tensors.values())
        units = (self.folder / "units.csv").read_text().splitlines()
        assert len(set(units)) == len(units)


def assert_near(found, wanted, what):
    """Returns the largest difference as a share of the largest value."""
    assert found.shape == wanted.shape, (what, found.shape, wanted.shape)
    difference = np.abs(found - wanted).max() / max(np.abs(wanted).max(), 1e-30)
    assert difference <= RELATIVE, f"{what}: differs by {difference:.2g} of the largest value"
    return difference


def check_samples(bundle):
    """The samples hold whichever way they are computed, in calls of any number of rows."""
    bundle.is_sound()
    for rows in ROWS:
        images = bundle.samples["input"][:rows]
        answers = [bundle.torch_answer(images)] if torch else [bundle.answer(images)]
        for answer in answers:
            assert set(answer) == set(bundle.graph["outputs"])
            for name, value in answer.items():
                assert_near(value, bundle.samples[f"output.{name}"][:rows], f"{name} of {rows}")


def content_of(folder):
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


def convert(script, *arguments):
    """The Result of a converter, as a user calls it."""
    return subprocess.run([sys.executable, "-B", CONVERTERS / script, *map(str, arguments)],
                          capture_output=True, text=True, check=False)


# ---- published networks

def published_networks_become_the_same_bundles_twice(place):
    data = harness.data_folder()
    if data is None or onnx is None:
        not_tried("no real data (TWINSCREEN_DATA), or no onnx package")
        return
    for again in ("bundles", "again"):
        for script, folder in (("convert_imagenet_backbones.py", "imagenet-backbones"),
                               ("convert_cifar_resnets.py", "cifar10-resnets")):
            result = convert(script, data / folder, place / again)
            assert result.returncode == 0, result
    names = {"mobilenet_v1", "squeezenet_1_1", "resnet20", "resnet56"}
    assert {folder.name for folder in (place / "bundles").iterdir()} == names
    for name in names:
        assert content_of(place / "bundles" / name) == content_of(place / "again" / name)
        check_samples(Bundle(place / "bundles" / name))


def picture(file, side=224):
    """Pixels [height, width, channel]: the short side fitted, the middle cut out."""
    image = Image.open(file).convert("RGB")
    width, height = image.size
    edge = min(width, height)
    left, top = (width - edge) // 2, (height - edge) // 2
    return np.asarray(image.crop((left, top, left + edge, top + edge)).resize(
        (side, side), Image.Resampling.BILINEAR))


def probabilities(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def pictures_get_their_published_labels(place):
    if not (place / "bundles").is_dir():
        not_tried("no converted networks")
        return
    folder = harness.data_folder() / "imagenet-backbones"
    pixels = np.stack([picture(folder / f"{name}.jpg") for name in PICTURES])
    for name, mean, scale in (("mobilenet_v1", 127.5, 127.5),
                              ("squeezenet_1_1", (123.0, 117.0, 104.0), 1.0)):
        bundle = Bundle(place / "bundles" / name)
        images = ((pixels - np.asarray(mean)) / scale).transpose(0, 3, 1, 2).astype(np.float32)
        (logits,) = bundle.answer(images).values()
        for row, (label, published) in zip(probabilities(logits), PICTURES.values()):
            print(f"  {name}: class {row.argmax()} with {row.max():.3f}")
            assert row.argmax() == label and abs(row.max() - published[name]) < TWO_DIGITS
        units = (bundle.folder / "units.csv").read_text().splitlines()
        assert "Egyptian cat" in units[1 + 285] and len(units) == 1001


# ---- ONNX

def tensor(name, *shape, positive=False, kind=np.float32):
    values = np.random.default_rng(len(name)).normal(size=shape)
    values = np.abs(values) + 0.5 if positive else values
    return numpy_helper.from_array(np.asarray(values, kind), name)


def integers(name, values):
    return numpy_helper.from_array(np.asarray(values, np.int64), name)


def onnx_file(place, nodes, tensors=(), opset=13, shape=("n", 3, 9, 8), outputs=("y",)):
    """A model of the input x and the outputs; nodes are (kind, inputs, outputs, attributes)."""
    made = [helper.make_node(kind, inputs.split(","), results.split(","), **attributes)
            for kind, inputs, results, attributes in nodes]
    graph = helper.make_graph(
        made, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))],
        [helper.make_empty_tensor_value_info(name) for name in outputs], list(tensors))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    file = place / "model.onnx"
    onnx.save(model, str(file))
    return file


def onnx_bundle(place, nodes, tensors=(), opset=13, name="model", **options):
    file = onnx_file(place, nodes, tensors, opset, **options)
    silently(export_onnx, file, place / name, name=name, mean=127.5, scale=64.0)
    return Bundle(place / name)


def check_onnx(place, *nodes, tensors=(), opset=13, **options):
    """The bundle computes what the onnx package says that the model means."""
    bundle = onnx_bundle(place, nodes, tensors, opset, **options)
    bundle.is_sound()
    images = bundle.samples["input"][:3]
    (wanted,) = ReferenceEvaluator(str(place / "model.onnx")).run(None, {"x": images})
    answers = [bundle.answer(images)] + ([bundle.torch_answer(images)] if torch else [])
    for answer in answers:
        (found,) = answer.values()
        assert_near(found, wanted, f"{nodes} in opset {opset}")
    return bundle


ONE_INPUT = [(kind, 7, {}) for kind in ("Relu", "Sigmoid", "Tanh", "Neg", "Abs", "Exp", "Elu",
                                        "LeakyRelu", "Identity", "Flatten", "GlobalAveragePool",
                                        "Transpose", "Floor", "Ceil", "HardSigmoid")] + [
    ("Erf", 9, {}), ("HardSwish", 14, {}), ("Elu", 7, {"alpha": 0.3}), ("LeakyRelu", 7, {"alpha": 0.2}),
    ("Clip", 7, {"min": -0.5, "max": 0.5}), ("Clip", 7, {"min": 0.0, "max": 6.0}),
    ("Softmax", 11, {"axis": 3}), ("Softmax", 13, {}),
    ("Softmax", 13, {"axis": 1}), ("Dropout", 7, {}), ("Cast", 9, {"to": 1}),
    ("LRN", 7, {"size": 3, "alpha": 0.1}), ("LRN", 7, {"size": 2, "beta": 0.5, "bias": 2.0}),
    ("ReduceMean", 11, {"axes": [2, 3]}), ("ReduceMean", 11, {"axes": [-1], "keepdims": 0}),
    ("Transpose", 7, {"perm": [0, 2, 3, 1]}), ("Flatten", 9, {"axis": -3}),
    ("Slice", 7, {"axes": [2, 3], "starts": [1, -3], "ends": [7, 100]}),
    ("Pad", 7, {"pads": [0, 0, 1, 2, 0, 1, 0, 3], "value": 0.5}),
    ("Pad", 7, {"pads": [0, 0, 1, 2, 0, 0, 3, 0], "mode": "reflect"}),
    ("Pad", 7, {"pads": [0, 0, 0, 2, 0, 0, 0, 1], "mode": "edge"}),
]
POOLS = [{"strides": [2, 2]}, {"pads": [1, 1, 1, 1]}, {"pads": [0, 0, 1, 1], "strides": [2, 2]},
         {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, {"auto_pad": "SAME_LOWER"},
         {"auto_pad": "VALID", "strides": [3, 1]}]


def onnx_operators_mean_what_the_onnx_package_says(place):
    if onnx is None:
        not_tried("no onnx package")
        return
    for kind, opset, attributes in ONE_INPUT:
        # A graph's output is computed, and its first axis is the images'.
        tail = {"Identity": ("Neg", {}), "Dropout": ("Neg", {}), "Cast": ("Neg", {})}.get(kind)
        if kind == "Transpose" and not attributes:
            tail = ("Transpose", {"perm": [3, 2, 1, 0]})
        last = [(tail[0], "t", "y", tail[1])] if tail else []
        check_onnx(place, (kind, "x", "t" if tail else "y", attributes), *last, opset=opset)
    for attributes in POOLS:
        kernel = {"kernel_shape": [3, 2]}
        check_onnx(place, ("MaxPool", "x", "y", {**kernel, **attributes}), opset=11)
        if attributes.get("auto_pad") != "VALID":  # the package's reference pads all the same
            check_onnx(place, ("Conv", "x,w,bias", "y", dict(attributes)), opset=11,
                       tensors=[tensor("w", 4, 3, 3, 2), tensor("bias", 4)])
        for count in (0, 1):
            check_onnx(place, ("AveragePool", "x", "y", {**kernel, **attributes,
                                                         "count_include_pad": count}), opset=11)
    check_onnx(place, ("MaxPool", "x", "y", {"kernel_shape": [3, 3], "strides": [2, 2],
                                             "ceil_mode": 1}), opset=12)
    check_onnx(place, ("Conv", "x,w", "y", {"group": 3, "dilations": [2, 2]}),
               tensors=[tensor("w", 6, 1, 3, 3)])
    for kind in ("Add", "Sub", "Mul", "Div"):
        check_onnx(place, (kind, "x,w", "y", {}), tensors=[tensor("w", 3, 1, 1, positive=True)])
        check_onnx(place, (kind, "w,x", "y", {}), tensors=[tensor("w", positive=True)])
    check_onnx(place, ("Mul", "x,x", "s", {}), ("Sqrt", "s", "r", {}), ("Pow", "r,e", "y", {}),
               tensors=[tensor("e", positive=True)])
    check_onnx(place, ("PRelu", "x,w", "y", {}), tensors=[tensor("w", 3, 1, 1)])
    check_onnx(place, ("Clip", "x,,high", "y", {}), tensors=[tensor("high")])
    check_onnx(place, ("Concat", "x,x", "y", {"axis": 1}))
    check_onnx(place, ("Split", "x,s", "a,b", {"axis": 1}), ("Concat", "b,a", "y", {"axis": 1}),
               tensors=[integers("s", [1, 2])])
    check_onnx(place, ("BatchNormalization", "x,a,bb,ccc,dddd", "y", {"epsilon": 0.1}), tensors=[
        tensor("a", 3), tensor("bb", 3), tensor("ccc", 3), tensor("dddd", 3, positive=True)],
        opset=15)  # the package's reference trains before opset 14
    check_onnx(place, ("LayerNormalization", "x,w,bias", "y", {"axis": -2, "epsilon": 0.01}),
               opset=17, tensors=[tensor("w", 9, 8), tensor("bias", 9, 8)])
    check_onnx(place, ("Flatten", "x", "f", {}), ("Gemm", "f,w,bias", "y", {"alpha": 0.5,
                                                                          "beta": 2.0}),
               tensors=[tensor("w", 216, 5), tensor("bias", 1, 5)])
    check_onnx(place, ("Flatten", "x", "f", {}), ("Gemm", "f,w", "y", {"transB": 1}),
               tensors=[tensor("w", 5, 216)])
    check_onnx(place, ("MatMul", "x,w", "y", {}), tensors=[tensor("w", 8, 5)])


def onnx_shapes_may_hold_the_number_of_images(place):
    if onnx is None:
        not_tried("no onnx package")
        return
    check_onnx(place, ("Reshape", "x,s", "y", {}), tensors=[integers("s", [0, -1, 8])])
    check_onnx(place, ("Shape", "x", "all", {}), ("Gather", "all,zero", "n", {}),
               ("Unsqueeze", "n,first", "row", {}), ("Concat", "row,rest", "shape", {"axis": 0}),
               ("Reshape", "x,shape", "y", {}), tensors=[
                   integers("zero", 0), integers("first", [0]), integers("rest", [27, -1])])
    windows = check_onnx(
        place, ("Shape", "x", "all", {}), ("Slice", "all,zero,one", "n", {}),
        ("Mul", "n,nine", "m", {}), ("Concat", "m,rest", "shape", {"axis": 0}),
        ("Transpose", "x", "t", {"perm": [0, 2, 1, 3]}), ("Reshape", "t,shape", "w", {}),
        ("Softmax", "w", "a", {"axis": 1}), ("Concat", "n,last", "back", {"axis": 0}),
        ("Reshape", "a,back", "y", {}), tensors=[
            integers("zero", [0]), integers("one", [1]), integers("nine", [9]),
            integers("rest", [24]), integers("last", [216])])
    assert [{"batch": 9}, 24] in [node["shape"] for node in windows.graph["nodes"]]
    # A class token as PyTorch writes it.
    check_onnx(place, ("Shape", "x", "all", {}), ("Gather", "all,first", "n", {}),
               ("Concat", "n,rest", "shape", {"axis": 0}), ("Expand", "token,shape", "t", {}),
               ("Reshape", "x,flat", "p", {}), ("Concat", "t,p", "y", {"axis": 1}),
               tensors=[integers("first", [0]), integers("rest", [1, 72]),
                        integers("flat", [0, 3, 72]), tensor("token", 1, 1, 72)])
    for opset in (11, 13):
        axes = {"axes": [2]} if opset < 13 else {}
        given = "" if opset < 13 else ",a"
        check_onnx(place, ("Unsqueeze", "x" + given, "u", axes), ("Relu", "u", "r", {}),
                   ("Squeeze", "r" + given, "y", axes), opset=opset,
                   tensors=[integers("a", [2])] if given else [])
    check_onnx(place, ("ReduceMean", "x,a", "y", {}), opset=18, tensors=[integers("a", [2, 3])])
    check_onnx(place, ("Slice", "x,s,e,a,t", "y", {}), tensors=[
        integers("s", [1, 0]), integers("e", [9, 100]), integers("a", [2, -1]),
        integers("t", [3, 2])])
    check_onnx(place, ("Gather", "x,i", "y", {"axis": 1}), tensors=[integers("i", [2, -3])])
    check_onnx(place, ("Gather", "x,i", "y", {"axis": 2}), tensors=[integers("i", -1)])
    check_onnx(place, ("Pad", "x,p,v", "y", {}), tensors=[
        integers("p", [0, 0, 1, 2, 0, 0, 3, 0]), tensor("v")])


def onnx_images_are_resized_turned_and_reordered(place):
    if onnx is None:
        not_tried("no onnx package")
        return
    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "s")
    for mode in ("nearest", "linear"):
        check_onnx(place, ("Resize", "x,,s", "y", {
            "mode": mode, "coordinate_transformation_mode": "half_pixel"}), tensors=[scales],
            shape=("n", 1, 4, 3))  # the package takes seconds for more
    bundle = onnx_bundle(place, [("Upsample", "x", "y", {"scales": [1.0, 1.0, 2.0, 3.0]})], opset=7)
    images = bundle.samples["input"]
    assert_near(bundle.samples["output.y"], images.repeat(2, 2).repeat(3, 3), "Upsample")
    # Before opset 13 over all axes from the one on; the package's reference does as in 13.
    bundle = onnx_bundle(place, [("Softmax", "x", "y", {})], opset=11)
    images = bundle.samples["input"].reshape(8, -1)
    assert_near(bundle.samples["output.y"].reshape(8, -1), probabilities(images), "Softmax")

    file = onnx_file(place, [("Relu", "x", "y", {})], shape=(1, 9, 8, 3))
    silently(export_onnx, file, place / "last", name="last", mean=(1, 2, 3), scale=64, bgr=True)
    bundle = Bundle(place / "last")
    assert bundle.samples["input"].shape == (8, 3, 9, 8)
    turned = np.maximum(bundle.samples["input"][:, ::-1].transpose(0, 2, 3, 1), 0)
    assert_near(bundle.samples["output.y"], turned, "channels last, blue first")

    half = check_onnx(place, ("Cast", "w16", "w", {"to": 1}), ("Conv", "x,w", "y", {}),
                      tensors=[tensor("w16", 4, 3, 3, 3, kind=np.float16)])
    assert [array.dtype for array in half.tensors.values()] == [np.float32]
    kept = onnx_bundle(place, [("Conv", "x,w16", "y", {})],
                       [tensor("w16", 4, 3, 3, 3, kind=np.float16)])
    assert kept.tensors["w16"].dtype == np.float16


def onnx_models_that_a_graph_cannot_say_are_refused_at_once(place):
    if onnx is None:
        not_tried("no onnx package")
        return

    def sentence(*nodes, tensors=(), opset=13, outputs=("y",), **options):
        file = onnx_file(place, nodes, tensors, opset, outputs=outputs)
        return refusal(export_onnx, file, place / "no", name="no", mean=0, scale=1, **options)

    text = sentence(("NonZero", "x", "a", {}), ("Relu", "a", "b", {}), ("Det", "x", "c", {}),
                    ("ArgMax", "x", "d", {"axis": 1}), outputs=("b", "c", "d"))
    assert "3 nodes are not supported" in text, text
    assert all(part in text for part in ("a (NonZero)", "c (Det)", "d (ArgMax)")), text
    assert "reduces over the images" in sentence(("ReduceMean", "x", "y", {}))
    assert "steps of -1" in sentence(("Slice", "x,s,e,a,t", "y", {}), tensors=[
        integers("s", [8]), integers("e", [0]), integers("a", [2]), integers("t", [-1])])
    assert "opset 6" in sentence(("Relu", "x", "y", {}), opset=6)
    assert "has no node or tensor 'z'" in sentence(("Relu", "x", "y", {}), taps=["z"])
    assert "4 labels for 216 units" in sentence(("Relu", "x", "y", {}), labels=list("abcd"))
    (place / "broken.onnx").write_bytes(b"\xff\xff no model")
    result = convert("export_model.py", "onnx", place / "broken.onnx", place / "no", "--name", "no",
                     "--mean", "0", "--scale", "1")
    assert result.returncode == 3 and "not a complete ONNX file" in result.stderr, result
    assert not (place / "no").exists()


def the_command_line_writes_taps_and_labels(place):
    if onnx is None:
        not_tried("no onnx package")
        return
    file = onnx_file(place, [("Conv", "x,w", "c", {}), ("Relu", "c", "r", {}),
                             ("GlobalAveragePool", "r", "y", {})], [tensor("w", 2, 3, 3, 3)])
    (place / "names.txt").write_text("0,left\n1,right, or so\n")
    result = convert("export_model.py", "onnx", file, place / "cli", "--name", "cli", "--mean",
                     "1,2,3", "--scale", "64", "--labels", place / "names.txt", "--tap", "r",
                     "--channels", "bgr")
    assert result.returncode == 0, result
    units = (place / "cli" / "units.csv").read_text().splitlines()
    assert units[1].startswith("left,cli,logits") and units[2].startswith('"right, or so",cli')
    assert units[3].startswith("r 0,cli,r") and len(units) == 1 + 2 + 2 * 7 * 6
    assert Bundle(place / "cli").graph["outputs"] == ["y", "r"]
    for kind in ((), ("onnx",), ("torch",)):
        assert convert("export_model.py", *kind, "--help").returncode == 0
    assert "--tap layer4" in convert("export_model.py", "--help").stdout


# ---- PyTorch

def check_module(place, module, shape, name, **options):
    """The bundle answers as the module, for calls of any number of rows; (bundle, difference)."""
    module.eval()
    silently(export_model, module, place / name, name=name, input_shape=shape, mean=127.5,
             scale=64.0, **options)
    bundle = Bundle(place / name)
    check_samples(bundle)
    difference = 0.0
    for rows in ROWS:
        images = np.random.default_rng(rows).normal(size=(rows, *shape)).astype(np.float32)
        answer = bundle.torch_answer(images)
        with torch.no_grad():
            wanted = module(torch.from_numpy(images))
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        for node, value in zip(bundle.graph["outputs"], wanted):
            found = assert_near(answer[node], value.numpy(), f"{name} {node} of {rows}")
            difference = max(difference, found)
    return bundle, difference


def modules_answer_as_their_bundles(place):
    if torch is None:
        not_tried("this Python has no PyTorch")
        return
    for name, (module, shape) in export_modules.MODULES.items():
        bundle, _ = check_module(place, module(), shape, name)
        print(f"  {name}: {len(bundle.graph['nodes'])} nodes")
    residual, _ = check_module(place, export_modules.Residual(), (3, 32, 32), "tapped",
                               taps=["conv1", "block", "block.add"])
    names = {node["name"] for node in residual.graph["nodes"]}
    assert {"conv1", "bn1", "block.conv", "block.add", "head"} <= names, names
    assert "conv1.weight" in residual.tensors
    assert residual.graph["outputs"] == ["head", "conv1", "block.relu", "block.add"]


def modules_that_a_graph_cannot_say_are_refused(place):
    if torch is None:
        not_tried("this Python has no PyTorch")
        return
    for module, *sentences in export_modules.REFUSED:
        text = refusal(export_model, module(), place / "no", name="no", input_shape=(3, 8, 8),
                       mean=0, scale=1)
        for sentence in sentences:
            assert sentence in text, (module.__name__, text)
    assert not (place / "no").exists()
    text = refusal(export_model, export_modules.Residual(), place / "no", name="no",
                   input_shape=(3, 32, 32), mean=0, scale=1, taps=["blok"])
    assert "no node or submodule 'blok'" in text


def modules_by_name_get_weights_from_safetensors_only(place):
    if torch is None:
        not_tried("this Python has no PyTorch")
        return
    from safetensors.torch import save_file
    module = export_modules.Residual().eval()
    save_file(module.state_dict(), place / "state.safetensors")
    common = ("--name", "by_name", "--mean", "0", "--scale", "64", "--input-shape", "3,32,32")
    target = ("export_modules:Residual", place / "by_name", *common)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(
        [str(harness.source_folder() / "tests" / "integration"),
         os.environ.get("PYTHONPATH", "")])}

    def export(*arguments):
        return subprocess.run([sys.executable, "-B", CONVERTERS / "export_model.py", "torch",
                               *map(str, arguments)], capture_output=True, text=True,
                              env=environment, check=False)

    result = export(*target, "--state", place / "state.safetensors")
    assert result.returncode == 0, result.stderr
    bundle = Bundle(place / "by_name")
    with torch.no_grad():
        wanted = module(torch.from_numpy(bundle.samples["input"])).numpy()
    assert_near(bundle.samples["output.head"], wanted, "by name")
    torch.save(module.state_dict(), place / "state.pt")
    result = export(*target, "--state", place / "state.pt")
    assert result.returncode == 3 and "error: " in result.stderr, result
    result = export("export_modules:Nothing", place / "no", *common)
    assert result.returncode == 3 and "cannot be called" in result.stderr, result


def common_architectures_export(place):
    if torch is None:
        not_tried("this Python has no PyTorch")
        return
    import importlib
    for package, names in ARCHITECTURES.items():
        try:
            models = importlib.import_module(package)
        except ImportError:
            not_tried(f"this Python has no {package.split('.')[0]}: {', '.join(names)}")
            continue
        for name in names:
            options = {"img_size": 224} if "dinov2" in name else {}
            module = getattr(models, name)(**options)
            images = sample_images((3, 224, 224), [127.5] * 3, [64.0] * 3)
            export_modules.make_lively(module, torch.from_numpy(images))
            check_architecture(place, module, name)


def check_architecture(place, module, name):
    bundle, difference = check_module(place, module, (3, 224, 224), name)
    (answers,) = (bundle.samples[f"output.{node}"] for node in bundle.graph["outputs"])
    assert np.ptp(answers, axis=0).max() > SPREAD * np.abs(answers).max(), name
    line = f"  {name}: {len(bundle.graph['nodes'])} nodes, differs by {difference:.1e}"
    if os.environ.get("TWINSCREEN_EXECUTABLE"):
        line += f", encode by {encode_difference(place, bundle, module):.1e}"
    print(line, flush=True)
    shutil.rmtree(bundle.folder)  # hundreds of MB


# ---- the executable

def pixels_of(bundle, rows=3):
    """Images of the input's size [rows, height, width, channels]: nothing is left to resize."""
    channels, height, width = bundle.graph["input"]["shape"][1:]
    rng = np.random.default_rng(4)
    return rng.integers(0, 256, (rows, height, width, channels), dtype=np.uint8)


def stated(bundle, key):
    """A list of numbers of twin.toml."""
    import tomllib
    facts = tomllib.loads((bundle.folder / "twin.toml").read_text())["stimulus"]
    return np.asarray(facts[key]["value"])


def encoded(place, bundle, pixels):
    """(responses, unit table) of the executable."""
    import h5py
    run("check", bundle)
    np.save(place / "pixels.npy", pixels)
    run("encode", bundle, place / "pixels.npy", place / f"{bundle.name}.h5")
    with h5py.File(place / f"{bundle.name}.h5") as store:
        texts = {name: [cell.decode() if isinstance(cell, bytes) else cell
                        for cell in column[()]] for name, column in store["units"].items()}
        return store["columns/response"][()], texts


def encode_difference(place, bundle, module=None):
    """How far `encode` is from the PyTorch module, without one from the graph."""
    pixels = pixels_of(bundle)
    images = (pixels - stated(bundle, "mean")) / stated(bundle, "scale")
    images = images.transpose(0, 3, 1, 2).astype(np.float32)
    if module is not None:
        with torch.no_grad():
            answers = [module(torch.from_numpy(images)).numpy()]
    else:
        answer = bundle.torch_answer(images) if torch else bundle.answer(images)
        answers = [answer[line.split('"')[1]]
                   for line in (bundle.folder / "twin.toml").read_text().splitlines()
                   if line.startswith("tap = ")]
    wanted = np.concatenate([value.reshape(len(images), -1) for value in answers], axis=1)
    found, _ = encoded(place, bundle.folder, pixels)
    return assert_near(found, wanted, f"encode of {bundle.folder.name}")


def the_executable_computes_the_same(place):
    if not os.environ.get("TWINSCREEN_EXECUTABLE"):
        not_tried("TWINSCREEN_EXECUTABLE does not name the program to test")
        return
    bundles = sorted(file.parent for file in place.folder.glob("*/graph.json"))
    bundles += sorted(file.parent for file in place.folder.glob("bundles/*/graph.json"))
    for folder in bundles:
        bundle = Bundle(folder)
        if bundle.graph["input"]["shape"][1] == 3:
            encode_difference(place, bundle)
        else:
            run("check", folder)
    print(f"  {len(bundles)} bundles")


def published_families_say_the_same_as_graphs(place):
    data = harness.data_folder()
    if data is None or not os.environ.get("TWINSCREEN_EXECUTABLE"):
        not_tried("no real data (TWINSCREEN_DATA), or no TWINSCREEN_EXECUTABLE")
        return
    import h5py

    import mouse_as_graph
    import v4_as_graph
    images = data / "v4-compact-models/reference/images_190923_600to663_u8.npy"
    for script, folder, name, writer in (
        ("convert_v4_compact.py", "v4-compact-models", "v4_shared_25", v4_as_graph),
        ("convert_sensorium.py", "sensorium-mouse-v1-twins", "mouse_cnn", mouse_as_graph),
    ):
        result = convert(script, data / folder, place / "own", "--only", name)
        assert result.returncode == 0, result
        own, graph = place / "own" / name, place / "own" / f"{name}_as_graph"
        silently(writer.write, own, graph)
        run("check", graph)
        answers = []
        for bundle in (own, graph):
            run("encode", bundle, images, place / f"{bundle.name}.h5")
            with h5py.File(place / f"{bundle.name}.h5") as store:
                answers.append(store["columns/response"][()])
        assert_near(answers[1], answers[0], f"{name} as a graph")


# ---- readouts

def small_backbone(folder):
    """image [3, 8, 8] -> relu(conv) [6, 8, 8], and a layer behind it."""
    rng = np.random.default_rng(7)
    net = ProbedBuilder((3, 8, 8))
    weight = net.constant("conv.weight", rng.normal(size=(6, 3, 3, 3)).astype(np.float32))
    conv = net.add("conv2d", "conv", {"input": "image", "weight": weight}, {"padding": [1, 1]})
    relu = net.add("relu", "relu", {"self": conv})
    head = net.constant("head.weight", rng.normal(size=(2, 6, 1, 1)).astype(np.float32))
    net.add("conv2d", "head", {"input": relu, "weight": head})
    graph = net.graph(["head"])
    mean = scale = [127.5] * 3
    images = sample_images((3, 8, 8), mean, scale)
    answers = evaluate(graph, net.tensors, images)
    silently(write_graph_bundle, folder,
             {"name": "small", "response_unit": "", "licence": "none", "citation": "none"},
             graph, net.tensors, stimulus_facts((3, 8, 8), mean, scale, "test"),
             [identity_network(graph, "head")], unit_rows(map(str, range(128)), "small", "head"),
             {"input": images, "output.head": answers["head"]})
    return Bundle(folder)


def ridge_readouts_share_a_backbone(place):
    rng = np.random.default_rng(8)
    voxels = {("a", "V1"): 5, ("a", "LOC"): 3, ("b", "V1"): 4}
    readouts = {}
    for (subject, area), count in voxels.items():
        readouts[f"{subject}.{area}.coef"] = rng.normal(size=(count, 6)).astype(np.float32)
        readouts[f"{subject}.{area}.intercept"] = rng.normal(size=count).astype(np.float32)
    save_file(readouts, place / "ridge.safetensors")
    backbone = small_backbone(place / "ridge_backbone")
    made = place / "ridge"
    result = convert("convert_readouts.py", place / "ridge.safetensors", backbone.folder, made,
                     "--tap", "relu")
    assert result.returncode == 0, result
    for tap, sentence in (("reluu", "no node 'reluu'"), ("head", "the readouts want 6 features")):
        result = convert("convert_readouts.py", place / "ridge.safetensors", backbone.folder,
                         place / "none", "--tap", tap)
        assert result.returncode == 3 and sentence in result.stderr, result
    if not os.environ.get("TWINSCREEN_EXECUTABLE"):
        not_tried("TWINSCREEN_EXECUTABLE does not name the program to test")
        return
    import h5py
    run("check", made)
    pixels = pixels_of(backbone)
    np.save(place / "ridge.npy", pixels)
    run("encode", made, place / "ridge.npy", place / "ridge.h5")
    images = (pixels.transpose(0, 3, 1, 2) / 127.5 - 1.0).astype(np.float32)
    features = evaluate(dict(backbone.graph, outputs=["relu"]), backbone.tensors,
                        images)["relu"].mean(axis=(2, 3))
    # Units are in the order of the names, as the file lists them.
    wanted = np.concatenate(
        [features @ readouts[f"{name}.coef"].T + readouts[f"{name}.intercept"]
         for name in sorted(".".join(key) for key in voxels)], axis=1)
    with h5py.File(place / "ridge.h5") as store:
        assert_near(store["columns/response"][()], wanted, "readouts")
        areas = [f"{s.decode()}.{a.decode()}" for s, a in zip(store["units/subject"][()],
                                                             store["units/area"][()])]
    assert areas == [name for name in sorted(".".join(key) for key in voxels)
                     for _ in range(voxels[tuple(name.split("."))])]


def linear_model(rng, features, regressions, components=5):
    """A model as numpy.save of nested dictionaries holds it; and the map that it stands for."""
    model = {"scaler_param": {"scale_": rng.uniform(0.5, 2.0, features),
                              "mean_": rng.normal(size=features), "n_features_in_": features},
             "pca_param": {"components_": rng.normal(size=(components, features)) / features,
                           "mean_": rng.normal(size=features) / 100, "n_components_": components}}
    for place, outputs in regressions.items():
        inside = model
        *above, last = place.split("/")
        for name in above:
            inside = inside.setdefault(name, {})
        inside[last] = {"coef_": rng.normal(size=(outputs, components)),
                        "intercept_": rng.normal(size=outputs), "n_features_in_": components}

    def answer(values, regression):
        scaled = (values - model["scaler_param"]["mean_"]) / model["scaler_param"]["scale_"]
        reduced = (scaled - model["pca_param"]["mean_"]) @ model["pca_param"]["components_"].T
        for name in regression.split("/"):
            inside = model[name] if name in model else inside[name]
        return reduced @ inside["coef_"].T + inside["intercept_"]
    return model, answer


def linear_models_of_surface_and_eeg(place):
    rng = np.random.default_rng(9)
    backbone = small_backbone(place / "linear_backbone")
    features = 6 * 64 + 2 * 64
    pixels = pixels_of(backbone)
    images = (pixels.transpose(0, 3, 1, 2) / 127.5 - 1.0).astype(np.float32)
    taps = evaluate(dict(backbone.graph, outputs=["relu", "head"]), backbone.tensors, images)
    values = np.concatenate([taps[name].reshape(3, -1) for name in ("relu", "head")], axis=1)

    surface, of_surface = linear_model(rng, features, {"lh_reg_param": 7, "rh_reg_param": 4})
    np.save(place / "surface.npy", surface)
    np.save(place / "areas.npy", {"fmri": {
        "lh_ncsnr": rng.uniform(size=7), "rh_ncsnr": rng.uniform(size=4),
        "lh_fsaverage_rois": {"V1v": np.array([5, 2]), "V2v": np.array([2, 3]), "PPA": np.array([])},
        "rh_fsaverage_rois": {"V1v": np.array([0]), "V2v": np.array([3]), "PPA": np.array([1])}}})
    common = (backbone.folder, place / "surface", "--taps", "relu,head", "--subject", "1")
    result = convert("convert_linear_model.py", place / "surface.npy", *common, "--metadata",
                     place / "areas.npy", "--area", "V1v", "--area", "V2v")
    assert result.returncode == 0 and "5 units, 2 networks" in result.stdout, result

    eeg, of_eeg = linear_model(rng, features, {"reg_param/rep-1": 6, "reg_param/rep-2": 6})
    np.save(place / "eeg.npy", eeg)
    timed = (backbone.folder, place / "eeg", "--taps", "relu,head", "--subject", "2",
             "--times=-0.1,0,0.05")
    result = convert("convert_linear_model.py", place / "eeg.npy", *timed, "--channels", "Oz,Pz")
    assert result.returncode == 0 and "12 units, 2 networks" in result.stdout, result

    class Hostile:
        def __reduce__(self):
            return os.system, (f"touch {place / 'harm'}",)
    np.save(place / "hostile.npy", {"scaler_param": Hostile()})
    for file, more, sentence in (
        ("hostile.npy", common, "names posix.system, which is refused"),
        ("eeg.npy", (*timed, "--channels", "Oz"), "1 channels and 3 times give 3"),
        ("surface.npy", (backbone.folder, place / "none", "--taps", "relu", "--subject", "1"),
         "is for 512 features, the taps give 384"),
        ("surface.npy", (*common, "--metadata", place / "areas.npy", "--area", "V9"),
         "no area V9"),
    ):
        result = convert("convert_linear_model.py", place / file, *more)
        assert result.returncode == 3 and sentence in result.stderr, (sentence, result)
    assert not (place / "harm").exists()

    if not os.environ.get("TWINSCREEN_EXECUTABLE"):
        not_tried("TWINSCREEN_EXECUTABLE does not name the program to test")
        return
    found, units = encoded(place, place / "surface", pixels)
    wanted = np.concatenate([of_surface(values, "lh_reg_param")[:, [2, 3, 5]],
                             of_surface(values, "rh_reg_param")[:, [0, 3]]], axis=1)
    assert_near(found, wanted, "the surface model")
    assert units["area"] == ["V1v", "V2v", "V1v", "V1v", "V2v"], units
    assert units["hemisphere"] == ["lh", "lh", "lh", "rh", "rh"], units
    found, units = encoded(place, place / "eeg", pixels)
    wanted = np.concatenate([of_eeg(values, f"reg_param/rep-{k}") for k in (1, 2)], axis=1)
    assert_near(found, wanted, "the EEG model")
    assert units["channel"][:4] == ["Oz", "Oz", "Oz", "Pz"], units
    np.testing.assert_allclose(units["time"][:3], [-0.1, -0.05, 0.0], atol=1e-9)


def published_readouts_of_five_areas(place):
    data = harness.data_folder()
    folder = place / "bundles" / "squeezenet_1_1"
    if data is None or not folder.exists():
        not_tried("no real data (TWINSCREEN_DATA), or no onnx package")
        return
    file = data / "img2fmri-ridge-readouts" / "ridge_readouts_subj1_subj2.safetensors"
    result = convert("convert_readouts.py", file, folder, place / "img2fmri", "--tap",
                     "fire9/concat_1")
    assert result.returncode == 0 and "3955 units, 10 networks" in result.stdout, result
    if os.environ.get("TWINSCREEN_EXECUTABLE"):
        run("check", place / "img2fmri")


def main():
    with Workplace() as place:
        harness.run_checks(
            place,
            published_networks_become_the_same_bundles_twice,
            pictures_get_their_published_labels,
            onnx_operators_mean_what_the_onnx_package_says,
            onnx_shapes_may_hold_the_number_of_images,
            onnx_images_are_resized_turned_and_reordered,
            onnx_models_that_a_graph_cannot_say_are_refused_at_once,
            the_command_line_writes_taps_and_labels,
            modules_answer_as_their_bundles,
            modules_that_a_graph_cannot_say_are_refused,
            modules_by_name_get_weights_from_safetensors_only,
            common_architectures_export,
            the_executable_computes_the_same,
            published_families_say_the_same_as_graphs,
            ridge_readouts_share_a_backbone,
            linear_models_of_surface_and_eeg,
            published_readouts_of_five_areas,
        )


if __name__ == "__main__":
    main()
