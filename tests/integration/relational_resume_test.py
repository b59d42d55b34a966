"""Relational control that is killed, stopped, damaged or changed: chains go on from their last saved
generation with the bytes of a calm run, and no stage is computed from damaged or foreign results."""

import shutil
import signal
import time

import harness
from harness import STORE_CODE, Workplace, content_hash, refused, run, start

h5py = harness.h5py_or_skip()
try:
    import numpy as np
except ImportError as missing:
    harness.skip(f"this Python lacks a package: {missing}")

GENERATIONS = 1500
STUDY = "[relational_control]\nunits = ''\n" + "".join(
    f'[[relational_control.responses]]\nfile = "{subject}{area}.npy"\nsubject = "{subject}"\n'
    f'area = "{area}"\n' for subject in "ab" for area in ("V1", "V4")) + """
[relational_control.univariate]
images = 8
draws = 1000
permutations = 100
[relational_control.multivariate]
images = 8
draws = 3000
generations = 4
population = 5
"""


def make_study(place):
    rng = np.random.default_rng(0)
    for subject in "ab":
        for area in ("V1", "V4"):
            np.save(place / f"{subject}{area}.npy", rng.normal(size=(100, 15)).astype("f4"))
    place.write("study.toml", STUDY)
    place.write("chains.toml", STUDY.replace("generations = 4", f"generations = {GENERATIONS}"))
    for name in ("study", "chains"):
        run("run", place / f"{name}.toml", "--out", place / name)


def generation_of(state):
    """How far a saved chain has come; 0 where there is none."""
    try:
        return int.from_bytes(state.read_bytes()[64:72], "little")
    except OSError:
        return 0


def kill_job(job):
    job.kill_everything()


def kill_rank(job):
    job.kill_rank_at_once(1)


def stop(job):
    job.signal_launcher(signal.SIGUSR1)
    assert job.wait(20).code == harness.RESUMABLE, job.result()


def chains_go_on_from_their_last_generation(place):
    for hurt, ranks in ((kill_job, 0), (kill_rank, 3), (stop, 2)):
        store, reached = place / hurt.__name__, 0
        state = store / "scratch" / "multivariate_search" / "0.state"
        for _ in range(2):
            with start("run", place / "chains.toml", "--out", store,
                       "--set", "run.scratch_seconds=0", ranks=ranks) as job:
                harness.wait_until(lambda: generation_of(state) > reached + 20, f"{state}, later")
                hurt(job)
                job.wait()
            went_on = generation_of(state)
            assert reached + 20 < went_on < GENERATIONS, (reached, went_on)
            reached = went_on
        result = run("run", place / "chains.toml", "--out", store, ranks=2)
        assert "begins anew" not in result.output, result
        assert content_hash(store) == content_hash(place / "chains")
        assert not (store / "scratch").exists()


def tests_over_many_images_stop_in_their_middle(place):
    rng, text = np.random.default_rng(1), "[relational_control]\nunits = ''\npatterns = false\n"
    for subject in "ab":
        for area in ("V1", "V2", "V4"):
            np.save(place / f"many{subject}{area}.npy", rng.normal(size=(200_000, 1)).astype("f4"))
            text += (f'[[relational_control.responses]]\nfile = "many{subject}{area}.npy"\n'
                     f'subject = "{subject}"\narea = "{area}"\n')
    text += ('[[relational_control.group_analysis]]\nname = "path"\n'
             'groups = [{ pairs = ["V1 - V2"] }, { pairs = ["V1 - V4"] }]\n'
             "[relational_control.univariate]\nimages = 8\ndraws = 1000\nmargin = 0.0\n")
    telemetry = place / "many" / "telemetry.jsonl"
    with start("run", place.write("many.toml", text), "--out", place / "many") as job:
        harness.wait_until(lambda: telemetry.exists() and "univariate_groups" in telemetry.read_text(),
                           "the tests of groups")
        time.sleep(1)
        job.signal_launcher(signal.SIGTERM)
        assert job.wait(10).code == harness.RESUMABLE, job.result()


