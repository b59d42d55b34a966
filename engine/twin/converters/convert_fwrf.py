#!/usr/bin/env python3
"""Turns published feature-weighted receptive field models of fMRI (NSD) into twins: a small network
("GNet") and, for every voxel, a pooling field of each of its levels and one weight per channel
(St-Yves & Naselaris 2018; Allen et al. 2022). Each subject and region has a network of its own.

A model is a file weights_sub-XX_roi-R.pt of torch.save, a dictionary of

  best_params  {enc: tensors of the network, fwrfs: {subject: {rf0, rf1, rf2, w, b}}}
               rfK [voxels, side, side]  logits of the field of level K; without an rf2 the first
                                         two layers are no level
               w [voxels, channels of all levels], b [voxels]

and of other things, which are not used: final_params, training history, args. enc.mu is the
mean of the training pictures in 0..1. The layers are those of the published code; their widths are
taken from the tensors. Pickles are read without running them: a file that names anything but
tensors, arrays and the script's arguments is refused.

metadata_sub-XX_roi-R.npy adds to the unit table heldout_r (the root of r2), noise_ceiling (the
share of the variance that can be explained), ncsnr, the voxel in the volume and its place in the
scanner [mm]. The files name no hemispheres, and no positions in the visual field: x and y are
unknown.

Large regions are published as two models of half the voxels (_split-1, _split-2). Models go into
one bundle if their networks are the same; else convert each into its own.

This was tried on files of that layout, not on the published ones.

Example:
  convert_fwrf.py weights_sub-01_roi-V1.pt bundles/fwrf_sub-01_V1 \\
      --metadata metadata_sub-01_roi-V1.npy
  twinscreen check bundles/fwrf_sub-01_V1
"""

import argparse
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bundle_writer import ConversionError, check_finite, run
from graph_reference import ProbedBuilder, evaluate
from graph_writer import INPUT, names_in, sample_images, stimulus_facts, write_graph_bundle
from restricted_checkpoint import read_nested_checkpoint
from restricted_npy import read_dictionary

SIDE = 227  # [pixels] of the network's input
PICTURE_DEGREES = 8.4
ROW_SHAPE = (3, SIDE, SIDE)
WEIGHTS_NAME = re.compile(r"weights_(sub-\w+)_roi-(.+?)(?:_split-([12]))?\.pt")
METADATA_NAME = re.compile(r"metadata_(sub-\w+)_roi-(.+)\.npy")
CITATION = ("St-Yves & Naselaris (2018), The feature-weighted receptive field, NeuroImage 180; "
            "Allen et al. (2022), Nature Neuroscience 25")


