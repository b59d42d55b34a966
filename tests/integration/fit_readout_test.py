"""Readouts fitted by the executable: equal to numpy's, found again in the bundles that it writes, and
every mistake with its sentence. Responses are planted: known functions of features, with noise."""

import csv
import shutil
import sys

import harness
from harness import CAMPAIGN_CODE, DATA_CODE, Workplace, content_hash, refused, run

h5py = harness.h5py_or_skip()
sys.dont_write_bytecode = True
sys.path.insert(0, str(harness.source_folder() / "engine" / "twin" / "converters"))
try:
    import numpy as np

    from export_test import small_backbone
    from graph_reference import evaluate
except ImportError as missing:
    harness.skip(f"this Python lacks a package of the converters ({missing})")

IMAGES, FITTED, UNITS = 120, 90, 4
LAMBDAS = [0.1, 1.0, 10.0, 1000.0]
SAMPLED = 6  # channels of the node "relu"
CAMPAIGN = """
seed = 5
[[twins]]
bundle = "small"
taps = {taps}
{features}
[[stimuli]]
npy = "pictures.npy"
[fit_readout]
responses = "responses.npy"
layout = "units,items"
subject = "planted"
area = "V4"
{settings}
[run]
shard_items = 8
"""
RANGES = f"train_items = [0, {FITTED}]\ntest_items = [{FITTED}, {IMAGES}]\n"
PENALTIES = f"lambda = {LAMBDAS}\n"


def make_study(place):
    """Pictures, the small network, its maps, and units that see mean maps or one corner of them."""
    rng = np.random.default_rng(3)
    pictures = rng.integers(0, 256, (IMAGES, 8, 8, 3), dtype=np.uint8)
    # Pictures that differ in colour, so that mean maps vary.
    pictures = np.clip(pictures * rng.uniform(0.2, 1.0, (IMAGES, 1, 1, 3)), 0, 255).astype(np.uint8)
    np.save(place / "pictures.npy", pictures)
    backbone = small_backbone(place / "small")
    inputs = (pictures.transpose(0, 3, 1, 2) - 127.5) / 127.5
    maps = evaluate(dict(backbone.graph, outputs=["relu"]), backbone.tensors, inputs)["relu"]
    means = maps.mean(axis=(2, 3))
    corner = maps[:, :, :4, :4].mean(axis=(2, 3))
    responses = np.stack([
        3 + means @ rng.normal(size=SAMPLED), means @ rng.normal(size=SAMPLED),
        corner @ rng.normal(size=SAMPLED), corner[:, 2] - corner[:, 4]], axis=1)
    responses += 0.3 * responses.std(axis=0) * rng.normal(size=responses.shape)
    np.save(place / "responses.npy", np.ascontiguousarray(responses.T))
    return {"maps": maps, "means": means, "responses": responses}


def campaign(place, settings=RANGES + PENALTIES, taps='["relu"]', features='tap_pool = "mean"',
             name="fit.toml"):
    return place.write(name, CAMPAIGN.format(taps=taps, features=features, settings=settings))


def fitted(place, name, ranks=0, **parts):
    store = place / name
    result = run("run", campaign(place, name=f"{name}.toml", **parts), "--out", store, ranks=ranks)
    return store, result


def summary(store, *names):
    with h5py.File(store / "fits.h5") as file:
        return [file[f"summary/{name}"][()] for name in names]


def ridge(x, y, penalty, standardise=True):
    """Weights of raw features and intercepts."""
    scale = x.std(axis=0) if standardise else np.ones(x.shape[1])
    z = (x - x.mean(axis=0)) / scale
    weights = np.linalg.solve(z.T @ z + penalty * np.eye(x.shape[1]), z.T @ (y - y.mean(axis=0)))
    weights /= scale[:, None]
    return weights, y.mean(axis=0) - x.mean(axis=0) @ weights


