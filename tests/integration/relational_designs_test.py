"""Designs of relational control: planted sets that must be found again, margins that nothing passes,
twins against files with the same responses, unpaired animals, halves of units, no folds."""

import collections
import csv
import shutil
import struct

import harness
from harness import STORE_CODE, Workplace, content_hash, refused, run

h5py = harness.h5py_or_skip()
try:
    import numpy as np
except ImportError as missing:
    harness.skip(f"this Python lacks a package: {missing}")

import relational_control_truth as truth
from relational_study import (
    CHOSEN, RUN, SET, SETTINGS, SUBJECTS, Stage, cells, close, imports, make_study)

STIMULI = "[[stimuli]]\ncount = 150\n[stimuli.pink_noise]\n"
UNPAIRED = {"sub-01": "V1", "sub-02": "V1", "sub-03": "V4", "sub-04": "V4"}
SMALL = f"""
[relational_control.multivariate]
images = {SET}
draws = 2500
generations = 4
population = 5
"""


def planted_sets_are_found_again(place):
    """Twelve images with the same patterns in both areas, but for the order of units, a factor and an
    offset; all others are noise."""
    rng, images, text = np.random.default_rng(6), 120, ""
    planted = np.sort(rng.choice(images, SET, replace=False))
    for subject in SUBJECTS[:3]:
        first, second = rng.normal(size=(2, images, 20))
        first[planted] = rng.normal(size=(SET, 2)) @ rng.normal(size=(2, 20)) + first[planted] / 4
        second[planted] = 5 + 3 * first[planted][:, rng.permutation(20)]
        for area, responses in {"one": first, "two": second}.items():
            np.save(place / f"planted_{subject}_{area}.npy", responses)
            text += (f'[[relational_control.responses]]\nfile = "planted_{subject}_{area}.npy"\n'
                     f'subject = "{subject}"\narea = "{area}"\n')
    text = "seed = 2\n[relational_control]\nunits = ''\n" + text + f"""
[relational_control.multivariate]
images = {SET}
draws = 4000
generations = 150
population = 60
"""
    result = run("run", place.write("planted.toml", text), "--out", place / "planted")
    search = Stage(place / "planted", "multivariate_search")
    for fold in range(4):
        found = set(search.found_image[0, fold, 0])
        assert len(found & set(planted)) >= 0.9 * SET, (fold, found, planted)
        assert abs(search.found_score[0, fold, 1]) < 0.01
    tests = Stage(place / "planted", "multivariate_statistics")
    assert (tests.significant[:, 0] == 1).all() and tests.p[:, 0].max() < 0.01
    close(tests.binomial_p[0, 0], 0.05**3)
    assert "; 3, 0.00013" in result.stdout, result


def a_margin_that_nothing_passes_leaves_empty_sets(place):
    result = run("run", place / "study.toml", "--out", place / "short",
                 "--set", "relational_control.univariate.margin=100")
    selection = Stage(place / "short", "univariate_selection")
    assert (selection.controlling_image == -1).all() and (selection.passed == 0).all()
    tests = Stage(place / "short", "univariate_statistics")
    for nothing in (tests.effect, tests.response, tests.p, tests.significant, tests.mean_effect,
                    tests.effect_low, tests.binomial_p):
        assert np.isnan(nothing).all()
    assert (tests.significant_subjects == 0).all()
    assert result.stdout.count("sets are short of 10 images (the least has 0)") == 4


def twins(subjects=SUBJECTS[:3]):
    """Analytic twins whose numbers of units differ from subject to subject."""
    return "".join(
        f'[[twins]]\nfamily = "gabor_energy"\nname = "{subject} {area}"\nsubject = "{subject}"\n'
        f'area = "{area}"\npositions = 1\norientations = {3 + at}\n'
        f"spatial_frequencies = {cycles}\n"
        for at, subject in enumerate(subjects)
        for area, cycles in (("coarse", [0.5, 0.7, 1.0]), ("fine", [1.5, 2.0, 2.8])))


