#!/usr/bin/env python3
"""Writes a PyTorch network as a package bundle: a program that LibTorch runs as it is.

For networks that export_model.py cannot say as a graph. A program can do whatever its user can, so
twinscreen runs one only where the campaign lists its SHA-256; this script prints the lines.

  torchscript   torch.jit.trace of the module; has gradients; runs wherever twinscreen does
  aotinductor   compiled by torch.export and AOTInductor, which needs a C++ compiler here; no
                gradients; runs on processors like this machine's only

The network always computes --batch images at once. Units are the values of its outputs and of every
--tap, the name of a submodule. Mean and scale say how pixels of 0..255 become its input:
(value - mean) / scale, one number or one per channel, in the order red, green, blue.

Examples:
  export_package.py torchscript my_models:build bundles/mine --name mine --mean 127.5 --scale 127.5
  export_package.py aotinductor torchvision.models:resnet18 bundles/resnet18 --name resnet18 \\
      --state resnet18.safetensors --mean 123.675,116.28,103.53 --scale 58.395,57.12,57.375 \\
      --tap layer4 --batch 32

From Python, with the module at hand:
  from export_package import export_package
  export_package(module, "bundles/mine", "torchscript", name="mine", mean=127.5, scale=127.5)
"""

import argparse
import hashlib
import math
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from bundle_writer import ConversionError, run, toml_value, write_bundle
from export_model import (TOLERANCE, UNSTATED, add_torch_options, all_units, module_named,
                          per_channel, read_labels)
from graph_writer import sample_images, stimulus_facts

FILES = {"torchscript": "model.pt", "aotinductor": "model.pt2"}


def tapped(module, taps):
    """The module that returns all outputs of `module` and what the submodules `taps` return."""
    import torch

    submodules = dict(module.named_modules())
    unknown = [tap for tap in taps if not tap or tap not in submodules]
    if unknown:
        raise ConversionError(f"the network has no submodules {', '.join(unknown)}; it has "
                              + ", ".join(list(submodules)[1:12]))

    class Tapped(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.module = module

        def forward(self, images):
            found = {}

            def keep(tap):
                # A copy: what comes next may work in place.
                return lambda _, __, output: found.__setitem__(tap, output.clone())

            hooks = [submodules[tap].register_forward_hook(keep(tap)) for tap in taps]
            try:
                outputs = self.module(images)
            finally:
                for hook in hooks:
                    hook.remove()
            outputs = [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)
            return (*outputs, *(found[tap] for tap in taps))

    return Tapped().eval()


def names_of(outputs, taps):
    """Names of what a tapped module returns."""
    count = len(outputs) - len(taps)
    return [*(["output"] if count == 1 else [f"output_{i}" for i in range(count)]), *taps]


def row_of(name, output, batch):
    shape = list(output.shape)
    if len(shape) < 2 or shape[0] != batch or not output.is_floating_point():
        raise ConversionError(f"'{name}' of shape {shape} and type {output.dtype} cannot be tapped:"
                              f" floats [{batch}, ...] are expected")
    return shape[1:]


def program_bytes(module, example, kind):
    """The file of the program, and a function that runs it."""
    import torch

    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / FILES[kind])
        if kind == "torchscript":
            torch.jit.save(torch.jit.trace(module, example), file)
            program = torch.jit.load(file)
        else:
            torch._inductor.aoti_compile_and_package(torch.export.export(module, (example,)),
                                                     package_path=file)
            program = torch._inductor.aoti_load_package(file)
        return Path(file).read_bytes(), program


def answers(run_program, images, batch):
    """What the program returns for the images, as arrays; batches are filled up with zeros."""
    import torch

    rows = len(images)
    filled = np.concatenate([images, np.zeros((-rows % batch, *images.shape[1:]), np.float32)])
    parts = [run_program(torch.from_numpy(filled[first:first + batch]))
             for first in range(0, len(filled), batch)]
    return [torch.cat(tensors)[:rows].float().numpy() for tensors in zip(*parts)]


