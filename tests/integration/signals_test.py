"""What signals and deaths do to a job: it ends within the promised 10 s, leaves no process behind,
says by its exit code that it can go on, and goes on to the same bytes."""

import os
import signal
import time

import harness
from harness import RESUMABLE, SILENCE_CODE, Failpoint, Workplace, content_hash, run, start

PROMISE_S = 10.0

# Far more work than is done before a signal comes.
CAMPAIGN = """
seed = 5
[[twins]]
family = "gabor_energy"
positions = 2
[[stimuli]]
count = 15000
[stimuli.pink_noise]
[screen]
measures = ["units", "moments"]
[run]
shard_items = 64
"""
FEW = 8


def hurt(place, name, ranks, action, *settings):
    """Starts a job, lets action(job) do its harm after a few shards; the result, once all its
    processes are gone, and the seconds that took."""
    with start("run", place.campaign, "--out", place / name, *settings, ranks=ranks) as job:
        pids = [job.process.pid, *job.rank_pids()]
        job.wait_for_shards(place / name, FEW)
        began = time.monotonic()
        action(job)
        result = job.wait(60)
        harness.wait_until(lambda: all(map(is_gone, pids)), "the ranks to leave", 30)
        seconds = time.monotonic() - began
    assert seconds < PROMISE_S, (seconds, str(result))
    return result


def is_gone(pid):
    found = harness._stat(pid)
    return found is None or found[1] == "Z"


def require_goes_on(place, name, ranks=2):
    result = run("run", place.campaign, "--out", place / name, ranks=ranks)
    assert "going on" in result.output, result
    assert content_hash(place / name) == place.calm_hash, name


def require_stops_in_order(place, name, ranks, action):
    result = hurt(place, name, ranks, action)
    assert result.code == RESUMABLE, result
    assert "the same command goes on" in result.stdout, result
    require_goes_on(place, name)


def a_plain_process_stops_in_order(place):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        name = f"plain{number}"
        result = hurt(place, name, 0, lambda job: job.signal_launcher(number))
        assert result.code == RESUMABLE, result
        assert "the same command goes on" in result.stdout, result
    require_goes_on(place, name)


def usr1_to_mpirun_stops_in_order(place):
    require_stops_in_order(place, "usr1", 2, lambda job: job.signal_launcher(signal.SIGUSR1))


def term_to_every_rank_stops_in_order(place):
    require_stops_in_order(place, "term", 3, lambda job: job.signal_ranks(signal.SIGTERM))


def int_to_every_rank_stops_in_order(place):
    require_stops_in_order(place, "int", 2, lambda job: job.signal_ranks(signal.SIGINT))


def usr1_to_one_rank_stops_all_in_order(place):
    def one_rank(job):
        os.kill(job.rank_pids()[1], signal.SIGUSR1)

    require_stops_in_order(place, "one", 3, one_rank)


def what_mpirun_turns_into_a_kill_can_be_resumed(place):
    # Ctrl-C and SIGTERM: Open MPI kills the ranks some 2 s later, with an exit code of its own. The
    # job has to last longer than that.
    long = ("--set", "stimuli.0.count=50000")
    run("run", place.campaign, "--out", place / "long", *long, ranks=2)
    for number in (signal.SIGINT, signal.SIGTERM):
        name = f"kill{number}"
        result = hurt(place, name, 2, lambda job: job.signal_launcher(number), *long)
        assert result.code != 0, result
        verdict = harness.verify(place / name)
        assert not verdict["bad_shards"], verdict
        if verdict["complete"]:
            print(f"  all shards were done before mpirun killed: signal {number} not tried")
    run("run", place.campaign, "--out", place / name, *long, ranks=2)
    assert content_hash(place / name) == content_hash(place / "long")


def a_dead_rank_ends_the_job(place):
    for victim in (0, 1):
        result = hurt(place, f"dead{victim}", 3, lambda job: job.kill_rank(victim))
        assert result.code != 0, result
        assert "signal 9" in result.stderr, result
    require_goes_on(place, "dead1", ranks=1)


def a_rank_that_stands_still_ends_the_job(place):
    """Wherever it stands: also where the others wait for it in a collective call."""
    held = (
        ("create: items described", 0, ()),
        ("shard: computed", 1, ()),
        ("shard: computed", 1, ("--set", "run.queue='static'")),
        ("checkpoint: data flushed", 1, ()),
        ("summary: written", 0, ()),
        ("close: begun", 2, ()),
    )
    for step, rank, settings in held:
        store = place / f"held{step}{rank}{len(settings)}"
        failpoint = Failpoint(place, step, rank, do="hold")
        with start("run", place.campaign, "--out", store, "--set", "run.silence=2.0",
                   *settings, ranks=3, failpoint=failpoint) as job:
            harness.wait_until(failpoint.was_reached, step)
            began = time.monotonic()
            result = job.wait(60)
            seconds = time.monotonic() - began
        assert result.code == SILENCE_CODE and seconds < PROMISE_S, (step, seconds, str(result))
        assert f"rank {rank} on" in result.stderr, result
        assert "has been silent for 2 s" in result.stderr, result
        harness.wait_until(lambda: not harness.leftovers(store), "the held rank to leave", PROMISE_S)
        run("run", place.campaign, "--out", store, ranks=2)
        assert content_hash(store) == place.calm_hash, step


def a_rank_that_stands_still_for_a_while_costs_nothing(place):
    with start("run", place.campaign, "--out", place / "slow", ranks=3) as job:
        job.wait_for_shards(place / "slow", FEW)
        pid = job.rank_pids()[1]
        os.kill(pid, signal.SIGSTOP)
        reported = harness.shards_reported(place / "slow")
        job.wait_for_shards(place / "slow", reported + FEW)  # the others go on
        os.kill(pid, signal.SIGCONT)
        result = job.wait()
    assert result.code == 0, result
    assert content_hash(place / "slow") == place.calm_hash


def term_and_then_kill_is_resumable(place):
    """What a scheduler does: SIGTERM, and SIGKILL some time later. A rank that stands still answers
    no SIGTERM, so the kill is real."""

    def cancel(job):
        os.kill(job.rank_pids()[1], signal.SIGSTOP)
        job.signal_ranks(signal.SIGTERM)
        time.sleep(1.0)
        job.kill_everything()

    result = hurt(place, "cancelled", 2, cancel)
    assert result.code == -signal.SIGKILL, result
    require_goes_on(place, "cancelled")


def a_stop_before_the_first_shard_is_resumable(place):
    with start("run", place.campaign, "--out", place / "early", ranks=0) as job:
        harness.wait_until((place / "early" / "responses.h5").exists, "the store")
        job.signal_launcher(signal.SIGTERM)
        result = job.wait(PROMISE_S)
    assert result.code == RESUMABLE, result
    require_goes_on(place, "early")


def main():
    with Workplace(CAMPAIGN) as place:
        run("run", place.campaign, "--out", place / "calm", ranks=2)
        place.calm_hash = content_hash(place / "calm")
        harness.run_checks(
            place,
            a_plain_process_stops_in_order,
            usr1_to_mpirun_stops_in_order,
            term_to_every_rank_stops_in_order,
            int_to_every_rank_stops_in_order,
            usr1_to_one_rank_stops_all_in_order,
            what_mpirun_turns_into_a_kill_can_be_resumed,
            a_dead_rank_ends_the_job,
            a_rank_that_stands_still_ends_the_job,
            a_rank_that_stands_still_for_a_while_costs_nothing,
            term_and_then_kill_is_resumable,
            a_stop_before_the_first_shard_is_resumable,
        )


if __name__ == "__main__":
    main()