def flip_bit(stage, column):
    with h5py.File(stage) as file:
        at = file[column].id.get_offset()
    with open(stage, "r+b") as file:
        file.seek(at + 2)
        byte = file.read(1)[0]
        file.seek(at + 2)
        file.write(bytes([byte ^ 1]))


def damage_to_an_earlier_stage_is_found_before_it_is_used(place):
    for stage, column, later in (
        ("responses", "columns/pattern", "similarity"),
        ("similarity", "columns/similarity_0", "multivariate_baseline"),
        ("multivariate_baseline", "columns/agreement", "multivariate_statistics"),
    ):
        hurt = shutil.copytree(place / "study", place / f"hurt-{stage}")
        (hurt / f"{later}.h5").unlink()
        flip_bit(hurt / f"{stage}.h5", column)
        again = ("run", place / "study.toml", "--out", hurt)
        refused(STORE_CODE, f"{stage}.h5: shard 0 does not match its checksum", command=again, ranks=2)
        run("verify", hurt, "--reopen", expect=None)
        run(*again)
        assert content_hash(hurt) == content_hash(place / "study")


def a_changed_campaign_does_not_go_on(place):
    control = "relational_control"
    for setting, stage, sentence in (
        (f"{control}.univariate.margin=0.1", "univariate_selection", 'margin: stored "0.04"'),
        (f"{control}.univariate.draws=2000", "univariate_baseline", "1000 items"),
        (f"{control}.multivariate.stop_below=0.1", "multivariate_search", "search: stored"),
        (f"{control}.multivariate.permutations=50", "multivariate_statistics", "permutations: "),
        (f"{control}.compat=reference", "multivariate_statistics", 'compat: stored "corrected"'),
        (f"{control}.units='row > 3'", "responses", "populations: stored"),
        ("seed=3", "responses", "seed: stored"),
    ):
        refused(STORE_CODE, f"{stage}.h5 holds results of another campaign", sentence,
                command=("run", place / "study.toml", "--out", place / "study", "--set", setting))
    other = np.load(place / "aV1.npy")
    other[30, 3] += 1
    np.save(place / "other.npy", other)
    changed = place.write("changed.toml", STUDY.replace("aV1.npy", "other.npy"))
    refused(STORE_CODE, "imported responses: stored",
            command=("run", changed, "--out", place / "study"))


def later_stages_do_not_outlive_the_earlier_ones(place):
    """A stage that was made anew with other settings leaves those behind it without a ground."""
    for stage, setting, later in (
        ("univariate_selection", "univariate.margin=0.1", "univariate_statistics"),
        ("multivariate_search", "multivariate.generations=3", "multivariate_statistics"),
    ):
        store = shutil.copytree(place / "study", place / f"without-{stage}")
        (store / f"{stage}.h5").unlink()
        again = ("run", place / "study.toml", "--out", store, "--set", f"relational_control.{setting}")
        refused(STORE_CODE, f"{later}.h5 holds results of another campaign", "earlier stages: stored",
                command=again)
        for name in (later, "area_maps"):
            (store / f"{name}.h5").unlink()
        result = run(*again)
        other = {"univariate_selection": "multivariate", "multivariate_search": "univariate"}[stage]
        assert f"{other}_statistics: all 2 shards are done already" in result.output, result
        fresh = place / f"fresh-{stage}"
        run(*("run", place / "study.toml", "--out", fresh), *again[-2:])
        assert content_hash(store) == content_hash(fresh)


def main():
    with Workplace() as place:
        make_study(place)
        harness.run_checks(place, chains_go_on_from_their_last_generation,
                           tests_over_many_images_stop_in_their_middle,
                           damage_to_an_earlier_stage_is_found_before_it_is_used,
                           a_changed_campaign_does_not_go_on,
                           later_stages_do_not_outlive_the_earlier_ones)


if __name__ == "__main__":
    main()
