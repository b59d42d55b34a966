"""The same bytes of a campaign that was killed or stopped and continued on other ranks, and no work
done twice."""

import pathlib
import signal

import harness
from harness import Ledger, Workplace, content_hash, run, runs_of, shards_of, start

h5py = harness.h5py_or_skip()

# A few seconds of work for two cores: long enough to be hurt in the middle.
CAMPAIGN = """
seed = 11
[[twins]]
family = "gabor_energy"
positions = 2
[[stimuli]]
count = 10000
[stimuli.pink_noise]
[screen]
measures = ["units", "area_mean", "moments", "top_k", "histogram"]
top_k_of = "both"
histogram = { from = 0.0, to = 20.0, bins = 10 }
[run]
shard_items = 64
"""
SHARDS = 157  # ceil(10000 / 64)
FEW = 15      # sealed before something happens

RESULT_GROUPS = ("columns", "partials", "summary")


def go_on(place, name, *settings, ranks=0, expect=0):
    """Runs the campaign, or what is left of it, into a store."""
    return run("run", place.campaign, "--out", place / name, *settings, ranks=ranks, expect=expect)


def start_on(place, name, ranks):
    return start("run", place.campaign, "--out", place / name, ranks=ranks)


def require_same_as_calm(place, name):
    """Equal content hash, and equal bytes of every result dataset, as plain h5py reads them."""
    assert content_hash(place / name) == place.calm_hash, name
    with h5py.File(place / "calm" / "responses.h5") as calm, \
            h5py.File(place / name / "responses.h5") as store:
        for group in RESULT_GROUPS:
            assert list(store[group]) == list(calm[group])
            for column in calm[group]:
                ours, theirs = store[group][column][()], calm[group][column][()]
                assert ours.dtype == theirs.dtype, (group, column)
                assert ours.tobytes() == theirs.tobytes(), (group, column)
        assert store["sealed"][()].min() == 1


def require_only_shards_in_flight_were_lost(store):
    """What was sealed before a kill is verified after it, and nothing is sealed twice."""
    known = set()
    for run_events in runs_of(store):
        sealed = shards_of(run_events, "sealed")
        verified = shards_of(run_events, "verified")
        assert not shards_of(run_events, "recomputed")
        assert len(set(sealed)) == len(sealed) and known.isdisjoint(sealed)
        known_before = set(known)
        known |= set(sealed) | set(verified)
    assert known_before <= set(verified), known_before - set(verified)  # of the last run
    assert known == set(range(SHARDS))
    assert (Ledger(store / "responses.h5").attempts == 1).all()


def kill(place, name, ranks, victim, after):
    """SIGKILL to one rank once `after` shards are reported; the whole job must end."""
    with start_on(place, name, ranks) as job:
        job.rank_pids()
        job.wait_for_shards(place / name, after)
        job.kill_rank_at_once(victim)
        result = job.result()
    assert result.code != 0, result


def a_killed_rank_costs_only_the_shards_in_flight(place):
    kill(place, "victim2", ranks=3, victim=2, after=FEW)
    go_on(place, "victim2", ranks=2)
    require_same_as_calm(place, "victim2")
    require_only_shards_in_flight_were_lost(place / "victim2")


def a_killed_rank_0_costs_only_the_shards_in_flight(place):
    kill(place, "victim0", ranks=2, victim=0, after=FEW)
    go_on(place, "victim0", ranks=4)
    require_same_as_calm(place, "victim0")
    require_only_shards_in_flight_were_lost(place / "victim0")


def a_kill_during_a_resume_is_harmless(place):
    kill(place, "twice", ranks=2, victim=1, after=FEW)
    reported = harness.shards_reported(place / "twice")
    # As many lines again while these are verified, then a few new shards.
    kill(place, "twice", ranks=3, victim=0, after=2 * reported + FEW)
    go_on(place, "twice")
    require_same_as_calm(place, "twice")
    require_only_shards_in_flight_were_lost(place / "twice")