def correlation(a, b):
    return np.array([np.corrcoef(a[:, unit], b[:, unit])[0, 1] for unit in range(a.shape[1])])


def a_fit_equals_a_direct_solve(place):
    for standardise in (True, False):
        settings = RANGES + PENALTIES + f"standardise = {str(standardise).lower()}\n"
        store, _ = fitted(place, f"direct-{standardise}", settings=settings)
        with h5py.File(store / "features.h5") as file:
            x = file["columns/value"][:, :SAMPLED].astype(float)
        np.testing.assert_allclose(x, place.study["means"], rtol=1e-5, atol=1e-6)
        y = place.study["responses"]
        chosen, r, intercept = summary(store, "lambda", "r", "intercept")
        with h5py.File(store / "fits.h5") as file:
            weights = file["columns/weight"][0]
            assert file["items/layer"].asstr()[0] == "relu"
        for unit in range(UNITS):
            penalty = chosen[0, unit]
            assert penalty in LAMBDAS
            w, b = ridge(x[:FITTED], y[:FITTED, [unit]], penalty, standardise)
            np.testing.assert_allclose(weights[:, unit], w[:, 0], rtol=1e-6)
            np.testing.assert_allclose(intercept[0, unit], b[0], rtol=1e-6)
            predicted = x[FITTED:] @ w + b
            np.testing.assert_allclose(r[0, unit],
                                       correlation(predicted, y[FITTED:, [unit]])[0], rtol=1e-6)


def validation_images_choose_the_penalty(place):
    settings = (f"train_items = [0, 60]\nvalidation_items = [60, {FITTED}]\n"
                f"test_items = [{FITTED}, {IMAGES}]\n" + PENALTIES)
    store, _ = fitted(place, "validated", settings=settings)
    chosen, explained = summary(store, "lambda", "validation_r2")
    x, y = place.study["means"], place.study["responses"]
    for unit in range(UNITS):
        errors = []
        for penalty in LAMBDAS:
            w, b = ridge(x[:60], y[:60, [unit]], penalty)
            errors.append(((x[60:FITTED] @ w + b - y[60:FITTED, [unit]]) ** 2).sum())
        assert chosen[0, unit] == LAMBDAS[int(np.argmin(errors))]
        of_mean = ((y[60:FITTED, unit] - y[:60, unit].mean()) ** 2).sum()
        np.testing.assert_allclose(explained[0, unit], 1 - min(errors) / of_mean, atol=1e-5)


def baselines_stand_beside_every_score(place):
    store, result = fitted(place, "baselines")
    r, shuffled, untrained, luminance, constant = summary(
        store, "r", "r_shuffled", "r_untrained", "r_luminance", "r_constant")
    assert (r[0, :2] > 0.8).all(), r
    assert (np.abs(shuffled) < 0.5).all() and (r > shuffled).all()
    # Random kernels see colours, too; on this study they may well do as well.
    assert np.isfinite(untrained).all() and (untrained != r).all()
    assert np.isfinite(luminance).all() and (constant == 0).all()
    assert "untrained" in result.stdout and "shuffled images" in result.stdout
    with open(store / "score_by_layer.csv", newline="", encoding="utf-8") as stream:
        layer, = csv.DictReader(stream)
    assert layer["layer"] == "relu" and np.isclose(float(layer["median_r"]), np.median(r), rtol=1e-4)
    chart = (store / "score_by_layer.svg").read_text()
    assert chart.startswith("<svg") and "relu" in chart and "mean luminance" in chart
    store, _ = fitted(place, "plain", settings=RANGES + PENALTIES + "untrained_baseline = false\n")
    assert np.isnan(summary(store, "r_untrained")[0]).all()
    with h5py.File(store / "features.h5") as file:
        assert file["columns/value"].shape == (IMAGES, SAMPLED)


