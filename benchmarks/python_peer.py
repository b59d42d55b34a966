#!/usr/bin/env python3
"""The loop that a Python user would write, against the whole engine on the same stimuli.

Theirs: Pillow decodes, PyTorch runs the published layers on batches of 32, h5py appends; the clock
starts when the model is loaded and stops when the file is closed. Ours: one `twinscreen run`, from
the start of the process to its end. Both are held to the same cores, take turns, and the responses
are compared. A second part compares forward passes alone, PyTorch at its best batch size.

Started by run.sh; prints one JSON object a line.
"""

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

BATCH = 32
V4_MEAN = np.array([116.222, 109.270, 100.381], np.float32)
SEVERITY = 1e-4  # largest difference of responses over the largest response


def convolution(weight, bias=None, **options):
    """A Conv2d that holds these weights."""
    out_channels, per_group, height, width = weight.shape
    layer = nn.Conv2d(per_group * options.get("groups", 1), out_channels, (height, width),
                      bias=bias is not None, **options)
    layer.weight.data = weight.contiguous()
    if bias is not None:
        layer.bias.data = bias
    return layer


def batch_norm(weight, bias, mean, variance, epsilon):
    layer = nn.BatchNorm2d(len(weight), eps=epsilon)
    layer.weight.data, layer.bias.data = weight, bias
    layer.running_mean, layer.running_var = mean, variance
    return layer


class V4Network(nn.Module):
    """A compact V4 network, layer by layer as its README lists them."""

    def __init__(self, tensors, prefix=""):
        super().__init__()
        found = {name[len(prefix):]: value for name, value in tensors.items()
                 if name.startswith(prefix)}

        def kernel(name):  # [height, width, in, out] -> [out, in, height, width]
            return found[name].permute(3, 2, 0, 1)

        def norm(layer):
            return batch_norm(*(found[f"{layer}.bn.{key}"] for key in
                                ("gamma", "beta", "mean", "var")), epsilon=1e-3)

        layers = [convolution(kernel("layer0.conv.kernel"), found["layer0.conv.bias"], padding=2),
                  norm("layer0"), nn.ReLU()]
        for number in range(1, 5):
            layer = f"layer{number}"
            stride = 2 if number <= 2 else 1
            before = 1 if stride == 2 else 2
            depthwise = found[f"{layer}.sep.depthwise"].permute(2, 3, 0, 1)
            layers += [nn.ZeroPad2d((before, 2, before, 2)),
                       convolution(depthwise, stride=stride, groups=len(depthwise)),
                       convolution(kernel(f"{layer}.sep.pointwise"), found[f"{layer}.sep.bias"]),
                       norm(layer), nn.ReLU()]
        self.core = nn.Sequential(*layers)
        self.shared = "mixing.kernel" in found
        if self.shared:
            pool = found["spatial_pool.kernel"].permute(2, 3, 0, 1)
            self.readout = nn.Sequential(
                convolution(kernel("mixing.kernel"), found["mixing.bias"]),
                convolution(pool, found["spatial_pool.bias"], groups=len(pool)))
        else:
            self.readout = nn.Linear(*found["readout.kernel"].shape)
            self.readout.weight.data = found["readout.kernel"].t().contiguous()
            self.readout.bias.data = found["readout.bias"]

    def forward(self, images):
        x = self.core(images)
        if self.shared:
            return self.readout(x).flatten(1)
        return self.readout(x.permute(0, 2, 3, 1).flatten(1))


class V4Population(nn.Module):
    """One network per neuron."""

    def __init__(self, tensors):
        super().__init__()
        count = len({name.split(".")[0] for name in tensors})
        self.networks = nn.ModuleList(V4Network(tensors, f"neuron{i}.") for i in range(count))

    def forward(self, images):
        return torch.cat([network(images) for network in self.networks], dim=1)


class MouseNetwork(nn.Module):
    """The SENSORIUM 2022 CNN without behaviour."""

    def __init__(self, tensors):
        super().__init__()

        def norm(layer):
            return batch_norm(*(tensors[f"core.features.{layer}.norm.{key}"] for key in
                                ("weight", "bias", "running_mean", "running_var")), epsilon=1e-5)

        layers = [convolution(tensors["core.features.layer0.conv.weight"]), norm("layer0"),
                  nn.ELU()]
        for number in range(1, 4):
            layer = f"core.features.layer{number}.ds_conv."
            layers += [convolution(tensors[layer + "in_depth_conv.weight"]),
                       convolution(tensors[layer + "spatial_conv.weight"], padding=3, groups=64),
                       convolution(tensors[layer + "out_depth_conv.weight"]),
                       norm(f"layer{number}"), nn.ELU()]
        self.core = nn.Sequential(*layers)
        hidden = functional.elu(functional.linear(tensors["readout.source_grid"],
                                                  tensors["readout.mu_transform.0.weight"],
                                                  tensors["readout.mu_transform.0.bias"]))
        places = torch.tanh(functional.linear(hidden, tensors["readout.mu_transform.2.weight"],
                                              tensors["readout.mu_transform.2.bias"]))
        self.grid = places.clamp(-1, 1).view(1, -1, 1, 2)
        self.features = tensors["readout._features"].view(1, 64, -1)
        self.bias = tensors["readout.bias"]

    def forward(self, images):
        core = self.core(images)
        samples = functional.grid_sample(core, self.grid.expand(len(core), -1, -1, -1),
                                         align_corners=True).squeeze(-1)
        return functional.elu((samples * self.features).sum(1) + self.bias) + 1


