#!/usr/bin/env python3
"""Turns the CIFAR-10 ResNets (He et al. 2015) into graph bundles: resnet20 and resnet56.

Their 10 units are the logits of the classes. An image of any size is fitted into the 32 x 32 pixels
with its proportions kept ("cover"), as the network learnt them.

Example:
  convert_cifar_resnets.py data/cifar10-resnets bundles
  twinscreen check bundles/resnet20
"""

import argparse
from pathlib import Path

from bundle_writer import ConversionError, run
from convert_v4_compact import load
from graph_reference import ProbedBuilder, evaluate
from graph_writer import (INPUT, identity_network, sample_images, stimulus_facts, unit_rows,
                          write_graph_bundle)

FILES = {"resnet20": "resnet20-12fca82f.safetensors", "resnet56": "resnet56-4bfd9763.safetensors"}
ROW_SHAPE = (3, 32, 32)
LABELS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
README = "README of the published models"
MEAN = [255 * value for value in (0.485, 0.456, 0.406)]
SCALE = [255 * value for value in (0.229, 0.224, 0.225)]


class ResidualNetwork:
    """The graph of a ResNet with parameter-free shortcuts (option A) from its tensors."""

    def __init__(self, tensors):
        self.graph = ProbedBuilder(ROW_SHAPE)
        for name in sorted(tensors):
            self.graph.constant(name, tensors[name])

    def tensor(self, name):
        if name not in self.graph.tensors:
            raise ConversionError(f"tensor '{name}' is missing")
        return name

    def convolution(self, value, prefix, number, stride):
        """3 x 3 convolution and its batch norm."""
        conv, norm = f"{prefix}conv{number}", f"{prefix}bn{number}"
        value = self.graph.add("conv2d", conv, {"input": value,
                                                "weight": self.tensor(conv + ".weight")},
                               {"stride": [stride] * 2, "padding": [1, 1]})
        inputs = {key: self.tensor(f"{norm}.{key}")
                  for key in ("weight", "bias", "running_mean", "running_var")}
        return self.graph.add("batch_norm", norm, {"input": value, **inputs},
                              {"training": False, "momentum": 0.1, "eps": 1e-5,
                               "cudnn_enabled": False})

    def relu(self, value, name):
        return self.graph.add("relu", name, {"self": value})

    def shortcut(self, value, block, channels):
        """Every second pixel, and zeros for the channels that are new."""
        for axis, name in ((2, "every_second_row"), (3, "every_second_column")):
            value = self.graph.add("slice.Tensor", block + name, {"self": value},
                                   {"dim": axis, "step": 2})
        new = (channels - self.graph.shapes[value][1]) // 2
        return self.graph.add("constant_pad_nd", f"{block}shortcut", {"self": value},
                              {"pad": [0, 0, 0, 0, new, new]})

    def block(self, value, block, stride):
        channels = self.graph.tensors[self.tensor(f"{block}conv1.weight")].shape[0]
        inner = self.relu(self.convolution(value, block, 1, stride), block + "relu1")
        inner = self.convolution(inner, block, 2, 1)
        if stride != 1 or channels != self.graph.shapes[value][1]:
            value = self.shortcut(value, block, channels)
        total = self.graph.add("add.Tensor", block + "add", {"self": inner, "other": value})
        return self.relu(total, block + "relu2")

    def logits(self):
        """Adds all layers; returns the last node."""
        value = self.relu(self.convolution(INPUT, "", 1, 1), "relu")
        for stage in (1, 2, 3):
            blocks = {name.split(".")[1] for name in self.graph.tensors
                      if name.startswith(f"layer{stage}.")}
            for block in range(len(blocks)):
                stride = 2 if stage > 1 and block == 0 else 1
                value = self.block(value, f"layer{stage}.{block}.", stride)
        value = self.graph.add("mean.dim", "pool", {"self": value}, {"dim": [2, 3]})
        return self.graph.add("linear", "linear", {"input": value,
                                                   "weight": self.tensor("linear.weight"),
                                                   "bias": self.tensor("linear.bias")})


def convert(data, out, name):
    network = ResidualNetwork(load(data / FILES[name]))
    graph = network.graph.graph([network.logits()])
    images = sample_images(ROW_SHAPE, MEAN, SCALE)
    answers = evaluate(graph, network.graph.tensors, images)
    write_graph_bundle(
        out / name,
        {"name": name, "response_unit": "logits",
         "licence": "BSD-2-Clause (github.com/akamaster/pytorch_resnet_cifar10)",
         "citation": "He, Zhang, Ren & Sun (2015), Deep residual learning for image recognition, "
                     "arXiv:1512.03385"},
        graph, network.graph.tensors, stimulus_facts(ROW_SHAPE, MEAN, SCALE, README),
        [identity_network(graph, "linear")], unit_rows(LABELS, name, "logits"),
        {"input": images, "output.linear": answers["linear"]})


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with " + " and ".join(FILES.values()))
    parser.add_argument("out", type=Path, help="folder in which the bundles are written")
    parser.add_argument("--only", choices=[*FILES], action="append",
                        help="write this bundle only; may be repeated")
    arguments = parser.parse_args()
    for name in arguments.only or FILES:
        convert(arguments.data, arguments.out, name)


if __name__ == "__main__":
    run(main)