def bundle_predicts_what_was_scored(place):
    """Every way to make features, through fitted bundles and `encode`."""
    ways = {
        "pooled": {"features": 'tap_pool = "mean"'},
        "cells": {"features": "tap_pool = 2"},
        "projected": {"features": "tap_project = 20\ntap_project_draw = 3"},
        "whole": {"features": ""},
        "joint": {"taps": '["relu", "head"]', "features": 'tap_pool = "mean"',
                  "settings": RANGES + PENALTIES + 'features = "together"\n'},
        "factorised": {"features": "", "settings": RANGES + 'readout = "factorised"\n'},
    }
    for name, parts in ways.items():
        store, result = fitted(place, name, **parts)
        folder, = (store / "bundles").iterdir()
        assert f"bundle: {folder}" in result.stdout, result
        run("check", folder)
        run("encode", folder, place / "pictures.npy", place / f"{name}.h5")
        with h5py.File(place / f"{name}.h5") as file:
            predicted = file["columns/response"][()]
            assert list(file["units/subject"].asstr()) == ["planted"] * UNITS
            assert list(file["units/area"].asstr()) == ["V4"] * UNITS
            heldout = file["units/heldout_r"][()]
        r, = summary(store, "r")
        np.testing.assert_allclose(heldout, r[0], atol=1e-9)
        found = correlation(predicted[FITTED:], place.study["responses"][FITTED:])
        np.testing.assert_allclose(found, r[0], atol=1e-4, err_msg=name)
    # Units of a corner need a place; a readout that learns one beats mean maps.
    mean_maps, = summary(place / "pooled", "r")
    placed, = summary(place / "factorised", "r")
    assert (placed[0, 2:] > mean_maps[0, 2:]).all(), (placed, mean_maps)


def bands_and_components(place):
    store, _ = fitted(place, "bands", taps='["relu", "head"]',
                      settings=RANGES + PENALTIES + 'features = "together"\nband_draws = 10\n')
    choice, = summary(store, "choice")
    assert choice.shape == (1, UNITS) and (choice <= 12).all()  # alike, each alone, ten draws
    banded, = summary(store, "validation_r2")
    store, _ = fitted(place, "unbanded", taps='["relu", "head"]',
                      settings=RANGES + PENALTIES + 'features = "together"\n')
    assert (banded >= summary(store, "validation_r2")[0] - 1e-9).all()
    store, _ = fitted(place, "components", settings=RANGES + PENALTIES + "components = 2\n")
    with h5py.File(store / "fits.h5") as file:
        assert np.linalg.matrix_rank(file["columns/weight"][0], tol=1e-8) == 2


def a_drawn_split_is_the_same_for_all(place):
    settings = "split = [0.6, 0.15, 0.25]\n" + PENALTIES
    one, result = fitted(place, "drawn", settings=settings)
    assert "90 images fitted (validation images choose penalties), 30 tested" in result.stdout
    two, _ = fitted(place, "drawn2", settings=settings, ranks=3)
    assert content_hash(one) == content_hash(two)
    other, _ = fitted(place, "drawn3", settings=settings.replace("0.6, 0.15", "0.75, 0.0"))
    assert content_hash(one) != content_hash(other)


def repeats_give_noise_ceilings(place):
    rng = np.random.default_rng(1)
    responses = place.study["responses"].T[:, :, None] + 0.2 * rng.normal(size=(UNITS, IMAGES, 3))
    responses[0, 5, 2] = np.nan  # a repeat that was not recorded
    np.save(place / "repeats.npy", responses)
    settings = (RANGES + PENALTIES).replace("units,items", "units,items,repeats")
    text = CAMPAIGN.format(taps='["relu"]', features='tap_pool = "mean"', settings=settings)
    text = text.replace("responses.npy", "repeats.npy").replace('"units,items"',
                                                                '"units,items,repeats"')
    result = run("run", place.write("repeats.toml", text), "--out", place / "repeats")
    r, ceiling, normed = summary(place / "repeats", "r", "cc_max", "cc_norm")
    assert (ceiling > 0.8).all() and (ceiling <= 1).all()
    np.testing.assert_allclose(normed, r / ceiling, rtol=1e-9)
    assert "cc_norm" in result.stdout and "r stands alone" not in result.stdout


