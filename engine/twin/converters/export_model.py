#!/usr/bin/env python3
"""Writes a network as a graph bundle: from an ONNX file, or from PyTorch.

The units of the twin are the values of the network's last output, and of every --tap. Mean and
scale say how pixels of 0..255 become the network's input: (value - mean) / scale, one number or
one per channel, in the order red, green, blue.

Examples:
  # ONNX (opset 7 to 18); needs no PyTorch
  export_model.py onnx resnet50.onnx bundles/resnet50 --name resnet50 \\
      --mean 123.675,116.28,103.53 --scale 58.395,57.12,57.375 --labels imagenet_labels.txt

  # a network of Caffe's, which takes blue, green, red; with the activity of a layer
  export_model.py onnx SqueezeNet.onnx bundles/squeezenet --name squeezenet \\
      --mean 123,117,104 --scale 1 --channels bgr --tap fire9/concat_1

  # PyTorch: a function that returns the module; its weights come from a safetensors file
  export_model.py torch torchvision.models:resnet18 bundles/resnet18 --name resnet18 \\
      --state resnet18.safetensors --mean 123.675,116.28,103.53 --scale 58.395,57.12,57.375 \\
      --tap layer4

  # ... with arguments for that function; a module of your own in ./my_models.py works alike
  export_model.py torch timm:create_model bundles/vit --name vit --mean 127.5 --scale 127.5 \\
      --arguments '{"model_name": "vit_small_patch16_224"}' --state vit.safetensors

  twinscreen check bundles/resnet18

From Python, with the module at hand:
  from export_model import export_model
  export_model(module, "bundles/mine", name="mine", mean=127.5, scale=127.5, taps=["layer4"])

Pickled checkpoints (.pt, .pth) are not read, as they can run code. Turn one into safetensors where
you trust it:  safetensors.torch.save_file(torch.load(FILE, weights_only=True), OUT)
"""

import argparse
import importlib
import json
import sys
from pathlib import Path

import numpy as np

from bundle_writer import ConversionError, run
from graph_reference import evaluate
from graph_writer import (identity_network, sample_images, stimulus_facts, unit_rows,
                          write_graph_bundle)

UNSTATED = "not stated at export"
# Of the largest value: sums in another order, in float32.
TOLERANCE = 1e-3


def per_channel(values, channels, what):
    """One number for all channels, or one for each."""
    values = np.atleast_1d(np.asarray(values, np.float64)).tolist()
    values = values * channels if len(values) == 1 else values
    if len(values) != channels:
        raise ConversionError(f"{what} has {len(values)} numbers, expected 1 or {channels}")
    if what == "scale" and min(values) <= 0:
        raise ConversionError(f"scale is {values}, expected numbers above 0")
    return values


def read_labels(file):
    """One label a line; "17,label" and "17 label" lose their number if all lines count up."""
    lines = [line.strip() for line in Path(file).read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if line]
    numbered = [line.replace(",", " ", 1).split(" ", 1) for line in lines]
    if all(parts[0] == str(number) and len(parts) == 2 for number, parts in enumerate(numbered)):
        return [parts[1].strip() for parts in numbered]
    return lines


def all_units(networks, name, labels, area):
    """The unit table: the first network's units have the labels, the others are taps."""
    count = networks[0]["units"]
    if labels is not None and len(labels) != count:
        raise ConversionError(f"there are {len(labels)} labels for {count} units")
    rows = unit_rows(labels or [f"unit {unit}" for unit in range(count)], name, area)
    for network in networks[1:]:
        tap = network["tap"]
        rows += unit_rows([f"{tap} {unit}" for unit in range(network["units"])], name, tap)
    return rows


def write_exported(folder, builder, outputs, taps, answer, *, name, mean, scale, labels=None,
                   units=None, area="logits", source=UNSTATED, licence=UNSTATED,
                   citation=UNSTATED, response_unit="network units", fit="cover"):
    """Writes the bundle of a converted network.

    outputs, taps  names of nodes; the units are those of the last output and of the taps
    answer         function (graph, images) that gives {node: values} of the graph's outputs
    """
    row_shape = builder.shapes["image"][1:]
    mean, scale = (per_channel(values, row_shape[0], what)
                   for values, what in ((mean, "mean"), (scale, "scale")))
    graph = builder.graph(list(dict.fromkeys([*outputs, *taps])))
    tapped = dict.fromkeys([outputs[-1], *taps])
    networks = [identity_network(graph, tap) for tap in tapped]
    rows = units if units is not None else all_units(networks, name, labels, area)
    if len(rows) != sum(network["units"] for network in networks):
        raise ConversionError(f"the unit table has {len(rows)} rows for "
                              f"{sum(network['units'] for network in networks)} units")
    images = sample_images(row_shape, mean, scale)
    samples = {f"output.{node}": values for node, values in answer(graph, images).items()}
    write_graph_bundle(
        folder, {"name": name, "response_unit": response_unit, "licence": licence,
                 "citation": citation},
        graph, builder.tensors, stimulus_facts(row_shape, mean, scale, source, fit=fit), networks,
        rows, {"input": images, **samples})


