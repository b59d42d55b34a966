"""Disks that break, fill up, become read-only or lose the store in the middle of a run: a sentence,
the exit code of stores, no process left, and when the cause is gone the same command ends with the
right bytes."""

import errno
import os
import shutil
import time

import harness
from harness import STORE_CODE, Failpoint, Workplace, content_hash, failing_io, run, start

PROMISE_S = 10.0
CAMPAIGN = """
seed = 4
[[twins]]
family = "gabor_energy"
positions = 1
[[stimuli]]
count = 3000
[stimuli.pink_noise]
[screen]
measures = ["units", "moments"]
[run]
shard_items = 64
checkpoint_minutes = 0.001
"""
REASONS = {
    errno.EIO: "Input/output error",
    errno.ENOSPC: "no room left",
    errno.EDQUOT: "no room left",
    errno.EROFS: "Read-only file system",
}


def fails_then_recovers(place, name, sentences, ranks, env, *options):
    store = place / name
    began = time.monotonic()
    result = run("run", place.campaign, "--out", store, *options, ranks=ranks, env=env,
                 expect=None)
    assert result.code == STORE_CODE, result
    assert time.monotonic() - began < PROMISE_S + 10.0, result
    for sentence in (*sentences, "responses.h5"):
        assert sentence in result.stderr, (sentence, str(result))
    assert "internal error" not in result.output, result
    harness.wait_until(lambda: not harness.leftovers(store), "the ranks to leave", PROMISE_S)
    run("run", place.campaign, "--out", store, ranks=2)
    assert content_hash(store) == place.calm_hash


def writes_that_fail_at_any_moment(place):
    for number, (reason, sentence) in enumerate(REASONS.items()):
        for spared in (0, 1, 5, 20, 120):
            env = failing_io("write", "responses.h5", reason, spared)
            fails_then_recovers(place, f"write{number}-{spared}", [sentence], 0, env)


def writes_of_one_rank_that_fail(place):
    for rank, file, spared in (
        (0, ".responses.h5.creating", 0),
        (0, ".responses.h5.creating", 3),
        (0, "/responses.h5", 0),
        (0, "/responses.h5", 20),
        (2, "/responses.h5", 0),
        (2, "/responses.h5", 20),
    ):
        name = f"rank{rank}{file.replace('/', '-')}-{spared}"
        env = failing_io("write", file, errno.EIO, spared, rank)
        # A queue that gives each rank its share, so that the one that fails writes enough.
        fails_then_recovers(place, name, ["Input/output error"], 3, env,
                            "--set", "run.queue=static")


def flushes_that_fail(place):
    for spared in (0, 1, 3):
        env = failing_io("flush", "responses.h5", errno.EIO, spared)
        fails_then_recovers(place, f"flush{spared}", ["flush", "Input/output error"], 0, env)
    env = failing_io("flush", "/responses.h5", errno.EIO, 1, rank=1)
    fails_then_recovers(place, "flush-rank1", ["flush", "Input/output error"], 2, env)


def reads_that_fail(place):
    env = failing_io("read", "responses.h5", errno.EIO)
    for command in (("verify", place / "calm"),
                    ("run", place.campaign, "--out", place / "calm")):
        result = run(*command, env=env, expect=STORE_CODE)
        assert "Input/output error" in result.stderr and "responses.h5" in result.stderr, result
    assert content_hash(place / "calm") == place.calm_hash


def a_broken_telemetry_file_does_not_stop_a_run(place):
    env = failing_io("write", "telemetry.jsonl", errno.EIO, 5)
    result = run("run", place.campaign, "--out", place / "telemetry", env=env)
    assert "telemetry.jsonl" in result.stderr, result
    assert content_hash(place / "telemetry") == place.calm_hash


def a_store_that_is_deleted_or_replaced_in_mid_run_is_missed(place):
    def delete(store):
        shutil.rmtree(store)

    def replace(store):
        shutil.copy(store / "responses.h5", store / "copy")
        os.replace(store / "copy", store / "responses.h5")

    for harm in (delete, replace):
        for ranks in (0, 3):
            store = place / f"{harm.__name__}{ranks}"
            failpoint = Failpoint(place, "shard: computed", hit=3, do="hold")
            with start("run", place.campaign, "--out", store, ranks=ranks,
                       failpoint=failpoint) as job:
                harness.wait_until(failpoint.was_reached, "the third shard")
                harm(store)
                job.resume_rank(0)
                result = job.wait()
            assert result.code == STORE_CODE, result
            assert "was deleted, moved or replaced" in result.stderr, result
            run("run", place.campaign, "--out", store, ranks=2)
            assert content_hash(store) == place.calm_hash


def a_read_only_disk_is_told(place):
    disk = place / "disk"
    disk.mkdir()
    program = harness.executable()
    # A store begun there is complete up to a checkpoint when the disk becomes read-only.
    script = f"""
        mount -t tmpfs none {disk} || exit 99
        cp -r {place / "half"} {disk}/store
        mount -o remount,ro {disk} || exit 99
        {program} run {place.campaign} --out {disk}/store
        test $? = {STORE_CODE} || exit 98
        {program} verify {disk}/store || exit 97
        mount -o remount,rw {disk}
        {program} run {place.campaign} --out {disk}/store && {program} verify {disk}/store
    """
    failpoint = Failpoint(place, "seal: reported", hit=9)
    with start("run", place.campaign, "--out", place / "half", failpoint=failpoint) as job:
        job.wait()
    result = harness.run_with_own_mounts(script)
    if result is None:
        return
    assert result.code == 0, result
    assert "Read-only file system" in result.stderr and place.calm_hash in result.output, result


def main():
    with Workplace(CAMPAIGN) as place:
        run("run", place.campaign, "--out", place / "calm")
        place.calm_hash = content_hash(place / "calm")
        harness.run_checks(
            place,
            writes_that_fail_at_any_moment,
            writes_of_one_rank_that_fail,
            flushes_that_fail,
            reads_that_fail,
            a_broken_telemetry_file_does_not_stop_a_run,
            a_store_that_is_deleted_or_replaced_in_mid_run_is_missed,
            a_read_only_disk_is_told,
        )


if __name__ == "__main__":
    main()
