"""The real twins, from converted bundle to store: the published accuracy of the macaque V4 models,
and the reference responses of the V4 and mouse V1 models."""

import harness
from harness import Workplace, run

DATA = harness.data_folder_or_skip()
BUNDLES = harness.bundles_or_skip()
h5py = harness.h5py_or_skip()
import numpy as np  # noqa: E402  (h5py needs it anyway)

PLACES = {"TWINSCREEN_DATA": str(DATA), "TWINSCREEN_BUNDLES": str(BUNDLES)}
DEVICES = ("cpu", "emulated")
V4 = DATA / "v4-compact-models"
V4_IMAGES = V4 / "reference" / "images_190923_600to663_u8.npy"
MOUSE = DATA / "sensorium-mouse-v1-twins"

# Median r on the held-out images, as published to two digits: (12 single-neuron models, shared
# model of 25 filters, regression on mean luminance over all neurons).
PUBLISHED = {"190923": (0.66, 0.63, 0.13), "210225": (0.61, 0.61, 0.10)}
TWO_DIGITS = 0.00501
NEED_RESULTS = ("rnc_v4_mouse.toml", "rnc_v4_halves.toml", "rnc_v4_sessions.toml")
MULTIVARIATE = "relational_control.multivariate."
FEW = [part for setting in (
    f"{MULTIVARIATE}draws=400", f"{MULTIVARIATE}permutations=100", f"{MULTIVARIATE}generations=3",
    f"{MULTIVARIATE}population=20", "relational_control.univariate.draws=1000",
    "relational_control.univariate.permutations=200") for part in ("--set", setting)]
RELATIVE = 1e-4


def shipped(name):
    return (harness.source_folder() / "experiments" / "campaigns" / name).read_text()


def run_here(place, text, name, **options):
    """Runs a campaign text; the only store of its folder, opened."""
    campaign = place.write(f"{name}.toml", text)
    result = run("run", campaign, "--out", place / name, env=PLACES, timeout_s=400, **options)
    file, = (place / name).glob("*.h5")
    return h5py.File(file), result


def shipped_campaigns_pass_check(place):
    for campaign in (harness.source_folder() / "experiments" / "campaigns").glob("*.toml"):
        if campaign.name not in NEED_RESULTS:  # of others, see below
            assert "no mistakes" in run("check", campaign, env=PLACES).stdout


def species_are_compared_on_the_units_that_are_predicted(place):
    for session in PUBLISHED:
        store, _ = run_here(place, shipped(f"rnc_v4_units_{session}.toml"),
                            f"rnc_v4_units_{session}")
        store.close()
    text = shipped("rnc_v4_mouse.toml").replace("../../results/rnc", "rnc")
    campaign = place.write("species.toml", text)
    run("run", campaign, "--out", place / "species", "--limit", 400, *FEW, env=PLACES, timeout_s=400)
    with h5py.File(place / "species" / "responses.h5") as responses, \
            h5py.File(place / "species" / "multivariate_search.h5") as search:
        units = [int(count) for count in responses["populations/unit_count"]]
        print("  kept units:", units)
        assert sum(units[:2]) < 88 and units[2:4] == [7776, 7538]
        first, count = (responses[f"populations/{name}"][()] for name in ("first_unit", "unit_count"))
        images = search["summary/found_image"][0, 0, 0]
        patterns = responses["columns/pattern"][()][images].astype(float)

        def similarity(population):
            own = patterns[:, first[population]:first[population] + count[population]]
            return np.corrcoef(own)[np.tril_indices(len(images), -1)]

        # macaque V4 is populations 0 and 1, mouse V1 is 2 and 3; fold 0 is the mean of all subjects.
        v4, mouse = similarity(0) + similarity(1), similarity(2) + similarity(3)
        np.testing.assert_allclose(search["summary/found_score"][0, 0, 0],
                                   np.corrcoef(v4, mouse)[0, 1], atol=1e-6)


