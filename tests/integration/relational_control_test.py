"""Relational neural control by the executable: every stored result of a study against formulas written
down once more (relational_control_truth.py)."""

import itertools
import math

import harness
from harness import Workplace, run

try:
    import numpy as np
except ImportError as missing:
    harness.skip(f"this Python lacks a package: {missing}")

import relational_control_truth as truth
from relational_control_truth import CONDITIONS
from relational_study import (
    ALL_NAN, AREAS, CHOSEN, CONSTANT, DIFFERENCES, DRAWS, GENERATIONS, IMAGES, MARGIN, NAN_UNIT,
    PAIRS, PERMUTATIONS, SET, SETS, SUBJECTS, Stage, cells, close, make_study, require_group,
    require_verdicts)


def responses_are_averaged_and_normalised(place):
    result = run("run", place / "study.toml", "--out", place / "study", ranks=2)
    place.said = result.output
    stage, study = Stage(place / "study", "responses"), place.truth
    populations = stage.names["populations"]
    assert len(populations["subject"]) == len(SUBJECTS) * len(AREAS)
    for at, key in enumerate(zip(populations["subject"], populations["area"])):
        rows = study.responses[key]
        first, units = populations["first_unit"][at], populations["unit_count"][at]
        assert units == rows.shape[1]
        assert (stage.names["units"]["population"][first:first + units] == at).all()
        assert (stage.names["units"]["subject"][first:first + units] == key[0]).all()
        close(stage.mean_response[:, at], study.u[key])
        pattern = stage.pattern[:, first:first + units]
        for image, row in enumerate(rows):
            is_usable = not np.isnan(row).any() and row.min() < row.max()
            assert stage.usable[image, at] == is_usable, (key, image)
            if is_usable:
                close(pattern[image], (row - row.mean()) / math.sqrt(((row - row.mean())**2).sum()))
            else:
                assert np.isnan(pattern[image]).all(), (key, image)
    spoiled = {int(image) for image in np.flatnonzero((stage.usable == 0).any(axis=1))}
    assert spoiled == {NAN_UNIT, CONSTANT, ALL_NAN}, spoiled
    assert not study.has_mean()[ALL_NAN] and study.has_mean()[NAN_UNIT]
    place.columns = {key: at for at, key in enumerate(zip(populations["subject"],
                                                          populations["area"]))}
    assert f"{IMAGES - 1} of {IMAGES} images have a mean response" in result.output, result


def random_sets_of_means_are_a_fair_null(place):
    stage, study = Stage(place / "study", "univariate_baseline"), place.truth
    assert stage.mean_response.shape == (DRAWS, len(SUBJECTS) * len(AREAS))
    usable = study.has_mean()
    for key, column in place.columns.items():
        # Of a set drawn without replacement: the mean, and its variance in a finite population.
        values, drawn = study.u[key][usable], stage.mean_response[:, column].astype(float)
        variance = values.var(ddof=1) * (1 / CHOSEN - 1 / len(values))
        assert abs(drawn.mean() - values.mean()) < 4 * math.sqrt(variance / DRAWS)
        assert abs(drawn.var() / variance - 1) < 4 * math.sqrt(2 / DRAWS)
    for fold, (train, test) in enumerate(study.folds):
        for at, area in enumerate(AREAS):
            drawn = np.mean([stage.mean_response[:, place.columns[subject, area]].astype(float)
                             for subject in train], axis=0)
            close(stage.mean_over_sets[fold, at], drawn.mean(), 1e-12)
            nearest = np.argmin(np.abs(drawn - drawn.mean()))
            close(stage.baseline_train[fold, at], drawn[nearest], 1e-12)
            ids = stage.baseline_image[fold, at]
            assert (np.diff(ids) > 0).all() and usable[ids].all(), ids
            close(stage.baseline_train[fold, at],
                  np.mean([study.u[subject, area][ids].mean() for subject in train]))
            tested = study.u[test, area][ids].mean() if test else np.nan
            close(stage.baseline_test[fold, at], tested)


