"""SIGKILL at every step of the protocol, to rank 0 and to another rank, on 1, 3 and 4 ranks; then the
same command on another number of ranks. Nothing sealed is lost or computed twice, and the bytes are
those of an undisturbed run.

    failpoint_test.py                    every step once
    failpoint_test.py --pairs            also all pairs of two successive kills at the delicate steps
    failpoint_test.py --only TEXT        the steps whose names contain a text
"""

import argparse
import concurrent.futures
import itertools
import os
import shutil
import signal
import time

import harness
from harness import Failpoint, Ledger, Workplace, content_hash, run, runs_of, shards_of, start

h5py = harness.h5py_or_skip()
try:
    import numpy as np
except ImportError as missing:
    harness.skip(f"this Python lacks a package: {missing}")

CAMPAIGN = """
seed = 3
[[twins]]
family = "gabor_energy"
positions = 1
[[stimuli]]
count = 2000
[stimuli.pink_noise]
[screen]
measures = ["units", "moments", "top_k"]
[run]
shard_items = 64
checkpoint_minutes = 0.001
"""
SHARD_ITEMS = 64  # as in the campaign
PROMISE_S = 10.0  # until a hurt job has ended
ATTEMPTS = 5      # a rank may be left without a shard when the others are faster

# Who comes there.
ALL, ROOT = "every rank", "rank 0"
STEPS = {
    "folder: locked": ROOT,
    "create: before the file": ROOT,
    "create: root written": ROOT,
    "create: ledger made": ROOT,
    "create: columns made": ROOT,
    "create: items described": ROOT,
    "create: axes described": ROOT,
    "create: file closed": ROOT,
    "create: description sealed": ROOT,
    "create: file flushed": ROOT,
    "create: file renamed": ROOT,
    "create: folder flushed": ROOT,
    "open: before the others are told": ALL,
    "open: stage is open": ALL,
    "shard: claimed": ALL,
    "shard: computed": ALL,
    "data: before the write": ALL,
    "data: after the write": ALL,
    "seal: before the rows are marked": ALL,
    "seal: before the ledger is written": ALL,
    "seal: after the ledger is written": ALL,
    "seal: reported": ALL,
    "checkpoint: joined": ALL,
    "checkpoint: writers drained": ALL,
    "checkpoint: data flushed": ALL,
    "checkpoint: epoch written": ROOT,
    "checkpoint: epoch flushed": ROOT,
    "checkpoint: over": ALL,
    "queue: before the drain": ALL,
    "queue: drained": ALL,
    "combine: computed": ROOT,
    "summary: written": ROOT,
    "summary: flushed": ROOT,
    "summary: recorded": ROOT,
    "combine: over": ALL,
    "stage: reported": ALL,
    "stage: changes": ALL,
    "close: begun": ALL,
    "close: last checkpoint over": ALL,
    "close: file closed": ALL,
    "stage: all are closed": ALL,
}
# Reached only where an earlier run left sealed shards that no checkpoint made safe, some of them torn.
VERIFYING_STEPS = {
    "verify: shard read": ALL,
    "verify: torn shard reopened": ALL,
    "verify: rows of a torn shard unmarked": ALL,
}
# Reached only where shards keep their states (CHAINS); how often a process alone comes there before
# it is killed.
SCRATCH_STEPS = {
    "scratch: state written": 7,
    "scratch: state flushed": 7,
    "scratch: state renamed": 7,
    "seal: state removed": 8,
    "scratch: folder emptied": 1,
}
CHAINS = '''
seed = 3
[relational_control]
units = ""
''' + "".join(f'''[[relational_control.responses]]
file = "{subject}{area}.npy"
subject = "{subject}"
area = "{area}"
''' for subject in "abc" for area in ("V1", "V4")) + '''
[relational_control.multivariate]
images = 8
draws = 2000
generations = 20
population = 5
[run]
scratch_seconds = 0.0
'''
DELICATE = [
    "create: file closed",
    "create: file renamed",
    "data: after the write",
    "seal: before the ledger is written",
    "seal: after the ledger is written",
    "checkpoint: data flushed",
    "checkpoint: epoch written",
    "summary: flushed",
    "summary: recorded",
    "close: file closed",
]
OTHER_RANKS = {0: 3, 3: 4, 4: 0}  # 0: a plain process, without mpirun
AT_ONCE = 4                       # cases side by side: mpirun takes two seconds to end a hurt job


