"""The helpers of harness.py, tried on a stand-in for the executable: a test that believes it
killed a rank must have killed one."""

import os
import signal
import stat
import sys
import time

import harness

# Answers like the executable, sleeps like a long run, and has a child like a rank that lets
# another process read a file.
STAND_IN = f"""#!{sys.executable}
import json, os, pathlib, signal, subprocess, sys, time
command, *rest = sys.argv[1:]
if command == "verify":
    bad = pathlib.Path(rest[0], "bad").exists()
    hash = "" if pathlib.Path(rest[0], "open").exists() else "c0ffee"
    print(json.dumps({{"content_hash": hash, "shards": 3, "bad_shards": [1] if bad else []}}))
    sys.exit(4 if bad else 0)
if command == "fail":
    print("out"); print("err", file=sys.stderr); sys.exit(3)
signal.signal(signal.SIGUSR1, lambda *_: os._exit(75))
child = subprocess.Popen(["sleep", "60"])
store = pathlib.Path(rest[0]); store.mkdir(exist_ok=True)
with open(store / "telemetry.jsonl", "a") as lines:
    lines.write('{{"event": "started"}}\\n{{"event": "sealed", "shard": 1}}\\n')
time.sleep(60)
"""


def is_gone(pid):
    found = harness._stat(pid)
    return found is None or found[1] == "Z"


def results_carry_code_and_both_streams(place):
    result = harness.run("fail", expect=3)
    assert (result.code, result.stdout, result.stderr) == (3, "out\n", "err\n"), result
    try:
        harness.run("fail")
    except AssertionError as error:
        assert "expected exit code 0" in str(error) and "err" in str(error)
    else:
        raise AssertionError("a wrong exit code went unnoticed")


def a_killed_rank_is_the_right_one(place):
    with harness.start("run", place / "kill", ranks=3) as job:
        job.wait_for_shards(place / "kill", 3)
        assert harness.shards_reported(place / "kill") == 3
        pids = job.rank_pids()
        assert len(set(pids)) == 3
        assert [harness._rank_of(pid) for pid in pids] == [0, 1, 2]
        job.kill_rank(1)
        result = job.wait(20)
    assert result.code != 0, result
    assert "rank 1" in result.stderr and "signal 9" in result.stderr, result
    assert all(map(is_gone, pids))


def signals_reach_the_launcher_and_the_ranks(place):
    for ranks in (0, 2):
        for send in ("signal_launcher", "signal_ranks"):
            store = place / f"{send}{ranks}"
            with harness.start("run", store, ranks=ranks) as job:
                job.wait_for_shards(store, max(ranks, 1))
                getattr(job, send)(signal.SIGUSR1)
                assert job.wait(20).code == harness.RESUMABLE, job.result()


def nothing_is_left_behind(place):
    with harness.start("run", place / "left", ranks=2) as job:
        job.wait_for_shards(place / "left", 2)
        below = harness.descendants(job.process.pid)
        assert len(below) >= 4  # two ranks and their children
    assert all(map(is_gone, below))


def a_hanging_command_is_ended(place):
    began = time.monotonic()
    try:
        harness.run("run", place / "hang", timeout_s=1)
    except TimeoutError as error:
        assert "did not end within 1 s" in str(error)
    else:
        raise AssertionError("a hanging command went unnoticed")
    assert time.monotonic() - began < 10


def verify_reads_the_answer(place):
    (place / "store").mkdir()
    assert harness.content_hash(place / "store") == "c0ffee"
    place.write("store/bad", "")
    assert harness.verify(place / "store", expect=4)["bad_shards"] == [1]


def an_unfinished_store_has_no_hash(place):
    place.write("unfinished/open", "")
    try:
        harness.content_hash(place / "unfinished")
    except AssertionError as error:
        assert "is not complete" in str(error)
    else:
        raise AssertionError("an empty hash went unnoticed")


def main():
    with harness.Workplace() as place:
        program = place.write("stand_in", STAND_IN)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        os.environ["TWINSCREEN_EXECUTABLE"] = str(program)
        for check in (
            results_carry_code_and_both_streams,
            a_killed_rank_is_the_right_one,
            signals_reach_the_launcher_and_the_ranks,
            nothing_is_left_behind,
            a_hanging_command_is_ended,
            verify_reads_the_answer,
            an_unfinished_store_has_no_hash,
        ):
            check(place)
            print(f"ok: {check.__name__.replace('_', ' ')}", flush=True)
    assert not place.folder.exists()


if __name__ == "__main__":
    main()
