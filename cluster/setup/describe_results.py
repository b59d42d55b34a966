"""Prints what finished campaigns computed, how fast, and where the results are.

usage: describe_results.py RESULT_FOLDER...
"""

import csv
import json
import math
import statistics
import sys
from pathlib import Path

import h5py


class Stage:
    """One stage of a campaign, over all the jobs that worked on it."""

    def __init__(self):
        self.items = {}  # shard: items
        self.seconds = 0.0
        self.ranks = 0
        self.running = 0.0  # last sign of life of the job at hand [s since its start]

    def absorb(self, event):
        kind = event["event"]
        if kind in ("sealed", "recomputed"):
            self.items[event["shard"]] = event["items"]
            self.running = max(self.running, event["finished_s"])
        elif kind in ("finished", "interrupted"):
            self.seconds += event["seconds"]
            self.running = 0.0
        elif kind == "started":
            self.seconds += self.running  # the job before was killed
            self.running = 0.0
            if event["sealed"] < event["shards"]:
                self.ranks = event["ranks"]


def read_stages(file):
    stages = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            event = json.loads(line)
            stages.setdefault(event["stage"], Stage()).absorb(event)
        except (ValueError, KeyError):
            continue  # a line that a killed job left half-written
    return stages


def rate_text(stage, items_are):
    items = sum(stage.items.values())
    if not items or stage.seconds <= 0.0:
        return ""
    rate = items / stage.seconds
    number = f"{rate:.1f}" if rate < 100 else f"{rate:,.0f}"
    plural = "" if stage.ranks == 1 else "s"
    return f", {number} {items_are}/s on {stage.ranks} rank{plural}"


def text_attribute(store, name, default=None):
    value = store.attrs.get(name, default)
    return value.decode() if isinstance(value, bytes) else value


def store_text(file):
    """What one store holds, and what its items are: "screen of 20,000 stimuli, 768 units"."""
    with h5py.File(file) as store:
        items_are = text_attribute(store, "items_are", "stimuli")
        text = f"{text_attribute(store, 'experiment')} of {store['sealed'].shape[0]:,} {items_are}"
        if "units" in store:
            text += f", {store['units/id'].shape[0]:,} units"
    return text, items_are


def accuracy_lines(file):
    """Median held-out r of each twin beside its baseline."""
    twins = {}
    with open(file, newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            values = float(row["heldout_r"]), float(row["r_luminance"])
            if not any(map(math.isnan, values)):
                twins.setdefault(row["twin"], []).append(values)
    for twin, values in twins.items():
        scores, baselines = zip(*values)
        yield (f"median r {statistics.median(scores):.2f}, mean luminance "
               f"{statistics.median(baselines):.2f}  {twin} ({len(scores)} units)")


def describe(folder):
    stages = read_stages(folder / "telemetry.jsonl")
    for store in sorted(folder.glob("*.h5")):
        stage = stages.get(store.stem, Stage())
        text, items_are = store_text(store)
        print(f"{folder.name}: {text}{rate_text(stage, items_are)}")
        print(f"  store          {store}")
    for chart in sorted(folder.glob("*.svg")):
        print(f"  chart          {chart}")
    for sheet in sorted(folder.glob("*.png")):
        print(f"  contact sheet  {sheet}")
    for table in sorted(folder.glob("accuracy.csv")):
        for line in accuracy_lines(table):
            print(f"  {line}")


def main():
    for folder in sys.argv[1:]:
        describe(Path(folder))


if __name__ == "__main__":
    main()
