"""Stores of every experiment, opened as a reader would: plain h5py, plain xarray.open_datatree.
Names, axes and attributes are there, and every measure equals numpy's own from the stored units."""

import harness
from harness import Workplace, run

h5py = harness.h5py_or_skip()
try:
    import numpy as np
    import xarray as xr
except ImportError as error:
    harness.skip(f"this Python lacks a module: {error}")

TWINS = """
seed = 7
[[twins]]
name = "wide"
family = "gabor_energy"
positions = 2
[[twins]]
name = "narrow"
family = "gabor_energy"
positions = 1
size = 32
orientations = 4
"""
STIMULI = """
[[stimuli]]
[stimuli.gratings]
orientation = { from = 0.0, to = 165.0, steps = 12 }
spatial_frequency = [1.0, 2.0]
[[stimuli]]
count = 77
[stimuli.pink_noise]
"""
SCREEN = """
[screen]
measures = ["units", "area_mean", "moments", "top_k", "histogram"]
top_k = 5
top_k_of = "both"
histogram = { from = 0.5, to = 12.5, bins = 12 }
"""
ITEMS, WIDE, NARROW, AREAS, TOP, BINS = 101, 480, 60, 2, 5, 14
UNITS = WIDE + NARROW
NEURONS, REPEATS = NARROW, 4

SCREEN_AXES = {
    "/sealed": ("item",),
    "/items/set": ("item",),
    "/items/kind": ("item",),
    "/items/orientation": ("item",),
    "/items/alpha": ("item",),
    "/units/id": ("unit",),
    "/units/subject": ("unit",),
    "/units/area": ("unit",),
    "/units/heldout_r": ("unit",),
    "/units/noise_ceiling": ("unit",),
    "/units/x": ("unit",),
    "/areas/twin": ("area",),
    "/areas/unit_count": ("area",),
    "/bins/low": ("bin",),
    "/columns/response": ("item", "unit"),
    "/columns/area_mean": ("item", "area"),
    "/partials/shard_moments": ("shard", "moment", "unit"),
    "/summary/response_mean": ("unit",),
    "/summary/lifetime_sparseness": ("unit",),
    "/summary/area_top_item": ("area", "place"),
    "/summary/unit_bottom_value": ("unit", "place"),
    "/summary/histogram": ("unit", "bin"),
}
SCORE_AXES = {
    "/sealed": ("item",),
    "/items/orientation": ("item",),
    "/units/id": ("unit",),
    "/columns/predicted": ("item", "unit"),
    "/columns/luminance": ("item",),
    "/summary/r": ("unit",),
    "/summary/r_low": ("unit",),
    "/summary/r_luminance": ("unit",),
    "/summary/cc_max": ("unit",),
    "/summary/feve": ("unit",),
    "/summary/median_r": ("area",),
}
EXTENTS = {"item": ITEMS, "unit": UNITS, "area": AREAS, "place": TOP, "bin": BINS, "shard": 2,
           "moment": 5}


def screen(place, name, *settings):
    """The store of the screen, opened by h5py."""
    run("run", place / "screen.toml", "--out", place / name, *settings)
    return h5py.File(place / name / "responses.h5")


def dimension_names(dataset):
    """What h5py shows of the attached scales."""
    return tuple(dimension[0].name.lstrip("/") for dimension in dataset.dims)


def require_axes_in_h5py(file, axes, extents):
    with h5py.File(file) as store:
        for path, names in axes.items():
            assert dimension_names(store[path]) == names, path
            assert store[path].shape == tuple(extents[name] for name in names), path
        assert (store["sealed"][()] == 1).all()


def require_axes_in_xarray(file, axes, extents):
    for engine in ("netcdf4", "h5netcdf"):
        with xr.open_datatree(file, engine=engine) as store:
            for path, names in axes.items():
                assert store[path].dims == names, (engine, path)
                assert store[path].shape == tuple(extents[name] for name in names), path
            with h5py.File(file) as plain:
                assert set(store.children) >= {"columns", "items", "units", "summary"}
                for path in axes:
                    if plain[path].dtype != object:
                        np.testing.assert_array_equal(store[path].values, plain[path][()])


def a_screen_opens_with_names_and_axes(place):
    file = place / "all" / "responses.h5"
    require_axes_in_h5py(file, SCREEN_AXES, EXTENTS)
    require_axes_in_xarray(file, SCREEN_AXES, EXTENTS)


