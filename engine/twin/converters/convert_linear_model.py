#!/usr/bin/env python3
"""Turns a published linear encoding model into a twin: backbone features, standardised, projected on
principal components, and mapped to vertices, voxels or channels x times by linear regressions.

This is how the fMRI and EEG models on a vision transformer are saved (numpy.save of nested
dictionaries with scikit-learn's names):

  scaler_param   {scale_, mean_, ...}             of all features, in the order of the taps
  pca_param      {components_, mean_, ...}        [components, features]
  *              {coef_, intercept_, ...}         any dictionary that holds these two: one regression,
                                                  called after its place ("lh_reg_param")

Standardiser and components become one matrix in the graph, which runs once for all regressions. A
regression whose outputs are as many as --channels times --times gets these as columns of its units,
channels first; one of the surface model gets its areas from the metadata (lh_fsaverage_rois,
rh_fsaverage_rois: name -> vertices), and its ceilings (lh_ncsnr, rh_ncsnr).

The backbone is a graph bundle, exported with --tap for each of the layers, in the order in which the
features were concatenated; --taps names others. Such a .npy file is a pickle: only dictionaries and
arrays are let through.

Example:
  export_model.py torch torchvision.models:vit_b_32 bundles/vit_b_32 --name vit_b_32 \\
      --state vit_b_32.safetensors --mean 123.675,116.28,103.53 --scale 58.395,57.12,57.375 \\
      --tap encoder.layers.encoder_layer_0 --tap encoder.layers.encoder_layer_1 ...
  convert_linear_model.py weights_subject-01.npy bundles/vit_b_32 bundles/nsd_01 --subject 1 \\
      --metadata metadata_subject-01.npy --area V1v --area V1d
"""

import argparse
import math
from pathlib import Path

import numpy as np

from bundle_writer import ConversionError, check_finite, run
from graph_bundle import GraphBundle
from graph_writer import write_graph_bundle
from restricted_npy import read_dictionary

COMPONENTS = "components"  # the node that the regressions read


def array_in(dictionary, key, axes, where):
    """An array of numbers with so many axes, in double precision."""
    value = np.asarray(dictionary.get(key))
    if value.dtype.kind not in "fiu" or value.ndim != axes:
        raise ConversionError(f"{where}: '{key}' is not an array of numbers with {axes} axes")
    check_finite(f"{where}.{key}", value)
    return value.astype(np.float64)


def projection_of(weights, width):
    """(matrix [components, features], offset [components]) of standardiser and components."""
    for part in ("scaler_param", "pca_param"):
        if not isinstance(weights.get(part), dict):
            raise ConversionError(f"the file has no dictionary '{part}'")
    scale = array_in(weights["scaler_param"], "scale_", 1, "scaler_param")
    mean = array_in(weights["scaler_param"], "mean_", 1, "scaler_param")
    components = array_in(weights["pca_param"], "components_", 2, "pca_param")
    centre = array_in(weights["pca_param"], "mean_", 1, "pca_param")
    for name, found in (("scale_", len(scale)), ("mean_", len(mean)), ("PCA mean_", len(centre)),
                        ("components_", components.shape[1])):
        if found != width:
            raise ConversionError(f"{name} is for {found} features, the taps give {width}")
    if not (scale > 0).all():
        raise ConversionError("scaler_param.scale_ holds values that are not above 0")
    return components / scale, -(components @ (mean / scale + centre))


def regressions_in(weights, path=()):
    """Yields (name, dictionary) of all that hold coef_ and intercept_, in the order of the file."""
    for key, value in weights.items():
        if not isinstance(value, dict):
            continue
        place = (*path, str(key))
        if "coef_" in value and "intercept_" in value:
            yield "/".join(place), value
        else:
            yield from regressions_in(value, place)


class SurfaceUnits:
    """Vertices of one hemisphere, with the first of the wanted areas that holds each."""

    def __init__(self, subject, metadata, areas):
        self.subject = subject
        self.fmri = metadata.get("fmri", metadata)
        self.areas = areas

    def of(self, name, outputs):
        """(rows kept, unit table rows) of a regression."""
        side = name[:2] if name[:3] in ("lh_", "rh_") else None
        area = np.full(outputs, "", dtype=object)
        rois = self.fmri.get(f"{side}_fsaverage_rois", {})
        unknown = [wanted for wanted in self.areas if wanted not in rois]
        if self.areas and unknown:
            raise ConversionError(f"the metadata have no area {', '.join(unknown)} in '{name}' "
                                  f"(there are {', '.join(sorted(rois))})")
        for roi in reversed(self.areas or list(rois)):
            vertices = np.asarray(rois[roi], dtype=np.int64)
            if vertices.size and not 0 <= vertices.min() <= vertices.max() < outputs:
                raise ConversionError(f"area {roi} of '{name}' names vertex {vertices.max()} of "
                                      f"{outputs}")
            area[vertices] = roi
        kept = np.flatnonzero(area != "") if self.areas else np.arange(outputs)
        ncsnr = np.asarray(self.fmri.get(f"{side}_ncsnr", np.full(outputs, math.nan)), dtype=float)
        rows = [{"id": f"{name}/{vertex}", "subject": self.subject, "area": area[vertex] or "other",
                 "hemisphere": side or "", "vertex": int(vertex), "heldout_r": math.nan,
                 "noise_ceiling": math.nan, "ncsnr": float(ncsnr[vertex]), "x": math.nan,
                 "y": math.nan} for vertex in kept]
        return kept, rows