def counts_of_spikes_may_be_integers(place):
    counts = np.rint(10 * np.abs(np.load(place / "responses.npy")))
    text = campaign(place, settings=RANGES + PENALTIES + "untrained_baseline = false\n").read_text()
    found = []
    for number, kind in enumerate(("f8", "i8", "i4", "u1", "f2")):
        np.save(place / "counts.npy", counts.astype(kind))
        run("run", place.write("counts.toml", text.replace("responses.npy", "counts.npy")),
            "--out", place / f"counts{number}")
        found.append(summary(place / f"counts{number}", "r")[0])
    assert np.isfinite(found[0]).all() and all((r == found[0]).all() for r in found), found


def a_unit_table_travels_along(place):
    rows = ["id,subject,area,noise_ceiling,x,y,layer"]
    rows += [f"cell {unit},42,V1,0.{unit},1.5,-2,{unit}" for unit in range(UNITS)]
    place.write("table.csv", "\n".join(rows) + "\n")
    store, _ = fitted(place, "table",
                      settings=RANGES + PENALTIES + 'unit_table = "table.csv"\n')
    folder, = (store / "bundles").iterdir()
    with open(folder / "units.csv", newline="", encoding="utf-8") as stream:
        units = list(csv.DictReader(stream))
    assert units[2]["id"] == "cell 2" and units[2]["subject"] == "42", units
    assert float(units[2]["noise_ceiling"]) == 0.2 and float(units[2]["y"]) == -2


def the_same_image_in_training_and_test_is_refused(place):
    pictures = np.load(place / "pictures.npy")
    pictures[100] = pictures[7]
    np.save(place / "twice.npy", pictures)
    text = campaign(place).read_text().replace("pictures.npy", "twice.npy")
    bad = place.write("leak.toml", text)
    refused(DATA_CODE, "1 of 30 test images are among the fitted images",
            "item 100 (", ") is the same picture as item 7 (", 'same_images = "allow"',
            command=("run", bad, "--out", place / "leak"), ranks=2)
    result = run("run", bad, "--out", place / "leak", "--set", "fit_readout.same_images=allow")
    assert "features: all 8 shards are done already" in result.output, result
    assert "1 test images are among the fitted images: the scores flatter" in result.stdout
    refused(CAMPAIGN_CODE, "the ranges of training, validation and test images overlap",
            command=("check", campaign(place, RANGES.replace(f"[{FITTED},", "[80,"))))


def units_that_cannot_be_fitted_are_named(place):
    responses = np.load(place / "responses.npy")
    responses[1] = 2.5
    responses[3] = np.nan
    np.save(place / "dead.npy", responses)
    bad = place.write("dead.toml", campaign(place).read_text().replace("responses.npy", "dead.npy"))
    refused(CAMPAIGN_CODE, "2 of 4 units cannot be fitted",
            "neuron 1: its response to every fitted image is 2.5",
            "neuron 3: nothing was recorded of it for the fitted images",
            'unusable_units = "leave_out"', command=("check", bad))
    result = run("run", bad, "--out", place / "dead",
                 "--set", "fit_readout.unusable_units=leave_out")
    assert "2 units that cannot be fitted were left out" in result.stdout
    with h5py.File(place / "dead" / "fits.h5") as file:
        assert list(file["units/id"].asstr()) == ["neuron 0", "neuron 2"]
    responses[:] = 1.0
    np.save(place / "dead.npy", responses)
    refused(CAMPAIGN_CODE, "none of the 4 units can be fitted",
            command=("check", bad, "--set", "fit_readout.unusable_units=leave_out"))
    responses[2, 3] = np.inf
    np.save(place / "dead.npy", responses)
    refused(CAMPAIGN_CODE, "the response of neuron 2 to item 3 is inf", command=("check", bad))


