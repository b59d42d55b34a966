#!/usr/bin/env python3
"""Whole runs on a GPU, beside the loop that a Python user would write for the same work on the same GPU.

Ours: one `twinscreen run` over pictures of an array, responses of all units into a store. Theirs: the
same pictures in the same batches, through pinned memory to the GPU, normalised there, through the
network of torchvision, responses back and into an array file; eager and compiled. The clock of both
runs from the first picture to the last response (theirs after two batches that nobody counts).

usage: device_runs.py TWINSCREEN BUNDLES [--device gpu] [--pictures N] [--batch N] [--json FILE]
  BUNDLES   folder of bundles that export_model.py made of torchvision.models: resnet50, vit_b_32

Needs PyTorch, torchvision and numpy.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torchvision

SIDE = 224
MEAN, SCALE = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
WAYS = {  # settings of [run]
    "float32": {},
    "float32, replayed": {"replay": "true"},
    "tf32": {"precision": "tf32"},
    "bfloat16": {"precision": "bfloat16"},
}
CAMPAIGN = """
[[twins]]
bundle = {bundle}
[[stimuli]]
npy = {pictures}
[run]
device = "{device}"
batch_items = {batch}
[screen]
measures = ["units"]
"""


def make_pictures(file, count):
    rng = np.random.default_rng(1)
    pictures = np.lib.format.open_memmap(file, "w+", np.uint8, (count, SIDE, SIDE, 3))
    for first in range(0, count, 512):
        part = pictures[first:first + 512]
        part[:] = rng.integers(0, 256, part.shape, dtype=np.uint8)
    pictures.flush()


def events_of(store):
    return [json.loads(line) for line in (store / "telemetry.jsonl").read_text().splitlines()]


def our_run(arguments, bundle, pictures, folder, settings):
    campaign = folder / "campaign.toml"
    campaign.write_text(CAMPAIGN.format(
        bundle=json.dumps(str(bundle)), pictures=json.dumps(str(pictures)),
        device=arguments.device, batch=arguments.batch))
    store = Path(tempfile.mkdtemp(dir=folder)) / "store"
    overrides = [part for name, value in settings.items()
                 for part in ("--set", f"run.{name}={value}")]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    subprocess.run([arguments.twinscreen, "run", campaign, "--out", store, *overrides], check=True,
                   stdout=subprocess.DEVNULL)
    whole_s = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    events = events_of(store)
    seconds = next(event["seconds"] for event in events if event["event"] == "finished")
    shards = [event for event in events if event["event"] == "sealed"]
    total = {name: sum(shard[name] for shard in shards) for name in
             ("compute_s", "wait_fill_s", "wait_write_s", "fill_s", "write_s")}
    cpu_s = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    found = {
        "pictures per second": arguments.pictures / seconds,
        "seconds with start and end of the program": whole_s,
        "share of waiting for pictures": total["wait_fill_s"] / seconds,
        "share of waiting for the writer": total["wait_write_s"] / seconds,
        "seconds of readers": total["fill_s"],
        "seconds of the writer": total["write_s"],
        "host cores for 10,000 pictures/s": cpu_s / arguments.pictures * 1e4,
    }
    found |= {"difference from float32, of the spread": event["difference_of_spread"]
              for event in events if event["event"] == "compared"}
    return found


def their_run(arguments, network, pictures, folder):
    device = torch.device("cuda" if arguments.device == "gpu" else "cpu")
    mean = torch.tensor(MEAN, device=device).view(1, 3, 1, 1)
    scale = torch.tensor(SCALE, device=device).view(1, 3, 1, 1)
    images = np.load(pictures, mmap_mode="r")

    def answers(first):
        batch = torch.from_numpy(np.array(images[first:first + arguments.batch]))
        if device.type == "cuda":
            batch = batch.pin_memory()
        inputs = (batch.to(device, non_blocking=True).permute(0, 3, 1, 2).float() - mean) / scale
        return network(inputs).cpu().numpy()

    with torch.inference_mode():
        for _ in range(2):
            units = answers(0).shape[1]
        responses = np.lib.format.open_memmap(folder / "theirs.npy", "w+", np.float32,
                                              (len(images), units))
        began = time.monotonic()
        for first in range(0, len(images), arguments.batch):
            responses[first:first + arguments.batch] = answers(first)
        responses.flush()
        return len(images) / (time.monotonic() - began)


def theirs(arguments, name, pictures, folder):
    """torch.compile is left out where it has no compiler, and that is said."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    network = getattr(torchvision.models, name)(weights=None).eval()
    if arguments.device == "gpu":
        network = network.cuda()
    found = {"eager": their_run(arguments, network, pictures, folder)}
    try:
        found["compiled"] = their_run(arguments, torch.compile(network), pictures, folder)
    except Exception as failure:  # whatever its compilers raise
        print(f"torch.compile failed: {failure!r}"[:300], file=sys.stderr)
    return found


def measure_ours(arguments, bundle, pictures, folder, found):
    for way, settings in WAYS.items():
        try:
            found[way] = our_run(arguments, bundle, pictures, folder, settings)
        except subprocess.CalledProcessError as failure:
            found[way] = {"exit code": failure.returncode}
            print(f"{bundle.name}, {way}: failed ({failure.returncode})", flush=True)
            continue
        print(f"{bundle.name}, {way}: {found[way]['pictures per second']:.0f} pictures/s", flush=True)


def measure_theirs(arguments, name, pictures, folder, found):
    ours = found["float32"].get("pictures per second", float("nan"))
    for way, rate in theirs(arguments, name, pictures, folder).items():
        print(f"{name}, PyTorch {way}: {rate:.0f} pictures/s; ours is {ours / rate:.2f} times that",
              flush=True)
        found[f"PyTorch {way}"] = {"pictures per second": rate, "ours by theirs, float32": ours / rate}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("twinscreen")
    parser.add_argument("bundles", type=Path)
    parser.add_argument("--device", default="gpu", choices=("gpu", "emulated"))
    parser.add_argument("--pictures", type=int, default=4096)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    found = {"device": arguments.device, "pictures": arguments.pictures, "batch": arguments.batch}
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder) / "pictures.npy"
        make_pictures(pictures, arguments.pictures)
        bundles = [bundle for bundle in sorted(arguments.bundles.iterdir())
                   if hasattr(torchvision.models, bundle.name)]

        def save():  # what there is, should this be ended before it is over
            if arguments.json:
                arguments.json.write_text(json.dumps(found, indent=2) + "\n")

        # Theirs come last: this process then holds on to the GPU.
        for bundle in bundles:
            measure_ours(arguments, bundle, pictures, Path(folder), found.setdefault(bundle.name, {}))
            save()
        for bundle in bundles:
            measure_theirs(arguments, bundle.name, pictures, Path(folder), found[bundle.name])
            save()


if __name__ == "__main__":
    main()