def a_kill_of_the_whole_job_is_harmless(place):
    with start_on(place, "node", ranks=2) as job:
        job.rank_pids()
        job.wait_for_shards(place / "node", FEW)
        job.kill_everything()
    go_on(place, "node", ranks=2)
    require_same_as_calm(place, "node")
    require_only_shards_in_flight_were_lost(place / "node")


def a_campaign_may_be_run_in_two_halves(place):
    with start_on(place, "halves", ranks=0) as job:
        job.wait_for_shards(place / "halves", FEW)
        job.signal_launcher(signal.SIGUSR1)
        assert job.wait(20).code == harness.RESUMABLE, job.result()
    first, = runs_of(place / "halves")
    go_on(place, "halves", ranks=2)
    _, second = runs_of(place / "halves")
    # A stop in order leaves a checkpoint: nothing has to be verified.
    assert not shards_of(second, "verified")
    everything = shards_of(first, "sealed") + shards_of(second, "sealed")
    assert sorted(everything) == list(range(SHARDS))
    require_same_as_calm(place, "halves")


def a_finished_campaign_stays_as_it_is(place):
    file = place / "calm" / "responses.h5"
    before = file.read_bytes()
    result = go_on(place, "calm", ranks=2)
    assert "done already" in result.output, result
    assert file.read_bytes() == before


def a_kill_between_many_checkpoints_loses_nothing(place):
    often = ("--set", "run.checkpoint_minutes=0.001")
    with start("run", place.campaign, "--out", place / "often", *often, ranks=3) as job:
        job.rank_pids()
        job.wait_for_shards(place / "often", 2 * FEW)
        job.kill_rank_at_once(1)
    # How to run may change between two runs of one campaign; what to compute may not.
    go_on(place, "often", "--set", "run.queue='static'", ranks=2)
    require_same_as_calm(place, "often")
    assert (Ledger(place / "often" / "responses.h5").attempts == 1).all()


def a_semaphore_that_a_killed_job_left_taken_holds_up_nobody(place):
    """Open MPI's OMPIO makes one for every open file, named after the file alone."""
    semaphore = pathlib.Path("/dev/shm/sem.OMPIO_responses.h5")
    if not semaphore.parent.is_dir():
        print("  this system has no /dev/shm: not tried")
        return
    semaphore.write_bytes(bytes(32))  # its value is 0
    try:
        go_on(place, "semaphore", ranks=2)
    finally:
        semaphore.unlink()
    require_same_as_calm(place, "semaphore")


def a_hundred_thousand_stimuli_are_an_ordinary_run(place):
    campaign = place.write("many.toml", """
seed = 1
[[twins]]
family = "gabor_energy"
size = 16
positions = 1
degrees_per_pixel = 0.25
orientations = 4
spatial_frequencies = [1.0]
[[stimuli]]
[stimuli.gratings]
orientation = { from = 0.0, to = 175.0, steps = 50 }
spatial_frequency = { from = 0.5, to = 1.9, steps = 50 }
phase = { from = 0.0, to = 315.0, steps = 40 }
[screen]
measures = ["area_mean", "moments", "top_k"]
""")
    result = run("run", campaign, "--out", place / "many", ranks=2)
    assert "100,000 stimuli" in result.output, result
    assert harness.verify(place / "many")["complete"]


def main():
    with Workplace(CAMPAIGN) as place:
        go_on(place, "calm")
        place.calm_hash = content_hash(place / "calm")
        harness.run_checks(
            place,
            a_killed_rank_costs_only_the_shards_in_flight,
            a_killed_rank_0_costs_only_the_shards_in_flight,
            a_kill_during_a_resume_is_harmless,
            a_kill_of_the_whole_job_is_harmless,
            a_campaign_may_be_run_in_two_halves,
            a_finished_campaign_stays_as_it_is,
            a_kill_between_many_checkpoints_loses_nothing,
            a_semaphore_that_a_killed_job_left_taken_holds_up_nobody,
            a_hundred_thousand_stimuli_are_an_ordinary_run,
        )


if __name__ == "__main__":
    main()
