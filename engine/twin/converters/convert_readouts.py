#!/usr/bin/env python3
"""Puts readouts of voxels or neurons on a node of a graph bundle: a twin of several subjects and
areas that share one backbone.

The readouts are a .safetensors file; SUBJECT.AREA groups its tensors, and what a group holds says
which kind it is:

  ridge             coef [units, features], intercept [units]: as a regression leaves them (for
                    example those of img2fmri, fitted to BOLD5000). Where the node computes a map
                    of as many channels as there are features, its mean over the pixels is taken
  factorised        features [units, channels], space [units, height, width] or [units, pixels],
                    bias [units]: space x feature (Klindt et al. 2017)
  Gaussian-sampled  features [units, channels], position [units, 2], bias [units]: the place x, y,
                    -1..1 from the first to the last pixel of the width and of the height (Lurz et
                    al. 2021, at inference: the mean of the Gaussian)

The last two read the map [channels, height, width] of the node. A group may also hold heldout_r,
noise_ceiling, x, y [units] and hemisphere [units] of 0 (left) and 1 (right): columns of the unit
table.

Readouts mean something on the features that they were fitted to. On another backbone of the same
width they are only a real workload: say so where you show the results.

Example:
  convert_readouts.py data/img2fmri-ridge-readouts/ridge_readouts_subj1_subj2.safetensors \\
      bundles/squeezenet_1_1 bundles/img2fmri_on_squeezenet --tap fire9/concat_1
  twinscreen list bundles/img2fmri_on_squeezenet
"""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bundle_writer import ConversionError, check_finite, run
from convert_v4_compact import load
from graph_bundle import GraphBundle
from graph_writer import write_graph_bundle

KINDS = {"ridge": ("coef", "intercept"), "factorised": ("features", "space", "bias"),
         "sampled": ("features", "position", "bias")}
FACTS = ("heldout_r", "noise_ceiling", "x", "y")
ABOUT_UNITS = {*FACTS, "hemisphere"}
HEMISPHERES = ("lh", "rh")


@dataclass
class Group:
    """The tensors of one subject and area.

    parts  {name: array}: those of the kind, in KINDS, and those about the units
    """

    subject: str
    area: str
    kind: str
    parts: dict

    @property
    def name(self):
        return f"{self.subject}.{self.area}"

    @property
    def units(self):
        return self.part(KINDS[self.kind][0], None, None).shape[0]

    def part(self, key, *shape):
        """One tensor; an extent of None fits any."""
        array = self.parts[key]
        if array.ndim != len(shape) or any(
                extent not in (None, found) for extent, found in zip(shape, array.shape)):
            wanted = ", ".join("any" if extent is None else str(extent) for extent in shape)
            raise ConversionError(f"'{self.name}.{key}' has shape {list(array.shape)}, expected "
                                  f"[{wanted}]")
        return array


def group_of(name, parts):
    """The Group of SUBJECT.AREA."""
    subject, _, area = name.partition(".")
    if not area:
        raise ConversionError(f"'{name}.{min(parts)}' is not called SUBJECT.AREA.PART")
    kinds = [kind for kind, needed in KINDS.items() if set(parts) - ABOUT_UNITS == set(needed)]
    if not kinds:
        raise ConversionError(
            f"'{name}' holds {', '.join(sorted(parts))}; expected "
            + " or ".join(", ".join(needed) for needed in KINDS.values())
            + f", and of the units {', '.join(sorted(ABOUT_UNITS))}")
    for key in KINDS[kinds[0]]:
        check_finite(f"{name}.{key}", parts[key])
    return Group(subject, area, kinds[0], parts)


def read_groups(file):
    """The Groups in the order of their names."""
    found = {}
    for name, array in load(file).items():
        group, _, part = name.rpartition(".")
        found.setdefault(group, {})[part] = array
    try:
        return [group_of(name, found[name]) for name in sorted(found)]
    except ConversionError as problem:
        raise ConversionError(f"{file}: {problem}") from None