def v4_image(file):
    pixels = np.asarray(Image.open(file).convert("RGB"), np.float32)
    return torch.from_numpy((pixels - V4_MEAN).transpose(2, 0, 1))


def mouse_image(file):
    """Grey, scaled to cover 36 x 64, the middle cut out, (x - 113) / 60."""
    pixels = torch.from_numpy(np.asarray(Image.open(file).convert("L"), np.float32))[None, None]
    height, width = pixels.shape[2:]
    ratio = max(36 / height, 64 / width)
    size = round(height * ratio), round(width * ratio)
    small = functional.interpolate(pixels, size, mode="bilinear", antialias=True)[0]
    top, left = (size[0] - 36) // 2, (size[1] - 64) // 2
    return (small[:, top:top + 36, left:left + 64] - 113) / 60


class ZipImages:
    def __init__(self, file, count):
        self.archive = zipfile.ZipFile(file)
        self.names = sorted(name for name in self.archive.namelist()
                            if name.lower().endswith(".jpg"))[:count]
        self.toml = f"[[stimuli]]\nzip = {json.dumps(str(file))}\ncount = {count}\n"

    def __len__(self):
        return len(self.names)

    def open(self, number):
        return io.BytesIO(self.archive.read(self.names[number]))


class ListedImages:
    def __init__(self, files, count, scratch):
        self.files = [files[i % len(files)] for i in range(count)]
        listing = scratch / "images.txt"
        listing.write_text("".join(f"{file}\n" for file in self.files))
        self.toml = f"[[stimuli]]\nlist = {json.dumps(str(listing))}\n"

    def __len__(self):
        return len(self.files)

    def open(self, number):
        return self.files[number]


def python_seconds(model, images, read, file):
    """The loop: decode a batch, run it, append the responses."""
    start = time.perf_counter()
    with h5py.File(file, "w") as store, torch.inference_mode():
        responses = None
        for first in range(0, len(images), BATCH):
            batch = torch.stack([read(images.open(i))
                                 for i in range(first, min(first + BATCH, len(images)))])
            rows = model(batch).numpy()
            if responses is None:
                responses = store.create_dataset("response", (0, rows.shape[1]), "f4",
                                                 maxshape=(None, rows.shape[1]),
                                                 chunks=(BATCH, rows.shape[1]))
            responses.resize(first + len(rows), axis=0)
            responses[first:] = rows
    return time.perf_counter() - start


class Engine:
    def __init__(self, program, bundle, images, threads, cores, scratch):
        self.cores = cores
        self.campaign = scratch / f"ours-{bundle.name}-{threads}.toml"
        self.campaign.write_text(
            f"[run]\nthreads_per_rank = {threads}\nreader_threads = {threads}\n"
            f"[[twins]]\nbundle = {json.dumps(str(bundle))}\n{images.toml}"
            "[screen]\nmeasures = [\"units\"]\n")
        self.program = program

    def seconds(self, out):
        command = [self.program, "run", self.campaign, "--out", out]
        start = time.perf_counter()
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False, preexec_fn=lambda: os.sched_setaffinity(0, self.cores))
        elapsed = time.perf_counter() - start
        if done.returncode != 0:
            sys.exit(f"error: {self.program} ended with {done.returncode}:\n{done.stderr}")
        return elapsed


def report(case, metric, unit, values, target, **facts):
    value = statistics.median(values)
    ok = target is None or value >= target
    print(json.dumps({"benchmark": "python_peer", "case": case, "metric": metric,
                      "value": float(f"{value:.4g}"), "unit": unit,
                      "target": "" if target is None else f">= {target:g}", "ok": ok,
                      "smallest": float(f"{min(values):.4g}"),
                      "largest": float(f"{max(values):.4g}"), **facts}), flush=True)


