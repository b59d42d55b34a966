"""Accuracy and noise analysis of encoding models on recorded areas, made up: every stored number is
what numpy makes of the same files by the published formulas, and what was planted is found."""

import csv
import itertools
import signal

import harness
from harness import Workplace, content_hash, refused, run

h5py = harness.h5py_or_skip()
try:
    import numpy as np
except ImportError as missing:
    harness.skip(f"this Python lacks a package: {missing}")

import relational_control_truth as truth
from relational_study import Stage, close, require_verdicts

SUBJECTS, AREAS = ("one", "two", "three"), ("V1", "FFA", "PPA")
IMAGES, PERMUTATIONS = 60, 3000
RNG = np.random.default_rng(8)
HEAD = f"seed = 6\n[control_accuracy]\npermutations = {PERMUTATIONS}\n"
KINDS = ("single trial", "mean of two trials", "prediction")
COMPARISONS = ("prediction above mean of two trials", "mean of two trials above single trial")


class Part:
    """Trials of units of an area with what predicts them; float32 as in the files."""

    def __init__(self, units, order, error, images=IMAGES):
        signal = RNG.normal(size=(images, units))
        noise = RNG.uniform(0.5, 1.6, units)
        self.image = np.asarray(order)
        self.measured = (signal[self.image] + noise * RNG.normal(size=(len(order), units))).astype("f4")
        self.predicted = (signal + error * RNG.normal(size=signal.shape)).astype("f4")
        self.images, self.snr, self.above = images, None, 0.5

    def ratios(self):
        """Given, or from the trials: pooled variance over repeats, total variance without it."""
        if self.snr is not None:
            return self.snr
        of_image = [self.measured[self.image == image].astype(float) for image in range(self.images)]
        repeated = [trials for trials in of_image if len(trials) > 1]
        noise = (sum(trials.var(0, ddof=1) * (len(trials) - 1) for trials in repeated)
                 / sum(len(trials) - 1 for trials in repeated))
        total, mean = np.concatenate(of_image).var(0), np.concatenate(of_image).mean(0)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = np.sqrt(np.maximum(total - noise, 0.0) / noise)
        return np.where(total > 1e-24 * mean**2, ratios, np.nan)

    def kept(self):
        with np.errstate(invalid="ignore"):
            return ((self.ratios() > self.above) & np.isfinite(self.measured).all(0)
                    & np.isfinite(self.predicted).all(0))


def spoil(part):
    """One unit with a NaN, one with a NaN prediction, one with a constant one, one of noise, one that is
    constant itself, and one without noise."""
    part.measured[3, 0] = np.nan
    part.predicted[5, 1] = np.nan
    part.predicted[:, 2] = 1.5
    part.measured[:, 3] = RNG.normal(size=len(part.measured))
    part.measured[:, 5] = 2.3
    part.measured[:, 6] = RNG.normal(size=part.images)[part.image] + part.predicted[part.image, 6]


def make_parts():
    """{(subject, area): parts}. PPA was not recorded in subject three, and twice per image."""
    thrice = np.repeat(np.arange(IMAGES), 3)
    parts = {}
    for subject in SUBJECTS:
        # Of the images 0 to 57, some three times, some five times or once; in random order.
        uneven = RNG.permutation(np.repeat(np.arange(IMAGES - 2), RNG.choice([1, 3, 5], IMAGES - 2)))
        order = thrice if subject == "one" else uneven
        parts[subject, "V1"] = [Part(25, order, 0.3)]
        parts[subject, "FFA"] = [Part(14, order, 1.2), Part(11, order, 1.2)]
        if subject != "three":
            parts[subject, "PPA"] = [Part(12, np.repeat(np.arange(IMAGES), 2), 0.5)]
    for part in itertools.chain(*parts.values()):
        spoil(part)
    one = parts["one", "V1"][0]
    one.snr = RNG.uniform(0.2, 1.5, 25)
    one.snr[:5] = 1.0, 1.0, 1.0, np.nan, 0.5  # 0.5 is not above 0.5
    parts["two", "FFA"][1].above = 0.8
    return parts