def an_encoding_score_opens_with_names_and_axes(place):
    rng = np.random.default_rng(1)
    with h5py.File(place / "all" / "responses.h5") as store:
        signal = store["columns/response"][:, WIDE:].T
    trials = signal[:, :, None] + signal.std() * rng.standard_normal((NEURONS, ITEMS, REPEATS))
    np.save(place / "trials.npy", trials.astype(np.float32))
    narrow = TWINS[: TWINS.index('[[twins]]\nname = "wide"')] + \
        TWINS[TWINS.index('[[twins]]\nname = "narrow"'):]
    campaign = place.write("score.toml", narrow + STIMULI + """
[encoding_score]
responses = "trials.npy"
layout = "units,items,repeats"
bootstrap = 50
""")
    run("run", campaign, "--out", place / "score")
    file, = (place / "score").glob("*.h5")
    extents = {"item": ITEMS, "unit": NEURONS, "area": 1}
    require_axes_in_h5py(file, SCORE_AXES, extents)
    require_axes_in_xarray(file, SCORE_AXES, extents)
    with h5py.File(file) as store:
        np.testing.assert_array_equal(store["columns/predicted"], signal.T)
        averages = trials.astype(np.float32).astype(float).mean(axis=2)
        r = [np.corrcoef(a, b)[0, 1] for a, b in zip(signal.astype(float), averages)]
        np.testing.assert_allclose(store["summary/r"], r, atol=1e-9)
        np.testing.assert_allclose(store["summary/median_r"], [np.median(r)], atol=1e-9)
        assert (store["summary/r_low"][()] <= store["summary/r"][()]).all()
        assert (store["summary/r_high"][()] >= store["summary/r"][()]).all()


def provenance_is_in_the_attributes(place):
    with h5py.File(place / "all" / "responses.h5") as store:
        root = store.attrs
        assert root["format"] == "twinscreen stage" and root["version"] == 2
        assert root["campaign_text"] == (place / "screen.toml").read_text()
        assert root["campaign_overrides"] == "run.shard_items=64\n"
        assert root["seed"] == "7"
        assert root["build"].startswith("twinscreen ")
        assert "libtorch" in root["numerics"] and root["numerics_mode"] == "same"
        digests = [root[f"identity.twin {name}"].split(",")[0] for name in ("wide", "narrow")]
        assert all(len(digest) == 32 for digest in digests) and digests[0] != digests[1]
        assert "Heeger 1992" in root["twin.wide"]
        assert "degrees_per_pixel = 0.1 (campaign)" in root["stimulus_facts.wide"]


def units_and_parameters_carry_their_measure(place):
    with h5py.File(place / "all" / "responses.h5") as store:
        wanted = {
            "columns/response": "spikes/s",
            "columns/area_mean": "spikes/s",
            "items/orientation": "deg",
            "items/spatial_frequency": "cycles/deg",
            "units/x": "deg",
        }
        assert {path: store[path].attrs["units"] for path in wanted} == wanted
        kinds = list(store["items/kind"].asstr())
        assert kinds == ["gratings"] * 24 + ["pink_noise"] * 77
        assert list(store["items/set"]) == [0] * 24 + [1] * 77
        np.testing.assert_array_equal(store["items/orientation"][:24],
                                      np.repeat(np.arange(12) * 15.0, 2))
        assert np.isnan(store["items/orientation"][24:]).all()
        assert list(store["units/twin"].asstr()) == ["wide"] * WIDE + ["narrow"] * NARROW
        assert list(store["areas/twin"].asstr()) == ["wide", "narrow"]
        assert list(store["areas/unit_count"]) == [WIDE, NARROW]


def area_means_are_means_of_units(place):
    with h5py.File(place / "all" / "responses.h5") as store:
        response = store["columns/response"][()].astype(float)
        means = np.stack([response[:, :WIDE].mean(1), response[:, WIDE:].mean(1)], axis=1)
        # Rounded to float once.
        np.testing.assert_allclose(store["columns/area_mean"], means, rtol=2e-7)


