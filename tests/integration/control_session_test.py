"""Recorded responses to the pictures of a session, made up: effects that were planted are found, and
every number is what numpy makes of the same files."""

import csv

import harness
from harness import Workplace, content_hash, refused, run

try:
    import numpy as np
except ImportError as missing:
    harness.skip(f"this Python lacks a package: {missing}")

from relational_study import Stage, close

SUBJECTS = ("one", "two", "three")
PICTURES, REPETITIONS, UNITS = 12, 4, 30  # of a set; of a picture; recorded in an area
UNIVARIATE = ("both_high", "high_low", "low_high", "both_low", "baseline V1", "baseline V4")
MULTIVARIATE = ("align", "disentangle", "baseline")
CONDITIONS = ("both_high", "both_low", "high_low", "low_high")
RNG = np.random.default_rng(3)


def write_table(file, header, rows):
    with open(file, "w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])


def make_session(place, name, sets, signal_of):
    """images.csv, and for each subject the trials and two areas of [trials, units]."""
    names = [one for one in sets for _ in range(PICTURES)]
    write_table(place / f"{name}_images.csv", ("image", "set"), enumerate(names, 1))
    campaign = (f"seed = 5\n[control_session]\nimages = \"{name}_images.csv\"\n"
                'areas = ["V1", "V4"]\npermutations = 500\n')
    data = {}
    for subject in SUBJECTS:
        shown = np.concatenate([RNG.permutation(len(names)) + 1 for _ in range(REPETITIONS)] + [[0] * 5])
        write_table(place / f"{name}_{subject}.csv", ("trial", "image"), enumerate(shown, 1))
        signal = signal_of(np.array(names))
        for area in range(2):
            values = signal[area][np.maximum(shown, 1) - 1] + RNG.normal(size=(len(shown), UNITS))
            values[:, -3:] = RNG.normal(size=(len(shown), 3))  # units that answer to nothing
            values = (values - values.mean(0)) / values.std(0)
            np.save(place / f"{name}_{subject}_{area}.npy", values.astype("f4"))
            data[subject, area] = values.astype("f4").astype(float)
        data[subject, "shown"] = shown
        campaign += (f'[[control_session.recordings]]\nsubject = "{subject}"\n'
                     f'trials = "{name}_{subject}.csv"\nfirst_area = "{name}_{subject}_0.npy"\n'
                     f'second_area = "{name}_{subject}_1.npy"\n')
    place.write(f"{name}.toml", campaign)
    return np.array(names), data


def kept(values, shown):
    """Units whose signal-to-noise ratio over repeated pictures is above 0.4."""
    pictures = shown > 0
    values, shown = values[pictures], shown[pictures]
    noise = np.mean([values[shown == image].var(0, ddof=1) for image in np.unique(shown)], 0)
    signal = np.maximum(values.var(0) - noise, 0.0)
    return np.sqrt(signal / noise) > 0.4


def mean_signal(names):
    """Sets move the mean response of all units, as they should, but for low_high in area 2."""
    level = {"high": 1.0, "low": -1.0}
    move = np.zeros((2, len(names)))
    for at, name in enumerate(names):
        if name.startswith("both"):
            move[:, at] = level[name.split("_")[1]]
        elif not name.startswith("baseline"):
            move[:, at] = [level[side] for side in name.split("_")]
    move[1, names == "low_high"] = 0.0
    return (move[:, :, None] + RNG.normal(size=(2, len(names), UNITS)))


def similarity_signal(names):
    """The same hidden factors in both areas where a set aligns, others where it disentangles."""
    shared, own = RNG.normal(size=(len(names), 4)), RNG.normal(size=(2, len(names), 4))
    share = np.select([names == "align", names == "baseline"], [1.0, 0.5], 0.0)[:, None]
    hidden = np.sqrt(share) * shared + np.sqrt(1 - share) * own
    return 1.5 * hidden @ RNG.normal(size=(2, 4, UNITS))


def test_univariate(place):
    names, data = make_session(place, "means", UNIVARIATE, mean_signal)
    run("run", place / "means.toml", "--out", place / "means")
    stage = Stage(place / "means", "control_session")
    for who, subject in enumerate(SUBJECTS):
        shown = data[subject, "shown"]
        for area in range(2):
            chosen = kept(data[subject, area], shown)
            assert stage.kept_units[who, area] == chosen.sum() and not chosen[-3:].any()
            mean = data[subject, area][:, chosen].mean(1)

            def of_set(name):
                return mean[np.isin(shown, np.nonzero(names == name)[0] + 1)].mean()

            for at, condition in enumerate(CONDITIONS):
                effect = of_set(condition) - of_set(UNIVARIATE[4 + area])
                close(stage.effect[who, 2 * at + area], effect)
    found = stage.significant.astype(bool)
    planted = [condition != "low_high" or area == 0 for condition in CONDITIONS for area in range(2)]
    assert found[:, planted].all(), stage.p
    assert (stage.significant_subjects == found.sum(0)).all()
    close(stage.binomial_p[0], 0.05 ** 3)
    close(stage.mean_effect, stage.effect.mean(0))


def test_multivariate(place):
    names, data = make_session(place, "similarities", MULTIVARIATE, similarity_signal)
    run("run", place / "similarities.toml", "--out", place / "similarities")
    stage = Stage(place / "similarities", "control_session")
    for who, subject in enumerate(SUBJECTS):
        shown = data[subject, "shown"]
        rsms = []
        for area in range(2):
            values = data[subject, area][:, kept(data[subject, area], shown)]
            rsms.append(np.corrcoef([values[shown == image + 1].mean(0) for image in range(len(names))]))

        def rsa(name):
            chosen = np.nonzero(names == name)[0]
            lower = np.tril_indices(len(chosen), -1)
            return np.corrcoef(*(rsm[np.ix_(chosen, chosen)][lower] for rsm in rsms))[0, 1]

        for row, objective in enumerate(("align", "disentangle")):
            close(stage.effect[who, row], rsa(objective) - rsa("baseline"))
    assert (stage.effect[:, 0] > 0).all() and (stage.p[:, 0] < 0.2).all(), stage.p


def ranks_do_not_matter(place):
    run("run", place / "similarities.toml", "--out", place / "ranks", ranks=2)
    assert content_hash(place / "ranks") == content_hash(place / "similarities")


def mistakes_are_told_with_their_place(place):
    text = (place / "means.toml").read_text()

    def refuse(old, new, *sentences, code=2):
        assert old in text
        refused(code, *sentences, command=("check", place.write("wrong.toml", text.replace(old, new, 1))))

    refuse('trials = "means_one.csv"', 'trials = "means_images.csv"', "wrong.toml:7:",
           "image 1 is shown less than twice")
    refuse('first_area = "means_one_0.npy"', 'first_area = "nothing.npy"', "does not exist")
    refuse('["V1", "V4"]', '["V1"]', "two texts, one for each area")
    refuse('["V1", "V4"]', '["V4", "V1"]', "wrong.toml:4:",
           "the pictures were chosen for first 'V1', then 'V4'", 'areas = ["V1", "V4"]')
    refuse("permutations = 500", "permutations = 500\nceiling_above = 900", "0 of 30 units")
    refuse('subject = "two"', 'subject = "one"', "subject 'one' is given twice")
    write_table(place / "few.csv", ("image", "set"), [(1, "align"), (2, "baseline")])
    refuse("means_images.csv", "few.csv", "neither the sets of a univariate session")
    write_table(place / "odd.csv", ("image", "set"), [(1, "aligned")])
    refuse("means_images.csv", "odd.csv", "set 'aligned' is none of a session")


def main():
    with Workplace() as place:
        harness.run_checks(place, test_univariate, test_multivariate, ranks_do_not_matter,
                           mistakes_are_told_with_their_place)


if __name__ == "__main__":
    main()
