"""Campaigns that are large in one way: many ranks, shards, files, columns or stimuli, or a long time.
With --small each takes seconds, which is what ctest runs; tests/load.sh --help says more."""

import argparse
import collections
import contextlib
import os
import pathlib
import re
import resource
import signal
import time

from harness import RESUMABLE, Workplace, content_hash, events_of, run, shards_reported, start, tiny_png

MIB = 1 << 20
SHARD_ITEMS = 64  # the smallest there is: what the networks take at once

# The least that a stimulus can cost, so that what surrounds it shows.
TRIVIAL_TWIN = """
seed = 1
[[twins]]
family = "gabor_energy"
size = 8
degrees_per_pixel = 0.2
positions = 1
spatial_frequencies = [1.0]
orientations = 1
"""
NOISE = """
[[stimuli]]
count = {count}
[stimuli.white_noise]
size = 4.0
"""
AREA_MEANS = """
[screen]
measures = ["area_mean"]
[run]
shard_items = 64
"""


# A million shards of some milliseconds: hours.
SLOWER_TWIN = """
seed = 1
[[twins]]
family = "gabor_energy"
positions = 1
[[stimuli]]
count = 64_000_000
[stimuli.pink_noise]
"""


def trivial(shards):
    """A campaign of so many shards that cost next to nothing."""
    return TRIVIAL_TWIN + NOISE.format(count=shards * SHARD_ITEMS) + AREA_MEANS


def peak_bytes(job):
    """The most memory that each rank has used so far; of those that still run."""
    peaks = []
    for pid in job.rank_pids(timeout_s=120.0):
        with contextlib.suppress(OSError):
            found = re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())
            if found:
                peaks.append(1024 * int(found[1]))
    return peaks


def watched(*arguments, ranks, timeout_s):
    """Runs to the end; the peak memory of each rank, as last seen while all of them ran."""
    peaks = []
    deadline = time.monotonic() + timeout_s
    with start(*arguments, ranks=ranks) as job:
        while job.is_running():
            assert time.monotonic() < deadline, f"not done after {timeout_s} s\n{job.result()}"
            with contextlib.suppress(AssertionError):  # it was over before its ranks were seen
                seen = peak_bytes(job)
                peaks = seen if len(seen) == max(ranks, 1) else peaks
            time.sleep(0.05)
        result = job.wait()
    assert result.code == 0, result
    return peaks


