#!/usr/bin/env python3
"""Turns the compact networks of macaque V4 into twin bundles.

Reads the .safetensors files of the compact V4 models (Cowley, Stan, Pillow & Smith 2023) and
writes five bundles: v4_190923 and v4_210225 with one network per neuron, and v4_shared_25,
v4_shared_200 and v4_shared_direct_200 with one network for 219 neurons.

Example:
  convert_v4_compact.py data/v4-compact-models bundles
  twinscreen list bundles/v4_190923

With accuracy tables, heldout_r of the units becomes known:
  convert_v4_compact.py data/v4-compact-models bundles \\
      --accuracy results/v4_accuracy_190923/accuracy.csv
"""

import argparse
import math
import re
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from bundle_writer import (ConversionError, read_accuracy, require_known_units, run,
                           write_bundle)

SINGLE = {"v4_190923": ("compact_models_190923.safetensors", "190923"),
          "v4_210225": ("compact_models_210225.safetensors", "210225")}
SHARED = {"v4_shared_25": "shared_compact_from_ensemble_model_25filters.safetensors",
          "v4_shared_200": "shared_compact_from_ensemble_model_200filters.safetensors",
          "v4_shared_direct_200":
              "shared_compact_from_V4data_direct_fit_200filters.safetensors"}
# Outputs of the shared models in order: session, neurons. Animals are known for two sessions.
SHARED_SESSIONS = (("190923", 33), ("201025", 89), ("210225", 55), ("211022", 42))
ANIMALS = {"190923": "WE", "210225": "PE"}

README = "README of the published models"
HEAD = {
    "family": "v4_compact",
    "response_unit": "model units",
    "licence": "GPL-3.0 (repository of the published models)",
    "citation": "Cowley, Stan, Pillow & Smith (2023), Compact deep neural network models of visual "
                "cortex, bioRxiv",
    "batch_norm_epsilon": 0.001,
}
FACTS = {
    "channels": (3, README),
    "height": (112, README),
    "width": (112, README),
    "layout": ("channels_last", "layout of the published kernels"),
    "fit": ("cover", "assumed; the published images have the input's size"),
    "filter": ("pil_bilinear", "assumed; the published images have the input's size"),
    "mean": ([116.222, 109.270, 100.381], README),
    "scale": ([1.0, 1.0, 1.0], README),
    "background": (127.5, "assumed"),
    "luminance_range": ("0..255", README),
    "frame_rate": ("none", "static model of spike counts in 100 ms"),
    "degrees_per_pixel": ("unknown", "not stated with the published models"),
}


def load(file):
    try:
        return load_file(file)
    except (SafetensorError, ValueError) as problem:
        raise ConversionError(f"{file}: is not a complete safetensors file ({problem})") from None


def require_shape(file, tensors, name, shape):
    """The tensor; sizes of None in the shape fit any."""
    if name not in tensors:
        raise ConversionError(f"{file}: tensor '{name}' is missing")
    found = tensors[name].shape
    if len(found) != len(shape) or any(want not in (None, have)
                                       for have, want in zip(found, shape)):
        raise ConversionError(f"{file}: tensor '{name}' has shape {list(found)}, expected "
                              f"{list(shape)}")
    if tensors[name].dtype != np.float32:
        raise ConversionError(f"{file}: tensor '{name}' holds {tensors[name].dtype}, expected "
                              "float32")
    return tensors[name]


def unit_row(unit, session, number, accuracy):
    return {"id": unit, "subject": ANIMALS.get(session, f"animal of session {session}"),
            "area": "V4", "session": session, "neuron": number,
            "heldout_r": accuracy.get(unit, math.nan), "noise_ceiling": math.nan,
            "x": math.nan, "y": math.nan}


def convert_single(data, out, name, accuracy):
    """One network per neuron."""
    file, session = SINGLE[name]
    tensors = load(data / file)
    numbers = sorted({int(found.group(1)) for key in tensors
                      if (found := re.match(r"neuron(\d+)\.", key))})
    if numbers != list(range(len(numbers))) or not numbers:
        raise ConversionError(f"{data / file}: the neurons are not numbered from 0 on")
    networks, units = [], []
    for number in numbers:
        prefix = f"neuron{number}."
        channels = require_shape(data / file, tensors, prefix + "layer4.sep.bias",
                                 (None,)).shape[0]
        require_shape(data / file, tensors, prefix + "readout.kernel", (28 * 28 * channels, 1))
        networks.append({"prefix": prefix, "tap": "core", "tap_shape": [28, 28, channels],
                         "readout": "dense", "units": 1})
        units.append(unit_row(f"{session}/{number:02d}", session, number, accuracy))
    require_known_units(name, accuracy, units)
    write_bundle(out / name, dict(name=name, **HEAD), [], networks, FACTS, units, tensors)


def convert_shared(data, out, name, accuracy):
    """One network for the neurons of all sessions."""
    file = data / SHARED[name]
    tensors = load(file)
    channels = require_shape(file, tensors, "layer4.sep.bias", (None,)).shape[0]
    total = sum(count for _, count in SHARED_SESSIONS)
    require_shape(file, tensors, "mixing.kernel", (1, 1, channels, total))
    require_shape(file, tensors, "spatial_pool.kernel", (28, 28, total, 1))
    networks = [{"prefix": "", "tap": "core", "tap_shape": [28, 28, channels],
                 "readout": "mixing_pool", "units": total}]
    units = [unit_row(f"{session}/{number:02d}", session, number, accuracy)
             for session, count in SHARED_SESSIONS for number in range(count)]
    require_known_units(name, accuracy, units)
    write_bundle(out / name, dict(name=name, **HEAD), [], networks, FACTS, units, tensors)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with compact_models_*.safetensors and "
                        "shared_compact_*.safetensors")
    parser.add_argument("out", type=Path, help="folder in which the bundles are written")
    parser.add_argument("--accuracy", type=Path, metavar="CSV", action="append", default=[],
                        help="accuracy.csv of an encoding_score run whose twins carry the names of "
                             "bundles; may be repeated; filters like \"heldout_r > 0.3\" need it")
    parser.add_argument("--only", choices=[*SINGLE, *SHARED], action="append",
                        help="write this bundle only; may be repeated")
    arguments = parser.parse_args()
    wanted = arguments.only or [*SINGLE, *SHARED]
    accuracy = read_accuracy(arguments.accuracy)
    for name in wanted:
        convert = convert_single if name in SINGLE else convert_shared
        convert(arguments.data, arguments.out, name, accuracy.get(name, {}))


if __name__ == "__main__":
    run(main)