def save(place, subject, area, number, part):
    """The files of a part, of another kind for every subject; its table of the campaign."""
    name = f"{subject}_{area}_{number}"
    lines = [f'subject = "{subject}"', f'area = "{area}"', f'measured = "{name}.npy"']
    measured = part.measured
    if subject == "one" or area == "PPA":
        measured = measured.reshape(part.images, -1, measured.shape[1])
    elif subject == "two":
        # A trial that was not recorded and one that is left out.
        measured = np.vstack([measured, np.full_like(measured[:1], np.nan), measured[:1] + 1])
        np.save(place / f"{name}_image.npy", np.append(part.image, [0, -1]).astype("i4"))
        lines.append(f'image = "{name}_image.npy"')
    else:
        with open(place / f"{name}.csv", "w", newline="") as stream:
            csv.writer(stream).writerows([("run", "image"), *((1, image) for image in part.image)])
        lines.append(f'image = "{name}.csv"')
    np.save(place / f"{name}.npy", measured)
    if number == 1:
        np.save(place / f"{name}_predicted.npy", part.predicted)
        lines.append(f'predicted = "{name}_predicted.npy"')
    else:
        dataset = "set/of" if area == "FFA" else "insilico_fmri_responses"
        with h5py.File(place / f"{name}.h5", "w") as file:
            file[dataset] = part.predicted
        lines += [f'predicted = "{name}.h5"'] + ([f'dataset = "{dataset}"'] if area == "FFA" else [])
    if part.snr is not None:
        np.save(place / f"{name}_ncsnr.npy", part.snr)
        lines.append(f'noise_ceiling = "{name}_ncsnr.npy"')
    if part.above != 0.5:
        lines.append(f"ceiling_above = {part.above}")
    return "\n".join(["[[control_accuracy.recordings]]", *lines, ""])


def explained(predicted, measured, ratios, share):
    """Explained share of the explainable variance of each unit; NaN where a side is constant."""
    x, y = predicted - predicted.mean(0), measured - measured.mean(0)
    with np.errstate(invalid="ignore"):
        r = (x * y).sum(0) / np.sqrt((x * x).sum(0) * (y * y).sum(0))
    ceiling = 1 / (1 + share / ratios**2)
    return np.minimum(np.where(r < 0, 0.0, r) ** 2 / ceiling, 1.0)


class Area:
    """What must come of one area of one subject."""

    def __init__(self, parts):
        kept = [part.kept() for part in parts]
        self.kept = sum(chosen.sum() for chosen in kept)
        image = parts[0].image

        def joined(values):
            return np.hstack([of_part[..., chosen] for of_part, chosen in zip(values, kept)]).astype(float)

        trials, predicted = joined([part.measured for part in parts]), joined([part.predicted for part in parts])
        ratios = joined([part.ratios() for part in parts])
        shown = np.unique(image)
        repeats = np.array([(image == one).sum() for one in shown])
        self.share = (1.0 / repeats).sum() / len(shown)
        means = np.array([trials[image == one].mean(0) for one in shown])
        of_units = explained(predicted[shown], means, ratios, self.share)
        self.accuracy, self.scored = np.nanmean(of_units), np.isfinite(of_units).sum()
        common = np.repeat(predicted[shown].mean(1)[:, None], self.kept, 1)
        self.common = np.nanmean(explained(common, means, ratios, self.share))
        self.chance = [np.nanmean(explained(predicted[RNG.permutation(shown)], means, ratios, self.share))
                       for _ in range(100)]
        thrice = shown[repeats >= 3]
        self.noise_images = len(thrice)
        self.scores = None
        if self.noise_images >= 3:
            firsts = np.array([np.flatnonzero(image == one)[:3] for one in thrice])
            self.scores = noise_scores([trials[firsts[:, at]] for at in range(3)], predicted[thrice], ratios)


def noise_scores(single, predicted, ratios):
    """[evaluations, units] of each predictor, for units that are known everywhere."""
    scores = [[], [], []]
    for target in range(3):
        others = [single[at] for at in range(3) if at != target]
        scores[0] += [explained(other, single[target], ratios, 1.0) for other in others]
        scores[1].append(explained(sum(others) / 2, single[target], ratios, 1.0))
        scores[2].append(explained(predicted, single[target], ratios, 1.0))
    known = np.isfinite(np.vstack(scores[0] + scores[1] + scores[2])).all(0)
    return [np.array(kind)[:, known] for kind in scores]