def mistakes_of_a_campaign_have_their_sentence(place):
    place.write("short.csv", "id,subject,area\na,b,c\n")
    place.write("slash.csv", "id,RF/deg\n" + "a,1\n" * UNITS)
    for settings, sentences in {
        RANGES + "folds = 60\n": ("90 training images for 60 folds", "fewer folds"),
        f"train_items = [0, {FITTED}]\n": ("a range of training images needs one of test images",),
        RANGES + "split = [0.5, 0.25, 0.25]\n": ("the images are parted by ranges already",),
        "split = [0.5, 0.5]\n": ("shares that add up to 1",),
        "split = [0.97, 0.02, 0.01]\n": ("1 test images remain",),
        "train_items = [0, 90]\ntest_items = [90, 130]\n": ("the campaign has 120 items",),
        RANGES + "lambda = [1.0, 0.5]\n": ("in ascending order",),
        RANGES + "lambda = [0.0, 1.0]\n": ("above 0",),
        RANGES + "lambda = { from = 1, to = 0.1, steps = 3 }\n": ("above 1",),
        RANGES + "band_draws = 5\n": ('add features = "together"',),
        RANGES + 'features = "together"\nband_draws = 5\ncomponents = 2\n':
            ("principal components mix the bands",),
        RANGES + 'unit_table = "short.csv"\n': ("lists 1 units, the recording has 4 neurons",),
        RANGES + 'unit_table = "slash.csv"\n': ("a column cannot be called 'RF/deg'",
                                                "16 | unit_table"),
        RANGES + 'readout = "factorised"\n': ("needs whole maps", "without tap_pool"),
        RANGES + 'readout = "factorized"\n': ("did you mean 'factorised'?",),
        RANGES + "fold = 5\n": ("unknown key 'fold'", "did you mean 'folds'?"),
    }.items():
        refused(CAMPAIGN_CODE, *sentences, command=("check", campaign(place, settings)))
    responses = np.load(place / "responses.npy")
    np.save(place / "few.npy", responses[:, :100])
    few = place.write("few.toml", campaign(place).read_text().replace("responses.npy", "few.npy"))
    refused(CAMPAIGN_CODE, "responses to 100 items, the campaign has 120 stimuli",
            command=("check", few))
    refused(CAMPAIGN_CODE, "has a tap 'rellu*'", command=("check", campaign(place, taps='["rellu*"]')))
    refused(CAMPAIGN_CODE, "a grid of cells needs a map", "tap_pool = \"mean\"",
            command=("check", with_tokens(place)))


def with_tokens(place):
    """A campaign that wants cells of something that is not a map."""
    import json

    folder = shutil.copytree(place / "small", place / "tokens")
    graph = json.loads((folder / "graph.json").read_text())
    graph["nodes"].append({"name": "tokens", "operator": "view", "inputs": {"self": "relu"},
                           "attributes": {"size": ["batch", 6, 64]}, "shape": ["batch", 6, 64]})
    (folder / "graph.json").write_text(json.dumps(graph))
    text = campaign(place, taps='["tokens"]', features="tap_pool = 2").read_text()
    return place.write("tokens.toml", text.replace('"small"', '"tokens"'))


def what_every_image_is_for_is_stored(place):
    store, _ = fitted(place, "images", settings="split = [0.5, 0.25, 0.25]\n" + PENALTIES)
    with h5py.File(store / "fits.h5") as file:
        uses = file["images/use"].asstr()[()]
        items = file["images/item"][()]
        assert list(file["sets/layer"].asstr()) == ["relu"]
    assert sorted(items) == list(range(IMAGES))
    assert [list(uses).count(use) for use in ("train", "validation", "test")] == [60, 30, 30]
    x, y = place.study["means"], place.study["responses"]
    r, chosen = summary(store, "r", "lambda")
    fit, test = np.sort(items[uses != "test"]), np.sort(items[uses == "test"])
    w, b = ridge(x[fit], y[fit][:, [0]], chosen[0, 0])
    np.testing.assert_allclose(correlation(x[test] @ w + b, y[test][:, [0]])[0], r[0, 0], rtol=1e-4)