class TimedUnits:
    """Channels times time points, as in an EEG model; each regression is a repeat."""

    def __init__(self, subject, channels, times):
        self.subject = subject
        self.channels = channels
        self.times = times

    def of(self, name, outputs):
        if outputs != len(self.channels) * len(self.times):
            raise ConversionError(f"'{name}' has {outputs} outputs, {len(self.channels)} channels "
                                  f"and {len(self.times)} times give "
                                  f"{len(self.channels) * len(self.times)}")
        rows = [{"id": f"{name}/{channel}/{time:g}", "subject": self.subject, "area": channel,
                 "repeat": name, "channel": channel, "time": float(time), "heldout_r": math.nan,
                 "noise_ceiling": math.nan, "x": math.nan, "y": math.nan}
                for channel in self.channels for time in self.times]
        return np.arange(outputs), rows


def add_projection(backbone, taps, matrix, offset):
    """Adds the nodes from the taps to the components."""
    flat = [backbone.add("reshape", f"{tap}.flat", {"self": tap},
                         {"shape": ["batch", backbone.width_of(tap)]},
                         ["batch", backbone.width_of(tap)]) for tap in taps]
    features = flat[0] if len(flat) == 1 else backbone.add(
        "cat", "features", {"tensors": flat}, {"dim": 1}, ["batch", matrix.shape[1]])
    backbone.tensors |= {f"{COMPONENTS}.weight": matrix.astype(np.float32),
                         f"{COMPONENTS}.bias": offset.astype(np.float32)}
    backbone.add("linear", COMPONENTS, {"input": features, "weight": f"{COMPONENTS}.weight",
                                        "bias": f"{COMPONENTS}.bias"}, {},
                 ["batch", matrix.shape[0]])


def convert(weights, backbone, out, taps, units_of, licence, citation):
    matrix, offset = projection_of(weights, sum(backbone.width_of(tap) for tap in taps))
    answers = backbone.answers(*taps)
    flat = [answers[tap].reshape(len(backbone.images), -1) for tap in taps]
    components = np.concatenate(flat, axis=1) @ matrix.T + offset
    add_projection(backbone, taps, matrix, offset)
    tensors, networks, units = dict(backbone.tensors), [], []
    for name, regression in regressions_in(weights):
        coef = array_in(regression, "coef_", 2, name)
        intercept = array_in(regression, "intercept_", 1, name)
        if coef.shape != (len(intercept), matrix.shape[0]):
            raise ConversionError(f"'{name}': coef_ is {list(coef.shape)}, expected "
                                  f"[{len(intercept)}, {matrix.shape[0]}]")
        kept, rows = units_of.of(name, len(intercept))
        if not rows:
            continue
        tensors[f"{name}.readout.kernel"] = np.ascontiguousarray(coef[kept].T)
        tensors[f"{name}.readout.bias"] = intercept[kept]
        networks.append({"prefix": f"{name}.", "tap": COMPONENTS, "tap_shape": [matrix.shape[0]],
                         "readout": "dense", "units": len(rows)})
        units += rows
    if not networks:
        raise ConversionError("the file holds no regression with units that were asked for")
    write_graph_bundle(
        out, {"name": out.name, "response_unit": "z", "licence": backbone.licence(licence),
              "citation": backbone.citation(citation)},
        backbone.up_to(COMPONENTS), tensors, backbone.facts(), networks, units,
        {"input": backbone.images, f"output.{COMPONENTS}": components})


def units_for(arguments):
    if arguments.times is None:
        metadata = read_dictionary(arguments.metadata) if arguments.metadata else {}
        return SurfaceUnits(arguments.subject, metadata, arguments.area)
    if arguments.channels is None:
        raise ConversionError("--times needs --channels")
    first, last, step = arguments.times
    count = round((last - first) / step) + 1
    return TimedUnits(arguments.subject, arguments.channels, first + step * np.arange(count))


def numbers(text):
    parts = [float(part) for part in text.split(",")]
    if len(parts) != 3 or not parts[2] > 0:
        raise argparse.ArgumentTypeError("expected FIRST,LAST,STEP")
    return parts


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help="the .npy dictionary")
    parser.add_argument("backbone", type=Path, help="folder of a graph bundle")
    parser.add_argument("out", type=Path, help="folder of the bundle to write")
    parser.add_argument("--taps", type=lambda text: text.split(","), metavar="NODE,...",
                        help="nodes of the backbone, in the features' order (default: the taps "
                             "with which it was exported)")
    parser.add_argument("--subject", required=True)
    parser.add_argument("--metadata", type=Path, help="the model's .npy dictionary of areas")
    parser.add_argument("--area", action="append", default=[],
                        help="keep the vertices of this area only; may be repeated")
    parser.add_argument("--channels", type=lambda text: text.split(","), metavar="NAME,...")
    parser.add_argument("--times", type=numbers, metavar="FIRST,LAST,STEP",
                        help="[s], written as one word: --times=-0.1,0.595,0.005")
    parser.add_argument("--licence", default="not stated", help="of the model")
    parser.add_argument("--citation", default="not stated", help="of the model")
    arguments = parser.parse_args()
    backbone = GraphBundle(arguments.backbone)
    taps = arguments.taps or backbone.exported_taps()
    convert(read_dictionary(arguments.weights), backbone, arguments.out, taps, units_for(arguments),
            arguments.licence, arguments.citation)


if __name__ == "__main__":
    run(main)