def p_within_units(first, second):
    difference = first.mean(0) - second.mean(0)
    signs = RNG.choice([-1.0, 1.0], size=(20000, len(difference)))
    return np.mean(signs @ difference >= difference.sum() - 1e-12)


def p_pooled(first, second):
    values, null = np.append(first, second), []
    for _ in range(4000):
        RNG.shuffle(values)
        null.append(values[:first.size].mean() - values[first.size:].mean())
    return np.mean(np.array(null) > first.mean() - second.mean())


def same_p(found, wanted, draws):
    """Within the noise of both."""
    middle = (found + wanted) / 2
    assert abs(found - wanted) < 5 * np.sqrt(middle * (1 - middle) * (1 / draws + 1 / PERMUTATIONS)) + 2 / PERMUTATIONS


def require_subject(stage, who, at, area):
    cell = who, at
    close(stage.accuracy[cell], area.accuracy)
    close(stage.common_accuracy[cell], area.common)
    close(stage.noise_share[cell], area.share)
    assert stage.kept_units[cell] == area.kept and stage.scored_units[cell] == area.scored
    assert stage.noise_images[cell] == area.noise_images
    assert 0 < stage.shuffled_accuracy[cell] < 1.5 * max(area.chance)
    if area.scores is None:
        for column in (stage.noise_score, stage.noise_effect, stage.p_within_units, stage.significant):
            assert np.isnan(column[cell]).all()
        return
    close(stage.noise_score[cell], [kind.mean() for kind in area.scores])
    assert (stage.shuffled_noise_score[cell] < 0.2).all()
    for one, (first, second) in enumerate(((2, 1), (1, 0))):
        first, second = area.scores[first], area.scores[second]
        close(stage.noise_effect[cell][one], first.mean() - second.mean())
        same_p(stage.p_within_units[cell][one], p_within_units(first, second), 20000)
        same_p(stage.p_pooled[cell][one], p_pooled(first, second), 4000)


def require_over_subjects(stage):
    for name in ("accuracy", "shuffled_accuracy", "common_accuracy", "noise_score",
                 "shuffled_noise_score", "noise_effect"):
        values = getattr(stage, name)
        for cell in np.ndindex(values.shape[1:]):
            known = [value for value in values[(slice(None), *cell)] if np.isfinite(value)]
            found = [getattr(stage, of)[cell] for of in (f"mean_{name}", f"{name}_low", f"{name}_high")]
            if not known:
                assert np.isnan(found).all()
                continue
            close(found, [np.mean(known), *truth.bootstrap(known)], 1e-12, name)
    for cell in np.ndindex(stage.significant.shape[1:]):
        marks = stage.significant[(slice(None), *cell)]
        tested = np.isfinite(marks).sum()
        found = int(np.nansum(marks))
        assert stage.significant_subjects[cell] == found
        if tested < 3:
            assert np.isnan([stage.binomial_p[cell], stage.subject_p[cell]]).all()
            continue
        close(stage.binomial_p[cell], truth.binomial(found, tested), 1e-12)
        effects = stage.noise_effect[(slice(None), *cell)]
        signs = np.array(list(itertools.product((1, -1), repeat=tested)))
        wanted = np.mean(signs @ effects >= effects.sum() - 1e-12)
        close(stage.subject_p[cell], wanted, 0.01)


