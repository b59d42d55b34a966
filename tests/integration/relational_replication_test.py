"""Two families of models of the same areas, with other subjects, units, noise and thresholds, each in a
campaign of its own: the same verdicts, and effects that go together over pairs."""

import itertools

import harness
from harness import CAMPAIGN_CODE, Workplace, refused, run

try:
    import numpy as np
except ImportError as missing:
    harness.skip(f"this Python lacks a package: {missing}")

import relational_control_truth as truth
from relational_study import Stage, close, imports

IMAGES = 240
PARTS = {"V1": ["V1"], "hV4": ["hV4"], "FFA": ["FFA-1", "FFA-2"]}
# Subjects, units of an area, noise in units of the signal.
FAMILIES = {"one": (8, (40, 60), 0.6), "other": (7, (28, 40), 1.0)}
STRICT = "noise_ceiling > 0.5"
# No unit of one area of one subject passes the threshold of all others.
LENIENT = f"{STRICT} or (subject == 'sub-04' and area == 'hV4' and noise_ceiling > 0.4)"
CONTROL = """
[relational_control.univariate]
images = 20
margin = 0.3
standardise = true
draws = 4000
permutations = 1000
[relational_control.multivariate]
images = 20
draws = 6000
permutations = 1000
generations = 40
population = 20
"""


def make_family(place, family, signal, rng):
    """V1 and hV4 answer to factors of the images, some of them the same; FFA of every subject to factors
    of its own."""
    subjects, units, noise = FAMILIES[family]
    files, place.kept[family] = {}, {}
    for subject, (area, parts) in itertools.product(
            [f"sub-{at:02}" for at in range(1, subjects + 1)], PARTS.items()):
        seen = signal.get(area, rng.normal(size=signal["V1"].shape))
        for part in parts:
            count = int(rng.integers(*units))
            weights = rng.normal(size=(seen.shape[1], count))
            weights[[0, -1]] += 0.8  # a common factor and one of the area move the mean of all units
            values = seen @ weights + noise * rng.normal(size=(IMAGES, count))
            ceilings = rng.uniform(0.3, 1.2, count)
            if (family, subject, area) == ("other", "sub-04", "hV4"):
                ceilings = rng.uniform(0.3, 0.5, count)
            name = f"{family}_{subject}_{part}.npy"
            np.save(place / name, values.astype("f4"))
            np.save(place / f"{name}.ncsnr.npy", ceilings)
            files[subject, part] = name
            least = 0.4 if ceilings.max() < 0.5 else 0.5
            place.kept[family][subject, part] = int((ceilings > least).sum())
    return files


def make_families(place):
    rng = np.random.default_rng(77)
    common = rng.normal(size=(IMAGES, 3))
    signal = {area: np.hstack([common, rng.normal(size=(IMAGES, 3))]) for area in ("V1", "hV4")}
    areas = "".join(f'[[relational_control.areas]]\nname = "{area}"\nunits = "area in {parts}"\n'
                    for area, parts in PARTS.items())
    place.kept = {}
    for family in FAMILIES:
        files = make_family(place, family, signal, rng)
        files = imports(files).replace('dataset = "set/responses"\n', "")
        units = STRICT if family == "one" else LENIENT
        place.write(f"{family}.toml", f'seed = 6\n[relational_control]\nunits = "{units}"\n'
                    + files + areas + CONTROL)


def thresholds_may_differ_by_subject_and_area(place):
    refused(CAMPAIGN_CODE, f'"{STRICT}" keeps none of the',
            "units of area 'hV4' of subject 'sub-04'", command=(
                "check", place / "other.toml", "--set", f"relational_control.units='{STRICT}'"))
    for family in FAMILIES:
        run("run", place / f"{family}.toml", "--out", place / family, ranks=2)
        units = Stage(place / family, "responses").names["units"]
        found = {key: int(((units["subject"] == key[0]) & (units["area"] == key[1])).sum())
                 for key in place.kept[family]}
        assert found == place.kept[family]
        low = units["noise_ceiling"] <= 0.5
        wanted = {"sub-04"} if family == "other" else set()
        assert set(units["subject"][low]) == wanted


def verdicts_of(place, stage):
    """What is significant over subjects in either family, and the effects."""
    stages = [Stage(place / family, stage) for family in FAMILIES]
    for one, (subjects, *_) in zip(stages, FAMILIES.values()):
        for cell in np.ndindex(one.binomial_p.shape):
            close(one.binomial_p[cell], truth.binomial(int(one.significant_subjects[cell]), subjects))
    return ([one.binomial_p < 0.01 for one in stages], [one.mean_effect.ravel() for one in stages])


def both_families_find_the_same(place):
    expected = {  # of V1 - hV4, V1 - FFA, hV4 - FFA: by objective, or by condition and area
        "multivariate_statistics": np.array([[True, True], [False, False], [False, False]]),
        "univariate_statistics": np.array([[[True, True]] * 4, [[True, False]] * 4,
                                           [[True, False]] * 4]),
    }
    for stage, wanted in expected.items():
        (one, other), effects = verdicts_of(place, stage)
        correlation = np.corrcoef(*(np.nan_to_num(effect) for effect in effects))[0, 1]
        assert (one == other).all() and (one == wanted).all(), (stage, one, other)
        assert correlation > 0.9, (stage, correlation)


def main():
    with Workplace() as place:
        make_families(place)
        harness.run_checks(place, thresholds_may_differ_by_subject_and_area,
                           both_families_find_the_same)


if __name__ == "__main__":
    main()
