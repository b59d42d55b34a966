#!/usr/bin/env python3
"""Whole runs of one campaign on more and more ranks: strong scaling (the same stimuli for all), or weak scaling (as
many more stimuli as ranks). One JSON line a number of ranks: the median rate, and the efficiency against the smallest.

On a cluster, in a job:  sbatch --export=ALL,TWINSCREEN_HOME=$PWD cluster/slurm/scaling.sh
Results of several jobs go into one table:  --table results/scaling.jsonl  (appended; plot_scaling.py draws it)
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

# 1.8 million multiply-accumulates a stimulus: shards of 256 take a tenth of a second on one core.
CAMPAIGN = """
seed = 1
[[twins]]
family = "gabor_energy"
positions = 3
[[stimuli]]
count = {stimuli}
[stimuli.pink_noise]
[screen]
measures = ["area_mean", "moments"]
[run]
shard_items = {shard_items}
"""
SHARDS_PER_RANK = 64


def seconds_of(store):
    """Of the stage, without the start of the processes."""
    events = [json.loads(line) for line in (store / "telemetry.jsonl").read_text().splitlines()]
    (finished,) = [event for event in events if event["event"] == "finished"]
    return finished["seconds"]


def run(arguments, folder, ranks, stimuli):
    """Seconds, and the content hash."""
    largest = max(arguments.ranks)
    items = arguments.stimuli // (SHARDS_PER_RANK * (largest if arguments.kind == "strong" else 1))
    campaign = folder / "campaign.toml"
    campaign.write_text(CAMPAIGN.format(stimuli=stimuli, shard_items=max(items, 1)))
    with tempfile.TemporaryDirectory(dir=folder) as place:
        store = Path(place) / "store"
        words = [*arguments.launcher.split(), str(ranks), arguments.twinscreen, "run", campaign, "--out", store]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"error: {ranks} ranks ended with {done.returncode}:\n{done.stderr}")
        shown = subprocess.run([arguments.twinscreen, "verify", store, "--json"], check=True, text=True,
                               capture_output=True)
        return seconds_of(store), json.loads(shown.stdout)["content_hash"]


def measure(arguments, folder):
    """[(ranks, stimuli, seconds of each repeat)]; all numbers of ranks in turn, so that a slow hour hits all."""
    stimuli_of = {ranks: arguments.stimuli * (ranks if arguments.kind == "weak" else 1) for ranks in arguments.ranks}
    times, hashes = {ranks: [] for ranks in arguments.ranks}, set()
    for _ in range(arguments.repeats):
        for ranks, stimuli in stimuli_of.items():
            seconds, content = run(arguments, folder, ranks, stimuli)
            times[ranks].append(seconds)
            hashes.add((stimuli, content))
    if len(hashes) != len(set(stimuli_of.values())):
        sys.exit("error: results depend on the number of ranks")
    return [(ranks, stimuli_of[ranks], times[ranks]) for ranks in arguments.ranks]


def report(arguments, rows):
    first_ranks, first_stimuli, first_times = rows[0]
    rate_of_one = first_stimuli / statistics.median(first_times) / first_ranks
    lines = []
    for ranks, stimuli, times in rows:
        rate = stimuli / statistics.median(times)
        efficiency = rate / rate_of_one / ranks
        lines.append(json.dumps({
            "benchmark": f"scaling_{arguments.kind}", "case": f"ranks_{ranks}", "metric": "efficiency",
            "value": round(efficiency, 4), "unit": "", "target": "", "ok": True, "ranks": ranks,
            "nodes": int(os.environ.get("SLURM_JOB_NUM_NODES", 1)), "stimuli_per_s": round(rate, 1),
            "stimuli": stimuli, "seconds": [round(seconds, 3) for seconds in times],
            "machine": platform.node(), "cores": os.cpu_count(),
            "time": datetime.now(timezone.utc).isoformat(timespec="seconds")}))
    print("\n".join(lines), flush=True)
    if arguments.table:
        arguments.table.parent.mkdir(parents=True, exist_ok=True)
        with open(arguments.table, "a", encoding="utf-8") as table:
            table.write("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("kind", choices=("strong", "weak"))
    parser.add_argument("--twinscreen", required=True)
    parser.add_argument("--launcher", default="mpirun -n", help='the words before the number of ranks ("srun -n")')
    parser.add_argument("--ranks", type=lambda text: sorted(map(int, text.split(","))), default=[1, 2],
                        help="1,2,4: the first one is what the others are compared with")
    parser.add_argument("--stimuli", type=int, default=65_536, help="of all ranks (strong) or of each (weak)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--scratch", type=Path, required=True, help="a folder that all nodes see")
    parser.add_argument("--table", type=Path, help="append the lines to this file, too")
    arguments = parser.parse_args()
    arguments.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
        report(arguments, measure(arguments, Path(folder)))


if __name__ == "__main__":
    main()