def test_every_number(place):
    parts = make_parts()
    place.parts = parts
    tables = {(subject, area, number): save(place, subject, area, number, part)
              for (subject, area), of_area in parts.items() for number, part in enumerate(of_area)}
    place.write("all.toml", HEAD + "".join(tables.values()))
    place.write("single.toml", HEAD + "".join(table for key, table in tables.items() if key[0] == "two"))
    place.output = run("run", place / "all.toml", "--out", place / "all").output
    stage = Stage(place / "all", "control_accuracy")
    for (who, subject), (at, area) in itertools.product(enumerate(SUBJECTS), enumerate(AREAS)):
        if (subject, area) in parts:
            require_subject(stage, who, at, Area(parts[subject, area]))
            require_verdicts(stage.p_within_units[who, at], stage.significant[who, at])
        else:
            assert np.isnan(stage.accuracy[who, at]) and np.isnan(stage.kept_units[who, at])
    require_over_subjects(stage)
    # Good predictions are less noisy than trials, poor ones are not.
    assert (stage.significant[:, 0] == 1).all() and (stage.significant[:, 1, 0] == 0).all()
    assert (stage.accuracy[:, 0] > stage.accuracy[:, 1]).all()
    assert "PPA in one: no noise analysis, 0 images were shown three times or more" in place.output
    assert "PPA in three" not in place.output and "nan" not in place.output


def test_axes_have_names(place):
    with h5py.File(place / "all" / "control_accuracy.h5") as file:
        for table, names in (("areas", AREAS), ("predictors", KINDS), ("comparisons", COMPARISONS)):
            assert tuple(file[table]["name"].asstr()[()]) == names
        assert tuple(file["items"]["subject"].asstr()[()]) == SUBJECTS


def test_the_published_test_may_judge_otherwise(place):
    """Units that differ much hide a difference between predictors from the pooled test."""
    text, areas = HEAD, []
    for subject in SUBJECTS:
        part = Part(30, np.repeat(np.arange(200), 3), 0.0, images=200)
        spread = np.linspace(0.6, 4, 30)
        signal = RNG.normal(size=(200, 30))
        part.measured = (signal[part.image] + RNG.normal(size=(600, 30)) / spread).astype("f4")
        part.predicted = (signal + 0.6 * RNG.normal(size=(200, 30)) / spread).astype("f4")
        part.snr = spread
        text += save(place, subject, "hV4", 0, part)
        areas.append(Area([part]))
    place.write("compat.toml", text)
    outputs = {}
    for compat in ("corrected", "reference"):
        outputs[compat] = run("run", place / "compat.toml", "--out", place / compat,
                              "--set", f"control_accuracy.compat={compat}").output
    corrected, reference = (Stage(place / compat, "control_accuracy") for compat in outputs)
    assert (corrected.p_pooled == reference.p_pooled).all()
    assert (corrected.p_within_units == reference.p_within_units).all()
    for who, subject in enumerate(SUBJECTS):
        require_subject(corrected, who, 0, areas[who])
        require_verdicts(reference.p_pooled[who, 0], reference.significant[who, 0])
        for one, name in enumerate(COMPARISONS):
            ours, theirs = corrected.significant[who, 0, one], reference.significant[who, 0, one]
            line = f"hV4 in {subject}, {name}: would "
            assert (line in outputs["corrected"]) == (ours != theirs) == (line in outputs["reference"])
    assert (corrected.significant[:, 0, 0] > reference.significant[:, 0, 0]).any(), corrected.p_pooled


def test_one_subject_only(place):
    run("run", place / "single.toml", "--out", place / "single")
    stage, of_all = Stage(place / "single", "control_accuracy"), Stage(place / "all", "control_accuracy")
    close(stage.accuracy[0], of_all.accuracy[1], 1e-12)
    close(stage.mean_accuracy, stage.accuracy[0], 1e-12)
    close(stage.accuracy_low, stage.accuracy_high, 1e-12)
    assert np.isnan(stage.binomial_p).all() and np.isnan(stage.subject_p).all()


def test_ranks_do_not_matter(place):
    run("run", place / "all.toml", "--out", place / "ranks", ranks=2)
    assert content_hash(place / "ranks") == content_hash(place / "all")


