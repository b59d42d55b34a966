#!/usr/bin/env python3
"""Relational neural control by the executable, on made-up responses of published size.

default_run: the default pair, align and disentangle, 2,000 generations of 2,400 sets, 26,107 images,
on two ranks, one chain each. million: 1,000,000 images, 2 areas, 4 subjects of 200 units each, never a
number for every two images. trajectories: ten searches of real populations, of which the median is printed
beside the published one. rsm: pairs of images correlated a second, of 10,000 images in two areas
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


MILLION = 1_000_000
SUBJECTS, UNITS, GENERATIONS = 4, 200, 50


def analytic_subjects():
    """Two areas of 2 x 2 places, 5 orientations, 2 frequencies and 5 cells: 200 units, other ones in each."""
    return "".join(
        f'[[twins]]\nfamily = "gabor_energy"\nname = "{subject} {area}"\nsubject = "{subject}"\n'
        f'area = "{area}"\nsize = 16\npositions = 2\nspacing = {spacing + 0.04 * subject}\n'
        f"orientations = 5\nspatial_frequencies = {[cycles + 0.1 * subject for cycles in frequencies]}\n"
        for subject in range(SUBJECTS)
        for area, spacing, frequencies in (("coarse", 0.6, (0.6, 1.2)), ("fine", 0.4, (1.4, 2.2))))


def largest_private_memory(process):
    """Peak over time of what one rank holds for itself, and of what it has mapped of the store [bytes]."""
    private, mapped = 0, 0
    while process.poll() is None:
        for rank in Path("/proc").glob("[0-9]*"):
            try:
                facts = dict(line.split(":", 1) for line in (rank / "status").read_text().splitlines())
            except OSError:
                continue  # it has ended
            if int(facts["PPid"]) != process.pid:
                continue
            sizes = {name: value.split()[0] for name, value in facts.items() if name.startswith("Rss")}
            private = max(private, 1024 * int(sizes.get("RssAnon", 0)))
            mapped = max(mapped, 1024 * int(sizes.get("RssFile", 0)))
        time.sleep(0.5)
    return private, mapped


def million(arguments, folder):
    campaign = folder / "million.toml"
    campaign.write_text(
        analytic_subjects() + f"[[stimuli]]\ncount = {MILLION}\n[stimuli.pink_noise]\n"
        '[relational_control]\nunits = ""\nfolds = "none"\n[relational_control.multivariate]\n'
        f"draws = 100000\npermutations = 10000\ngenerations = {GENERATIONS}\n")
    plan = subprocess.run([arguments.twinscreen, "plan", campaign], check=True, text=True,
                          capture_output=True).stdout
    sys.stderr.write("".join(line + "\n" for line in plan.splitlines() if "stage " in line))
    process = subprocess.Popen([*arguments.mpirun.split(), arguments.twinscreen, "run", campaign,
                                "--out", folder / "million"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    private, mapped = largest_private_memory(process)
    if process.returncode != 0:
        sys.exit(f"error: million ended with {process.returncode}:\n{process.stderr.read().decode()}")
    lines = (folder / "million" / "telemetry.jsonl").read_text().splitlines()
    walls = {event["stage"]: event["seconds"]
             for event in map(json.loads, lines) if event["event"] == "finished"}
    patterns = 4 * MILLION * 2 * SUBJECTS * UNITS
    looks = 2 * GENERATIONS * 2200
    report("10^6 images, 2 areas, 4 subjects of 200 units, 2 ranks", "largest private memory of a rank",
           private / 1e9, "GB", "below the patterns", private < patterns / 2, mapped_gb=mapped / 1e9,
           patterns_gb=patterns / 1e9, similarities_would_take_gb=2 * 4 * MILLION**2 / 1e9,
           bytes_of_a_candidate=50 * 2 * SUBJECTS * UNITS * 4,
           candidates_per_second=looks / walls["multivariate_search"], seconds=walls)


# Agreement of the best set of one search on V1 and hV4, mean of eight people, 73,000 photographs, random sets
# agree at 0.5285 (Gifford et al. 2024). By generation, counted from 0: align, disentangle.
PUBLISHED = {0: (0.727389, 0.347608), 10: (0.818992, 0.244920), 50: (0.924964, 0.0863475),
             100: (0.953159, 0.00991752), 200: (0.979394, 3.72452e-7), 500: (0.991031, 1.98972e-7),
             1000: (0.994536, 3.04497e-8), 1999: (0.996475, 3.04497e-8)}
SEEDS = 10


def trajectories(arguments, folder):
    """Two macaque V4 populations, of one monkey each, over the images of the species comparison."""
    import h5py
    if not (arguments.campaign.parent / "../../results/rnc_v4_screen/responses.h5").exists():
        sys.exit("skipped: run experiments/campaigns/rnc_v4_screen.toml first")
    found, baselines = [], []
    for seed in range(1, SEEDS + 1):
        store = folder / f"seed{seed}"
        settings = {"seed": seed, "relational_control.multivariate.draws": 10000,
                    "relational_control.multivariate.permutations": 1000,
                    "relational_control.multivariate.generations": 2000,
                    "relational_control.multivariate.compare_optimisers": "false"}
        asked = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        subprocess.run([*arguments.mpirun.split(), arguments.twinscreen, "run", arguments.campaign,
                        "--out", store, *asked], stdin=subprocess.DEVNULL, check=True,
                       stdout=subprocess.DEVNULL)
        with h5py.File(store / "multivariate_search.h5") as file:
            found.append(np.abs(file["columns/score"][:]))
        with h5py.File(store / "multivariate_baseline.h5") as file:
            baselines.append(float(file["summary/mean_over_sets"][0, 0]))
    scores = np.array(found)  # [seeds, objectives, generations]
    for generation, published in PUBLISHED.items():
        for at, objective in enumerate(("align", "disentangle")):
            values = scores[:, at, generation]
            report("two macaque V4 populations", f"{objective}, generation {generation}",
                   float(np.median(values)), "|RSA|", "", True,
                   smallest=values.min(), largest=values.max(), published=published[at],
                   random_sets=statistics.median(baselines), random_sets_published=0.5285,
                   seeds=SEEDS)


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
    parser.add_argument("case", choices=("default_run", "million", "rsm", "trajectories"))
    parser.add_argument("--twinscreen", required=True)
    parser.add_argument("--mpirun", required=True, help="the command that starts two ranks")
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--campaign", type=Path, help="of two real populations (trajectories)",
                        default=Path(__file__).parent / "../experiments/campaigns/rnc_v4_sessions.toml")
    arguments = parser.parse_args()
    {"default_run": default_run, "million": million, "rsm": rsm,
     "trajectories": trajectories}[arguments.case](arguments, arguments.scratch)


if __name__ == "__main__":
    main()