def moments_equal_those_of_numpy(place):
    with h5py.File(place / "all" / "responses.h5") as store:
        response = store["columns/response"][()].astype(float)
        summary = {name: data[()] for name, data in store["summary"].items()}
    deviation = response - response.mean(0)
    second = (deviation**2).mean(0)
    sparseness = (1 - response.mean(0) ** 2 / (response**2).mean(0)) / (1 - 1 / ITEMS)
    assert (summary["response_count"] == ITEMS).all()
    # Sums of 101 terms in double, in another order.
    close = {"rtol": 1e-10, "atol": 1e-12}
    np.testing.assert_allclose(summary["response_mean"], response.mean(0), **close)
    np.testing.assert_allclose(summary["response_variance"], response.var(0, ddof=1), **close)
    np.testing.assert_allclose(summary["response_skewness"],
                               (deviation**3).mean(0) / second**1.5, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(summary["lifetime_sparseness"], sparseness, **close)


def top_and_bottom_items_equal_a_sort(place):
    with h5py.File(place / "all" / "responses.h5") as store:
        for who, column in (("unit", "response"), ("area", "area_mean")):
            rows = store[f"columns/{column}"][()].T
            for end, sign in (("top", -1), ("bottom", 1)):
                # Equal values: the lower item number first, as a stable sort leaves them.
                order = np.argsort(sign * rows, axis=1, kind="stable")[:, :TOP]
                name = f"summary/{who}_{end}"
                np.testing.assert_array_equal(store[f"{name}_item"], order)
                np.testing.assert_array_equal(store[f"{name}_value"],
                                              np.take_along_axis(rows, order, 1))


def histograms_count_every_response(place):
    with h5py.File(place / "all" / "responses.h5") as store:
        response = store["columns/response"][()]
        low, high = store["bins/low"][()], store["bins/high"][()]
        np.testing.assert_array_equal(low[1:], np.linspace(0.5, 12.5, 13))
        assert low[0] == -np.inf and high[-1] == np.inf
        counts = np.stack([((response >= a) & (response < b)).sum(0)
                           for a, b in zip(low, high)], axis=1)
        np.testing.assert_array_equal(store["summary/histogram"], counts)


def float16_is_float32_rounded(place):
    with h5py.File(place / "all" / "responses.h5") as full, \
            screen(place, "half", "--set", 'screen.units_type="float16"') as half:
        exact = full["columns/response"][()]
        stored = half["columns/response"]
        assert stored.dtype == np.float16 and "2^-11" in stored.attrs["long_name"]
        np.testing.assert_array_equal(stored, exact.astype(np.float16))
        normal = exact > 2.0**-14
        error = np.abs(stored[()].astype(float) - exact)[normal] / exact[normal]
        assert error.max() <= 2.0**-11
        # Only what is stored is rounded.
        np.testing.assert_array_equal(half["summary/response_mean"], full["summary/response_mean"])


def stored_units_are_a_choice_of_all_units(place):
    choice = "screen.stored_units=\"twin == 'wide' and orientation == 45\""
    with h5py.File(place / "all" / "responses.h5") as full, \
            screen(place, "chosen", "--set", choice) as chosen:
        keep = (full["units/twin"].asstr()[()] == "wide") & (full["units/orientation"][()] == 45)
        assert 0 < keep.sum() < WIDE
        np.testing.assert_array_equal(chosen["columns/response"],
                                      full["columns/response"][()][:, keep])
        assert dimension_names(chosen["columns/response"]) == ("item", "stored_unit")
        np.testing.assert_array_equal(chosen["stored_units/id"].asstr()[()],
                                      full["units/id"].asstr()[()][keep])
        np.testing.assert_array_equal(chosen["summary/histogram"], full["summary/histogram"])


def main():
    with Workplace(TWINS + STIMULI + SCREEN, "screen.toml") as place:
        screen(place, "all", "--set", "run.shard_items=64").close()
        harness.run_checks(
            place,
            a_screen_opens_with_names_and_axes,
            an_encoding_score_opens_with_names_and_axes,
            provenance_is_in_the_attributes,
            units_and_parameters_carry_their_measure,
            area_means_are_means_of_units,
            moments_equal_those_of_numpy,
            top_and_bottom_items_equal_a_sort,
            histograms_count_every_response,
            float16_is_float32_rounded,
            stored_units_are_a_choice_of_all_units,
        )


if __name__ == "__main__":
    main()
