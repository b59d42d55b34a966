#!/usr/bin/env python3
"""Draws efficiency against ranks from the lines of `run.sh scaling_simulation`, and of `scaling_run.py` on real
machines, as an SVG file.

Example:  benchmarks/run.sh scaling_simulation > scaling.jsonl
          benchmarks/plot_scaling.py scaling.jsonl --shards-per-rank 256 --out scaling.svg
"""

import argparse
import json
import math
import sys
from pathlib import Path

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 60, 190, 40, 50
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
SOLID, DASHED = "none", "6 4"
QUEUES = {"efficiency": ("claimed", SOLID), "static_efficiency": ("dealt out", DASHED)}


def simulated(row, shards_per_rank):
    """Name, colour and dashes of the curve that a line belongs to; None for variants of a case."""
    if row["metric"] not in QUEUES:
        return None
    if row["case"] != f"ranks_{row['ranks']}_shards_{shards_per_rank}_variation_{row['variation']:g}":
        return None
    queue, dashes = QUEUES[row["metric"]]
    return f"{queue}, variation {row['variation']:g}", COLOURS[row["variation"] > 0.5], dashes


def curves_of(lines, shards_per_rank):
    """{(name, colour, dashes): [(ranks, efficiency), ...]}."""
    curves = {}
    for line in lines:
        row = json.loads(line)
        curve = None
        if row["benchmark"] == "scaling_simulation":
            curve = simulated(row, shards_per_rank)
        elif row["benchmark"] in ("scaling_strong", "scaling_weak"):
            kind = row["benchmark"].removeprefix("scaling_")
            curve = (f"measured, {kind}", COLOURS[2 + (kind == "weak")], SOLID)
        if curve:
            curves.setdefault(curve, []).append((row["ranks"], row["value"]))
    return {key: sorted(points) for key, points in curves.items()}


def text(x, y, words, anchor="middle"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{words}</text>'


def line(x1, y1, x2, y2, style):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {style}/>'


def svg_of(curves, shards_per_rank):
    all_ranks = sorted({ranks for points in curves.values() for ranks, _ in points})
    widest = max(1.0, math.log2(all_ranks[-1]))
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    is_simulated = any("variation" in name for name, _, _ in curves)
    title = f"Simulated efficiency, {shards_per_rank} shards per rank" if is_simulated else "Efficiency"

    def x_of(ranks):
        return LEFT + (right - LEFT) * math.log2(ranks) / widest

    def y_of(efficiency):
        return bottom - (bottom - TOP) * efficiency

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
             'font-family="sans-serif" font-size="12">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
             text((LEFT + right) / 2, 22, title),
             text((LEFT + right) / 2, HEIGHT - 12, "ranks")]
    for tenth in range(0, 11, 2):
        parts.append(line(LEFT, y_of(tenth / 10), right, y_of(tenth / 10), 'stroke="#dddddd"'))
        parts.append(text(LEFT - 8, y_of(tenth / 10) + 4, f"{tenth / 10:.1f}", "end"))
    for ranks in all_ranks:
        parts.append(line(x_of(ranks), bottom, x_of(ranks), bottom + 5, 'stroke="black"'))
        parts.append(text(x_of(ranks), bottom + 18, f"{ranks:,}"))
    parts.append(line(LEFT, bottom, right, bottom, 'stroke="black"'))
    for place, ((name, colour, dashes), points) in enumerate(curves.items()):
        style = f'fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"'
        path = " ".join(f"{x_of(ranks):.1f},{y_of(value):.1f}" for ranks, value in points)
        parts.append(f'<polyline points="{path}" {style}/>')
        y = TOP + 10 + 20 * place
        parts.append(line(right + 12, y, right + 40, y, style))
        parts.append(text(right + 46, y + 4, name, "start"))
    return "\n".join([*parts, "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("results", type=Path, help="JSON lines")
    parser.add_argument("--shards-per-rank", type=int, default=256)
    parser.add_argument("--out", type=Path, default=Path("scaling.svg"))
    arguments = parser.parse_args()
    lines = arguments.results.read_text(encoding="utf-8").splitlines()
    curves = curves_of(lines, arguments.shards_per_rank)
    if not curves:
        sys.exit(f"error: {arguments.results}: no efficiency at {arguments.shards_per_rank} shards "
                 "per rank. Give it the output of run.sh scaling_simulation.")
    arguments.out.write_text(svg_of(curves, arguments.shards_per_rank), encoding="utf-8")
    print(f"wrote {arguments.out.resolve()}")


if __name__ == "__main__":
    main()
