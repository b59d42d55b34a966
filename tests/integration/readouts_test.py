"""Published readouts become twins: files of their layouts, made here, are converted; what the
executable answers is compared with the formulas. Without an executable only the converters are
tried."""

import csv
import os
import sys

import harness
from harness import Workplace, run

SOURCE = harness.source_folder()
sys.dont_write_bytecode = True
sys.path.insert(0, str(SOURCE / "engine" / "twin" / "converters"))

try:
    import numpy as np
    from safetensors.numpy import save_file

    from export_test import assert_near, convert, encoded, not_tried, pixels_of, small_backbone
    from graph_reference import evaluate
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


def main():
    with Workplace() as place:
        harness.run_checks(
            place,
            readouts_of_three_kinds_share_a_backbone,
            readouts_that_do_not_fit_are_refused,
        )


if __name__ == "__main__":
    main()
