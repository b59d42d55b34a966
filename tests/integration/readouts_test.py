"""Published readouts become twins: files of their layouts, made here, are converted; what the
executable answers is compared with the formulas. Without an executable only the converters are
tried."""

import argparse
import csv
import os
import sys
from collections import OrderedDict

import harness
from harness import Workplace, run

SOURCE = harness.source_folder()
sys.dont_write_bytecode = True
sys.path[:0] = [str(SOURCE / "engine" / "twin" / "converters"), str(SOURCE / "tests" / "support")]

try:
    import numpy as np
    from safetensors.numpy import save_file

    from export_test import assert_near, convert, encoded, not_tried, pixels_of, small_backbone
    from graph_reference import evaluate
    from torch_file import Tensor, write_torch_file
except ImportError as missing:
    harness.skip(f"this Python lacks a package of the converters ({missing})")

HAS_EXECUTABLE = bool(os.environ.get("TWINSCREEN_EXECUTABLE"))


def floats(rng, *shape, scale=1.0):
    return (scale * rng.normal(size=shape)).astype(np.float32)


def unit_table(folder):
    with open(folder / "units.csv", newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def refused(sentence, script, *arguments):
    result = convert(script, *arguments)
    assert result.returncode == 3 and sentence in result.stderr, (sentence, result)


# ---- ridge, factorised, Gaussian-sampled on a node of a network

def point_fields(positions, height, width):
    """[units, height, width] of the pixels around places x, y of -1..1; 0 outside."""
    x = (positions[:, 0] + 1) / 2 * (width - 1)
    y = (positions[:, 1] + 1) / 2 * (height - 1)
    across = np.maximum(0, 1 - np.abs(x[:, None] - np.arange(width)))
    down = np.maximum(0, 1 - np.abs(y[:, None] - np.arange(height)))
    return down[:, :, None] * across[:, None, :]


def readouts_of_three_kinds():
    rng = np.random.default_rng(8)
    positions = np.tanh(floats(rng, 6, 2))
    positions[0] = (1.2, -1.0)  # beyond the map
    return {
        "a.V1.features": floats(rng, 6, 6), "a.V1.position": positions, "a.V1.bias": floats(rng, 6),
        "a.V1.heldout_r": np.linspace(0, 0.5, 6, dtype=np.float32),
        "a.V1.x": floats(rng, 6), "a.V1.y": floats(rng, 6),
        "a.V4.features": floats(rng, 4, 6), "a.V4.space": floats(rng, 4, 8, 8),
        "a.V4.bias": floats(rng, 4), "a.V4.noise_ceiling": np.full(4, 0.75, np.float32),
        "a.V4.hemisphere": np.array([0, 1, 1, 0], np.int32),
        "b.V1.features": floats(rng, 2, 6), "b.V1.space": floats(rng, 2, 64),
        "b.V1.bias": floats(rng, 2),
        "b.V2.coef": floats(rng, 3, 6), "b.V2.intercept": floats(rng, 3),
    }


def readouts_of_three_kinds_share_a_backbone(place):
    tensors = readouts_of_three_kinds()
    save_file(tensors, place / "kinds.safetensors")
    backbone = small_backbone(place / "backbone")
    made = place / "kinds"
    result = convert("convert_readouts.py", place / "kinds.safetensors", backbone.folder, made,
                     "--tap", "relu")
    assert result.returncode == 0 and "15 units, 4 networks" in result.stdout, result
    units = unit_table(made)
    assert [unit["area"] for unit in units] == ["V1"] * 6 + ["V4"] * 4 + ["V1"] * 2 + ["V2"] * 3
    assert [unit["hemisphere"] for unit in units[5:11]] == ["", "lh", "rh", "rh", "lh", ""]
    assert float(units[5]["heldout_r"]) == 0.5 and units[6]["heldout_r"] == "nan"
    assert [float(unit["noise_ceiling"]) for unit in units[6:10]] == [0.75] * 4
    assert np.isclose(float(units[3]["x"]), tensors["a.V1.x"][3])
    if not HAS_EXECUTABLE:
        not_tried("TWINSCREEN_EXECUTABLE does not name the program to test")
        return
    pixels = pixels_of(backbone)
    found, table = encoded(place, made, pixels)
    images = (pixels.transpose(0, 3, 1, 2) / 127.5 - 1.0).astype(np.float32)
    maps = evaluate(dict(backbone.graph, outputs=["relu"]), backbone.tensors, images)["relu"]

    def pooled(name, fields):
        taken = np.einsum("uyx,bcyx->buc", fields, maps)
        weighted = np.einsum("buc,uc->bu", taken, tensors[f"{name}.features"])
        return weighted + tensors[f"{name}.bias"]
    wanted = np.concatenate(
        [pooled("a.V1", point_fields(tensors["a.V1.position"], 8, 8)),
         pooled("a.V4", tensors["a.V4.space"]),
         pooled("b.V1", tensors["b.V1.space"].reshape(2, 8, 8)),
         maps.mean(axis=(2, 3)) @ tensors["b.V2.coef"].T + tensors["b.V2.intercept"]], axis=1)
    assert_near(found, wanted, "readouts of three kinds")
    assert table["subject"] == ["a"] * 10 + ["b"] * 5


def readouts_that_do_not_fit_are_refused(place):
    backbone = small_backbone(place / "backbone2").folder
    good = readouts_of_three_kinds()
    rng = np.random.default_rng(1)
    for change, sentence in (
        ({"a.V1.space": floats(rng, 6, 64)}, "'a.V1' holds bias, features, heldout_r, position, "
                                             "space, x, y; expected coef, intercept or"),
        ({"a.V1.colour": floats(rng, 6)}, "'a.V1' holds bias, colour"),
        ({"c.coef": floats(rng, 6, 6)}, "'c.coef' is not called SUBJECT.AREA.PART"),
        ({"c.V1.coef": floats(rng, 6, 6)}, "'c.V1' holds coef; expected"),
        ({"a.V1.position": floats(rng, 6, 3)}, "'a.V1.position' has shape [6, 3], expected [6, 2]"),
        ({"a.V4.space": floats(rng, 4, 8, 7)}, "has shape [4, 8, 7], expected [4, 8, 8]"),
        ({"b.V1.space": floats(rng, 2, 63)}, "has shape [2, 63], expected [2, 64]"),
        ({"a.V4.features": floats(rng, 4, 5)}, "the readouts want a map of 5 channels"),
        ({"a.V4.bias": np.full(4, np.nan, np.float32)}, "'a.V4.bias' holds values that are not"),
        ({"a.V4.noise_ceiling": floats(rng, 5)}, "has shape [5], expected [4]"),
        ({"a.V4.noise_ceiling": np.full(4, np.inf, np.float32)}, "holds infinite values"),
        ({"a.V4.hemisphere": np.full(4, 2, np.int32)}, "other values than 0 (left) and 1 (right)"),
    ):
        save_file(good | change, place / "bad.safetensors")
        refused(sentence, "convert_readouts.py", place / "bad.safetensors", backbone,
                place / "none", "--tap", "relu")
    assert not (place / "none").exists()


# ---- feature-weighted receptive fields

NARROW = (4, 6, 8, 3)  # channels of the first two layers and of conv3; half of those behind it
SIDES = (27, 25, 13)  # of the levels
MEAN = np.array([0.45, 0.42, 0.4], "<f4").reshape(1, 3, 1, 1)


def gnet(rng, widths):
    """The tensors of a network, as the published files name them."""
    first, second, third, half = widths
    tensors = OrderedDict(mu=MEAN)

    def layer(name, inputs, outputs, side):
        scale = 1.5 / np.sqrt(inputs * side * side)
        tensors[f"{name}.weight"] = floats(rng, outputs, inputs, side, side, scale=scale)
        tensors[f"{name}.bias"] = floats(rng, outputs, scale=0.1)

    def norm(name, width):
        tensors[f"{name}.weight"] = rng.uniform(0.5, 1.5, width).astype("<f4")
        tensors[f"{name}.bias"] = floats(rng, width, scale=0.3)
        tensors[f"{name}.running_mean"] = floats(rng, width, scale=0.3)
        tensors[f"{name}.running_var"] = rng.uniform(0.5, 2.0, width).astype("<f4")
        tensors[f"{name}.num_batches_tracked"] = np.array(9, "<i8")

    layer("pre.conv1.0", 3, first, 11)
    layer("pre.conv2.0", first, second, 5)
    layer("enc.conv3", second, third, 3)
    norm("enc.bn1", second)
    inputs = third
    for name in ("4a", "4b", "5a", "5b", "6a", "6b"):
        outputs = half if name == "6b" else 2 * half
        layer(f"enc.conv{name}.conv1", inputs, outputs, 3)
        norm(f"enc.conv{name}.bn1", inputs)
        inputs = outputs
    return tensors


def level_widths(widths):
    first, second, third, half = widths
    return first + second, third + 2 * half, 4 * half


def fwrf_readout(rng, voxels, widths, levels=(0, 1, 2)):
    sides = [SIDES[level] for level in levels]
    state = OrderedDict((f"rf{k}", floats(rng, voxels, side, side)) for k, side in enumerate(sides))
    state["w"] = floats(rng, voxels, sum(level_widths(widths)[level] for level in levels))
    state["b"] = floats(rng, voxels)
    return state


def write_model(file, enc, readouts):
    """A file of the published layout."""
    def tensors(state):
        return OrderedDict((name, Tensor(array)) for name, array in state.items())
    params = {"enc": tensors(enc), "fwrfs": {s: tensors(state) for s, state in readouts.items()}}
    write_torch_file(file, {
        "args.": argparse.Namespace(lr=1e-3, roi="V1"), "best_params": params,
        "final_params": params, "trn_hist": [np.float64(3.5)], "hold_hist": [np.float64(4.5)],
        "hold_cc_hist": {s: [np.zeros(2, np.float32)] for s in readouts}, "best_epoch": 3,
        "best_joint_cc_score": np.float32(0.4), "stim_mean": MEAN,
        "betas_info": {1: {"volume_shape": (81, 104, 83), "ncsnr": np.zeros(2)}}})


def write_metadata(file, rng, voxels):
    mask = np.zeros((4, 5, 6), bool)
    mask.reshape(-1)[rng.choice(mask.size, voxels, replace=False)] = True
    affine = np.diag([-1.8, 1.8, 1.8, 1.0])
    affine[:3, 3] = (70, -100, -40)
    told = {"fmri": {"ncsnr": rng.uniform(0.1, 2, voxels), "roi_mask_volume": mask,
                     "fmri_affine": affine},
            "encoding_models": {"r2": rng.uniform(0, 0.6, voxels),
                                "noise_ceiling": rng.uniform(0.1, 0.9, voxels),
                                "train_img_num": np.arange(3)}}
    np.save(file, told)
    return told


def convolved(x, weight, bias, stride, padding):
    """A convolution by its definition, place by place."""
    x = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    side = weight.shape[-1]
    places = range(0, x.shape[-1] - side + 1, stride)
    out = np.empty((len(x), len(weight), len(places), len(places)))
    flat = weight.reshape(len(weight), -1).T
    for i, row in enumerate(places):
        for j, column in enumerate(places):
            window = x[:, :, row:row + side, column:column + side]
            out[:, :, i, j] = window.reshape(len(x), -1) @ flat + bias
    return out


def largest(x, padding):
    """Maxima of 3 x 3 pixels at every second one."""
    x = np.pad(x, [(0, 0), (0, 0), (padding, padding), (padding, padding)], constant_values=-np.inf)
    places = range(0, x.shape[-1] - 2, 2)
    return np.stack([np.stack([x[:, :, i:i + 3, j:j + 3].max(axis=(2, 3)) for j in places], axis=-1)
                     for i in places], axis=-2)


def gnet_levels(t, images):
    """The levels from the formulas, for images of 0..1."""
    t = {name: array.astype(np.float64) for name, array in t.items()}

    def layer(x, name, stride, padding):
        return np.maximum(convolved(x, t[f"{name}.weight"], t[f"{name}.bias"], stride, padding), 0)

    def norm(x, name):
        mean, var, weight, bias = (t[f"{name}.{part}"].reshape(-1, 1, 1) for part in
                                   ("running_mean", "running_var", "weight", "bias"))
        return (x - mean) / np.sqrt(var + 1e-5) * weight + bias

    def block(x, name):
        return layer(norm(x, f"enc.conv{name}.bn1"), f"enc.conv{name}.conv1", 1, 1)
    c1 = largest(layer(images - t["mu"], "pre.conv1.0", 4, 2), 0)
    c2 = layer(c1, "pre.conv2.0", 1, 2)
    c3 = layer(norm(c2, "enc.bn1"), "enc.conv3", 1, 0)
    c4a = block(c3, "4a")
    c4b = block(c4a, "4b")
    c5a = block(largest(c4b, 1), "5a")
    c5b = block(c5a, "5b")
    c6a = block(c5b, "6a")
    c6b = block(c6a, "6b")
    n = c6b.shape[1]
    return [np.concatenate(parts, axis=1) for parts in
            ((c1, c2), (c3, c4a[:, :n], c4b[:, :n]), (c5a[:, :n], c5b[:, :n], c6a[:, :n], c6b))]


def fwrf_answer(levels, state):
    def g(t):
        return np.log(1 + np.abs(t)) * np.tanh(t)
    features = []
    for k, level in enumerate(levels):
        powers = np.exp(state[f"rf{k}"].astype(np.float64).reshape(len(state["b"]), -1))
        fields = powers / powers.sum(axis=1, keepdims=True)
        features.append(g(g(level.reshape(*level.shape[:2], -1)) @ fields.T))
    return np.einsum("bcu,uc->bu", np.concatenate(features, axis=1), state["w"]) + state["b"]


def receptive_field_models_become_twins(place):
    rng = np.random.default_rng(21)
    enc = gnet(rng, NARROW)
    readouts = {1: fwrf_readout(rng, 7, NARROW)}
    write_model(place / "weights_sub-01_roi-FFA-1.pt", enc, readouts)
    told = write_metadata(place / "metadata_sub-01_roi-FFA-1.npy", rng, 7)
    made = place / "ffa"
    result = convert("convert_fwrf.py", place / "weights_sub-01_roi-FFA-1.pt", made, "--metadata",
                     place / "metadata_sub-01_roi-FFA-1.npy")
    assert result.returncode == 0 and "7 units, 1 networks" in result.stdout, result
    units = unit_table(made)
    assert {(unit["subject"], unit["area"]) for unit in units} == {("sub-01", "FFA-1")}
    for column, wanted in (("heldout_r", np.sqrt(told["encoding_models"]["r2"])),
                           ("noise_ceiling", told["encoding_models"]["noise_ceiling"]),
                           ("ncsnr", told["fmri"]["ncsnr"]), ("x", np.full(7, np.nan))):
        np.testing.assert_allclose([float(unit[column]) for unit in units], wanted, rtol=1e-12)
    for unit in units:
        place_in_volume = [int(float(unit[f"voxel_{axis}"])) for axis in "ijk"]
        assert told["fmri"]["roi_mask_volume"][tuple(place_in_volume)]
        scanner = told["fmri"]["fmri_affine"] @ [*place_in_volume, 1]
        np.testing.assert_allclose([float(unit[f"scanner_{axis}"]) for axis in "xyz"], scanner[:3])
    if not HAS_EXECUTABLE:
        not_tried("TWINSCREEN_EXECUTABLE does not name the program to test")
        return
    pixels = rng.integers(0, 256, (2, 227, 227, 3), dtype=np.uint8)
    found, _ = encoded(place, made, pixels)
    levels = gnet_levels(enc, pixels.transpose(0, 3, 1, 2) / 255.0)
    assert [level.shape[-1] for level in levels] == list(SIDES)
    assert_near(found, fwrf_answer(levels, readouts[1]), "an fwRF model")


def models_share_a_bundle_where_they_share_a_network(place):
    rng = np.random.default_rng(22)
    enc = gnet(rng, NARROW)
    halves = [fwrf_readout(rng, voxels, NARROW) for voxels in (4, 3)]
    files = [place / f"weights_sub-02_roi-ventral_split-{k}.pt" for k in (1, 2)]
    for file, readout in zip(files, halves):
        write_model(file, enc, {2: readout})
    told = write_metadata(place / "metadata_sub-02_roi-ventral.npy", rng, 7)
    metadata = ("--metadata", place / "metadata_sub-02_roi-ventral.npy")
    result = convert("convert_fwrf.py", *files, place / "ventral", *metadata)
    assert result.returncode == 0 and "7 units, 2 networks" in result.stdout, result
    np.testing.assert_allclose([float(unit["ncsnr"]) for unit in unit_table(place / "ventral")],
                               told["fmri"]["ncsnr"])

    several = {s: fwrf_readout(rng, 2 + s, NARROW, levels=(1, 2)) for s in (1, 2)}
    write_model(place / "weights_sub-all_roi-V1.pt", enc, several)
    result = convert("convert_fwrf.py", place / "weights_sub-all_roi-V1.pt", place / "all")
    assert result.returncode == 0 and "7 units, 2 networks" in result.stdout, result
    subjects = [unit["subject"] for unit in unit_table(place / "all")]
    assert subjects == ["sub-01"] * 3 + ["sub-02"] * 4

    write_model(files[1], gnet(rng, NARROW), {2: halves[1]})
    refused("have different networks; convert each into a bundle of its own", "convert_fwrf.py",
            *files, place / "none")
    if not HAS_EXECUTABLE:
        not_tried("TWINSCREEN_EXECUTABLE does not name the program to test")
        return
    pixels = rng.integers(0, 256, (1, 227, 227, 3), dtype=np.uint8)
    levels = gnet_levels(enc, pixels.transpose(0, 3, 1, 2) / 255.0)
    found, _ = encoded(place, place / "ventral", pixels)
    assert_near(found, np.concatenate([fwrf_answer(levels, half) for half in halves], axis=1),
                "two halves of a region")
    found, _ = encoded(place, place / "all", pixels)
    assert_near(found, np.concatenate([fwrf_answer(levels[1:], readout)
                                       for readout in several.values()], axis=1),
                "two subjects of one network")


def models_that_are_something_else_are_refused(place):
    rng = np.random.default_rng(23)
    enc, readout = gnet(rng, NARROW), fwrf_readout(rng, 3, NARROW)
    file = place / "weights_sub-01_roi-V2.pt"

    def without(state, name):
        return OrderedDict((key, value) for key, value in state.items() if key != name)
    for network, state, sentence in (
        (without(enc, "enc.conv5b.conv1.bias"), readout, "no tensor 'enc.conv5b.conv1.bias'"),
        (OrderedDict(enc, extra=np.zeros(1, "<f4")), readout, "a tensor 'extra', which is not of"),
        (without(enc, "mu"), readout, "enc.mu is not the mean of three channels"),
        (OrderedDict(enc, **{"enc.conv3.weight": floats(rng, 8, 5, 3, 3)}), readout,
         "node 'enc.conv3' (conv2d) cannot be computed"),
        (OrderedDict(enc, **{"enc.bn1.bias": np.full(6, np.nan, "<f4")}), readout,
         "'best_params.enc.enc.bn1.bias' holds values that are not finite"),
        (enc, without(readout, "b"), "expected w, b, rf0, rf1"),
        (enc, OrderedDict(readout, rf1=floats(rng, 3, 24, 24)),
         "rf1 has shape [3, 24, 24], expected [3, 25, 25]"),
        (enc, OrderedDict(readout, w=floats(rng, 3, 4)), "w has shape [3, 4], expected [3, 36]"),
    ):
        write_model(file, network, {1: state})
        refused(sentence, "convert_fwrf.py", file, place / "none")
    write_model(file, enc, {1: readout})
    other = place / "model.pt"
    other.write_bytes(file.read_bytes())
    refused("is not called weights_sub-XX_roi-R.pt", "convert_fwrf.py", other, place / "none")
    write_torch_file(file, {"model": OrderedDict(w=Tensor(np.zeros(2, "<f4")))})
    refused("has no best_params with enc and fwrfs", "convert_fwrf.py", file, place / "none")
    write_model(file, enc, {1: readout})
    for name, voxels, sentence in (("metadata_sub-01_roi-V2.npy", 4, "'r2' is not [3] numbers"),
                                   ("metadata_sub-03_roi-V2.npy", 3, "no model is of this subject"),
                                   ("facts.npy", 3, "is not called metadata_sub-XX_roi-R.npy")):
        write_metadata(place / name, rng, voxels)
        refused(sentence, "convert_fwrf.py", file, place / "none", "--metadata", place / name)
    assert not (place / "none").exists()


def main():
    with Workplace() as place:
        harness.run_checks(
            place,
            readouts_of_three_kinds_share_a_backbone,
            readouts_that_do_not_fit_are_refused,
            receptive_field_models_become_twins,
            models_share_a_bundle_where_they_share_a_network,
            models_that_are_something_else_are_refused,
        )


if __name__ == "__main__":
    main()