class Nodes:
    """The nodes that the readouts take, with their values for the sample images."""

    def __init__(self, backbone, tap):
        self.backbone = backbone
        self.tap = tap
        self.row = backbone.row_of(tap)
        self.answers = {}

    def map(self, channels):
        """The node itself, a map of so many channels; its name."""
        if len(self.row) != 3 or self.row[0] != channels:
            raise ConversionError(f"node '{self.tap}' computes {self.row}, the readouts want a map "
                                  f"of {channels} channels")
        return self.tapped()

    def features(self, width):
        """A node with so many values: the tap, or its mean over the pixels; its name."""
        if math.prod(self.row) == width:
            return self.tapped()
        if len(self.row) != 3 or self.row[0] != width:
            raise ConversionError(f"node '{self.tap}' computes {self.row}, the readouts want "
                                  f"{width} features")
        name = f"{self.tap}.mean"
        if name not in self.answers:
            self.backbone.add("mean.dim", name, {"self": self.tap}, {"dim": [2, 3]},
                              ["batch", width])
            values = self.backbone.answers(self.tap)[self.tap]
            self.answers[name] = values.mean(axis=(2, 3))
        return name

    def tapped(self):
        if self.tap not in self.answers:
            self.answers[self.tap] = self.backbone.answers(self.tap)[self.tap]
        return self.tap


def readout_of(group, nodes):
    """(node, readout, {part: tensor}) of a group."""
    units = group.units
    if group.kind == "ridge":
        coef = group.part("coef", units, None)
        return nodes.features(coef.shape[1]), "dense", {
            "kernel": np.ascontiguousarray(coef.T), "bias": group.part("intercept", units)}
    features = group.part("features", units, None)
    node = nodes.map(features.shape[1])
    own = {"weight": features, "bias": group.part("bias", units)}
    if group.kind == "sampled":
        return node, "sampled", own | {"position": group.part("position", units, 2)}
    height, width = nodes.row[1:]
    if group.parts["space"].ndim == 3:
        group.part("space", units, height, width)
    else:
        group.part("space", units, height * width)
    return node, "factorised", own | {"field.0": group.parts["space"].reshape(units, -1)}


def unit_rows(group, has_hemispheres):
    """Rows of the unit table; what the group does not say is unknown."""
    units = group.units
    facts = {key: group.part(key, units) if key in group.parts else np.full(units, math.nan)
             for key in FACTS}
    for key, values in facts.items():
        if np.isinf(values).any():
            raise ConversionError(f"'{group.name}.{key}' holds infinite values")
    sides = group.part("hemisphere", units) if "hemisphere" in group.parts else None
    if sides is not None and not np.isin(sides, (0, 1)).all():
        raise ConversionError(f"'{group.name}.hemisphere' holds other values than 0 (left) and "
                              "1 (right)")
    rows = []
    for unit in range(units):
        row = {"id": f"{group.subject}/{group.area}/{unit:04d}", "subject": group.subject,
               "area": group.area}
        row |= {key: float(values[unit]) for key, values in facts.items()}
        if has_hemispheres:
            row["hemisphere"] = "" if sides is None else HEMISPHERES[int(sides[unit])]
        rows.append(row)
    return rows


def convert(groups, backbone, out, tap, licence, citation):
    nodes = Nodes(backbone, tap)
    has_hemispheres = any("hemisphere" in group.parts for group in groups)
    tensors, networks, units = dict(backbone.tensors), [], []
    for group in groups:
        node, readout, parts = readout_of(group, nodes)
        prefix = f"{group.name}."
        tensors |= {f"{prefix}readout.{part}": array for part, array in parts.items()}
        networks.append({"prefix": prefix, "tap": node, "tap_shape": backbone.row_of(node),
                         "readout": readout, "units": group.units})
        units += unit_rows(group, has_hemispheres)
    if not units:
        raise ConversionError("the file holds no readouts")
    write_graph_bundle(
        out,
        {"name": out.name, "response_unit": "as fitted",
         "licence": backbone.licence(licence), "citation": backbone.citation(citation)},
        backbone.up_to(*nodes.answers), tensors, backbone.facts(), networks, units,
        {"input": backbone.images,
         **{f"output.{node}": answer for node, answer in nodes.answers.items()}})


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
    convert(read_groups(arguments.readouts), GraphBundle(arguments.backbone), arguments.out,
            arguments.tap, arguments.licence, arguments.citation)


if __name__ == "__main__":
    run(main)
