"""The same bytes of every experiment on any number of ranks, with any queue, any depths of reading
and writing, any checkpoint interval, and in two halves. A new experiment joins by one line in
EXPERIMENTS; a new way to run by one line in WAYS."""

import signal

import harness
import tiny_bundle
from harness import Workplace, content_hash, run, start

h5py = harness.h5py_or_skip()

ITEMS = 1000
# Two families of twins of three units each, as many as the recording has neurons.
INPUTS = f"""
seed = 11
[[twins]]
family = "gabor_energy"
positions = 1
orientations = 3
spatial_frequencies = [1.0]
phases = 0
[[twins]]
bundle = "tiny"
[[stimuli]]
count = {ITEMS}
[stimuli.pink_noise]
[run]
shard_items = 32
"""
# More twins: three areas of two subjects.
SUBJECTS = "".join(f"""
[[twins]]
family = "gabor_energy"
name = "{subject} {area}"
subject = "{subject}"
area = "{area}"
positions = 1
orientations = {orientations}
spatial_frequencies = [{cycles}, {1.5 * cycles}]
""" for subject, orientations in (("a", 3), ("b", 5))
    for area, cycles in (("coarse", 0.6), ("middle", 1.0), ("fine", 1.8)))
# Name of the campaign file: what is asked of those twins and stimuli.
EXPERIMENTS = {
    "screen": """
[screen]
measures = ["units", "area_mean", "moments", "top_k", "histogram"]
top_k_of = "both"
histogram = { from = -5.0, to = 20.0, bins = 10 }
""",
    "encoding_score": """
[encoding_score]
responses = "recording.npy"
layout = "units,items,repeats"
""",
    "fit_readout": """
[fit_readout]
responses = "recording.npy"
layout = "units,items,repeats"
components = 4
""",
    "relational_control": SUBJECTS + "[relational_control]\nunits = ''\n" + "".join(f"""
[[relational_control.areas]]
name = "{area}"
units = "area == '{area}'"
""" for area in ("coarse", "middle", "fine")) + """
[[relational_control.subjects]]
members = ["a"]
[[relational_control.subjects]]
members = ["b"]
[[relational_control.group_analysis]]
name = "distance"
groups = [{ pairs = ["coarse - middle", "middle - fine"] }, { pairs = ["coarse - fine"] }]
[relational_control.univariate]
images = 12
draws = 20000
permutations = 300
[relational_control.multivariate]
images = 12
draws = 5000
generations = 20
population = 10
[relational_control.image_labels]
file = "labels.csv"
[[relational_control.image_labels.parts]]
area = "middle"
first = "half == 1"
second = "half == 2"
first_prefers = "odd"
""",
    "control_accuracy": "[control_accuracy]\npermutations = 30000\n" + "".join(f"""
[[control_accuracy.recordings]]
subject = "{subject}"
area = "noise"
ceiling_above = 0.0
measured = "trials.npy"
predicted = "predictions.npy"
""" for subject in range(40)),
}
# Name: ranks (0: without mpirun), settings.
WAYS = {
    "ranks1": (1, ()),
    "ranks2": (2, ()),
    "ranks3": (3, ()),
    "ranks4": (4, ()),
    "ranks7": (7, ()),
    "static": (3, ("run.queue='static'",)),
    "service": (2, ("run.queue='service'",)),
    "shallow": (2, ("run.reader_threads=1", "run.queue_mib=1")),
    "deep": (2, ("run.reader_threads=5", "run.queue_mib=512")),
    "checkpoints": (2, ("run.checkpoint_minutes=0.001",)),
    "plain_checkpoints": (0, ("run.checkpoint_minutes=0.001",)),
    "saving": (2, ("run.scratch_seconds=0",)),
}
RESULT_GROUPS = ("columns", "partials", "summary")


def go_on(place, experiment, name, ranks=0, settings=()):
    overrides = [part for setting in settings for part in ("--set", setting)]
    return run("run", place / f"{experiment}.toml", "--out", store_of(place, experiment, name),
               *overrides, ranks=ranks)


def store_of(place, experiment, name):
    return place / f"{experiment}-{name}"


def results_of(store):
    """The bytes of every result, as plain h5py reads them."""
    results = {}
    for stage in sorted(store.glob("*.h5")):
        with h5py.File(stage) as file:
            for group in RESULT_GROUPS:
                for column, dataset in file[group].items():
                    results[stage.name, group, column] = dataset.dtype, dataset[()].tobytes()
    return results


def require_same(place, experiment, name):
    store, calm = store_of(place, experiment, name), store_of(place, experiment, "calm")
    assert content_hash(store) == content_hash(calm), (experiment, name)
    ours, theirs = results_of(store), results_of(calm)
    assert ours.keys() == theirs.keys()
    for column in theirs:
        assert ours[column] == theirs[column], (experiment, name, column)


def in_two_halves(place, experiment):
    with start("run", place / f"{experiment}.toml", "--out",
               store_of(place, experiment, "halves")) as job:
        job.wait_for_shards(store_of(place, experiment, "halves"), 5)
        job.signal_launcher(signal.SIGUSR1)
        assert job.wait(20).code == harness.RESUMABLE, job.result()
    go_on(place, experiment, "halves", ranks=3)


def check_of(experiment):
    def check(place):
        place.write(f"{experiment}.toml", INPUTS + EXPERIMENTS[experiment])
        go_on(place, experiment, "calm")
        assert results_of(store_of(place, experiment, "calm"))
        for name, (ranks, settings) in WAYS.items():
            go_on(place, experiment, name, ranks, settings)
            require_same(place, experiment, name)
        in_two_halves(place, experiment)
        require_same(place, experiment, "halves")

    check.__name__ = experiment
    return check


def make_recording(file):
    """Noise: what a twin predicts of it does not matter here."""
    import numpy

    units = tiny_bundle.UNITS
    numpy.save(file, numpy.random.default_rng(1).normal(size=(units, ITEMS, 2)).astype("f4"))


def make_trials(place):
    """Three trials of an area, and what predicts them."""
    import numpy

    rng = numpy.random.default_rng(2)
    signal = rng.normal(size=(50, 1, 12))
    numpy.save(place / "trials.npy", (signal + rng.normal(size=(50, 3, 12))).astype("f4"))
    numpy.save(place / "predictions.npy", signal[:, 0].astype("f4"))


def make_inputs(place):
    """The files that the campaigns name."""
    place.write("labels.csv", "item,label\n" + "".join(
        f"{item},{'odd' if item % 2 else 'even'}\n" for item in range(ITEMS)))
    tiny_bundle.write(place / "tiny")
    make_recording(place / "recording.npy")
    make_trials(place)


def main():
    with Workplace() as place:
        make_inputs(place)
        harness.run_checks(place, *map(check_of, EXPERIMENTS))


if __name__ == "__main__":
    main()