def controls_read_the_screen_of_the_same_images(place):
    """With the unit scores of the test above."""
    screen = place.write("screen.toml", shipped("rnc_v4_screen.toml"))
    run("run", screen, "--out", place / "rnc_v4_screen", "--limit", 400, env=PLACES, timeout_s=400)
    for name, areas in (("rnc_v4_halves", ["half 1", "half 2"]),
                        ("rnc_v4_sessions", ["session 190923", "session 210225"])):
        text = shipped(f"{name}.toml").replace("../../results/rnc", "rnc")
        result = run("run", place.write(f"{name}.toml", text), "--out", place / name, *FEW)
        assert ("; best: " in result.stdout) == (name == "rnc_v4_sessions")
        with h5py.File(place / name / "multivariate_search.h5") as search:
            assert list(search["pairs/name"].asstr()[()]) == [" - ".join(areas)]
            assert search["summary/found_score"][0, 0, 0] > search["summary/found_score"][0, 0, 1]


def the_published_accuracy_of_v4_is_reproduced(place):
    for session, published in PUBLISHED.items():
        text = shipped(f"v4_accuracy_{session}.toml")
        # Without the twin of all single-neuron models, which takes minutes.
        blocks = text.split("[[twins]]")
        assert len(blocks) == 4 and "units =" not in blocks[1]
        store, _ = run_here(place, "[[twins]]".join([blocks[0], *blocks[2:]]), session, ranks=2)
        with store:
            first_12, shared = store["summary/median_r"][()]
            assert list(store["areas/unit_count"]) == [12, {"190923": 33, "210225": 55}[session]]
            luminance = store["summary/median_r_luminance"][1]
            r, low, high = (store[f"summary/{name}"][()] for name in ("r", "r_low", "r_high"))
        found = (first_12, shared, luminance)
        print("  median r of session", session, "single, shared, luminance:", np.round(found, 4))
        np.testing.assert_allclose(found, published, atol=TWO_DIGITS)
        assert ((low < r) & (r < high)).all()


def a_layer_of_mobilenet_predicts_v4(place):
    """Mean maps of one layer: numpy gives 0.563 with folds and penalties of its own."""
    text = shipped("v4_fit_190923.toml").split("[[twins]]")
    assert len(text) == 3 and 'taps = ["*"]' in text[1]
    one = "[[twins]]".join([text[0], text[1].replace('"*"', '"conv_pw_7_relu"')])
    rest = text[2][text[2].index("[[stimuli]]"):]
    campaign = place.write("fit.toml", one + rest)
    result = run("run", campaign, "--out", place / "fit", env=PLACES, timeout_s=400, ranks=2)
    with h5py.File(place / "fit" / "fits.h5") as store:
        medians = {name: np.median(store[f"summary/{name}"]) for name in (
            "r", "r_untrained", "r_shuffled", "r_luminance")}
    print("  median r of conv_pw_7_relu:", medians)
    assert abs(medians["r"] - 0.56) < 0.01 and abs(medians["r_luminance"] - 0.134) < TWO_DIGITS
    assert medians["r_untrained"] < 0.45 and abs(medians["r_shuffled"]) < 0.1
    bundle, = (place / "fit" / "bundles").iterdir()
    assert "no mistakes" in run("check", bundle).stdout and str(bundle) in result.stdout


def ceilings_of_raw_repeats_are_proper(place):
    store, result = run_here(place, shipped("v4_ceilings_210325.toml"), "ceilings", ranks=2)
    with store:
        for name in ("cc_max", "split_half"):
            values = store[f"summary/{name}"][()]
            assert values.shape == (50,) and np.isfinite(values).all(), name
            assert ((values > 0) & (values <= 1)).all(), (name, values)
        # cc_max is the square root of the reliability of the average over repeats.
        assert np.median(store["summary/cc_max"]) > 0.5
    assert "cc_max" in result.stdout


def v4_predictions_equal_the_reference(place):
    text = """
[[twins]]
bundle = "{bundle}"
[[stimuli]]
npy = "{images}"
[screen]
measures = ["units"]
"""
    for bundle, reference in (("v4_190923", "compact_190923_predictions_64x33.npy"),
                              ("v4_shared_200", "shared_200filters_predictions_64x219.npy")):
        expected = np.load(V4 / "reference" / reference)
        for device in DEVICES:
            store, _ = run_here(place, on(device, text.format(bundle=bundle, images=V4_IMAGES)),
                                f"{bundle}_{device}", ranks=2)
            with store:
                require_close(store["columns/response"][()], expected, f"{bundle} ({device})")


