"""Relational neural control by the executable: every stored result against formulas written down once
more (relational_control_truth.py), planted sets that must be found again, twins against files with
the same responses."""

import itertools
import math

import harness
from harness import Workplace, content_hash, run

h5py = harness.h5py_or_skip()
try:
    import numpy as np
except ImportError as missing:
    harness.skip(f"this Python lacks a package: {missing}")

import relational_control_truth as truth
from relational_control_truth import CONDITIONS, Truth

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
    place.truth = Truth({key: np.hstack(parts) for key, parts in kept.items()}, SUBJECTS, AREAS)
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
            for table in ("populations", "units", "items", "folds", "pairs", "views", "subjects"):
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


def require_selection(study, selection, baseline, margin):
    """Every set against a sort of all images."""
    for at, pair, fold, train, _ in cells(study):
        bases = [baseline.baseline_train[fold, AREAS.index(area)] for area in pair]
        for number, condition in enumerate(CONDITIONS):
            ids, passed = study.ranked(pair, train, bases, condition, margin, CHOSEN)
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
    short = (selection.passed < CHOSEN).sum()
    assert place.said.count("the set is short") == short


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
    for store, counted in ((place / "study", 1), (place / "published", 0)):
        stage, study = Stage(store, "multivariate_groups"), place.truth
        search = Stage(store, "multivariate_search")
        baseline = Stage(store, "multivariate_baseline")
        orders = [list(order) for order in itertools.permutations(range(3))]
        for (number, rule), fold in itertools.product(enumerate(GROUPS.values()),
                                                      range(1, len(study.folds))):
            item, groups = number * len(SUBJECTS) + fold - 1, grouped(rule, study)
            drawn = place.agreement[:, len(study.folds) + fold - 1]
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
    assert "0 images lie 100 beyond the baselines, not 10: the set is short" in result.stdout


def twins(subjects=SUBJECTS[:3]):
    """Analytic twins whose numbers of units differ from subject to subject."""
    return "".join(
        f'[[twins]]\nfamily = "gabor_energy"\nname = "{subject} {area}"\nsubject = "{subject}"\n'
        f'area = "{area}"\npositions = 1\norientations = {3 + at}\n'
        f"spatial_frequencies = {cycles}\n"
        for at, subject in enumerate(subjects)
        for area, cycles in (("coarse", [0.5, 0.7, 1.0]), ("fine", [1.5, 2.0, 2.8])))


STIMULI = "[[stimuli]]\ncount = 150\n[stimuli.pink_noise]\n"


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
    for stage in ("responses", "univariate_baseline", "univariate_selection",
                  "univariate_statistics", "similarity", "multivariate_baseline",
                  "multivariate_search", "multivariate_statistics"):
        ours, theirs = Stage(place / "twins", stage), Stage(place / "files", stage)
        for column, values in vars(theirs).items():
            # Lists of the best of a shard depend on the shards.
            if column != "names" and not column.startswith("shard_"):
                np.testing.assert_array_equal(getattr(ours, column), values, err_msg=column)
    # Stimuli beside the files are what the subjects saw.
    both = place.write("both.toml", head + STIMULI + control)
    run("run", both, "--out", place / "both")
    assert (Stage(place / "both", "responses").mean_response
            == Stage(place / "files", "responses").mean_response).all()


UNPAIRED = {"sub-01": "V1", "sub-02": "V1", "sub-03": "V4", "sub-04": "V4"}
SMALL = f"""
[relational_control.multivariate]
images = {SET}
draws = 2500
generations = 4
population = 5
"""


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


def main():
    with Workplace() as place:
        make_study(place)
        harness.run_checks(
            place, responses_are_averaged_and_normalised, random_sets_of_means_are_a_fair_null,
            images_are_chosen_beyond_the_margins, effects_are_tested_on_the_held_out_subject,
            similarities_are_correlations_of_patterns, random_sets_of_similarities_are_scored,
            found_sets_have_the_scores_that_are_stored, agreement_is_tested_on_the_held_out_subject,
            groups_of_pairs_are_compared_by_their_means,
            groups_of_pairs_are_compared_by_their_agreement,
            planted_sets_are_found_again, a_margin_that_nothing_passes_leaves_empty_sets,
            twins_and_files_of_their_responses_give_the_same, folds_of_unpaired_animals_share_none,
            halves_pairs_and_no_folds)


if __name__ == "__main__":
    main()
