#!/usr/bin/env python3
"""Turns two small ImageNet networks into graph bundles: mobilenet_v1 and squeezenet_1_1.

MobileNet v1 0.75 (Howard et al. 2017) is read from the tensors and the layers of its Keras model,
SqueezeNet 1.1 (Iandola et al. 2016) from ONNX. Their 1000 units are the logits of the classes.

Example:
  convert_imagenet_backbones.py data/imagenet-backbones bundles
  twinscreen check bundles/mobilenet_v1
"""

import argparse
import json
from pathlib import Path

from bundle_writer import ConversionError, run
from convert_v4_compact import load
from export_model import export_onnx, read_labels
from graph_reference import ProbedBuilder, evaluate
from graph_writer import (INPUT, identity_network, sample_images, stimulus_facts, unit_rows,
                          write_graph_bundle)

LABELS = "imagenet_labels.txt"
README = "README of the published models"
ROW_SHAPE = (3, 224, 224)
MOBILENET = ("mobilenet_v1_0.75_224.model.json", "mobilenet_v1_0.75_224.safetensors")
SQUEEZENET = "SqueezeNet1.1_fp16.onnx"
# Caffe's mean colour; the network takes blue, green, red.
SQUEEZENET_MEAN = (123.0, 117.0, 104.0)


def same_padding(extent, kernel, stride):
    """Rows before and after, as TensorFlow adds them for 'same'."""
    total = max((-(-extent // stride) - 1) * stride + kernel - extent, 0)
    return total // 2, total - total // 2


class KerasGraph:
    """Adds the layers of a sequential Keras model of channels-last kernels to a graph."""

    def __init__(self, tensors):
        self.tensors = tensors
        self.graph = ProbedBuilder(ROW_SHAPE)
        self.last = INPUT

    def node(self, operator, name, inputs, **attributes):
        self.last = self.graph.add(operator, name, inputs, attributes)

    def tensor(self, layer, name, order=None):
        key = f"{layer}/{name}"
        if key not in self.tensors:
            raise ConversionError(f"tensor '{key}' is missing")
        value = self.tensors[key]
        return self.graph.constant(f"{layer}.{name}",
                                   value if order is None else value.transpose(order))

    def pad_same(self, layer, kernel, stride):
        """Adds a padding node where a convolution cannot pad that way itself; its own padding."""
        rows, columns = (same_padding(extent, size, step) for extent, size, step in
                         zip(self.graph.shapes[self.last][2:], kernel, stride))
        if rows[0] == rows[1] and columns[0] == columns[1]:
            return [rows[0], columns[0]]
        self.node("constant_pad_nd", layer + ".pad", {"self": self.last}, pad=[*columns, *rows])
        return [0, 0]

    def convolution(self, layer, config):
        depthwise = "depth_multiplier" in config
        if config["dilation_rate"] != [1, 1] or config.get("depth_multiplier", 1) != 1:
            raise ConversionError(f"layer '{layer}': has dilation or a depth multiplier")
        padding = [0, 0]
        if config["padding"] == "same":
            padding = self.pad_same(layer, config["kernel_size"], config["strides"])
        groups = self.graph.shapes[self.last][1] if depthwise else 1
        weight = self.tensor(layer, "depthwise_kernel", (2, 3, 0, 1)) if depthwise \
            else self.tensor(layer, "kernel", (3, 2, 0, 1))
        bias = self.tensor(layer, "bias") if config["use_bias"] else None
        self.node("conv2d", layer, {"input": self.last, "weight": weight, "bias": bias},
                  stride=config["strides"], padding=padding, groups=groups)

    def batch_norm(self, layer, config):
        parts = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean",
                 "running_var": "moving_variance"}
        inputs = {key: self.tensor(layer, name) for key, name in parts.items()}
        self.node("batch_norm", layer, {"input": self.last, **inputs}, training=False,
                  momentum=0.1, eps=config["epsilon"], cudnn_enabled=False)

    def add(self, kind, layer, config):
        if kind in ("Conv2D", "DepthwiseConv2D"):
            self.convolution(layer, config)
        elif kind == "BatchNormalization":
            self.batch_norm(layer, config)
        elif kind == "Activation" and config["activation"] == "relu6":
            self.node("relu6", layer, {"self": self.last})
        elif kind == "GlobalAveragePooling2D":
            # Keeps its axes: the classifier is a convolution of one pixel.
            self.node("mean.dim", layer, {"self": self.last}, dim=[2, 3], keepdim=True)
        elif kind == "Reshape" or (kind, config.get("activation")) == ("Activation", "softmax"):
            pass  # to one axis of channels and back; the units are the logits
        elif kind not in ("InputLayer", "Dropout"):
            raise ConversionError(f"layer '{layer}': {kind} is not supported")


def convert_mobilenet(data, out, labels):
    model_file, tensor_file = (data / name for name in MOBILENET)
    keras = KerasGraph(load(tensor_file))
    layers = json.loads(model_file.read_text())["modelTopology"]["model_config"]["config"]["layers"]
    for layer in layers:
        keras.add(layer["class_name"], layer["name"], layer["config"])
    keras.node("reshape", "logits", {"self": keras.last}, shape=["batch", len(labels)])
    graph = keras.graph.graph(["logits"])
    mean = scale = [127.5] * 3
    images = sample_images(ROW_SHAPE, mean, scale)
    answers = evaluate(graph, keras.graph.tensors, images)
    write_graph_bundle(
        out / "mobilenet_v1",
        {"name": "mobilenet_v1", "response_unit": "logits",
         "licence": "Apache-2.0 (TensorFlow's published weights)",
         "citation": "Howard et al. (2017), MobileNets: efficient convolutional neural networks "
                     "for mobile vision applications, arXiv:1704.04861"},
        graph, keras.graph.tensors, stimulus_facts(ROW_SHAPE, mean, scale, README),
        [identity_network(graph, "logits")], unit_rows(labels, "mobilenet_v1", "logits"),
        {"input": images, "output.logits": answers["logits"]})


def convert_squeezenet(data, out, labels):
    export_onnx(
        data / SQUEEZENET, out / "squeezenet_1_1", name="squeezenet_1_1", mean=SQUEEZENET_MEAN,
        scale=(1.0, 1.0, 1.0), source=README, bgr=True, labels=labels, outputs=["pool10_1"],
        licence="BSD-2-Clause (DeepScale), MIT (the file)",
        citation="Iandola et al. (2016), SqueezeNet: AlexNet-level accuracy with 50x fewer "
                 "parameters and <0.5MB model size, arXiv:1602.07360")


CONVERTERS = {"mobilenet_v1": convert_mobilenet, "squeezenet_1_1": convert_squeezenet}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path,
                        help=f"folder with {SQUEEZENET}, {MOBILENET[1]} and {LABELS}")
    parser.add_argument("out", type=Path, help="folder in which the bundles are written")
    parser.add_argument("--only", choices=[*CONVERTERS], action="append",
                        help="write this bundle only; may be repeated")
    arguments = parser.parse_args()
    labels = read_labels(arguments.data / LABELS)
    for name in arguments.only or CONVERTERS:
        CONVERTERS[name](arguments.data, arguments.out, labels)


if __name__ == "__main__":
    run(main)