def require_selection(study, selection, baseline, margin, standardise=False):
    """Every set against a sort of all images."""
    for at, pair, fold, train, _ in cells(study):
        bases = [baseline.baseline_train[fold, AREAS.index(area)] for area in pair]
        for number, condition in enumerate(CONDITIONS):
            ids, passed = study.ranked(pair, train, bases, condition, margin, CHOSEN, standardise)
            found = selection.controlling_image[at, fold, number]
            assert list(found) == list(ids) + [-1] * (CHOSEN - len(ids)), (pair, fold, condition)
            assert selection.passed[at, fold, number] == passed
            for side, area in enumerate(pair):
                column = (selection.response_1, selection.response_2)[side][at, fold, number]
                for who, subject in enumerate(SUBJECTS):
                    close(column[:len(ids), who], study.u[subject, area][ids])
                    assert np.isnan(column[len(ids):, who]).all()


def images_are_chosen_beyond_the_margins(place):
    selection = Stage(place / "study", "univariate_selection")
    require_selection(place.truth, selection, Stage(place / "study", "univariate_baseline"), MARGIN)
    # Some sets are full, some short: both cases were looked at.
    assert (selection.passed >= CHOSEN).any() and (selection.passed < CHOSEN).any()
    for condition in np.unique(np.nonzero(selection.passed < CHOSEN)[2]):
        passed = selection.passed[:, :, condition]
        assert (f"{(passed < CHOSEN).sum()} of {passed.size} sets are short of {CHOSEN} images "
                f"(the least has {passed.min()})") in place.said


def areas_of_different_scales_are_compared_in_deviations(place):
    univariate = "relational_control.univariate."
    run("run", place / "study.toml", "--out", place / "scaled", "--set", univariate + "margin=0.9",
        "--set", univariate + "standardise=true")
    selection = Stage(place / "scaled", "univariate_selection")
    require_selection(place.truth, selection, Stage(place / "scaled", "univariate_baseline"), 0.9,
                      standardise=True)
    plain = Stage(place / "study", "univariate_selection")
    assert (selection.controlling_image != plain.controlling_image).any()


def maps_show_distances_of_areas(place):
    stage, study = Stage(place / "study", "area_maps"), place.truth
    selection = Stage(place / "study", "univariate_selection")
    search = Stage(place / "study", "multivariate_search")
    means = np.array([study.trained(SUBJECTS, area) for area in AREAS])
    similar = np.array([study.seen(SUBJECTS, area) for area in AREAS])

    def of_means(ids):
        return [np.linalg.norm(means[a][ids] - means[b][ids]) for a, b in np.ndindex(3, 3)]

    def of_similarities(ids):
        lower = tuple(np.array([(i, j) for i in ids for j in ids if j < i]).T)
        return [np.linalg.norm(similar[a][lower] - similar[b][lower]) for a, b in np.ndindex(3, 3)]

    expected = [("mean response", "all images", of_means(np.flatnonzero(study.has_mean())))]
    for (at, pair), (row, condition) in itertools.product(enumerate(PAIRS), enumerate(CONDITIONS)):
        ids = selection.controlling_image[at, 0, row]
        expected.append(("mean response", f"{pair}, {condition}", of_means(ids[ids >= 0])))
    expected.append(("similarity", "all images",
                     of_similarities(np.flatnonzero(study.has_pattern()))))
    for (at, pair), number in itertools.product(enumerate(PAIRS), range(2)):
        objective = ("align", "disentangle")[number]
        expected.append(("similarity", f"{pair}, {objective}",
                         of_similarities(search.found_image[at, 0, number])))
    assert len(expected) == len(stage.distance)
    for item, (features, images, distances) in enumerate(expected):
        assert (stage.names["items"]["features"][item], stage.names["items"]["images"][item]) == (
            features, images)
        close(stage.distance[item].ravel(), distances, 1e-5, images)
        # Three points lie in a plane whatever their distances.
        drawn = np.linalg.norm(stage.point[item][:, None] - stage.point[item][None], axis=2)
        assert np.abs(drawn - stage.distance[item]).max() < 0.1 * stage.distance[item].max(), item
        lower = np.tril_indices(3, -1)
        misfit = ((drawn - stage.distance[item])[lower] ** 2).sum()
        assert abs(stage.stress[item] - misfit) < 1e-3 * max(1, misfit), (stage.stress[item], misfit)