def bands_are_told(place):
    with open(place / "bands" / "bands.csv", newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["band"] for row in rows[:2]] == ["small relu", "small head"]
    assert len(rows) == 2 * UNITS
    for first, second in zip(rows[::2], rows[1::2]):
        assert np.isclose(float(first["weight"]) + float(second["weight"]), 2, rtol=1e-4)


def bundles_have_names_of_their_own(place):
    text = campaign(place, settings=RANGES + PENALTIES + "untrained_baseline = false\n").read_text()
    twin = text[text.index("[[twins]]"):text.index("[[stimuli]]")]
    text = text.replace(twin, "".join(twin.replace("[[twins]]", f'[[twins]]\nname = "{name}"')
                                      for name in ("a.b", "a_b", "../../x")))
    run("run", place.write("names.toml", text), "--out", place / "names")
    assert sorted(folder.name for folder in (place / "names" / "bundles").iterdir()) == [
        "______x_relu", "a_b_relu", "a_b_relu_2"]
    same = text.replace('"a.b"', '"a_b, untrained"').replace("untrained_baseline = false", "")
    refused(CAMPAIGN_CODE, "a twin is called 'a_b, untrained'",
            command=("check", place.write("same.toml", same)))
    run("check", place / "same.toml", "--set", "fit_readout.untrained_baseline=false")


def an_untrained_network_can_be_fitted(place):
    text = campaign(place).read_text().replace("[[stimuli]]", "untrained = 1\n[[stimuli]]")
    result = run("run", place.write("drawn.toml", text), "--out", place / "untrained")
    assert "no bundle of small relu: the network of twin 'small' is untrained" in result.stdout
    with h5py.File(place / "untrained" / "features.h5") as file:
        assert file["columns/value"].shape == (IMAGES, SAMPLED)


def responses_beyond_single_precision_are_named(place):
    for scale, offset, reason in ((1e40, 0, "beyond single precision"),
                                  (1e-50, 0, "less than single precision can tell"),
                                  (1, 1e12, "subtract an offset or scale them")):
        responses = np.load(place / "responses.npy")
        responses[2] = responses[2] * scale + offset
        np.save(place / "scaled.npy", responses)
        text = campaign(place).read_text().replace("responses.npy", "scaled.npy")
        refused(CAMPAIGN_CODE, "1 of 4 units cannot be fitted", "neuron 2", reason,
                command=("check", place.write("scaled.toml", text)))
    # Constant on the test images only: its r does not exist, and that is said.
    responses = np.load(place / "responses.npy")
    responses[2, FITTED:] = 1.0
    np.save(place / "scaled.npy", responses)
    result = run("run", place / "scaled.toml", "--out", place / "undefined")
    assert "over 3 of 4 units (r of the others is undefined)" in result.stdout, result


def a_penalty_that_is_too_small_is_passed_over(place):
    pair = RANGES + 'features = "together"\nlambda = [1e-300, 1.0]\nuntrained_baseline = false\n'
    text = campaign(place, settings=pair).read_text()
    twin = text[text.index("[[twins]]"):text.index("[[stimuli]]")]
    text = text.replace(twin, twin + twin.replace("[[twins]]", '[[twins]]\nname = "again"'))
    run("run", place.write("pair.toml", text), "--out", place / "pair")
    assert (summary(place / "pair", "lambda")[0] == 1.0).all()
    refused(DATA_CODE, "the penalty 1e-299 is too small for these features",
            command=("run", place / "pair.toml", "--out", place / "small",
                     "--set", "fit_readout.lambda=[1e-300, 1e-299]"))


