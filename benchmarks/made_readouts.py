#!/usr/bin/env python3
"""Readouts of subjects that nobody recorded, for convert_readouts.py: a real amount of work.

usage: made_readouts.py FILE.safetensors --subjects N [--areas 4] [--units 200] [--features 2048]
"""

import argparse

import numpy as np
from safetensors.numpy import save_file


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--subjects", type=int, required=True)
    parser.add_argument("--areas", type=int, default=4)
    parser.add_argument("--units", type=int, default=200)
    parser.add_argument("--features", type=int, default=2048)
    arguments = parser.parse_args()
    rng = np.random.default_rng(1)
    tensors = {}
    for subject in range(arguments.subjects):
        for area in range(arguments.areas):
            group = f"subject{subject}.area{area}"
            tensors[f"{group}.coef"] = rng.standard_normal(
                (arguments.units, arguments.features), np.float32) / arguments.features ** 0.5
            tensors[f"{group}.intercept"] = np.zeros(arguments.units, np.float32)
    save_file(tensors, arguments.file)


if __name__ == "__main__":
    main()