class GNet:
    """The graph of the network from its tensors."""

    def __init__(self, tensors):
        self.graph = ProbedBuilder(ROW_SHAPE)
        for name in sorted(tensors):
            self.graph.constant(name, tensors[name])

    def tensor(self, name):
        if name not in self.graph.tensors:
            raise ConversionError(f"the network has no tensor '{name}'")
        return name

    def convolution(self, value, name, stride, padding):
        inputs = {key: self.tensor(f"{name}.{key}") for key in ("weight", "bias")}
        return self.graph.add("conv2d", name, {"input": value, **inputs},
                              {"stride": [stride] * 2, "padding": [padding] * 2})

    def norm(self, value, name):
        inputs = {key: self.tensor(f"{name}.{key}")
                  for key in ("weight", "bias", "running_mean", "running_var")}
        return self.graph.add("batch_norm", name, {"input": value, **inputs},
                              {"training": False, "momentum": 0.1, "eps": 1e-5,
                               "cudnn_enabled": False})

    def relu(self, value, name):
        return self.graph.add("relu", name, {"self": value})

    def pool(self, value, name, padding):
        return self.graph.add("max_pool2d", name, {"self": value},
                              {"kernel_size": [3, 3], "stride": [2, 2], "padding": [padding] * 2})

    def block(self, value, name):
        value = self.norm(value, f"{name}.bn1")
        return self.relu(self.convolution(value, f"{name}.conv1", 1, 1), name)

    def first(self, value, width):
        return self.graph.add("slice.Tensor", f"{value}.first", {"self": value},
                              {"dim": 1, "end": width})

    def joined(self, name, *values):
        return self.graph.add("cat", name, {"tensors": list(values)}, {"dim": 1})

    def levels(self):
        """Adds all layers; returns the three levels."""
        c1 = self.relu(self.convolution(INPUT, "pre.conv1.0", 4, 2), "pre.conv1.1")
        c1 = self.pool(c1, "pre.conv1.2", 0)
        c2 = self.relu(self.convolution(c1, "pre.conv2.0", 1, 2), "pre.conv2.1")
        c3 = self.relu(self.convolution(self.norm(c2, "enc.bn1"), "enc.conv3", 1, 0), "enc.c3")
        c4a = self.block(c3, "enc.conv4a")
        c4b = self.block(c4a, "enc.conv4b")
        c5a = self.block(self.pool(c4b, "enc.pool1", 1), "enc.conv5a")
        c5b = self.block(c5a, "enc.conv5b")
        c6a = self.block(c5b, "enc.conv6a")
        c6b = self.block(c6a, "enc.conv6b")
        width = self.graph.shapes[c6b][1]
        f4a, f4b, f5a, f5b, f6a = (self.first(value, width) for value in (c4a, c4b, c5a, c5b, c6a))
        levels = [self.joined("level0", c1, c2), self.joined("level1", c3, f4a, f4b),
                  self.joined("level2", f5a, f5b, f6a, c6b)]
        used = {name for node in self.graph.nodes for name in names_in(node["inputs"])}
        surplus = sorted(set(self.graph.tensors) - used)
        if surplus:
            raise ConversionError(f"the network has a tensor '{surplus[0]}', which is not of the "
                                  "published layers")
        return levels


@dataclass
class Model:
    """One file: a network and the readouts of its subjects.

    network   {name: tensor}
    mean      [3]  of the pictures, in 0..1
    readouts  {subject: {rf0, ..., w, b}}
    """

    file: Path
    subject: str
    area: str
    split: int
    network: dict
    mean: np.ndarray
    readouts: dict


def tensors_in(state, file, what):
    if not isinstance(state, dict) or not state or not all(
            isinstance(value, np.ndarray) for value in state.values()):
        raise ConversionError(f"{file}: {what} is not a dictionary of tensors")
    for name, array in state.items():
        check_finite(f"{what}.{name}", array)
    return dict(state)


def read_model(file):
    named = WEIGHTS_NAME.fullmatch(file.name)
    if named is None:
        raise ConversionError(f"{file}: is not called weights_sub-XX_roi-R.pt or "
                              "weights_sub-XX_roi-R_split-K.pt")
    best = read_nested_checkpoint(file).get("best_params")
    if not isinstance(best, dict) or not isinstance(best.get("fwrfs"), dict) or not best["fwrfs"]:
        raise ConversionError(f"{file}: has no best_params with enc and fwrfs")
    network = tensors_in(best.get("enc"), file, "best_params.enc")
    network = {name: array for name, array in network.items()
               if not name.endswith("num_batches_tracked")}
    mean = network.pop("mu", None)
    if mean is None or mean.size != 3:
        raise ConversionError(f"{file}: best_params.enc.mu is not the mean of three channels")
    readouts = {subject: tensors_in(state, file, f"best_params.fwrfs.{subject}")
                for subject, state in best["fwrfs"].items()}
    return Model(file, named[1], named[2], int(named[3] or 0), network, mean.reshape(3), readouts)


def require_one_network(models):
    """All models have the network of the first."""
    first = models[0]
    for model in models[1:]:
        same = np.array_equal(model.mean, first.mean) and set(model.network) == set(first.network)
        if not same or not all(np.array_equal(array, first.network[name])
                               for name, array in model.network.items()):
            raise ConversionError(f"{model.file.name} and {first.file.name} have different "
                                  "networks; convert each into a bundle of its own")