STAGES = ("responses", "univariate_baseline", "univariate_selection", "univariate_statistics",
          "similarity", "multivariate_baseline", "multivariate_search", "multivariate_statistics")


def require_equal_results(ours, theirs):
    """Every column of two stores, but for lists of the best of a shard, which depend on the shards."""
    for name in STAGES:
        one, other = Stage(ours, name), Stage(theirs, name)
        for column, values in vars(other).items():
            if column != "names" and not column.startswith("shard_"):
                np.testing.assert_array_equal(getattr(one, column), values, err_msg=column)


def twins_and_files_of_their_responses_give_the_same(place):
    control = "[relational_control]\nunits = ''\n" + SETTINGS
    head = "seed = 9\n"
    answered = place.write("twins.toml", head + twins() + STIMULI + control + RUN)
    run("run", answered, "--out", place / "twins", ranks=3)
    screen = place.write("screen.toml", head + twins() + STIMULI + '[screen]\nmeasures = ["units"]\n')
    run("run", screen, "--out", place / "screen")
    shown = Stage(place / "screen", "responses")
    files = ""
    subjects, areas = (shown.names["units"][name] for name in ("subject", "area"))
    for subject, area in sorted(set(zip(subjects, areas))):
        name = f"twin_{subject}_{area}.npy"
        chosen = (subjects == subject) & (areas == area)
        np.save(place / name, np.ascontiguousarray(shown.response[:, chosen]))
        files += (f'[[relational_control.responses]]\nfile = "{name}"\nsubject = "{subject}"\n'
                  f'area = "{area}"\n')
    control = control.replace(SETTINGS, files + SETTINGS)
    run("run", place.write("files.toml", head + control), "--out", place / "files")
    require_equal_results(place / "twins", place / "files")
    # Stimuli beside the files are what the subjects saw.
    both = place.write("both.toml", head + STIMULI + control)
    run("run", both, "--out", place / "both")
    assert (Stage(place / "both", "responses").mean_response
            == Stage(place / "files", "responses").mean_response).all()


def a_finished_screen_gives_the_same(place):
    """The store of the screen above, read as it lies, with its unit table."""
    control = "[relational_control]\nunits = ''\n"
    store = '[[relational_control.responses]]\nstore = "screen"\n'
    campaign = place.write("store.toml", "seed = 9\n" + control + store + SETTINGS)
    run("run", campaign, "--out", place / "store", ranks=2)
    require_equal_results(place / "twins", place / "store")
    assert "orientation" in Stage(place / "store", "responses").names["units"]

    shown = place.write("shown.toml", "seed = 9\n" + STIMULI + control + store + SETTINGS)
    run("check", shown)
    refused(2, "they are not the stimuli of the campaign", command=(
        "check", shown, "--set", "stimuli.0.pink_noise.alpha=0.5"))
    refused(2, "responses.h5 has no column 'area_mean' of items (it has: response)", command=(
        "check", campaign, "--set", "relational_control.responses.0.column='area_mean'"))
    (place / "empty").mkdir()
    for folder, reason in (("empty", "no store with a stage 'responses'"),
                           ("twins", "has no column 'response' of items (it has: mean_response")):
        refused(2, reason, command=(
            "check", campaign, "--set", f"relational_control.responses.0.store='{folder}'"))

    few = place.write("few.toml", "seed = 9\n" + twins() + STIMULI + "[screen]\nmeasures = [\"units\"]\n"
                      "stored_units = \"subject != 'sub-03'\"\nunits_type = \"float16\"\n")
    run("run", few, "--out", place / "few")
    halves = place.write("rounded.toml", "seed = 9\n[relational_control]\nunits = ''\n"
                         '[[relational_control.responses]]\nstore = "few/responses.h5"\n' + SMALL)
    run("run", halves, "--out", place / "rounded")
    exact, rounded = Stage(place / "store", "responses"), Stage(place / "rounded", "responses")
    assert set(rounded.names["units"]["subject"]) == {"sub-01", "sub-02"}
    kept = np.isin(exact.names["populations"]["subject"], ["sub-01", "sub-02"])
    close(rounded.mean_response, exact.mean_response[:, kept], 2e-3)

    flip_a_response(place / "screen" / "responses.h5")
    damaged = run("run", campaign, "--out", place / "damaged", expect=4)
    assert "shard 0 is damaged" in damaged.stderr, damaged.stderr


