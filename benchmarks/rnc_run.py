#!/usr/bin/env python3
"""Relational neural control by the executable, on made-up responses of published size.

default_run: the default pair, align and disentangle, 2,000 generations of 2,400 sets, 26,107 images,
on two ranks, one chain each. rsm: pairs of images correlated a second, of 10,000 images in two areas
of 1,000 units, against the rate of a matrix product of numpy on the same core.

Started by run.sh; prints one JSON object a line.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[threads] = "1"
import numpy as np  # noqa: E402  (after the threads are set)

REPEATS = 3


def make_responses(folder, images, units):
    """Two areas that share six hidden factors, with four and noise of their own."""
    rng = np.random.default_rng(1)
    shared = rng.normal(size=(images, 6))
    text = ""
    for area in ("V1", "hV4"):
        hidden = np.hstack([shared, rng.normal(size=(images, 4))])
        values = hidden @ rng.normal(size=(10, units)) + 2.0 * rng.normal(size=(images, units))
        np.save(folder / f"{area}.npy", values.astype(np.float32))
        text += f'[[relational_control.responses]]\nfile = "{area}.npy"\nsubject = "one"\narea = "{area}"\n'
    return text


def run(arguments, folder, name, sources, multivariate, ranks):
    """Seconds of each stage."""
    campaign = folder / f"{name}.toml"
    campaign.write_text('[relational_control]\nunits = ""\nfolds = "none"\n' + sources +
                        "[relational_control.multivariate]\n" + multivariate)
    command = arguments.mpirun.split() if ranks > 1 else []
    done = subprocess.run([*command, arguments.twinscreen, "run", campaign, "--out", folder / name],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"error: {name} ended with {done.returncode}:\n{done.stderr}")
    lines = (folder / name / "telemetry.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    compute = {}
    for event in events:
        if event["event"] == "sealed":
            compute[event["stage"]] = compute.get(event["stage"], 0.0) + event["compute_s"]
    walls = {event["stage"]: event["seconds"] for event in events if event["event"] == "finished"}
    return walls, compute


def report(case, metric, value, unit, target, ok, **facts):
    print(json.dumps({"benchmark": "rnc_run", "case": case, "metric": metric,
                      "value": float(f"{value:.4g}"), "unit": unit, "target": target, "ok": ok,
                      **facts}), flush=True)


def default_run(arguments, folder):
    sources = make_responses(folder, 26_107, 200)
    walls, _ = run(arguments, folder, "default", sources,
                   'draws = 40000\npermutations = 10000\nsimilarities = "stored"\n', ranks=2)
    seconds = walls["multivariate_search"]
    report("26,107 images, 2 chains on 2 ranks", "search", seconds, "s", "<= 120", seconds <= 120,
           similarities_s=walls["similarity"])


def product_rate():
    """Multiplications and additions a second of one core."""
    size = 2048
    # Two matrices: of one with itself numpy computes half.
    a, b = np.random.default_rng(2).normal(size=(2, size, size)).astype(np.float32)
    rates = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        a @ b
        rates.append(2.0 * size**3 / (time.perf_counter() - start))
    return statistics.median(rates[1:])


def rsm(arguments, folder):
    images, units, areas = 10_000, 1000, 2
    sources = make_responses(folder, images, units)
    flop = areas * images * (images - 1) / 2 * 2 * units
    shares = []
    for repeat in range(REPEATS):
        before = product_rate()
        _, compute = run(arguments, folder, f"rsm{repeat}", sources,
                         "draws = 400\npermutations = 100\ngenerations = 1\npopulation = 10\n"
                         'similarities = "stored"\n', ranks=1)
        shares.append(flop / compute["similarity"] / statistics.mean([before, product_rate()]))
    share = statistics.median(shares)
    report("10,000 images, 2 areas of 1,000 units, one core", "pair rate over matrix product", share,
           "ratio", ">= 0.7", share >= 0.7, smallest=min(shares), largest=max(shares))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("case", choices=("default_run", "rsm"))
    parser.add_argument("--twinscreen", required=True)
    parser.add_argument("--mpirun", required=True, help="the command that starts two ranks")
    parser.add_argument("--scratch", type=Path, required=True)
    arguments = parser.parse_args()
    {"default_run": default_run, "rsm": rsm}[arguments.case](arguments, arguments.scratch)


if __name__ == "__main__":
    main()