def timed(*arguments, timeout_s=600.0):
    """Runs without mpirun; seconds on the clock, seconds of processor, peak bytes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    peaks = watched(*arguments, ranks=0, timeout_s=timeout_s)
    took = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return took, used, max(peaks, default=0)


def many_ranks(small):
    """Far more ranks than cores: every shard once, and the bytes of one rank."""
    ranks, shards = (16, 500) if small else (64, 100_000)
    with Workplace(trivial(shards)) as place:
        run("run", place.campaign, "--out", place / "one", timeout_s=3600.0)
        began = time.monotonic()
        peaks = watched(
            "run", place.campaign, "--out", place / "many", ranks=ranks, timeout_s=3600.0
        )
        took = time.monotonic() - began
        assert content_hash(place / "many") == content_hash(place / "one")
        lines = events_of(place / "many")
    done = [line for line in lines if "shard" in line]
    times = collections.Counter(line["shard"] for line in done)
    assert len(times) == shards and max(times.values()) == 1, "a shard was not sealed exactly once"
    stage_s = next(line["seconds"] for line in lines if line["event"] == "finished")
    busy_s = sum(line["compute_s"] + line["wait_fill_s"] + line["wait_write_s"] for line in done)
    share = 1.0 - busy_s / (stage_s * ranks)
    print(
        f"  {shards:,} shards on {ranks} ranks: {took:.1f} s, {stage_s:.1f} s of them for the stage "
        f"({shards / stage_s:,.0f} shards/s); of the ranks' time {100 * share:.0f} % went to "
        f"waiting for shards and for each other; peak {max(peaks, default=0) / MIB:.0f} MiB a rank"
    )


def many_shards(small):
    """The memory of rank 0 grows with the ledger only."""
    sizes = (100, 5_000) if small else (1_000, 100_000, 1_000_000)
    most_bytes_a_shard = 100  # the ledger keeps 32
    peaks = []
    for shards in sizes:
        with Workplace(trivial(shards)) as place:
            of_ranks = watched(
                "run", place.campaign, "--out", place / "store", ranks=2, timeout_s=7200.0
            )
        assert of_ranks, "the memory of the ranks was never seen"
        peaks.append(of_ranks[0])
        print(f"  {shards:,} shards: rank 0 peaks at {of_ranks[0] / MIB:.1f} MiB", flush=True)
    growth = (peaks[-1] - peaks[0]) / (sizes[-1] - sizes[0])
    print(f"  {growth:.0f} bytes a shard")
    # Few shards measure the allocator, not the shards.
    allowance = 16 * MIB
    assert peaks[-1] - peaks[0] < allowance + most_bytes_a_shard * sizes[-1], "memory grows"


def many_files(small):
    """A folder of tiny pictures."""
    files = 2_000 if small else 200_000
    campaign = TRIVIAL_TWIN + '[[stimuli]]\nfolder = "pictures"\n[screen]\nmeasures = ["units"]\n'
    with Workplace(campaign) as place:
        for number in range(files):
            place.write(f"pictures/{number:06d}.png", tiny_png(number))
        for command in ("check", "plan", "run"):
            out = ["--out", place / "store"] if command == "run" else []
            took, used, peak = timed(command, place.campaign, *out)
            print(
                f"  {command} with {files:,} files: {took:.1f} s ({used:.1f} s of processor), "
                f"peak {peak / MIB:.0f} MiB",
                flush=True,
            )
        assert content_hash(place / "store")


def many_columns(small):
    """Labels with thousands of columns, which the store keeps, and a thousand twins, each with
    attributes; the campaign is larger than the 64 KiB that one HDF5 attribute may have."""
    columns, twins = (500, 100) if small else (5_000, 1_000)
    pictures = 100
    names = [f"label_{number}" for number in range(columns)]
    campaign = "seed = 1\n" + "".join(
        TRIVIAL_TWIN.replace("seed = 1\n", "") + f'name = "twin_{number}"\n'
        for number in range(twins)
    )
    campaign += '[[stimuli]]\nfolder = "pictures"\nlabels = "labels.csv"\n'
    campaign += '[screen]\nmeasures = ["units", "area_mean", "moments", "top_k"]\ntop_k = 2\n'
    campaign += "# a long comment\n" * 5_000
    with Workplace(campaign) as place:
        rows = [",".join(["file", *names])]
        for number in range(pictures):
            place.write(f"pictures/{number:06d}.png", tiny_png(number))
            rows.append(f"{number:06d}.png," + ",".join(str(number * c % 97) for c in range(columns)))
        place.write("labels.csv", "\n".join(rows) + "\n")
        for what in ("a new store", "the store opened again"):
            took, used, peak = timed("run", place.campaign, "--out", place / "store")
            print(
                f"  {columns:,} item columns, {twins:,} twins, {what}: {took:.1f} s "
                f"({used:.1f} s of processor), peak {peak / MIB:.0f} MiB",
                flush=True,
            )
        assert content_hash(place / "store")


def large_plan(_):
    """10^8 stimuli in 1.6 million shards are planned at once."""
    with Workplace(trivial(100_000_000 // SHARD_ITEMS)) as place:
        took, used, peak = timed("plan", place.campaign)
    print(f"  planned in {took:.1f} s ({used:.1f} s of processor), peak {peak / MIB:.0f} MiB")
    # Of processor: the clock also shows what else this machine does.
    assert used < 2.0 and peak < 500 * MIB, "planning takes too much"


def rank_sizes(job):
    """(resident bytes, open files) of every rank."""
    sizes = []
    for pid in job.rank_pids():
        pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
        sizes.append((pages * resource.getpagesize(), len(os.listdir(f"/proc/{pid}/fd"))))
    return sizes


def soak(small, minutes=30.0):
    """A run of many minutes with a checkpoint every few seconds: memory and open files stay."""
    if small:
        minutes = 0.1
    ranks, warm_up_s = 2, min(30.0, 12.0 * minutes)
    campaign = SLOWER_TWIN + AREA_MEANS + "checkpoint_minutes = 0.05\n"
    with Workplace(campaign) as place:
        store = place / "store"
        with start("run", place.campaign, "--out", store, ranks=ranks) as job:
            job.wait_for_shards(store, 1)
            time.sleep(warm_up_s)
            seen = []
            for name in ("start", "middle", "end"):
                seen.append(rank_sizes(job))
                text = ", ".join(f"{size / MIB:.1f} MiB and {files} files" for size, files in seen[-1])
                print(f"  {name}: {text}; {shards_reported(store):,} shards", flush=True)
                if name != "end":
                    time.sleep(30.0 * minutes)
            job.signal_ranks(signal.SIGUSR1)
            assert job.wait().code == RESUMABLE, job.result()
    for rank in range(ranks):
        (first, first_files), (last, last_files) = seen[0][rank], seen[-1][rank]
        assert last_files == first_files, f"rank {rank}: {first_files} open files, then {last_files}"
        assert last < first + 32 * MIB, f"rank {rank} grew by {(last - first) / MIB:.1f} MiB"


CHECKS = {
    check.__name__: check
    for check in (many_ranks, many_shards, many_files, many_columns, large_plan, soak)
}


def main():
    """Runs the checks that are named, or all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("checks", nargs="*", metavar="CHECK")
    options = parser.parse_args()
    unknown = [name for name in options.checks if name not in CHECKS]
    if unknown:
        parser.error(f"no check '{unknown[0]}'; there are {', '.join(CHECKS)}")
    for name in options.checks or CHECKS:
        began = time.monotonic()
        more = {"minutes": options.minutes} if name == "soak" else {}
        CHECKS[name](options.small, **more)
        print(f"ok: {name.replace('_', ' ')} ({time.monotonic() - began:.1f} s)", flush=True)


main()