def flip_a_response(path):
    with h5py.File(path) as file:
        offset = file["columns/response"].id.get_offset()
    with open(path, "r+b") as file:
        file.seek(offset + 40)
        byte = file.read(1)[0]
        file.seek(offset + 40)
        file.write(bytes([byte ^ 1]))


def optimisers_are_compared_for_equal_looks(place):
    """Asked for when everything else is finished: nothing else runs again."""
    asked = ("--set", "relational_control.multivariate.compare_optimisers=true")
    before = content_hash(place / "twins")
    result = run("run", place / "twins.toml", "--out", place / "twins", *asked, ranks=2)
    assert result.stderr.count("are done already") == 10, result.stderr
    compared = Stage(place / "twins", "optimisers")
    searched = Stage(place / "twins", "multivariate_search")
    names = list(compared.names["optimisers"]["name"])
    assert names == ["genetic", "greedy", "exchange", "annealing"]
    np.testing.assert_array_equal(compared.found_score[:, :, 0], searched.found_score[:, 0])
    np.testing.assert_array_equal(compared.found_image[:, :, 0], searched.found_image[:, 0])

    cost = np.stack([-compared.found_score[:, 0], np.abs(compared.found_score[:, 1])], axis=1)
    np.testing.assert_array_equal(compared.best, cost.argmin(axis=2))
    z = Stage(place / "twins", "responses")
    for pair, objective, optimiser in np.ndindex(*compared.found_score.shape):
        ids = compared.found_image[pair, objective, optimiser]
        assert (np.diff(ids) > 0).all() and len(ids) == SET
        close(truth.pearson(similarities(z, "coarse", ids), similarities(z, "fine", ids)),
              compared.found_score[pair, objective, optimiser])
    scores = compared.score.reshape(*compared.found_score.shape, -1)
    assert (np.diff(scores[:, 0]) >= 0).all() and (np.diff(np.abs(scores[:, 1])) <= 0).all()
    best = [name for name, found in zip(names, scores[0, 0, :, -1])
            if found >= scores[0, 0, :, -1].max() - 1e-4]
    line = " ".join(f"{name} {found:+.4f}" for name, found in zip(names, scores[0, 0, :, -1]))
    assert f"coarse - fine          align        {line}; best: {', '.join(best)}\n" in result.stdout
    assert content_hash(place / "twins") != before


def similarities(responses, area, ids):
    """Mean over subjects of the correlations of patterns, of every two images."""
    areas = responses.names["populations"]["area"]
    rows = [responses.pattern[ids][:, responses.names["units"]["population"] == at].astype(float)
            for at in np.flatnonzero(areas == area)]
    return np.mean([row @ row.T for row in rows], axis=0)[np.tril_indices(len(ids), -1)]


