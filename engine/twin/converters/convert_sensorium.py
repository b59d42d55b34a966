#!/usr/bin/env python3
"""Turns the SENSORIUM 2022 baseline networks of mouse V1 into twin bundles.

Reads the published .pth files (Willeke et al. 2022) without PyTorch, refusing everything in them
that is not a tensor, and writes four bundles: mouse_cnn, mouse_ln, and with running, pupil size
and a pupil shifter mouse_cnn_behavior and mouse_ln_behavior.

Example:
  convert_sensorium.py data/sensorium-mouse-v1-twins bundles
  twinscreen list bundles/mouse_cnn
"""

import argparse
import math
import re
from pathlib import Path

from bundle_writer import (ConversionError, read_accuracy, require_known_units, run,
                           write_bundle)
from restricted_checkpoint import read_checkpoint

# bundle: file, separable blocks, ELU in the core, behaviour channels and pupil shifter
MODELS = {
    "mouse_cnn": ("sensorium_sota_model.pth", 3, True, False),
    "mouse_ln": ("sensorium_ln_model.pth", 2, False, False),
    "mouse_cnn_behavior": ("sensorium_p_sota_model.pth", 3, True, True),
    "mouse_ln_behavior": ("sensorium_p_ln_model.pth", 2, False, True),
}
CHANNELS = 64
HEAD = {
    "family": "sensorium",
    "response_unit": "calcium response / its standard deviation",
    "licence": "MIT",
    "citation": "Willeke et al. (2022), The Sensorium competition on predicting large-scale mouse "
                "primary visual cortex activity, arXiv:2206.08666",
    "batch_norm_epsilon": 1e-5,
}
FACTS = {
    "channels": (1, "published weights"),
    "height": (36, "published training data"),
    "width": (64, "published training data"),
    "layout": ("channels_first", "published training data"),
    "fit": ("cover", "assumed"),
    "filter": ("torch_bilinear_antialias", "assumed"),
    "mean": ([113.0], "assumed; the training set's mean is not in the checkpoint"),
    "scale": ([60.0], "assumed; the training set's deviation is not in the checkpoint"),
    "background": (113.0, "assumed; the assumed mean"),
    "luminance_range": ("0..255", "published training data"),
    "frame_rate": ("none", "static model"),
    "degrees_per_pixel": ("unknown", "not stated with the checkpoint"),
}


def core_shapes(blocks, inputs):
    """{tensor: shape} of the core."""
    norm = {key: (CHANNELS,) for key in ("weight", "bias", "running_mean", "running_var")}
    shapes = {"layer0.conv.weight": (CHANNELS, inputs, 9, 9)}
    shapes |= {f"layer0.norm.{key}": shape for key, shape in norm.items()}
    for block in range(1, blocks + 1):
        layer = f"layer{block}."
        shapes[layer + "ds_conv.in_depth_conv.weight"] = (CHANNELS, CHANNELS, 1, 1)
        shapes[layer + "ds_conv.spatial_conv.weight"] = (CHANNELS, 1, 7, 7)
        shapes[layer + "ds_conv.out_depth_conv.weight"] = (CHANNELS, CHANNELS, 1, 1)
        shapes |= {f"{layer}norm.{key}": shape for key, shape in norm.items()}
    return {"core.features." + name: shape for name, shape in shapes.items()}


def readout_shapes(neurons, shifter):
    """{tensor without its session: shape} of the readout and the shifter."""
    shapes = {"readout._features": (1, CHANNELS, 1, neurons), "readout.bias": (neurons,),
              "readout.source_grid": (neurons, 2), "readout.mu_transform.0.weight": (30, 2),
              "readout.mu_transform.0.bias": (30,), "readout.mu_transform.2.weight": (2, 30),
              "readout.mu_transform.2.bias": (2,)}
    if shifter:
        shapes |= {"shifter.mlp.0.weight": (5, 2), "shifter.mlp.0.bias": (5,),
                   "shifter.mlp.2.weight": (5, 5), "shifter.mlp.2.bias": (5,),
                   "shifter.mlp.4.weight": (2, 5), "shifter.mlp.4.bias": (2,)}
    return shapes


def session_of(file, state):
    """The one session key, which itself holds hyphens: '26872-17-20'."""
    sessions = sorted({found.group(1) for name in state
                       if (found := re.match(r"readout\.(.+)\._features$", name))})
    if len(sessions) != 1:
        raise ConversionError(f"{file}: has readouts of {sessions}, expected one session")
    return sessions[0]


def unused(name, session):
    """Tensors that inference does not need."""
    return (name == "core._input_weights_regularizer.laplace.filter"
            or name.endswith(".num_batches_tracked") or name == f"readout.{session}.sigma")


def convert(data, out, name, accuracy):
    file_name, blocks, elu, behaviour = MODELS[name]
    file = data / file_name
    state = read_checkpoint(file)
    session = session_of(file, state)
    neurons = state[f"readout.{session}._features"].shape[-1]
    expected = core_shapes(blocks, 4 if behaviour else 1) | readout_shapes(neurons, behaviour)
    tensors = {}
    for key, value in state.items():
        if unused(key, session):
            continue
        short = key.replace(f".{session}.", ".", 1)
        if short not in expected:
            raise ConversionError(f"{file}: unexpected tensor '{key}'")
        if value.shape != expected[short] or value.dtype.kind != "f":
            raise ConversionError(f"{file}: tensor '{key}' has shape {list(value.shape)} of "
                                  f"{value.dtype}, expected {list(expected[short])} of float32")
        tensors[short] = value
    missing = sorted(set(expected) - set(tensors))
    if missing:
        raise ConversionError(f"{file}: tensor '{missing[0]}' is missing")
    units = []
    for number in range(neurons):
        unit = f"{session}/{number:04d}"
        cortical = tensors["readout.source_grid"][number]
        units.append({"id": unit, "subject": session, "area": "V1",
                      "heldout_r": accuracy.get(unit, math.nan), "noise_ceiling": math.nan,
                      "x": math.nan, "y": math.nan, "cortex_x": float(cortical[0]),
                      "cortex_y": float(cortical[1])})
    covariates = []
    if behaviour:
        covariates = [{"name": "behavior", "extent": 3, "unit": ""},
                      {"name": "pupil", "extent": 2, "unit": ""}]
    networks = [{"prefix": "", "tap": "core", "tap_shape": [28, 56, CHANNELS],
                 "readout": "gaussian", "units": neurons}]
    require_known_units(name, accuracy, units)
    write_bundle(out / name, dict(name=name, hidden_elu=elu, **HEAD), covariates, networks, FACTS,
                 units, tensors)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with sensorium_*_model.pth")
    parser.add_argument("out", type=Path, help="folder in which the bundles are written")
    parser.add_argument("--accuracy", type=Path, metavar="CSV", action="append", default=[],
                        help="accuracy.csv of an encoding_score run whose twins carry the names of "
                             "bundles; may be repeated; filters like \"heldout_r > 0.3\" need it")
    parser.add_argument("--only", choices=[*MODELS], action="append",
                        help="write this bundle only; may be repeated")
    arguments = parser.parse_args()
    wanted = arguments.only or [*MODELS]
    accuracy = read_accuracy(arguments.accuracy)
    for name in wanted:
        convert(arguments.data, arguments.out, name, accuracy.get(name, {}))


if __name__ == "__main__":
    run(main)
