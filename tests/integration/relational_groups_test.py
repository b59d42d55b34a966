"""Groups of pairs of areas, by cortical distance and by category: every stored result against formulas
written down once more."""

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
    AREAS, DIFFERENCES, GROUPS, PERMUTATIONS, SUBJECTS, Stage, close, make_study,
    require_verdicts)


def grouped(kind_and_groups, study):
    """Groups of indices of pairs; a name may have its areas in either order."""
    names = [{" - ".join(pair), " - ".join(pair[::-1])} for pair in study.pairs]
    return [[next(at for at, known in enumerate(names) if name in known) for name in group]
            for group in kind_and_groups[1]]


def trends(groups, sign):
    """Of values in groups: ends, slope, smallest step; positive where they fall, or times sign."""
    means = [np.mean(group) for group in groups]
    steps = sign * -np.diff(means)
    numbers = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    slope = np.polyfit(numbers, np.concatenate(groups), 1)[0]
    return np.array([steps.sum(), -sign * slope, steps.min()])


def control_distances(u, sets, bases, groups, pairs):
    """Distances from the baselines in both areas of the pairs of each group."""
    levels = {area: u[area][bases[area]].mean() for area in u}
    return [np.concatenate([np.abs(u[area][sets[at]] - levels[area])
                            for at in group for area in pairs[at]]) for group in groups]


def relabelled(u, kind, rng):
    """Labels of areas permuted in every image, or all responses of all images and areas."""
    table = np.stack(list(u.values()), axis=1)
    table = (rng.permuted(table, axis=1) if kind == "distance"
             else rng.permutation(table.ravel()).reshape(table.shape))
    return dict(zip(u, table.T))


def require_near(p, null, observed, what):
    """A permutation p against another null of the same test."""
    share = (null > observed).mean()
    noise = math.sqrt(share * (1 - share) * (1 / len(null) + 1 / PERMUTATIONS)) + 2 / len(null)
    assert abs(p - share) < 4 * noise, (what, p, share)


def groups_of_pairs_are_compared_by_their_means(place):
    run("run", place / "study.toml", "--out", place / "study", ranks=2)
    stage, study = Stage(place / "study", "univariate_groups"), place.truth
    selection = Stage(place / "study", "univariate_selection")
    baseline = Stage(place / "study", "univariate_baseline")
    usable, rng = study.has_mean(), np.random.default_rng(3)
    place_of = np.cumsum(usable) - 1
    for (number, rule), (fold, (_, test)) in itertools.product(enumerate(GROUPS.values()),
                                                               enumerate(study.folds)):
        if test is None:
            continue
        item, groups = number * len(SUBJECTS) + fold - 1, grouped(rule, study)
        u = {area: study.u[test, area][usable] for area in AREAS}
        bases = {area: place_of[baseline.baseline_image[fold, at]] for at, area in enumerate(AREAS)}
        for row, signs in enumerate(CONDITIONS.values()):
            found = selection.controlling_image[:, fold, row]
            sets = [place_of[ids[ids >= 0]] for ids in found]
            values = control_distances(u, sets, bases, groups, study.pairs)
            sign = 1 if signs[0] == signs[1] else -1
            require_means(stage.group_mean[item, row], values)
            close(stage.trend[item, row], trends(values, sign), what=(rule, test, row))
            if fold == 2:
                null = [trends(control_distances(relabelled(u, rule[0], rng), sets, bases, groups,
                                                 study.pairs), sign) for _ in range(800)]
                for trend in range(3):
                    require_near(stage.p[item, row, trend], np.array(null)[:, trend],
                                 stage.trend[item, row, trend], (rule, row, trend))

        def correlations(u):
            return [[truth.pearson(*(u[area] for area in study.pairs[at])) for at in group]
                    for group in groups]

        close(stage.trend[item, 4], trends(correlations(u), 1))
        if fold == 2:
            null = [trends(correlations(relabelled(u, "distance", rng)), 1) for _ in range(800)]
            require_near(stage.p[item, 4, 1], np.array(null)[:, 1], stage.trend[item, 4, 1], rule)
        require_verdicts(stage.p[item, :4, 1], stage.significant[item, :4])
        assert stage.significant[item, 4] == (stage.p[item, 4, 1] <= 0.05)
    require_group_means(stage, 5)


def require_means(found, groups):
    """Means of groups; analyses with fewer groups than others have none for the rest."""
    close(found[:len(groups)], [np.mean(group) for group in groups])
    assert np.isnan(found[len(groups):]).all()


def require_group_means(stage, rows):
    for analysis, row in itertools.product(range(len(GROUPS)), range(rows)):
        over = slice(analysis * len(SUBJECTS), (analysis + 1) * len(SUBJECTS))
        close(stage.mean_trend[analysis, row], stage.trend[over, row].mean(axis=0), 1e-12)
        for group in range(len(list(GROUPS.values())[analysis][1])):
            values = stage.group_mean[over, row, group]
            close(stage.mean_of_group[analysis, row, group], values.mean(), 1e-12)
            close([stage.group_low[analysis, row, group], stage.group_high[analysis, row, group]],
                  truth.bootstrap(values), 1e-12)
        found = int((stage.significant[over, row] == 1).sum())
        assert stage.significant_subjects[analysis, row] == found
        close(stage.binomial_p[analysis, row], truth.binomial(found, len(SUBJECTS)), 1e-12)


def groups_of_pairs_are_compared_by_their_agreement(place):
    run("run", place / "study.toml", "--out", place / "published", "--set",
        "relational_control.compat=reference", ranks=3)
    for store, counted in ((place / "study", 1), (place / "published", 0)):
        stage, study = Stage(store, "multivariate_groups"), place.truth
        search = Stage(store, "multivariate_search")
        baseline = Stage(store, "multivariate_baseline")
        orders = [list(order) for order in itertools.permutations(range(3))]
        for (number, rule), fold in itertools.product(enumerate(GROUPS.values()),
                                                      range(1, len(study.folds))):
            item, groups = number * len(SUBJECTS) + fold - 1, grouped(rule, study)
            drawn = baseline.agreement[:, len(study.folds) + fold - 1].astype(float)
            observed = [search.found_test_score[:, fold, 0], search.found_test_score[:, fold, 1],
                        baseline.baseline_test[:, fold]]
            for row, values in enumerate(observed):
                values = [values[group] for group in groups]
                close(stage.trend[item, row], trends(values, 1), 1e-12)
                require_means(stage.group_mean[item, row], values)
                part = drawn[row * DIFFERENCES:(row + 1) * DIFFERENCES]
                ends = [part[:, order][:, groups[0]].mean(axis=1)
                        - part[:, order][:, groups[-1]].mean(axis=1) for order in orders]
                more = np.array(ends) > stage.trend[item, row, 0]  # [orders of labels, draws]
                if counted == 0:  # as published, one order of the labels serves all draws
                    assert stage.p[item, row, 0] in (more.sum(axis=1) + 1) / (DIFFERENCES + 1)
                else:
                    share = more.mean()
                    noise = math.sqrt(share * (1 - share) / DIFFERENCES) + 1 / DIFFERENCES
                    assert abs(stage.p[item, row, 0] - share) < 4 * noise
            require_verdicts(stage.p[item, :, counted], stage.significant[item])
        require_group_means(stage, 3)


def main():
    with Workplace() as place:
        make_study(place)
        harness.run_checks(
            place,
            groups_of_pairs_are_compared_by_their_means,
            groups_of_pairs_are_compared_by_their_agreement)


if __name__ == "__main__":
    main()