def chosen_sets_are_written_for_a_session(place):
    """The campaign of the twins, complete already: only its files for people are written again."""
    session = "[relational_control.session]\nsize = 64\nruns = 3\ncatch_trials = 2\n"
    text = (place / "twins.toml").read_text() + session
    run("run", place.write("session.toml", text), "--out", place / "twins")
    found = Stage(place / "twins", "multivariate_search").found_image[0, 0]
    baseline = Stage(place / "twins", "multivariate_baseline").baseline_image[0, 0]
    folder = place / "twins" / "session_multivariate"
    with open(folder / "images.csv", newline="") as file:
        images = list(csv.DictReader(file))
    for name, ids in (("align", found[0]), ("disentangle", found[1]), ("baseline", baseline)):
        assert [int(row["item"]) for row in images if row["set"] == name] == list(ids)
    aim = ((127 / 255 + 0.055) / 1.055) ** 2.4
    for row in images:
        header = (folder / row["file"]).read_bytes()[16:24]
        assert struct.unpack(">II", header) == (64, 64)
        assert abs(float(row["luminance"]) - aim) < 0.01
    with open(folder / "trials.csv", newline="") as file:
        trials = list(csv.DictReader(file))
    shown = collections.Counter(row["image"] for row in trials)
    assert shown.pop("0") == 3 * 2
    assert shown == {row["image"]: 8 for row in images}
    (folder / "trials.csv").write_text("the operator's own plan\n")
    result = run("run", place / "session.toml", "--out", place / "twins")
    assert "trials.csv is not what this campaign plans" in result.stdout
    assert (folder / "trials.csv").read_text() == "the operator's own plan\n"
    refused(2, "the study has no pair", command=(
        "check", place / "session.toml", "--set", "relational_control.session.pair='V1 - V9'"))
    shutil.rmtree(folder)
    folder.write_text("in the way")
    refused(STORE_CODE, "the folder of the session cannot be made", command=(
        "run", place / "session.toml", "--out", place / "twins"))
    folder.unlink()


def unpaired(place):
    """Areas recorded in different animals, each animal of one compared with each of the other."""
    files = {key: place.files[key] for key in UNPAIRED.items()}
    members = "".join(f'[[relational_control.subjects]]\nmembers = ["{first}", "{second}"]\n'
                      for first in ("sub-01", "sub-02") for second in ("sub-03", "sub-04"))
    return "seed = 4\n[relational_control]\n" + imports(files) + members


def folds_of_unpaired_animals_share_none(place):
    text = unpaired(place) + SMALL + f"""
[relational_control.univariate]
images = {CHOSEN}
draws = 500
permutations = 200
"""
    result = run("run", place.write("unpaired.toml", text), "--out", place / "unpaired")
    baseline = Stage(place / "unpaired", "multivariate_baseline")
    folds = baseline.names["folds"]
    assert list(folds["test"]) == ["", "sub-01 x sub-03", "sub-01 x sub-04", "sub-02 x sub-03",
                                   "sub-02 x sub-04"]
    assert list(folds["train"])[1:] == ["sub-02 x sub-04", "sub-02 x sub-03", "sub-01 x sub-04",
                                        "sub-01 x sub-03"]
    # What one fold is tested through another is chosen through: each view once.
    assert list(baseline.names["views"]["populations"]) == [
        "V1: 0.5 sub-01 0.5 sub-02; V4: 0.5 sub-03 0.5 sub-04", "V1: 1 sub-02; V4: 1 sub-04",
        "V1: 1 sub-02; V4: 1 sub-03", "V1: 1 sub-01; V4: 1 sub-04", "V1: 1 sub-01; V4: 1 sub-03"]

    def agreement(first, second, ids):
        lower = [(i, j) for i in ids for j in ids if j < i]
        return truth.pearson(*(
            np.array([np.mean([place.truth.similarity[subject, area][pair] for subject in subjects])
                      for pair in lower])
            for subjects, area in ((first, "V1"), (second, "V4"))))

    for fold in range(5):
        ids = baseline.baseline_image[0, fold]
        trained = [name.split(" x ") for name in folds["train"][fold].split(", ")]
        close(baseline.baseline_train[0, fold], agreement(*(
            sorted({pair[side] for pair in trained}) for side in range(2)), ids))
        if fold:
            first, second = folds["test"][fold].split(" x ")
            close(baseline.baseline_test[0, fold], agreement([first], [second], ids))
    for statistics in ("univariate_statistics", "multivariate_statistics"):
        assert np.isnan(Stage(place / "unpaired", statistics).binomial_p).all()
    assert "binomial" not in result.stdout, result


