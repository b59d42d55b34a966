#!/usr/bin/env python3
"""Puts linear readouts of voxels or neurons on a node of a graph bundle: a twin of several subjects
and areas that share one backbone.

The readouts are a .safetensors file with SUBJECT.AREA.coef [voxels, features] and
SUBJECT.AREA.intercept [voxels], as a ridge regression leaves them (for example those of img2fmri,
fitted to BOLD5000: 512 features, five areas, two subjects). Where the node computes a map
[channels, height, width] of as many channels as there are features, its mean over the pixels is
taken.

Readouts mean something on the features that they were fitted to. On another backbone of the same
width they are only a real workload: say so where you show the results.

Example:
  convert_ridge_readouts.py data/img2fmri-ridge-readouts/ridge_readouts_subj1_subj2.safetensors \\
      bundles/squeezenet_1_1 bundles/img2fmri_on_squeezenet --tap fire9/concat_1
  twinscreen list bundles/img2fmri_on_squeezenet
"""

import argparse
import math
from pathlib import Path

import numpy as np

from bundle_writer import ConversionError, check_finite, run
from convert_v4_compact import load
from graph_bundle import GraphBundle
from graph_writer import write_graph_bundle


def features_of(backbone, tap, width):
    """The node whose row has as many values as a readout has features; its name."""
    row = backbone.row_of(tap)
    if backbone.width_of(tap) == width:
        return tap
    if len(row) != 3 or row[0] != width:
        raise ConversionError(f"node '{tap}' computes {row}, the readouts want {width} features")
    return backbone.add("mean.dim", f"{tap}.mean", {"self": tap}, {"dim": [2, 3]},
                        ["batch", width])


def features_answers(backbone, tap, features):
    """What the features are for the sample images."""
    values = backbone.answers(tap)[tap]
    return values if features == tap else values.mean(axis=(2, 3))


def read_readouts(file):
    """[(subject, area, coef [voxels, features], intercept [voxels])] in the order of the names."""
    tensors = load(file)
    readouts = []
    for name in sorted(tensors):
        if not name.endswith(".coef"):
            continue
        subject, _, area = name.removesuffix(".coef").partition(".")
        coef, intercept = tensors[name], tensors.get(name.removesuffix("coef") + "intercept")
        if not area or coef.ndim != 2:
            raise ConversionError(f"{file}: '{name}' is not SUBJECT.AREA.coef [voxels, features]")
        if intercept is None or intercept.shape != coef.shape[:1]:
            raise ConversionError(f"{file}: '{subject}.{area}.intercept' is not [{coef.shape[0]}]")
        check_finite(name, coef)
        readouts.append((subject, area, coef, intercept))
    widths = sorted({coef.shape[1] for _, _, coef, _ in readouts})
    if len(widths) != 1:
        raise ConversionError(f"{file}: the readouts take {widths} features, expected one number")
    return readouts


def unit_row(subject, area, voxel):
    return {"id": f"{subject}/{area}/{voxel:04d}", "subject": subject, "area": area,
            "heldout_r": math.nan, "noise_ceiling": math.nan, "x": math.nan, "y": math.nan}


def convert(readouts, backbone, out, tap, licence, citation):
    width = readouts[0][2].shape[1]
    features = features_of(backbone, tap, width)
    graph = backbone.up_to(features)
    answers = features_answers(backbone, tap, features)
    tensors, networks, units = dict(backbone.tensors), [], []
    for subject, area, coef, intercept in readouts:
        prefix = f"{subject}.{area}."
        tensors[prefix + "readout.kernel"] = np.ascontiguousarray(coef.T)
        tensors[prefix + "readout.bias"] = intercept
        networks.append({"prefix": prefix, "tap": features, "tap_shape": backbone.row_of(features),
                         "readout": "dense", "units": len(intercept)})
        units += [unit_row(subject, area, voxel) for voxel in range(len(intercept))]
    write_graph_bundle(
        out,
        {"name": out.name, "response_unit": "as fitted",
         "licence": backbone.licence(licence), "citation": backbone.citation(citation)},
        graph, tensors, backbone.facts(), networks, units,
        {"input": backbone.images, f"output.{features}": answers})


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("readouts", type=Path, help="the .safetensors file")
    parser.add_argument("backbone", type=Path, help="folder of a graph bundle")
    parser.add_argument("out", type=Path, help="folder of the bundle to write")
    parser.add_argument("--tap", required=True, metavar="NODE",
                        help="the node that the readouts read (twinscreen list BACKBONE --taps)")
    parser.add_argument("--licence", default="not stated", help="of the readouts")
    parser.add_argument("--citation", default="not stated", help="of the readouts")
    arguments = parser.parse_args()
    convert(read_readouts(arguments.readouts), GraphBundle(arguments.backbone), arguments.out,
            arguments.tap, arguments.licence, arguments.citation)


if __name__ == "__main__":
    run(main)
