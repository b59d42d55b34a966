"""What a shard asks of the file system: a few reads and writes of bytes, and nothing else. Opens, stats and
flushes of a parallel file system go through one server for all ranks, so their number may not grow with the shards."""
import collections
import re
import shutil
import subprocess

import harness
from harness import Workplace

CAMPAIGN = """
seed = 1
[[twins]]
family = "gabor_energy"
positions = 1
[[stimuli]]
count = 8192
[stimuli.pink_noise]
[screen]
measures = ["units", "area_mean"]
[run]
shard_items = {shard_items}
"""
COLUMNS = 2
# Of the names in `strace -e trace=%file,%desc`, those that move bytes within an open file.
MOVES_BYTES = {"pread64", "pwrite64", "read", "write"}
# Waiting, and memory that belongs to no file.
NO_FILE = {"poll", "ppoll", "epoll_wait", "epoll_pwait", "mmap", "select", "pselect6"}


def calls_of(place, shard_items):
    """System calls on files and descriptors of a whole run, by name, and its number of shards."""
    name = f"shards-of-{shard_items}"
    campaign = place.write(f"{name}.toml", CAMPAIGN.format(shard_items=shard_items))
    log = place / f"{name}.strace"
    subprocess.run(["strace", "-f", "-qq", "-e", "trace=%file,%desc", "-o", log, harness.executable(), "run",
                    campaign, "--out", place / name], check=True, capture_output=True, timeout=240)
    calls = collections.Counter(re.findall(r"^\d+ +(\w+)\(", log.read_text(errors="replace"), re.MULTILINE))
    return calls, harness.shards_reported(place / name)


def more_shards_cost_no_metadata(place):
    few, few_shards = calls_of(place, 256)
    many, many_shards = calls_of(place, 64)
    assert (few_shards, many_shards) == (32, 128), (few_shards, many_shards)
    shards = many_shards - few_shards
    grown = {name: many[name] - few[name] for name in many.keys() | few.keys()
             if many[name] != few[name] and name not in NO_FILE}
    print("  per shard: " + ", ".join(f"{name} {count / shards:.2f}" for name, count in sorted(grown.items())))
    assert grown.keys() <= MOVES_BYTES, grown
    # Rows of each column, the shard's record, its mark, and one line of telemetry.
    assert grown["pwrite64"] <= (COLUMNS + 3) * shards and grown["write"] <= 2 * shards, grown
    assert grown.get("pread64", 0) <= 2 * shards, grown


def main():
    if shutil.which("strace") is None:
        harness.skip("no strace on this machine")
    tried = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        harness.skip(f"strace may not trace here ({tried.stderr.strip()})")
    with Workplace() as place:
        harness.run_checks(place, more_shards_cost_no_metadata)


main()
