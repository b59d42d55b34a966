"""Random faults, drawn from a seed, against one campaign: every round must end with the bytes of an
undisturbed run. Started by tests/torture.sh, whose --help says more."""

import argparse
import math
import os
import random
import signal
import sys
import time

import harness
from harness import RESUMABLE, Workplace, start

h5py = harness.h5py_or_skip()

CAMPAIGN = """
seed = 23
[[twins]]
family = "gabor_energy"
positions = 2
[[stimuli]]
count = 24000
[stimuli.pink_noise]
[screen]
measures = ["units", "area_mean", "moments", "top_k", "histogram"]
histogram = { from = 0.0, to = 20.0, bins = 10 }
[run]
shard_items = 64
"""
SHARD_ITEMS = 64       # as in the campaign
MOST_FAULTS = 4        # in one round, before the run is left alone
MOST_RANKS = 4
END_S = 60.0           # a hurt job has to be over by then


class Lost(Exception):
    """A promise was broken."""


def kill_a_rank(job, draw):
    job.kill_rank(draw.randrange(job.ranks))


def kill_everything(job, _):
    job.kill_everything()


def interrupt_mpirun(job, _):
    job.signal_launcher(signal.SIGINT)


def stop_by_mpirun(job, _):
    job.signal_launcher(signal.SIGUSR1)


def terminate_every_rank(job, _):
    job.signal_ranks(signal.SIGTERM)


def terminate_then_kill(job, draw):
    """What a scheduler does to a job that is cancelled."""
    job.signal_ranks(signal.SIGTERM)
    time.sleep(draw.uniform(0.0, 0.5))
    job.kill_everything()


def hold_a_rank(job, draw):
    """One slow rank: nothing is lost, and the run ends by itself."""
    pid = job.rank_pids()[draw.randrange(job.ranks)]
    os.kill(pid, signal.SIGSTOP)
    time.sleep(draw.uniform(0.1, 2.0))
    os.kill(pid, signal.SIGCONT)


# The exit code that a fault must lead to (or 0: the job was faster); None: any.
FAULTS = {
    kill_a_rank: None,
    kill_everything: None,
    interrupt_mpirun: None,
    stop_by_mpirun: RESUMABLE,
    terminate_every_rank: RESUMABLE,
    terminate_then_kill: None,
    hold_a_rank: 0,
}


def tear(store, draw):
    """Overwrites results that no checkpoint has made safe, as a lost node would leave them: the
    ledger says sealed, the data never reached the disk. Returns the shards."""
    unsafe = harness.Ledger(store / "responses.h5").unsafe_shards()
    with h5py.File(store / "responses.h5", "r+") as file:
        torn = draw.sample(unsafe, min(len(unsafe), draw.randint(1, 5)))
        responses = file["columns/response"]
        for shard in torn:
            rows = slice(SHARD_ITEMS * shard, SHARD_ITEMS * (shard + 1))
            responses[rows] = draw.choice([0.0, draw.random()])
    return torn


def hurt_once(place, store, fault, calm_s, draw):
    """Starts or resumes the campaign and does one harm at a random moment."""
    ranks = draw.randint(1, MOST_RANKS)
    after = draw.uniform(0.0, 1.2 * calm_s)
    with start("run", place.campaign, "--out", store, ranks=ranks) as job:
        job.rank_pids()  # looked up before, so that the fault comes at its moment
        time.sleep(after)
        try:
            fault(job, draw)
        except (ProcessLookupError, AssertionError):
            pass  # it was done already
        result = job.wait(END_S)
    print(f"  {ranks} ranks, {fault.__name__} after {after:.2f} s: exit code {result.code}", flush=True)
    # A signal may also come before the program is there to answer it.
    wanted = FAULTS[fault] if "rank 0 info" in result.stderr else None
    if wanted is not None and result.code not in (0, wanted):
        raise Lost(f"expected exit code {wanted} or 0\n{result}")
    harness.wait_until(lambda: not harness.leftovers(store), "its processes to leave", END_S)
    if (store / "responses.h5").exists() and draw.random() < 0.3:
        torn = tear(store, draw)
        if torn:
            print(f"  results of shards {torn} overwritten", flush=True)


def one_round(place, number, calm_s, draw):
    print(f"round {number}", flush=True)
    store = place / f"round{number}"
    for _ in range(draw.randint(1, MOST_FAULTS)):
        hurt_once(place, store, draw.choice(list(FAULTS)), calm_s, draw)
    harness.run("run", place.campaign, "--out", store, ranks=draw.randint(0, MOST_RANKS))
    answer = harness.verify(store)
    if answer["bad_shards"] or answer["content_hash"] != place.calm_hash:
        raise Lost(f"{store}: {answer}, undisturbed {place.calm_hash}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    settings = parser.parse_args()
    if settings.minutes is None:
        settings.minutes = 5.0 if settings.rounds is None else math.inf
    if settings.rounds is None:
        settings.rounds = sys.maxsize
    return settings


def main():
    settings = arguments()
    draw = random.Random(settings.seed)
    print(f"seed {settings.seed}", flush=True)
    began = time.monotonic()
    place = Workplace(CAMPAIGN)
    harness.run("run", place.campaign, "--out", place / "calm", ranks=2)
    calm_s = time.monotonic() - began
    place.calm_hash = harness.content_hash(place / "calm")
    done = 0
    while done < settings.rounds and time.monotonic() - began < 60.0 * settings.minutes:
        try:
            one_round(place, done, calm_s, draw)
        except (Lost, AssertionError, TimeoutError) as problem:
            print(f"LOST in round {done} of seed {settings.seed}: {problem}\nkept: {place.folder}")
            sys.exit(1)
        done += 1
    place.__exit__()
    print(f"verdict: {done} rounds, every one ended with the bytes of the undisturbed run")


if __name__ == "__main__":
    main()
