"""A study of four subjects and three areas in files, with everything that may be wrong with an image,
and how its stored results are read and compared; for the tests of relational control."""

import itertools
import math

import harness

h5py = harness.h5py_or_skip()
try:
    import numpy as np
except ImportError as missing:
    harness.skip(f"this Python lacks a package: {missing}")

import relational_control_truth as truth

IMAGES, SET, CHOSEN = 200, 12, 10
SUBJECTS = ["sub-01", "sub-02", "sub-03", "sub-04"]
PARTS = {"V1": ["V1"], "V4": ["V4"], "FFA": ["FFA-1", "FFA-2"]}
AREAS = list(PARTS)
PAIRS = [f"{first} - {second}" for first, second in itertools.combinations(AREAS, 2)]
DRAWS, PERMUTATIONS, MARGIN = 9000, 2000, 0.5  # of means
SETS, DIFFERENCES, GENERATIONS = 5000, 1200, 25  # of similarities
# What image is spoiled how; V4 of sub-02 and so on. Thresholds stand between 0.5 and the next float.
NAN_UNIT, CONSTANT, ALL_NAN, NAN_ELSEWHERE = 7, 11, 13, 17
GROUPS = {  # name: kind and groups of pairs
    "path": ("distance", (("V1 - V4",), ("V4 - FFA",), ("V1 - FFA",))),
    "kinds": ("category", (("V1 - V4",), ("V1 - FFA", "FFA - V4"))),
}
SETTINGS = f"""
[relational_control.univariate]
images = {CHOSEN}
margin = {MARGIN}
draws = {DRAWS}
permutations = {PERMUTATIONS}
[relational_control.multivariate]
images = {SET}
draws = {SETS}
permutations = {DIFFERENCES}
generations = {GENERATIONS}
population = 12
"""
RUN = "[run]\nshard_items = 64\n"


def rules():
    """The areas of the study: FFA is made of two parts."""
    return "".join(f'[[relational_control.areas]]\nname = "{area}"\nunits = "area in {parts}"\n'
                   for area, parts in PARTS.items())


def group_rules():
    return "".join(
        f'[[relational_control.group_analysis]]\nname = "{name}"\nkind = "{kind}"\ngroups = ['
        + ", ".join(f"{{ pairs = {list(pairs)} }}" for pairs in groups) + "]\n"
        for name, (kind, groups) in GROUPS.items())


def imports(files):
    """The elements of [[relational_control.responses]] for {(subject, area): file name}."""
    text = ""
    for (subject, area), name in files.items():
        text += (f'[[relational_control.responses]]\nfile = "{name}"\nsubject = "{subject}"\n'
                 f'area = "{area}"\nnoise_ceiling = "{name}.ncsnr.npy"\n')
        text += 'dataset = "set/responses"\n' if "FFA-2" in name else ""
    return text


def save(place, subject, area, responses, ceilings):
    """One file of responses, of a format that depends on the area; its name."""
    name = f"{subject}_{area}." + ("npy" if area in ("V4", "FFA-1") else "h5")
    if name.endswith(".npy"):
        np.save(place / name, responses.astype("f8" if area == "V4" else "f4"))
    else:
        with h5py.File(place / name, "w") as file:
            dataset = "set/responses" if area == "FFA-2" else "insilico_fmri_responses"
            file.create_dataset(dataset, data=responses.astype("f4"))
    np.save(place / f"{name}.ncsnr.npy", ceilings)
    return name


def drawn_responses(rng, shared, units):
    """Patterns of shared factors, of which the first also moves the mean; as single precision."""
    weights = rng.normal(size=(shared.shape[1], units))
    weights[0] += 0.6
    values = shared @ weights + rng.normal(size=(len(shared), units))
    return values.astype("f4").astype(float)


def make_study(place):
    """Files of four subjects and four parts of areas, and what must come of them."""
    rng = np.random.default_rng(20)
    images = {area: rng.normal(size=(IMAGES, 5)) for area in AREAS}
    common = rng.normal(size=(IMAGES, 5))
    files, kept = {}, {}
    for subject, (area, parts) in itertools.product(SUBJECTS, PARTS.items()):
        for part in parts:
            units = int(rng.integers(16, 24))
            responses = drawn_responses(rng, common + images[area], units)
            ceilings = rng.uniform(0.2, 1.3, units)
            ceilings[:4] = 0.5, np.nan, 0.4, np.nextafter(0.5, 1)
            spoil(responses, ceilings > 0.5, subject, part)
            files[subject, part] = save(place, subject, part, responses, ceilings)
            kept.setdefault((subject, area), []).append(responses[:, ceilings > 0.5])
    place.files = files
    place.truth = truth.Truth({key: np.hstack(parts) for key, parts in kept.items()}, SUBJECTS, AREAS)
    text = "seed = 4\n[relational_control]\n" + imports(files) + rules()
    text += group_rules() + SETTINGS + RUN
    place.write("study.toml", text)


def spoil(responses, is_kept, subject, part):
    if (subject, part) == ("sub-02", "V4"):
        responses[NAN_UNIT, np.flatnonzero(is_kept)[2]] = np.nan
        responses[NAN_ELSEWHERE, np.flatnonzero(~is_kept)[0]] = np.nan
    if (subject, part) == ("sub-01", "V1"):
        responses[CONSTANT] = np.float32(0.3)
    if (subject, part[:3]) == ("sub-03", "FFA"):
        responses[ALL_NAN] = np.nan


class Stage:
    """What the file of a stage holds: `stage.p` of a column, a summary or an axis table."""

    def __init__(self, store, name):
        self.names = {}
        with h5py.File(store / f"{name}.h5") as file:
            for group in ("columns", "partials", "summary"):
                for column, dataset in file[group].items():
                    setattr(self, column, dataset[()])
            for table in ("populations", "units", "items", "folds", "pairs", "views", "subjects",
                          "optimisers"):
                if table in file:
                    self.names[table] = {
                        column: data.asstr()[()] if data.dtype.kind == "O" else data[()]
                        for column, data in file[table].items()}


def close(found, expected, tolerance=1e-6, what=""):
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance, err_msg=str(what))


def cells(study):
    """Every pair and fold: (pair index, pair, fold index, training subjects, test subject)."""
    for (at, pair), (fold, (train, test)) in itertools.product(enumerate(study.pairs),
                                                               enumerate(study.folds)):
        yield at, pair, fold, train, test


def require_verdicts(p, marks):
    """Benjamini & Hochberg over the tests that were made."""
    tested = np.isfinite(p)
    assert np.isnan(marks[~tested]).all()
    assert list(marks[tested] == 1) == truth.benjamini_hochberg(list(p[tested])), (p, marks)


def require_group(stage, measures, shape):
    """Means with intervals and the binomial test over subjects."""
    for pair, cell in itertools.product(range(len(PAIRS)), np.ndindex(shape)):
        over = [(pair * len(SUBJECTS) + subject, *cell) for subject in range(len(SUBJECTS))]
        where = (pair, *cell)
        for measure in measures:
            values = [getattr(stage, measure)[at] for at in over]
            close(getattr(stage, f"mean_{measure}")[where], np.mean(values), 1e-12)
            bounds = [getattr(stage, f"{measure}_{end}")[where] for end in ("low", "high")]
            close(bounds, truth.bootstrap(values), 1e-12, (where, measure))
        found = int(sum(stage.significant[at] for at in over))
        assert stage.significant_subjects[where] == found
        close(stage.binomial_p[where], truth.binomial(found, len(SUBJECTS)), 1e-12)