def permuted_effects(u, chosen, baseline, sign, rng):
    """Effect, and the naive null: all labels permuted, again and again."""
    effect = u[chosen].mean() - u[baseline].mean()
    null = []
    for _ in range(4000):
        permuted = rng.permutation(u)
        null.append(permuted[chosen].mean() - permuted[baseline].mean())
    return effect, (np.sum(sign * np.array(null) > sign * effect) + 1) / (len(null) + 1)


def effects_are_tested_on_the_held_out_subject(place):
    stage, study = Stage(place / "study", "univariate_statistics"), place.truth
    selection = Stage(place / "study", "univariate_selection")
    baseline = Stage(place / "study", "univariate_baseline")
    usable, rng = study.has_mean(), np.random.default_rng(1)
    assert stage.effect.shape == (len(PAIRS) * len(SUBJECTS), 4, 2)
    for at, pair, fold, _, test in cells(study):
        if test is None:
            continue
        item = at * len(SUBJECTS) + fold - 1
        assert stage.names["items"]["pair"][item] == " - ".join(pair)
        assert stage.names["items"]["test_subject"][item] == test
        for (number, condition), (side, area) in itertools.product(enumerate(CONDITIONS),
                                                                   enumerate(pair)):
            ids = selection.controlling_image[at, fold, number]
            ids = ids[ids >= 0]
            base = baseline.baseline_image[fold, AREAS.index(area)]
            u, cell = study.u[test, area], (item, number, side)
            if len(ids) == 0:
                assert np.isnan([stage.effect[cell], stage.p[cell], stage.significant[cell]]).all()
                continue
            close(stage.response[cell], u[ids].mean())
            close(stage.effect[cell], u[ids].mean() - u[base].mean())
            # Weights of images under the null: their variance, and a mean of 0.
            weights = np.zeros(IMAGES)
            weights[ids] += 1 / len(ids)
            weights[base] -= 1 / len(base)
            sd = math.sqrt((weights**2).sum() * u[usable].var(ddof=1))
            assert abs(stage.null_sd[cell] / sd - 1) < 5 / math.sqrt(2 * PERMUTATIONS), cell
            assert abs(stage.null_mean[cell]) < 5 * sd / math.sqrt(PERMUTATIONS), cell
            if item == 1 or item == 6:
                # Images without a response are no part of the table: renumber.
                place_of = np.cumsum(usable) - 1
                _, p = permuted_effects(u[usable], place_of[ids], place_of[base],
                                        CONDITIONS[condition][side], rng)
                noise = math.sqrt(p * (1 - p) * (1 / 4000 + 1 / PERMUTATIONS)) + 1e-3
                assert abs(stage.p[cell] - p) < 4 * noise, (cell, stage.p[cell], p)
        close(stage.baseline[item], [study.u[test, area][base].mean() for area, base in zip(
            pair, (baseline.baseline_image[fold, AREAS.index(area)] for area in pair))])
        close(stage.correlation[item],
              truth.pearson(*(study.u[test, area][usable] for area in pair)))
        require_verdicts(stage.p[item].ravel(), stage.significant[item].ravel())
    assert (stage.p > 0).all() and (stage.significant == 1).any() and (stage.p > 0.05).any()
    require_group(stage, ("effect", "response"), (4, 2))
    over = stage.baseline.reshape(len(PAIRS), len(SUBJECTS), 2).mean(axis=1)
    close(stage.mean_baseline, over, 1e-12)
    over = stage.correlation.reshape(len(PAIRS), len(SUBJECTS)).mean(axis=1)
    close(stage.mean_correlation, over, 1e-12)