def halves_pairs_and_no_folds(place):
    files = {key: name for key, name in place.files.items() if key[0] == "sub-01"}
    areas = "".join(f'[[relational_control.areas]]\nname = "{name}"\nunits = "{units}"\n'
                    for name, units in (("V1 a", "area == 'V1' and half == 1"),
                                        ("V1 b", "area == 'V1' and half == 2"),
                                        ("other", "area != 'V1'")))
    text = ('seed = 4\n[relational_control]\nfolds = "none"\npairs = ["V1 b - V1 a", "other - V1 a"]\n'
            + imports(files) + areas + SMALL)
    run("run", place.write("halves.toml", text), "--out", place / "halves")
    units = Stage(place / "halves", "responses").names["units"]
    a, b, other = (set(units["id"][units["population"] == at]) for at in range(3))
    kept = place.truth.responses["sub-01", "V1"].shape[1]
    assert a and b and not a & b and len(a | b) == kept and not (a | b) & other
    search = Stage(place / "halves", "multivariate_search")
    assert list(search.names["pairs"]["name"]) == ["V1 b - V1 a", "other - V1 a"]
    assert list(search.names["folds"]["name"]) == ["all subjects"]
    assert np.isnan(search.test_score).all() and np.isfinite(search.score).all()
    assert not (place / "halves" / "multivariate_statistics.h5").exists()
    # One subject has nobody to be tested on: the same results without being asked.
    one = place.write("one.toml", text.replace('folds = "none"\n', ""))
    run("run", one, "--out", place / "one")
    assert content_hash(place / "one") == content_hash(place / "halves")


def units_are_kept_by_scores_of_tables(place):
    """Every other unit has an accuracy above the threshold; those that no table names have none."""
    files = {key: name for key, name in place.files.items() if key[1] in ("V1", "V4")}
    rows = "".join(f"{subject}/{area}/{unit},{unit % 2}\n" for subject, area in files
                   for unit in range(10))
    place.write("scores.csv", "id,accuracy\n" + rows)
    text = ("[relational_control]\nunits = 'accuracy > 0.5'\n"
            '[[relational_control.unit_scores]]\nfile = "scores.csv"\n' + imports(files) + SMALL)
    run("run", place.write("scores.toml", text), "--out", place / "scores")
    units = Stage(place / "scores", "responses").names["units"]
    assert sorted(units["id"]) == sorted(f"{subject}/{area}/{unit}" for subject, area in files
                                         for unit in (1, 3, 5, 7, 9))


def similarities_of_patterns_are_those_that_are_stored(place):
    """Sets are scored from the patterns themselves: nothing of size images x images is stored."""
    result = run("run", place / "study.toml", "--out", place / "factors", "--set",
                 "relational_control.multivariate.similarities=patterns", ranks=2)
    run("run", place / "study.toml", "--out", place / "stored")
    assert not (place / "factors" / "similarity.h5").exists(), result
    ours, theirs = (Stage(place / name, "multivariate_baseline") for name in ("factors", "stored"))
    close(ours.agreement, theirs.agreement, 2e-6)
    search, study = Stage(place / "factors", "multivariate_search"), place.truth
    for at, pair, fold, train, test in cells(study):
        for objective in range(2):
            ids = search.found_image[at, fold, objective]
            close(search.found_score[at, fold, objective], study.agreement(train, pair, ids), 2e-6)
            if test:
                close(search.found_test_score[at, fold, objective],
                      study.agreement([test], pair, ids), 2e-6)
    tests = Stage(place / "factors", "multivariate_statistics")
    assert np.isfinite(tests.p).all()


def main():
    with Workplace() as place:
        make_study(place)
        harness.run_checks(
            place,
            planted_sets_are_found_again,
            a_margin_that_nothing_passes_leaves_empty_sets,
            twins_and_files_of_their_responses_give_the_same,
            a_finished_screen_gives_the_same,
            chosen_sets_are_written_for_a_session,
            optimisers_are_compared_for_equal_looks,
            folds_of_unpaired_animals_share_none,
            halves_pairs_and_no_folds,
            units_are_kept_by_scores_of_tables, similarities_of_patterns_are_those_that_are_stored)


if __name__ == "__main__":
    main()
