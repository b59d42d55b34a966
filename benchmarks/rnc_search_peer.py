#!/usr/bin/env python3
"""The loop over sets of images as the public code of relational neural control has it, in numpy:
all N values of the rows of a set are copied, then its columns are cut out; one set at a time; a
random set is the beginning of a shuffle of all N ids (Gifford, Jastrzebowska, Singer & Cichy 2024).

Started by rnc_search_bench; prints sets per second of scoring alone and of one whole generation.
"""

import argparse
import time

import numpy as np


def score(first, second, ids, lower):
    x = first[ids][:, ids][lower]
    y = second[ids][:, ids][lower]
    return np.corrcoef(x, y)[0, 1]


def random_set(items, size):
    ids = np.arange(items)
    np.random.shuffle(ids)
    return np.sort(ids[:size])


def mutant(parent, exchanged, items):
    others = np.setdiff1d(np.arange(items), parent)
    ids = parent.copy()
    places = np.random.choice(len(parent), exchanged, replace=False)
    ids[places] = np.random.choice(others, exchanged, replace=False)
    return np.sort(ids)


def generation(first, second, population, items, size, lower):
    sizes = [1] + [int(np.rint(share * size)) for share in (0.10, 0.25, 0.50, 0.75)]
    pool = list(population)
    pool += [mutant(parent, exchanged, items) for parent in population for exchanged in sizes]
    pool += [random_set(items, size) for _ in range(len(pool))]
    scores = np.array([score(first, second, ids, lower) for ids in pool])
    best = np.argsort(-scores)[:len(population)]
    return [pool[place] for place in best], len(pool)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, required=True)
    parser.add_argument("--set-size", type=int, default=50)
    parser.add_argument("--population", type=int, required=True)
    settings = parser.parse_args()
    items, size = settings.items, settings.set_size
    np.random.seed(1)
    draws = np.random.default_rng(1)
    first = draws.random((items, items), dtype=np.float32)
    second = draws.random((items, items), dtype=np.float32)
    lower = np.tril_indices(size, -1)

    sets = [random_set(items, size) for _ in range(500)]
    begin = time.perf_counter()
    for ids in sets:
        score(first, second, ids, lower)
    scoring = len(sets) / (time.perf_counter() - begin)

    population = sets[:settings.population]
    begin = time.perf_counter()
    _, scored = generation(first, second, population, items, size, lower)
    print(scoring, scored / (time.perf_counter() - begin))


if __name__ == "__main__":
    main()