def compare_runs(case, settings, threads, cores, scratch):
    """Whole runs, in turn; the first pair warms the file cache and compares the responses."""
    model, images = case["model"](), case["images"]
    engine = Engine(settings.twinscreen, settings.bundles / case["bundle"], images, threads, cores,
                    scratch)
    theirs, ours = [], []
    for repeat in range(settings.repeats):
        out = scratch / f"ours-{repeat}"
        ours.append(engine.seconds(out))
        theirs.append(python_seconds(model, images, case["read"], scratch / "theirs.h5"))
        if repeat == 0:
            with h5py.File(scratch / "theirs.h5") as one, \
                    h5py.File(out / "responses.h5") as other:
                expected, found = one["response"][:], other["columns/response"][:]
            difference = float(np.abs(found - expected).max() / np.abs(expected).max())
        subprocess.run(["rm", "-r", "--", out], check=True)
    facts = {"stimuli": len(images), "threads": threads, "cores": len(cores),
             "repeats": settings.repeats, "python_batch": BATCH}
    name = f"{case['name']}_{threads}_thread{'s' if threads > 1 else ''}"
    report(name, "python", "stimuli/s", [len(images) / t for t in theirs], None, **facts)
    report(name, "twinscreen", "stimuli/s", [len(images) / t for t in ours], None, **facts)
    report(name, "speed_over_python", "x", [t / o for t, o in zip(theirs, ours)], case["target"],
           **facts)
    print(json.dumps({"benchmark": "python_peer", "case": name, "metric": "largest_difference",
                      "value": float(f"{difference:.2g}"), "unit": "of the largest response",
                      "target": f"<= {SEVERITY:g}", "ok": difference <= SEVERITY,
                      "responses": int(expected.size)}), flush=True)


def compare_forward(case, settings, cores):
    """Forward passes alone on one core; PyTorch may choose its best batch size."""
    model, shape = case["model"](), case["shape"]
    count = case["forward_stimuli"]

    def python_rate(batch):
        images = torch.randint(-128, 128, (batch, *shape)).float()
        passes = max(1, count // batch)
        with torch.inference_mode():
            model(images)
            start = time.perf_counter()
            for _ in range(passes):
                model(images)
        return passes * batch / (time.perf_counter() - start)

    def our_rate():
        command = [settings.forward_rate, settings.bundles / case["bundle"], str(count)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=True, preexec_fn=lambda: os.sched_setaffinity(0, cores))
        return float(done.stdout)

    batches = (1, 8, BATCH)
    first_look = {batch: python_rate(batch) for batch in batches}
    best = max(batches, key=first_look.get)
    theirs, ours = [], []
    for _ in range(settings.repeats):
        ours.append(our_rate())
        theirs.append(python_rate(best))
    facts = {"threads": 1, "repeats": settings.repeats, "python_batch": best}
    report(case["name"], "forward_python", "stimuli/s", theirs, None, **facts)
    report(case["name"], "forward_twinscreen", "stimuli/s", ours, None, **facts)
    report(case["name"], "forward_over_pytorch", "x", [o / t for o, t in zip(ours, theirs)], 1.0,
           **facts)


def known_cases(settings, scratch):
    """What there is data for; the rest is named on stderr."""
    def weights(name):
        return load_file(settings.bundles / name / "weights.safetensors")

    v4_images = settings.data / "v4-compact-models" / "images_190923.zip"
    kodak = sorted((settings.data / "kodak-images").glob("*.png"))
    cases = []
    if v4_images.exists() and (settings.bundles / "v4_shared_200").is_dir():
        cases.append({"name": "v4_shared_200", "bundle": "v4_shared_200", "target": 4.0,
                      "model": lambda: V4Network(weights("v4_shared_200")).eval(),
                      "images": ZipImages(v4_images, 256), "read": v4_image,
                      "shape": (3, 112, 112), "forward_stimuli": 128})
        cases.append({"name": "v4_33_single_neuron", "bundle": "v4_190923", "target": 4.0,
                      "model": lambda: V4Population(weights("v4_190923")).eval(),
                      "images": ZipImages(v4_images, 64), "read": v4_image,
                      "shape": (3, 112, 112), "forward_stimuli": 32})
    else:
        print("skipped: V4 (no v4-compact-models data)", file=sys.stderr)
    if kodak and (settings.bundles / "mouse_cnn").is_dir():
        cases.append({"name": "mouse_cnn", "bundle": "mouse_cnn", "target": 1.3,
                      "model": lambda: MouseNetwork(weights("mouse_cnn")).eval(),
                      "images": ListedImages(kodak, 480, scratch), "read": mouse_image,
                      "shape": (1, 36, 64), "forward_stimuli": 512})
    else:
        print("skipped: mouse CNN (no kodak-images or sensorium data)", file=sys.stderr)
    return cases


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--twinscreen", type=Path, required=True)
    parser.add_argument("--forward-rate", type=Path, required=True)
    parser.add_argument("--bundles", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, action="append", help="default: 1 and 2")
    parser.add_argument("--case", action="append", help="only this one; may be repeated")
    settings = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="twinscreen-bench-") as folder:
        scratch = Path(folder)
        for case in known_cases(settings, scratch):
            if settings.case and case["name"] not in settings.case:
                continue
            for threads in settings.threads or (1, 2):
                if threads > len(cores):
                    continue
                held = set(cores[:threads])
                os.sched_setaffinity(0, held)
                torch.set_num_threads(threads)
                compare_runs(case, settings, threads, held, scratch)
                if threads == 1:
                    compare_forward(case, settings, held)
                os.sched_setaffinity(0, cores)


if __name__ == "__main__":
    main()