def require_views(place, names):
    """Which subjects each view averages: training subjects of every fold, then each test subject."""
    study = place.truth
    views = [train for train, _ in study.folds] + [[test] for _, test in study.folds if test]
    for view, text in zip(views, names["populations"], strict=True):
        share = f"{1 / len(views[0]) if len(view) == 4 else 1 / len(view):g}"
        assert text.startswith("V1: " + " ".join(f"{share} {subject}" for subject in view) + ";"), text
    return views


def similarities_are_correlations_of_patterns(place):
    stage, study = Stage(place / "study", "similarity"), place.truth
    items = np.flatnonzero(study.has_pattern())
    assert list(stage.names["items"]["image"]) == list(items)
    for view, subjects in enumerate(require_views(place, stage.names["views"])):
        found = getattr(stage, f"similarity_{view}")
        for at, area in enumerate(AREAS):
            expected = study.seen(subjects, area)[np.ix_(items, items)]
            lower = np.tril_indices(len(items), -1)
            close(found[:, :, at][lower], expected[lower], what=(view, area))
            assert np.isnan(found[:, :, at][np.triu_indices(len(items))]).all()
    # As the formula has it: leaving a subject out of the mean.
    whole, out, alone = (getattr(stage, f"similarity_{view}") for view in (0, 1, 5))
    close(np.nan_to_num(out), np.nan_to_num((4 * whole - alone) / 3), 2e-6)


def random_sets_of_similarities_are_scored(place):
    stage, study = Stage(place / "study", "multivariate_baseline"), place.truth
    views = require_views(place, stage.names["views"])
    assert stage.agreement.shape == (SETS, len(views), len(PAIRS))
    place.agreement = stage.agreement.astype(float)
    rng, items = np.random.default_rng(2), np.flatnonzero(study.has_pattern())
    for at, pair, fold, train, test in cells(study):
        drawn = place.agreement[:, fold, at]
        close(stage.mean_over_sets[at, fold], drawn.mean(), 1e-12)
        close(stage.baseline_train[at, fold], drawn[np.argmin(np.abs(drawn - drawn.mean()))], 1e-12)
        ids = stage.baseline_image[at, fold]
        assert (np.diff(ids) > 0).all() and study.has_pattern()[ids].all()
        close(stage.baseline_train[at, fold], study.agreement(train, pair, ids))
        close(stage.baseline_test[at, fold], study.agreement([test], pair, ids) if test else np.nan)
        if fold < 2:  # sets that numpy draws have scores of the same distribution
            ours = [study.agreement(train, pair, np.sort(rng.choice(items, SET, replace=False)))
                    for _ in range(300)]
            noise = drawn.std() / math.sqrt(300)
            assert abs(np.mean(ours) - drawn.mean()) < 4 * noise, (pair, fold)
            assert 0.8 < np.std(ours) / drawn.std() < 1.25