def export_onnx(file, folder, *, outputs=(), taps=(), bgr=False, input_shape=None, **options):
    """Writes an ONNX model as a graph bundle.

    outputs      nodes or tensors that end the network; default: those of the model
    taps         further nodes or tensors whose values are units
    bgr          the network takes blue, green, red; mean and scale are in red, green, blue
    input_shape  [channels, height, width] where the model leaves it open
    options      name, mean, scale, labels, ... of write_exported
    """
    try:
        from onnx_graph import OnnxGraph
    except ImportError as problem:
        raise ConversionError(f"reading ONNX needs the packages onnx and protobuf ({problem})"
                              ) from None
    model = OnnxGraph(file, outputs, input_shape, bgr)
    write_exported(folder, model.builder, model.outputs, [model.node_named(tap) for tap in taps],
                   lambda graph, images: evaluate(graph, model.builder.tensors, images), **options)


def export_model(module, folder, *, input_shape=(3, 224, 224), taps=None, **options):
    """Writes a torch.nn.Module as a graph bundle, as it is in eval mode and in float32.

    input_shape  [channels, height, width] of the one input [batch, ...]
    taps         nodes, or submodules ("layer4": what it returns), whose values are units, too
    options      name, mean, scale (in 0..255), labels, units, area, source, licence, citation,
                 response_unit and fit of write_exported
    """
    from torch_graph import TorchGraph, answers

    model = TorchGraph(module, list(input_shape))
    write_exported(folder, model.builder, model.outputs,
                   [model.node_named(tap) for tap in taps or ()],
                   lambda graph, images: answers(model, graph, images, TOLERANCE), **options)


def module_named(target, arguments, state):
    """The module that PACKAGE.MODULE:CALLABLE returns, with the weights of a safetensors file."""
    try:
        import torch
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as problem:
        raise ConversionError(f"exporting from PyTorch needs PyTorch ({problem})") from None
    package, _, function = target.partition(":")
    if not package or not function:
        raise ConversionError(f"'{target}' is not PACKAGE.MODULE:CALLABLE")
    sys.path.insert(0, str(Path.cwd()))
    try:
        module = getattr(importlib.import_module(package), function)(**arguments)
    except (ImportError, AttributeError, TypeError) as problem:
        raise ConversionError(f"'{target}' cannot be called: {problem}") from None
    if not isinstance(module, torch.nn.Module):
        raise ConversionError(f"'{target}' returned {type(module).__name__}, expected a "
                              "torch.nn.Module")
    if state is not None:
        try:
            module.load_state_dict(load_file(state))
        except (RuntimeError, ValueError, SafetensorError) as problem:
            raise ConversionError(f"{state} does not fit '{target}': {problem}") from None
    return module


def numbers(text):
    return [float(value) for value in text.split(",")]


def extents(text):
    values = [int(value) for value in text.split(",")]
    if len(values) != 3 or min(values) < 1:
        raise ValueError
    return values


def add_common_options(parser):
    parser.add_argument("folder", type=Path, help="the bundle to write, e.g. bundles/resnet50")
    parser.add_argument("--name", required=True, help="name of the twin")
    parser.add_argument("--mean", required=True, type=numbers, metavar="R,G,B",
                        help="mean of the input in 0..255; one number serves all channels")
    parser.add_argument("--scale", required=True, type=numbers, metavar="R,G,B",
                        help="what (value - mean) is divided by, in 0..255")
    parser.add_argument("--labels", type=Path, metavar="FILE",
                        help="names of the units of the last output, one a line")
    parser.add_argument("--tap", action="append", default=[], metavar="NODE",
                        help="also make units of this node's values; may be repeated")
    parser.add_argument("--area", default="logits", help="area of the last output's units")
    parser.add_argument("--licence", default=UNSTATED)
    parser.add_argument("--citation", default=UNSTATED)
    parser.add_argument("--input-shape", type=extents, metavar="C,H,W",
                        help="size of one image (torch: 3,224,224 if left out)")


def add_torch_options(parser):
    """The module, where it goes, and how it is made."""
    parser.add_argument("target", metavar="PACKAGE.MODULE:CALLABLE",
                        help="what returns the module; its package is imported, so it runs its code")
    add_common_options(parser)
    parser.add_argument("--arguments", type=json.loads, default={}, metavar="JSON",
                        help="keyword arguments of the callable")
    parser.add_argument("--state", type=Path, metavar="FILE.safetensors",
                        help="weights, under the names of the module's state_dict")


def parsed_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    onnx = kinds.add_parser("onnx", help="from an ONNX file")
    onnx.add_argument("file", type=Path, help="the ONNX model")
    add_common_options(onnx)
    onnx.add_argument("--output", action="append", default=[], metavar="NODE",
                      help="end the network here, e.g. before its softmax; may be repeated")
    onnx.add_argument("--channels", choices=("rgb", "bgr"), default="rgb",
                      help="the order that the network takes")
    torch = kinds.add_parser("torch", help="from a PyTorch module")
    add_torch_options(torch)
    return parser.parse_args()


def main():
    arguments = parsed_arguments()
    options = {"name": arguments.name, "mean": arguments.mean, "scale": arguments.scale,
               "labels": read_labels(arguments.labels) if arguments.labels else None,
               "taps": arguments.tap, "area": arguments.area, "licence": arguments.licence,
               "citation": arguments.citation}
    if arguments.kind == "onnx":
        export_onnx(arguments.file, arguments.folder, outputs=arguments.output,
                    bgr=arguments.channels == "bgr", input_shape=arguments.input_shape, **options)
    else:
        module = module_named(arguments.target, arguments.arguments, arguments.state)
        export_model(module, arguments.folder,
                     input_shape=arguments.input_shape or (3, 224, 224), **options)


if __name__ == "__main__":
    run(main)