def mouse_rates_equal_the_reference(place):
    behavior = np.load(MOUSE / "reference" / "behavior_12x3.npy")
    pupil = np.load(MOUSE / "reference" / "pupil_12x2.npy")
    rows = ["b0,b1,b2,p0,p1"]
    rows += [",".join(f"{value:.9g}" for value in (*b, *p)) for b, p in zip(behavior, pupil)]
    place.write("state.csv", "\n".join(rows) + "\n")
    state = 'behavior = ["b0", "b1", "b2"]\npupil = ["p0", "p1"]\n'
    twins = {"mouse_cnn": "sensorium_sota_model", "mouse_ln": "sensorium_ln_model",
             "mouse_cnn_behavior": "sensorium_p_sota_model",
             "mouse_ln_behavior": "sensorium_p_ln_model"}
    text = "".join(f'[[twins]]\nbundle = "{bundle}"\n{state if "behavior" in bundle else ""}'
                   for bundle in twins)
    text += f"""
[[stimuli]]
npy = "{MOUSE / "reference" / "input_12x1x36x64.npy"}"
prepared = true
labels = "state.csv"
[screen]
measures = ["units", "area_mean"]
"""
    for device in DEVICES:
        store, _ = run_here(place, on(device, text), f"mouse_{device}", ranks=2)
        with store:
            require_mouse_rates(store, twins, pupil)


def require_mouse_rates(store, twins, pupil):
    response, owner = store["columns/response"][()], store["units/twin"].asstr()[()]
    means = store["columns/area_mean"][()]
    area_owner = store["areas/twin"].asstr()[()]
    np.testing.assert_allclose(store["items/p1"][()], pupil[:, 1], rtol=1e-7)
    for bundle, model in twins.items():
        expected = np.load(MOUSE / "reference" / f"{model}_rates.npy")
        require_close(response[:, owner == bundle], expected, bundle)
        np.testing.assert_allclose(means[:, area_owner == bundle][:, 0], expected.mean(axis=1),
                                   rtol=RELATIVE)


def graphs_answer_alike_on_all_devices(place):
    text = f"""
[[twins]]
bundle = "mobilenet_v1"
name = "classes"
[[twins]]
bundle = "mobilenet_v1"
name = "projected"
taps = ["conv_pw_3_relu", "conv_pw_7_relu"]
tap_pool = 4
tap_project = 64
[[stimuli]]
npy = "{V4_IMAGES}"
[screen]
measures = ["units", "area_mean"]
"""
    answers = []
    for device in DEVICES:
        store, _ = run_here(place, on(device, text), f"graphs_{device}")
        with store:
            answers.append({name: store[f"columns/{name}"][()] for name in (
                "response", "area_mean")})
    for name, expected in answers[0].items():
        off = np.abs(answers[1][name] - expected).max() / expected.std()
        print(f"  {name} {expected.shape}: largest difference {off:.1e} of the spread")
        assert off < RELATIVE


def on(device, text):
    return f"{text}[run]\ndevice = \"{device}\"\nbatch_items = 64\n"


def require_close(found, expected, name):
    """Within the tolerance of the larger of the value and a typical one."""
    assert found.shape == expected.shape, (name, found.shape, expected.shape)
    floor = np.abs(expected).mean()
    error = np.abs(found - expected) / np.maximum(np.abs(expected), floor)
    print(f"  {name}: largest relative error {error.max():.1e}")
    assert error.max() < RELATIVE, (name, error.max())


def main():
    with Workplace() as place:
        harness.run_checks(
            place,
            shipped_campaigns_pass_check,
            species_are_compared_on_the_units_that_are_predicted,
            controls_read_the_screen_of_the_same_images,
            ceilings_of_raw_repeats_are_proper,
            a_layer_of_mobilenet_predicts_v4,
            v4_predictions_equal_the_reference,
            mouse_rates_equal_the_reference,
            graphs_answer_alike_on_all_devices,
            the_published_accuracy_of_v4_is_reproduced,
        )


if __name__ == "__main__":
    main()