def kill_at(place, store, step, ranks, victim, reached_by=ALL, root_goes_on=True):
    """One run in which `victim` is killed while it, or rank 0 for it, is at the step; rank 0 then
    goes on until mpirun ends it, or goes no further. False if nobody came there."""
    is_witness = reached_by == ROOT and victim != 0
    failpoint = Failpoint(place, step, 0 if is_witness else victim, do="hold" if is_witness else "kill")
    with start("run", place.campaign, "--out", store, ranks=ranks, failpoint=failpoint) as job:
        pids = job.rank_pids()
        harness.wait_until(lambda: failpoint.was_reached() or not job.is_running(), step)
        began = time.monotonic()
        if is_witness and job.is_running():
            os.kill(pids[victim], signal.SIGKILL)
            if root_goes_on:
                job.resume_rank(0)
        result = job.wait(60)
        seconds = time.monotonic() - began
    if not failpoint.was_reached():
        assert result.code == 0, result
        return False
    assert result.code != 0 and seconds < PROMISE_S, (seconds, str(result))
    if ranks > 0:
        assert "signal 9" in result.stderr, result  # mpirun names the rank
    harness.wait_until(lambda: not harness.leftovers(store), "the ranks to leave", PROMISE_S)
    return True


def sealed_in(store):
    file = store / "responses.h5"
    return Ledger(file).sealed_shards() if file.exists() else set()


def require_recovers(place, store, ranks, torn=()):
    """The same command, undisturbed, computes what was not sealed, and nothing else."""
    sealed = sealed_in(store)
    run("run", place.campaign, "--out", store, ranks=ranks)
    assert content_hash(store) == place.calm_hash, store
    last = runs_of(store)[-1]
    computed = shards_of(last, "sealed") + shards_of(last, "recomputed")
    assert len(computed) == len(set(computed)), computed
    assert sealed.intersection(computed) <= set(torn), (sealed.intersection(computed), torn)
    assert sealed_in(store) == set(range(place.shards))
    shutil.rmtree(store)


def kill_and_recover(place, steps, ranks, victim, reached_by, begins_torn):
    """Kills one run after the other at the steps, then lets one finish."""
    for _ in range(ATTEMPTS):
        store = place / f"hurt{next(place.numbers)}"
        if begins_torn:
            shutil.copytree(place.half, store)
        is_single = len(steps) == 1  # the second step of a pair must be left to do
        if all(kill_at(place, store, step, ranks, victim, reached_by[step], is_single)
               for step in steps):
            require_recovers(place, store, OTHER_RANKS[ranks], place.torn if begins_torn else ())
            return
        shutil.rmtree(store)
    raise AssertionError(f"{steps} were not reached in {ATTEMPTS} attempts, {ranks} ranks, {victim}")


def victims_of(ranks):
    return [0] if ranks == 0 else [0, ranks - 1]


def single_kills():
    """(steps, ranks, victim, who comes there, whether the run begins with a torn store)."""
    for step, reached_by in STEPS.items():
        for ranks in OTHER_RANKS:
            for victim in victims_of(ranks):
                yield [step], ranks, victim, {step: reached_by}, False
    for step, reached_by in VERIFYING_STEPS.items():
        for ranks in OTHER_RANKS:
            for victim in victims_of(ranks):
                yield [step], ranks, victim, {step: reached_by}, True


def pairs_of_kills():
    for first, second in itertools.product(DELICATE, DELICATE):
        if can_follow(first, second):
            for victim in (0, 2):
                yield [first, second], 3, victim, STEPS, False


