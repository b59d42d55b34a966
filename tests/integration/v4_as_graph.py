"""The shared compact V4 network (Cowley et al. 2023) written down as a graph, to be compared with the
engine's own form of it."""

import tomllib

from safetensors.numpy import load_file

from graph_reference import ProbedBuilder, evaluate
from graph_writer import (identity_network, sample_images, stimulus_facts, unit_rows,
                          write_graph_bundle)

SIDE = 112
STRIDES = (2, 2, 1, 1)  # of the separable layers
OUTPUT = "units"


class V4Graph:
    """Adds the layers of one network; kernels are [y, x, in, out] as published."""

    def __init__(self, tensors):
        self.tensors = tensors
        self.net = ProbedBuilder((3, SIDE, SIDE))
        self.last = "image"

    def add(self, operator, name, inputs, **attributes):
        self.last = self.net.add(operator, name, inputs, attributes)

    def tensor(self, name, order=None):
        value = self.tensors[name]
        return self.net.constant(name, value if order is None else value.transpose(order))

    def norm_and_relu(self, layer):
        parts = {"weight": "gamma", "bias": "beta", "running_mean": "mean", "running_var": "var"}
        inputs = {key: self.tensor(f"{layer}.bn.{name}") for key, name in parts.items()}
        self.add("batch_norm", f"{layer}.norm", {"input": self.last, **inputs}, training=False,
                 momentum=0.1, eps=1e-3, cudnn_enabled=False)
        self.add("relu", f"{layer}.relu", {"self": self.last})

    def first_layer(self):
        self.add("conv2d", "layer0", {"input": self.last,
                                      "weight": self.tensor("layer0.conv.kernel", (3, 2, 0, 1)),
                                      "bias": self.tensor("layer0.conv.bias")}, padding=[2, 2])
        self.norm_and_relu("layer0")

    def separable_layer(self, layer, stride):
        before = 1 if stride == 2 else 2  # TensorFlow's SAME
        self.add("constant_pad_nd", f"{layer}.pad", {"self": self.last}, pad=[before, 2, before, 2])
        depthwise = self.tensor(f"{layer}.sep.depthwise", (2, 3, 0, 1))
        channels = self.tensors[f"{layer}.sep.depthwise"].shape[2]
        self.add("conv2d", f"{layer}.depthwise", {"input": self.last, "weight": depthwise},
                 stride=[stride, stride], groups=channels)
        self.add("conv2d", f"{layer}.pointwise",
                 {"input": self.last, "weight": self.tensor(f"{layer}.sep.pointwise", (3, 2, 0, 1)),
                  "bias": self.tensor(f"{layer}.sep.bias")})
        self.norm_and_relu(layer)

    def readout(self):
        self.add("conv2d", "mixing", {"input": self.last,
                                      "weight": self.tensor("mixing.kernel", (3, 2, 0, 1)),
                                      "bias": self.tensor("mixing.bias")})
        self.add("mul.Tensor", "pooled", {
            "self": self.last, "other": self.tensor("spatial_pool.kernel", (3, 2, 0, 1))})
        self.add("sum.dim_IntList", "pool", {"self": self.last}, dim=[2, 3])
        self.add("add.Tensor", OUTPUT, {"self": self.last,
                                        "other": self.tensor("spatial_pool.bias")})


def write(bundle, folder):
    """The graph bundle of a shared v4_compact bundle, with the same preprocessing."""
    facts = tomllib.loads((bundle / "twin.toml").read_text())["stimulus"]
    mean, scale = (facts[key]["value"] for key in ("mean", "scale"))
    v4 = V4Graph(load_file(bundle / "weights.safetensors"))
    v4.first_layer()
    for number, stride in enumerate(STRIDES, start=1):
        v4.separable_layer(f"layer{number}", stride)
    v4.readout()
    graph = v4.net.graph([OUTPUT])
    images = sample_images((3, SIDE, SIDE), mean, scale)
    answers = evaluate(graph, v4.net.tensors, images)
    network = identity_network(graph, OUTPUT)
    write_graph_bundle(
        folder, {"name": folder.name, "response_unit": "model units", "licence": "see the original",
                 "citation": "see the original"},
        graph, v4.net.tensors, stimulus_facts((3, SIDE, SIDE), mean, scale, "the original"),
        [network], unit_rows(map(str, range(network["units"])), folder.name, "V4"),
        {"input": images, f"output.{OUTPUT}": answers[OUTPUT]})