def found_in(dictionary, key):
    """The value of a key, however deep it lies; None where there is none."""
    if key in dictionary:
        return dictionary[key]
    for value in dictionary.values():
        if isinstance(value, dict) and (found := found_in(value, key)) is not None:
            return found
    return None


class Region:
    """What the metadata say about the voxels of a region, both halves; nothing of it is needed."""

    COLUMNS = ("heldout_r", "noise_ceiling", "ncsnr", "voxel_i", "voxel_j", "voxel_k", "scanner_x",
               "scanner_y", "scanner_z")

    def __init__(self, metadata, voxels, file):
        self.voxels = voxels
        self.columns = {name: np.full(voxels, math.nan) for name in self.COLUMNS}
        for name, key in (("heldout_r", "r2"), ("noise_ceiling", "noise_ceiling"),
                          ("ncsnr", "ncsnr")):
            value = found_in(metadata, key)
            if value is not None:
                self.columns[name] = self.numbers(value, key, file)
        self.columns["heldout_r"] = np.sqrt(np.maximum(self.columns["heldout_r"], 0))
        mask = found_in(metadata, "roi_mask_volume")
        if mask is not None:
            self.place(np.asarray(mask), found_in(metadata, "fmri_affine"), file)

    def numbers(self, value, key, file):
        array = np.asarray(value)
        if array.dtype.kind not in "fiu" or array.shape != (self.voxels,) or np.isinf(array).any():
            raise ConversionError(f"{file}: '{key}' is not [{self.voxels}] numbers, one a voxel")
        return array.astype(np.float64)

    def place(self, mask, affine, file):
        places = np.argwhere(mask)
        if places.shape != (self.voxels, 3):
            raise ConversionError(f"{file}: roi_mask_volume holds {len(places)} voxels in "
                                  f"{mask.ndim} axes, the models have {self.voxels}")
        self.columns |= {f"voxel_{axis}": places[:, i] for i, axis in enumerate("ijk")}
        if affine is None:
            return
        affine = np.asarray(affine)
        is_matrix = affine.dtype.kind in "fiu" and affine.shape == (4, 4)
        if not is_matrix or not np.isfinite(affine).all():
            raise ConversionError(f"{file}: fmri_affine is not [4, 4] finite numbers")
        scanner = places @ affine[:3, :3].T + affine[:3, 3]
        self.columns |= {f"scanner_{axis}": scanner[:, i] for i, axis in enumerate("xyz")}

    def rows(self, first, count):
        """Columns of the unit table for some of the voxels."""
        for voxel in range(first, first + count):
            yield {name: float(values[voxel]) for name, values in self.columns.items()}


class Regions:
    """The Region of each subject and area, from the files of metadata."""

    def __init__(self, files):
        self.files = {}
        self.used = set()
        for file in files:
            named = METADATA_NAME.fullmatch(file.name)
            if named is None:
                raise ConversionError(f"{file}: is not called metadata_sub-XX_roi-R.npy")
            self.files[named[1], named[2]] = file

    def of(self, model, subject, voxels):
        """(Region, its first voxel that the model predicts)."""
        file = self.files.get((subject, model.area))
        if file is None:
            return Region({}, voxels, None), 0
        self.used.add(file)
        metadata = read_dictionary(file)
        total = voxels if model.split == 0 else np.size(found_in(metadata, "ncsnr"))
        half = (total + 1) // 2
        if model.split and voxels != (half if model.split == 1 else total - half):
            raise ConversionError(f"{model.file.name} predicts {voxels} voxels, which is not half "
                                  f"{model.split} of the {total} of {file.name}")
        return Region(metadata, total, file), half if model.split == 2 else 0

    def require_all_used(self):
        surplus = sorted(set(self.files.values()) - self.used)
        if surplus:
            raise ConversionError(f"{surplus[0]}: no model is of this subject and region")