def found_sets_have_the_scores_that_are_stored(place):
    stage, study = Stage(place / "study", "multivariate_search"), place.truth
    baseline = Stage(place / "study", "multivariate_baseline")
    chains = list(itertools.product(cells(study), enumerate(("align", "disentangle"))))
    assert stage.score.shape == (len(chains), GENERATIONS)
    for chain, ((at, pair, fold, train, test), (number, objective)) in enumerate(chains):
        names = [stage.names["items"][key][chain] for key in ("pair", "fold", "objective")]
        assert names == [" - ".join(pair), f"test {test}" if test else "all subjects", objective]
        costs = -stage.score[chain] if objective == "align" else np.abs(stage.score[chain])
        assert (np.diff(costs) <= 0).all(), (chain, stage.score[chain])
        ids = stage.image[chain]
        assert (np.diff(ids) > 0).all() and study.has_pattern()[ids].all()
        for generation in {0, GENERATIONS // 2, GENERATIONS - 1}:
            ours = study.agreement(train, pair, ids[generation])
            close(stage.score[chain, generation], ours, what=names)
            ours = study.agreement([test], pair, ids[generation]) if test else np.nan
            close(stage.test_score[chain, generation], ours, what=names)
        where = (at, fold, number)
        assert (stage.found_image[where] == ids[-1]).all()
        assert stage.found_score[where] == stage.score[chain, -1]
        np.testing.assert_equal(stage.found_test_score[where], stage.test_score[chain, -1])
        base = baseline.baseline_train[at, fold]
        assert stage.score[chain, -1] > base if number == 0 else costs[-1] < abs(base)


def parts_of_null(drawn, objective, compat):
    """Null differences: as published both objectives share a part of the draws as baseline."""
    part = [drawn[at * DIFFERENCES:(at + 1) * DIFFERENCES] for at in range(4)]
    if compat == "reference":
        return part[1 + objective] - part[0]
    return part[2 * objective + 1] - part[2 * objective]


def p_of(null, effect, objective):
    more = (null > effect).sum() if objective == 0 else (null < effect).sum()
    return (more + 1) / (DIFFERENCES + 1)


def require_agreement_tests(place, store, compat):
    stage, study = Stage(store, "multivariate_statistics"), place.truth
    search = Stage(store, "multivariate_search")
    baseline = Stage(store, "multivariate_baseline")
    other = {"reference": "corrected", "corrected": "reference"}[compat]
    for at, pair, fold, _, test in cells(study):
        if test is None:
            continue
        item, base = at * len(SUBJECTS) + fold - 1, baseline.baseline_test[at, fold]
        assert stage.names["items"]["test_subject"][item] == test
        assert stage.baseline[item] == base
        drawn = place.agreement[:, len(study.folds) + fold - 1, at]
        for number in range(2):
            agreement = search.found_test_score[at, fold, number]
            effect = agreement - base
            assert stage.agreement[item, number] == agreement
            assert stage.effect[item, number] == effect
            null = parts_of_null(drawn, number, compat)
            assert stage.p[item, number] == p_of(null, effect, number)
            close(stage.null_mean[item, number], null.mean(), 1e-9)
            close(stage.null_sd[item, number], null.std(ddof=1), 1e-9)
            null = parts_of_null(drawn, number, other)
            assert stage.p_other[item, number] == p_of(null, effect, number)
        require_verdicts(stage.p[item], stage.significant[item])
    require_group(stage, ("effect", "agreement"), (2,))
    over = stage.baseline.reshape(len(PAIRS), len(SUBJECTS)).mean(axis=1)
    close(stage.mean_baseline, over, 1e-12)


def agreement_is_tested_on_the_held_out_subject(place):
    require_agreement_tests(place, place / "study", "corrected")
    run("run", place / "study.toml", "--out", place / "published", "--set",
        "relational_control.compat=reference", ranks=2)
    require_agreement_tests(place, place / "published", "reference")
    calm, published = (Stage(place / name, "multivariate_search") for name in ("study", "published"))
    assert (calm.image == published.image).all()


def main():
    with Workplace() as place:
        make_study(place)
        harness.run_checks(
            place,
            responses_are_averaged_and_normalised,
            random_sets_of_means_are_a_fair_null,
            images_are_chosen_beyond_the_margins,
            areas_of_different_scales_are_compared_in_deviations,
            effects_are_tested_on_the_held_out_subject,
            similarities_are_correlations_of_patterns,
            random_sets_of_similarities_are_scored,
            found_sets_have_the_scores_that_are_stored,
            agreement_is_tested_on_the_held_out_subject,
            maps_show_distances_of_areas)


if __name__ == "__main__":
    main()
