"""A small twin bundle with random weights, written by the writer of the converters."""

import contextlib
import io
import sys

import harness

sys.path.insert(0, str(harness.source_folder() / "engine" / "twin" / "converters"))

UNITS = 3


def write(folder, filters=2, channels=4, change=None):
    """A v4_compact bundle of three units; `change(parts)` may spoil head, networks, facts, units
    or tensors before they are written."""
    import numpy as np

    from bundle_writer import write_bundle
    from convert_v4_compact import FACTS, HEAD, unit_row

    rng = np.random.default_rng(5)
    tensors = {"layer0.conv.kernel": rng.normal(size=(5, 5, 3, filters)) / 10,
               "layer0.conv.bias": np.zeros(filters)}
    widths = [filters, filters, filters, channels, channels]
    for layer, (inputs, outputs) in enumerate(zip([3, *widths], widths)):
        norm = f"layer{layer}.bn."
        tensors |= {norm + "gamma": np.ones(outputs), norm + "beta": np.zeros(outputs),
                    norm + "mean": np.zeros(outputs), norm + "var": np.ones(outputs)}
        if layer > 0:
            separable = f"layer{layer}.sep."
            tensors |= {separable + "depthwise": rng.normal(size=(5, 5, inputs, 1)) / 3,
                        separable + "pointwise": rng.normal(size=(1, 1, inputs, outputs)),
                        separable + "bias": np.zeros(outputs)}
    tensors |= {"mixing.kernel": rng.normal(size=(1, 1, channels, UNITS)),
                "mixing.bias": np.zeros(UNITS),
                "spatial_pool.kernel": rng.normal(size=(28, 28, UNITS, 1)) / 100,
                "spatial_pool.bias": np.arange(float(UNITS))}
    parts = {
        "head": dict(HEAD, name=folder.name),
        "covariates": [],
        "networks": [{"prefix": "", "tap": "core", "tap_shape": [28, 28, channels],
                      "readout": "mixing_pool", "units": UNITS}],
        "facts": dict(FACTS),
        "units": [unit_row(f"tiny/{number}", "tiny", number, {}) for number in range(UNITS)],
        "tensors": tensors,
    }
    if change is not None:
        change(parts)
    with contextlib.redirect_stdout(io.StringIO()):
        write_bundle(folder, **parts)
    return folder