def test_twins_answer_as_their_files_do(place):
    """The same results where twins answer as where their stored responses are named."""
    inputs = "seed = 2\n" + "".join(f"""[[twins]]
family = "gabor_energy"
name = "{subject} {area}"
subject = "{subject}"
area = "{area}"
positions = 2
orientations = {orientations}
spatial_frequencies = {cycles}
""" for subject, area, orientations, cycles in (("a", "V1", 3, [1.0, 2.0]), ("b", "V1-part", 4, [1.0, 2.0]),
                                                ("b", "V1-rest", 4, [1.5, 2.5])))
    inputs += "[[stimuli]]\ncount = 40\nbrightness = \"square_root\"\n[stimuli.pink_noise]\n"
    screen = place.write("screen.toml", inputs + '[screen]\nmeasures = ["units"]\n')
    run("run", screen, "--out", place / "screen")
    with h5py.File(place / "screen" / "responses.h5") as file:
        responses = file["columns/response"][()]
        owner, of_area = (file[f"units/{name}"].asstr()[()] for name in ("subject", "area"))
    tables = {"files": "", "twins": ""}
    for subject in "ab":
        own = np.ascontiguousarray(responses[:, (owner == subject) & (of_area != "V1-rest")])
        trials = own[:, None] + own.std() * RNG.normal(size=(40, 3, own.shape[1]))
        np.save(place / f"{subject}.npy", trials.astype("f4"))
        np.save(place / f"{subject}_predicted.npy", own)
        for way, table in tables.items():
            tables[way] = (table + f'[[control_accuracy.recordings]]\nsubject = "{subject}"\narea = "V1"\n'
                           f'measured = "{subject}.npy"\n')
        tables["files"] += f'predicted = "{subject}_predicted.npy"\n'
    tables["twins"] += 'twin_area = "V1-part"\n'
    section = "[control_accuracy]\npermutations = 500\nceiling_above = 0.2\n"
    for way, table in tables.items():
        run("run", place.write(f"{way}.toml", inputs + section + table), "--out", place / way)
    run("run", place / "twins.toml", "--out", place / "twins2", "--set", "run.shard_items=7", ranks=2)
    stages = [Stage(place / way, "control_accuracy") for way in ("files", "twins", "twins2")]
    for name in ("accuracy", "noise_score", "p_within_units", "mean_noise_effect", "subject_p"):
        for stage in stages[1:]:
            np.testing.assert_array_equal(getattr(stage, name), getattr(stages[0], name))
    run("run", place / "twins.toml", "--out", place / "few", "--limit", 20)
    assert (Stage(place / "few", "control_accuracy").noise_images == 20).all()
    text = (place / "twins.toml").read_text()
    # Another area with as many units is another campaign, and so are other images.
    other = place.write("other.toml", text.replace('twin_area = "V1-part"', 'twin_area = "V1-rest"'))
    refused(harness.STORE_CODE, "control_accuracy.h5 holds results of another campaign", "recordings: stored",
            command=("run", other, "--out", place / "twins"))
    refused(harness.STORE_CODE, "holds results of another campaign",
            command=("run", place / "twins.toml", "--out", place / "twins", "--limit", 20))
    refused(2, "no twin has units of subject 'b' and area 'V1'", "subject and area anew", command=(
        "check", place.write("wrong.toml", text.replace('twin_area = "V1-part"', ""))))
    refused(2, "a.npy: 40 images, and the campaign's twins has 41", command=(
        "check", place.write("wrong.toml", text.replace("count = 40", "count = 41"))))
    refused(2, "nothing predicts these responses", command=(
        "check", place.write("wrong.toml", text[text.index("[control_accuracy]"):])))
    np.save(place / "inputs.npy", np.zeros((40, 16, 16), "f4"))
    refused(2, "values of a prepared array are no levels of brightness", command=("check", place.write(
        "wrong.toml", text.replace("[[stimuli]]\ncount = 40\n", '[[stimuli]]\nnpy = "inputs.npy"\nprepared = true\n')
        .replace("[stimuli.pink_noise]\n", ""))))


def test_files_that_change_while_a_campaign_runs_are_refused(place):
    """Files are read when a campaign is checked and again when they are scored; the twins answer in between."""
    text = (place / "twins.toml").read_text().replace("count = 40", "count = 2000")
    np.save(place / "image.npy", np.repeat(np.arange(40), 3).astype("i4"))
    trials = np.load(place / "a.npy").reshape(120, -1)
    np.save(place / "changing.npy", trials)
    recording = ('[[control_accuracy.recordings]]\nsubject = "a"\narea = "V1"\nmeasured = "changing.npy"\n'
                 'image = "image.npy"\n')
    campaign = place.write("changing.toml", text[:text.index("[[control_accuracy.recordings]]")] + recording)
    with harness.start("run", campaign, "--out", place / "changing") as job:
        harness.wait_until((place / "changing" / "responses.h5").exists, "the twins to begin", poll_s=0.001)
        job.signal_launcher(signal.SIGSTOP)
        trials[7, 0] += 1
        np.save(place / "changing.npy", trials)
        job.signal_launcher(signal.SIGCONT)
        result = job.wait()
    assert result.code == harness.DATA_CODE, result
    assert "files of area 'V1' of subject 'a' changed while the campaign ran" in result.output, result