def prepare_torn_store(place):
    """Shards sealed since the last checkpoint, every second one torn."""
    place.half = place / "half"
    rarely = ("--set", "run.checkpoint_minutes=10.0")
    failpoint = Failpoint(place, "seal: reported", hit=20)
    with start("run", place.campaign, "--out", place.half, *rarely, failpoint=failpoint) as job:
        job.wait()
    unsafe = Ledger(place.half / "responses.h5").unsafe_shards()
    assert len(unsafe) == 20, unsafe
    place.torn = unsafe[::2]  # so many that each rank gets one
    with h5py.File(place.half / "responses.h5", "r+") as file:
        for shard in place.torn:
            file["columns/response"][SHARD_ITEMS * shard] = 0.0


def can_follow(first, second):
    """A file is created once, shards are sealed once, and a complete stage is only read."""

    def is_past(step):
        return list(STEPS).index(first) >= list(STEPS).index(step)

    if second.startswith("create"):
        return not is_past("create: file renamed")
    if second.startswith(("data", "seal")):
        return not is_past("queue: drained")
    return not is_past("summary: recorded") or second.startswith("close: file")


def prepare_chains(place):
    rng = np.random.default_rng(0)
    for subject in "abc":
        for area in ("V1", "V4"):
            np.save(place / f"{subject}{area}.npy", rng.normal(size=(60, 9)).astype("f4"))
    place.chains = place.write("chains.toml", CHAINS)
    run("run", place.chains, "--out", place / "calm_chains")


def kill_chains(place, step, ranks, victim):
    """A kill while a state is saved or removed; then the same bytes, and no state stays behind."""
    for _ in range(ATTEMPTS):
        store = place / f"hurt{next(place.numbers)}"
        hit = SCRATCH_STEPS[step] if ranks == 0 else 1
        failpoint = Failpoint(place, step, victim, hit=hit)
        with start("run", place.chains, "--out", store, ranks=ranks, failpoint=failpoint) as job:
            result = job.wait(60)
        if failpoint.was_reached():
            assert result.code != 0, result
            harness.wait_until(lambda: not harness.leftovers(store), "the ranks to leave", PROMISE_S)
            run("run", place.chains, "--out", store, ranks=OTHER_RANKS[ranks])
            assert content_hash(store) == content_hash(place / "calm_chains"), (step, ranks, victim)
            assert not (store / "scratch").exists(), sorted((store / "scratch").rglob("*"))
            shutil.rmtree(store)
            return
        shutil.rmtree(store)
    raise AssertionError(f"{step} was not reached in {ATTEMPTS} attempts, {ranks} ranks, {victim}")


def chain_kills():
    for step in SCRATCH_STEPS:
        for ranks in OTHER_RANKS:
            for victim in victims_of(ranks):
                if victim == 0 or step != "scratch: folder emptied":  # rank 0 empties it
                    yield [step], ranks, victim


def every_step_is_listed():
    listed = {**STEPS, **VERIFYING_STEPS, **SCRATCH_STEPS}
    assert sorted(harness.steps_in_source()) == sorted(listed), "steps and source differ"


def run_side_by_side(place, kills):
    place.numbers = itertools.count()

    def one(kill):
        began = time.monotonic()
        steps, ranks, victim = kill[:3]
        if steps[0] in SCRATCH_STEPS:
            kill_chains(place, steps[0], ranks, victim)
        else:
            kill_and_recover(place, *kill)
        print(f"ok: {', then '.join(steps)}; rank {victim} of {max(1, ranks)} "
              f"({time.monotonic() - began:.1f} s)", flush=True)

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        running = [pool.submit(one, kill) for kill in kills]
        try:
            for done in concurrent.futures.as_completed(running):
                done.result()
        finally:
            for waiting in running:
                waiting.cancel()
    print(f"{len(kills)} kills, each recovered from", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", action="store_true")
    parser.add_argument("--only", default="")
    settings = parser.parse_args()
    every_step_is_listed()
    with Workplace(CAMPAIGN) as place:
        run("run", place.campaign, "--out", place / "calm")
        place.calm_hash = content_hash(place / "calm")
        place.shards = harness.verify(place / "calm")["shards"]
        prepare_torn_store(place)
        prepare_chains(place)
        kills = itertools.chain(single_kills(), chain_kills(),
                                pairs_of_kills() if settings.pairs else ())
        run_side_by_side(place, [kill for kill in kills if settings.only in " then ".join(kill[0])])


if __name__ == "__main__":
    main()