def readout_tensors(state, levels, shapes, where):
    """({part: tensor}, taps) of a readout.

    shapes  {node: [batch, channels, height, width]}
    """
    count = sum(name.startswith("rf") for name in state)
    missing = [name for name in ("w", "b", *(f"rf{k}" for k in range(count))) if name not in state]
    if missing or count not in (2, 3):
        raise ConversionError(f"{where} holds {', '.join(sorted(state))}; expected w, b, rf0, rf1 "
                              "and rf2, which may be missing")
    taps = levels[-count:]
    voxels = state["b"].size
    rows = [shapes[tap][1:] for tap in taps]
    expected = {"w": (voxels, sum(row[0] for row in rows)), "b": (voxels,)}
    expected |= {f"rf{k}": (voxels, *row[1:]) for k, row in enumerate(rows)}
    for name, shape in expected.items():
        if state[name].shape != shape:
            raise ConversionError(f"{where}.{name} has shape {list(state[name].shape)}, expected "
                                  f"{list(shape)}")
    parts = {"weight": state["w"], "bias": state["b"]}
    parts |= {f"field_logits.{k}": state[f"rf{k}"].reshape(voxels, -1) for k in range(count)}
    return parts, [{"tap": tap, "tap_shape": row} for tap, row in zip(taps, rows)]


def subject_name(model, subject):
    """The file's own, unless it holds several subjects."""
    return model.subject if len(model.readouts) == 1 else f"sub-{subject:0>2}"


def facts_of(mean):
    source = "mean of the training pictures, in the weights file"
    facts = stimulus_facts(ROW_SHAPE, 255.0 * mean.astype(np.float64), [255.0] * 3, source)
    return facts | {
        "fit": ("cover", "training: the largest square in the middle"),
        "filter": ("pil_bilinear", "training: resized with Pillow"),
        "degrees_per_pixel": (PICTURE_DEGREES / SIDE,
                              "NSD showed pictures of 8.4 degrees (Allen et al. 2022)"),
    }


def convert(models, regions, out, licence, citation):
    require_one_network(models)
    net = GNet(models[0].network)
    levels = net.levels()
    tensors, networks, units, taps = dict(net.graph.tensors), [], [], []
    for model in models:
        for number, state in model.readouts.items():
            where = f"{model.file}: best_params.fwrfs.{number}"
            parts, of_network = readout_tensors(state, levels, net.graph.shapes, where)
            subject = subject_name(model, number)
            split = f".split-{model.split}" if model.split else ""
            prefix = f"{subject}.{model.area}{split}."
            tensors |= {f"{prefix}readout.{part}": array for part, array in parts.items()}
            voxels = len(parts["bias"])
            networks.append({"prefix": prefix, "readout": "fwrf", "units": voxels,
                             "taps": of_network})
            taps += [tap["tap"] for tap in of_network]
            region, first = regions.of(model, subject, voxels)
            units += [{"id": f"{subject}/{model.area}{split}/{voxel:04d}", "subject": subject,
                       "area": model.area, **facts, "x": math.nan, "y": math.nan}
                      for voxel, facts in enumerate(region.rows(first, voxels))]
    regions.require_all_used()
    facts = facts_of(models[0].mean)
    graph = net.graph.graph([level for level in levels if level in taps])
    images = sample_images(ROW_SHAPE, facts["mean"][0], facts["scale"][0])
    answers = evaluate(graph, net.graph.tensors, images)
    write_graph_bundle(
        out, {"name": out.name, "response_unit": "z", "licence": licence, "citation": citation},
        graph, tensors, facts, networks, units,
        {"input": images, **{f"output.{name}": value for name, value in answers.items()}})


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, nargs="+", help="weights_sub-XX_roi-R.pt")
    parser.add_argument("out", type=Path, help="folder of the bundle to write")
    parser.add_argument("--metadata", type=Path, action="append", default=[],
                        help="metadata_sub-XX_roi-R.npy; may be repeated")
    parser.add_argument("--licence", default="not stated", help="of the models")
    parser.add_argument("--citation", default=CITATION, help="of the models")
    arguments = parser.parse_args()
    convert([read_model(file) for file in arguments.weights], Regions(arguments.metadata),
            arguments.out, arguments.licence, arguments.citation)


if __name__ == "__main__":
    run(main)