def test_mistakes_are_told_with_their_place(place):
    text = (place / "all.toml").read_text()

    def refuse(old, new, *sentences):
        assert old in text, old
        refused(2, *sentences, command=("check", place.write("wrong.toml", text.replace(old, new, 1))))

    refuse('measured = "one_V1_0.npy"', 'measured = "nothing.npy"', "wrong.toml:7:", "does not exist")
    refuse('predicted = "one_V1_0.h5"', 'predicted = "one_FFA_0.h5"', "wrong.toml:8:",
           "insilico_fmri_responses")
    refuse('predicted = "two_V1_0.h5"', 'predicted = "two_FFA_1_predicted.npy"', "two_V1_0.npy: 25 units, and ",
           "two_FFA_1_predicted.npy has 11")
    np.save(place / "short.npy", RNG.normal(size=(IMAGES - 5, 25)).astype("f4"))
    refuse('predicted = "one_V1_0.h5"', 'predicted = "short.npy"', "one_V1_0.npy: 60 images, and ", "short.npy has 55")
    refuse('predicted = "two_V1_0.h5"', 'predicted = "short.npy"', "shows image 5", "has images 0 to 54 (-1:")
    refuse('image = "two_V1_0_image.npy"\n', "", "2 axes, expected [images, repeats, units]; with [trials, units], image =")
    refuse('measured = "one_V1_0.npy"\n', 'measured = "one_V1_0.npy"\nimage = "three_V1_0.csv"\n',
           "3 axes, expected [trials, units]")
    refuse('image = "two_V1_0_image.npy"', 'image = "three_V1_0.csv"', "trials, and ")
    refuse('noise_ceiling = "one_V1_0_ncsnr.npy"', 'noise_ceiling = "short.npy"', "is not the [25] of the responses")
    refuse("permutations = 3000", "permutations = 3000\nceiling_above = 900",
           "0 of 25 units have a signal-to-noise ratio above 900")
    refuse("permutations = 3000", "permutations = 3", "must be in 100..")
    refuse("permutations = 3000", "permutation = 3000", "did you mean 'permutations'?")
    np.save(place / "once.npy", RNG.normal(size=(IMAGES, 1, 25)).astype("f4"))
    refused(2, "no image was shown twice, so the noise is unknown", command=(
        "check", place.write("wrong.toml", HEAD + '[[control_accuracy.recordings]]\nsubject = "a"\narea = "b"\n'
                             'measured = "once.npy"\npredicted = "one_V1_0.h5"\n')))
    refused(2, "nothing was recorded", command=("check", place.write("wrong.toml", HEAD)))
    np.save(place / "other.npy", np.append(place.parts["two", "FFA"][1].image[::-1], [0, -1]))
    refuse('image = "two_FFA_1_image.npy"', 'image = "other.npy"', "parts of one area were recorded in other trials")
    refuse('measured = "two_FFA_1.npy"', 'measured = "two_FFA_0.npy"', "the same file is given twice for this area")
    infinite = np.load(place / "one_V1_0.npy")
    infinite[7, 1, 6] = np.inf
    np.save(place / "infinite.npy", infinite)
    refuse('measured = "one_V1_0.npy"', 'measured = "infinite.npy"', "infinite.npy: a value is infinite")


def main():
    with Workplace() as place:
        harness.run_checks(place, test_every_number, test_axes_have_names,
                           test_the_published_test_may_judge_otherwise, test_one_subject_only,
                           test_ranks_do_not_matter, test_twins_answer_as_their_files_do,
                           test_files_that_change_while_a_campaign_runs_are_refused, test_mistakes_are_told_with_their_place)


if __name__ == "__main__":
    main()
