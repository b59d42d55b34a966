"""Relational neural control written down once more, from the formulas of Gifford, Jastrzebowska, Singer
& Cichy (2024) and with numpy: what the stored results of the executable are compared with."""

import itertools
import math

import numpy as np

CONDITIONS = {"both_high": (1, 1), "both_low": (-1, -1), "high_low": (1, -1), "low_high": (-1, 1)}


def pearson(x, y):
    x, y = x - x.mean(), y - y.mean()
    return (x * y).sum() / math.sqrt((x * x).sum() * (y * y).sum())


class Truth:
    """A study of kept responses {(subject, area): [images, units]}."""

    def __init__(self, responses, subjects, areas):
        self.responses = responses
        self.subjects, self.areas = subjects, areas
        self.pairs = list(itertools.combinations(areas, 2))
        self.folds = [(subjects, None)] + [([other for other in subjects if other != test], test)
                                           for test in subjects]
        self.u = {key: np.float32([row[~np.isnan(row)].mean() if not np.isnan(row).all() else np.nan
                                   for row in rows]).astype(float)
                  for key, rows in responses.items()}
        self.similarity = {key: self._similarity(rows) for key, rows in responses.items()}

    @staticmethod
    def _similarity(rows):
        """Correlation of the patterns of every two images; NaN where one is constant or has NaN."""
        images = len(rows)
        bad = np.array([np.isnan(row).any() or row.min() == row.max() for row in rows])
        result = np.full((images, images), np.nan)
        centred = rows - rows.mean(axis=1, keepdims=True)
        for i in range(images):
            for j in range(i):
                if not bad[i] and not bad[j]:
                    x, y = centred[i], centred[j]
                    result[i, j] = result[j, i] = x @ y / math.sqrt((x @ x) * (y @ y))
        return result

    def has_mean(self):
        return np.isfinite([self.u[key] for key in self.u]).all(axis=0)

    def has_pattern(self):
        return np.all([np.isfinite(s).any(axis=0) for s in self.similarity.values()], axis=0)

    def trained(self, train, area):
        """Mean response over subjects."""
        return np.mean([self.u[subject, area] for subject in train], axis=0)

    def seen(self, subjects, area):
        """Mean similarities over subjects."""
        return np.mean([self.similarity[subject, area] for subject in subjects], axis=0)

    def agreement(self, subjects, pair, ids):
        """RSA about a set: correlation of the strict lower triangles."""
        lower = [(i, j) for i in ids for j in ids if j < i]
        first, second = (self.seen(subjects, area) for area in pair)
        return pearson(np.array([first[i, j] for i, j in lower]),
                       np.array([second[i, j] for i, j in lower]))

    def ranked(self, pair, train, baselines, condition, margin, kept):
        """Ids beyond the margins, best first, and how many there are: a sort of everything."""
        signs = CONDITIONS[condition]
        values = [self.trained(train, area) for area in pair]
        passed = [image for image in np.flatnonzero(self.has_mean())
                  if all(sign * (value[image] - base) >= margin
                         for sign, value, base in zip(signs, values, baselines))]
        passed.sort(key=lambda image: -sum(s * v[image] for s, v in zip(signs, values)))
        return passed[:kept], len(passed)


def bootstrap(values):
    """Bounds of the mean over every ordered resample: where 2.5 % and 97.5 % are reached."""
    means = sorted(np.mean(resample) for resample in itertools.product(values, repeat=len(values)))
    return [means[math.ceil(part * len(means) / 40 - 1e-9) - 1] for part in (1, 39)]


def benjamini_hochberg(p, alpha=0.05):
    order = sorted(range(len(p)), key=lambda at: p[at])
    passed = [rank for rank in range(1, len(p) + 1) if p[order[rank - 1]] <= rank * alpha / len(p)]
    return [at in order[:max(passed, default=0)] for at in range(len(p))]


def binomial(found, subjects):
    """Chance of so many or more."""
    return sum(math.comb(subjects, k) * 0.05**k * 0.95 ** (subjects - k)
               for k in range(found, subjects + 1))