def damage_to_an_earlier_stage_is_found_before_it_is_used(place):
    store, _ = fitted(place, "sound")
    for damaged, later in (("features", ("moments", "fits")), ("moments", ("fits",))):
        hurt = shutil.copytree(store, place / f"hurt-{damaged}")
        for stage in later:
            (hurt / f"{stage}.h5").unlink()
        with h5py.File(hurt / f"{damaged}.h5") as file:
            group = "columns/value" if damaged == "features" else "partials/set_0_products"
            at = file[group].id.get_offset()
        with open(hurt / f"{damaged}.h5", "r+b") as file:
            file.seek(at + 2)
            byte = file.read(1)[0]
            file.seek(at + 2)
            file.write(bytes([byte ^ 1]))
        again = ("run", place / "sound.toml", "--out", hurt)
        refused(harness.STORE_CODE, f"{damaged}.h5: shard 0 does not match its checksum",
                "--reopen", command=again, ranks=2)
        run("verify", hurt, "--reopen", expect=None)
        run(*again)
        assert content_hash(hurt) == content_hash(store)


def a_plan_looks_ahead(place):
    result = run("plan", campaign(place))
    assert "stage features: " in result.stdout and "/columns/value float32 [12]" in result.stdout
    assert "stage moments: sums over 5 blocks of images" in result.stdout, result
    assert "stage fits: 2 sets of up to 6 features, 4 units" in result.stdout, result


def a_smoke_run_says_so(place):
    result = run("run", campaign(place), "--limit", "40", "--out", place / "smoke")
    assert "this is a smoke run on the first items" in result.stdout
    assert "30 images fitted" in result.stdout and "10 tested" in result.stdout


def features_of_twins_without_taps_can_be_fitted(place):
    text = campaign(place).read_text().replace('bundle = "small"\ntaps = ["relu"]\ntap_pool = "mean"',
                                               'family = "gabor_energy"\npositions = 1')
    result = run("run", place.write("gabor.toml", text), "--out", place / "gabor")
    assert "no bundle of" in result.stdout and "is not of a bundle" in result.stdout, result
    assert "untrained" not in result.stdout


def pictures_that_cannot_be_read_are_left_out(place):
    from PIL import Image

    folder = place / "files"
    folder.mkdir()
    for number, picture in enumerate(np.load(place / "pictures.npy")):
        Image.fromarray(picture).save(folder / f"{number:03}.png")
    broken = folder / "017.png"
    broken.write_bytes(broken.read_bytes()[:60])
    text = campaign(place).read_text().replace('npy = "pictures.npy"', 'folder = "files"')
    bad = place.write("files.toml", text)
    refused(DATA_CODE, "017.png", command=("run", bad, "--out", place / "stopped"))
    result = run("run", bad, "--out", place / "nan", "--set", "run.on_bad_image='nan'")
    assert "1 images could not be read and were left out" in result.stdout
    assert "89 images fitted" in result.stdout, result


def main():
    with Workplace() as place:
        place.study = make_study(place)
        harness.run_checks(
            place, a_fit_equals_a_direct_solve, validation_images_choose_the_penalty,
            baselines_stand_beside_every_score, bundle_predicts_what_was_scored,
            bands_and_components, a_drawn_split_is_the_same_for_all, repeats_give_noise_ceilings,
            counts_of_spikes_may_be_integers, a_unit_table_travels_along, the_same_image_in_training_and_test_is_refused,
            units_that_cannot_be_fitted_are_named, mistakes_of_a_campaign_have_their_sentence,
            what_every_image_is_for_is_stored, bands_are_told, bundles_have_names_of_their_own,
            an_untrained_network_can_be_fitted, responses_beyond_single_precision_are_named,
            a_penalty_that_is_too_small_is_passed_over,
            damage_to_an_earlier_stage_is_found_before_it_is_used,
            a_plan_looks_ahead, a_smoke_run_says_so, features_of_twins_without_taps_can_be_fitted,
            pictures_that_cannot_be_read_are_left_out)


if __name__ == "__main__":
    main()