def require_equal(names, found, wanted):
    """The program answers the samples as the module does."""
    for name, ours, theirs in zip(names, found, wanted):
        distance = np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-30)
        if not distance <= TOLERANCE:
            raise ConversionError(f"the exported program's '{name}' differs from the network's by "
                                  f"{distance:.2g} of its largest value")


def export_package(module, folder, kind, *, name, mean, scale, input_shape=(3, 224, 224), taps=(),
                   batch=8, labels=None, area="logits", source=UNSTATED, licence=UNSTATED,
                   citation=UNSTATED, response_unit="network units", fit="cover"):
    """Writes a torch.nn.Module as a package bundle, as it is in eval mode and in float32.

    kind         "torchscript" or "aotinductor"
    input_shape  [channels, height, width] of the one input [batch, ...]
    taps         submodules ("layer4": what it returns) whose values are units, too
    returns      SHA-256 of the program
    """
    import torch

    mean, scale = (per_channel(values, input_shape[0], what)
                   for values, what in ((mean, "mean"), (scale, "scale")))
    images = sample_images(input_shape, mean, scale)
    wrapped = tapped(module.float().eval(), list(taps))
    with torch.no_grad():
        example = torch.from_numpy(np.resize(images, (batch, *input_shape)))
        names = names_of(outputs := wrapped(example), taps)
        rows = [row_of(name, output, batch) for name, output in zip(names, outputs)]
        wanted = answers(wrapped, images, batch)
        program, run_program = program_bytes(wrapped, example, kind)
        found = answers(run_program, images, batch)
    require_equal(names, found, wanted)
    networks = [{"prefix": "", "tap": tap, "tap_shape": row, "readout": "identity",
                 "units": math.prod(row)} for tap, row in zip(names, rows)]
    samples = {"input": images, **{f"output.{tap}": values for tap, values in zip(names, wanted)}}
    package = {"file": FILES[kind], "format": kind, "batch": batch,
               "outputs": [{"name": tap, "shape": row} for tap, row in zip(names, rows)]}
    write_bundle(folder, {"name": name, "family": "package", "response_unit": response_unit,
                          "licence": licence, "citation": citation,
                          "samples": "samples.safetensors"},
                 [], networks, stimulus_facts(input_shape, mean, scale, source, fit=fit),
                 all_units(networks, name, labels, area), {},
                 files={FILES[kind]: program, "samples.safetensors": save(samples)},
                 tables={"package": package})
    return hashlib.sha256(program).hexdigest()


def parsed_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=tuple(FILES), help="what the program is")
    add_torch_options(parser)
    parser.add_argument("--batch", type=int, default=8, metavar="N",
                        help="images that the program takes at once (default: 8)")
    arguments = parser.parse_args()
    if not 1 <= arguments.batch <= 65536:
        parser.error("--batch has to be 1 to 65536")
    return arguments


def main():
    arguments = parsed_arguments()
    module = module_named(arguments.target, arguments.arguments, arguments.state)
    digest = export_package(
        module, arguments.folder, arguments.kind, name=arguments.name, mean=arguments.mean,
        scale=arguments.scale, input_shape=arguments.input_shape or (3, 224, 224),
        taps=arguments.tap, batch=arguments.batch, area=arguments.area,
        labels=read_labels(arguments.labels) if arguments.labels else None,
        licence=arguments.licence, citation=arguments.citation)
    print(f"SHA-256 of {arguments.folder / FILES[arguments.kind]}: {digest}\n"
          f"It runs where somebody says so:\n"
          f"  twinscreen check {arguments.folder} --trusted-sha256 {digest}\n"
          "and in a campaign:\n"
          "  [[twins]]\n"
          f"  bundle = {toml_value(arguments.folder.absolute())}\n"
          f'  trusted_sha256 = "{digest}"')


if __name__ == "__main__":
    run(main)
