"""The mouse V1 network without behaviour (Willeke et al. 2022) written down as a graph, to be compared
with the engine's own form of it."""

import tomllib

import numpy as np
from safetensors.numpy import load_file

from graph_reference import ProbedBuilder, evaluate
from graph_writer import (identity_network, sample_images, stimulus_facts, unit_rows,
                          write_graph_bundle)

ROW_SHAPE = (1, 36, 64)
CHANNELS = 64
OUTPUT = "rates"


def elu(values):
    return np.where(values > 0, values, np.expm1(np.minimum(values, 0)))


class MouseGraph:
    """Adds the layers of one network."""

    def __init__(self, tensors):
        self.tensors = tensors
        self.net = ProbedBuilder(ROW_SHAPE)
        self.last = "image"

    def add(self, operator, name, inputs, **attributes):
        self.last = self.net.add(operator, name, inputs, attributes)

    def tensor(self, name):
        return self.net.constant(name, self.tensors[name])

    def norm_and_elu(self, layer):
        parts = {"weight": "weight", "bias": "bias", "running_mean": "running_mean",
                 "running_var": "running_var"}
        inputs = {key: self.tensor(f"core.features.{layer}.norm.{name}")
                  for key, name in parts.items()}
        self.add("batch_norm", f"{layer}.norm", {"input": self.last, **inputs}, training=False,
                 momentum=0.1, eps=1e-5, cudnn_enabled=False)
        self.add("elu", f"{layer}.elu", {"self": self.last})

    def convolution(self, layer, part, **attributes):
        self.add("conv2d", f"{layer}.{part}",
                 {"input": self.last, "weight": self.tensor(f"core.features.{layer}.{part}.weight")},
                 **attributes)

    def core(self):
        self.convolution("layer0", "conv")
        self.norm_and_elu("layer0")
        number = 1
        while f"core.features.layer{number}.norm.weight" in self.tensors:
            layer = f"layer{number}"
            self.convolution(layer, "ds_conv.in_depth_conv")
            self.convolution(layer, "ds_conv.spatial_conv", padding=[3, 3], groups=CHANNELS)
            self.convolution(layer, "ds_conv.out_depth_conv")
            self.norm_and_elu(layer)
            number += 1

    def places(self):
        """Where each neuron looks [neurons, (x, y)], from its place in the cortex."""
        part = {name: self.tensors[f"readout.mu_transform.{name}"].astype(np.float64)
                for name in ("0.weight", "0.bias", "2.weight", "2.bias")}
        hidden = elu(self.tensors["readout.source_grid"] @ part["0.weight"].T + part["0.bias"])
        return np.clip(np.tanh(hidden @ part["2.weight"].T + part["2.bias"]), -1, 1)

    def readout(self):
        places = self.places().astype(np.float32)
        grid = self.net.constant("places", places.reshape(1, -1, 1, 2))
        grid = self.net.add("expand", "grid", {"self": grid},
                            {"size": ["batch", len(places), 1, 2]})
        self.add("grid_sampler", "sampled", {"input": self.last, "grid": grid},
                 interpolation_mode=0, padding_mode=0, align_corners=True)
        self.add("squeeze.dim", "samples", {"self": self.last}, dim=3)
        features = self.net.constant(
            "features", self.tensors["readout._features"].reshape(1, CHANNELS, -1))
        self.add("mul.Tensor", "weighted", {"self": self.last, "other": features})
        self.add("sum.dim_IntList", "summed", {"self": self.last}, dim=[1])
        self.add("add.Tensor", "drive", {"self": self.last, "other": self.tensor("readout.bias")})
        self.add("elu", "bent", {"self": self.last})
        self.add("add.Scalar", OUTPUT, {"self": self.last}, other=1)


def write(bundle, folder):
    """The graph bundle of the mouse_cnn bundle, with the same preprocessing."""
    facts = tomllib.loads((bundle / "twin.toml").read_text())["stimulus"]
    mean, scale = (facts[key]["value"] for key in ("mean", "scale"))
    mouse = MouseGraph(load_file(bundle / "weights.safetensors"))
    mouse.core()
    mouse.readout()
    graph = mouse.net.graph([OUTPUT])
    images = sample_images(ROW_SHAPE, mean, scale)
    answers = evaluate(graph, mouse.net.tensors, images)
    network = identity_network(graph, OUTPUT)
    facts = stimulus_facts(ROW_SHAPE, mean, scale, "the original")
    facts["filter"] = ("torch_bilinear_antialias", "the original")
    write_graph_bundle(
        folder, {"name": folder.name, "response_unit": "model units", "licence": "see the original",
                 "citation": "see the original"},
        graph, mouse.net.tensors, facts, [network],
        unit_rows(map(str, range(network["units"])), folder.name, "V1"),
        {"input": images, f"output.{OUTPUT}": answers[OUTPUT]})
