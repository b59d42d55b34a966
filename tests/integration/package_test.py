"""Programs of PyTorch's become package bundles and run in campaigns that trust them by their SHA-256.
The engine's answers are compared with PyTorch's own."""

import contextlib
import io
import sys

import harness
from harness import Workplace, refused, run

h5py = harness.h5py_or_skip()
sys.dont_write_bytecode = True
sys.path.insert(0, str(harness.source_folder() / "engine" / "twin" / "converters"))

try:
    import numpy as np
    import torch
except ImportError as missing:
    harness.skip(f"this Python has no PyTorch to export with ({missing})")
from export_package import export_package  # noqa: E402  (needs the path)

SIDE = 16
CAMPAIGN = """
[[twins]]
bundle = "{bundle}"
trusted_sha256 = "{digest}"
[[stimuli]]
npy = "images.npy"
[run]
device = "{device}"
[screen]
measures = ["units", "area_mean"]
"""
RELATIVE = 1e-4


class Network(torch.nn.Module):
    """A loop and a branch, which a list of operators cannot say."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.first = torch.nn.Conv2d(3, 8, 3, stride=2)
        self.last = torch.nn.Linear(8 * 7 * 7, 5)

    def forward(self, images):
        x = torch.tanh(self.first(images))
        for _ in range(3):
            x = x + 0.5 * torch.sin(x)
        return self.last(x.flatten(1))


def silently(function, *arguments, **options):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return function(*arguments, **options)


def exported(place, kind):
    return silently(export_package, Network(), place / kind, kind, name=kind, mean=127.5,
                    scale=127.5, input_shape=(3, SIDE, SIDE), taps=["first"], batch=8, fit="exact")


def pictures(place):
    images = np.random.default_rng(3).integers(0, 256, (21, SIDE, SIDE, 3), dtype=np.uint8)
    np.save(place / "images.npy", images)
    return images


def torch_answers(images):
    network = Network().eval()
    with torch.no_grad():
        inputs = torch.from_numpy((images.astype("f4") - 127.5) / 127.5).permute(0, 3, 1, 2)
        return np.concatenate([network(inputs).numpy(),
                               network.first(inputs).flatten(1).numpy()], axis=1)


def check_of(kind, runs):
    def check(place):
        digest, wanted = exported(place, kind), torch_answers(pictures(place))
        assert digest in run("check", place / kind, expect=None).output
        assert "no mistakes" in run("check", place / kind, "--trusted-sha256", digest).stdout
        for device, precision, limit in runs:
            name = f"{kind}-{device}-{precision}"
            campaign = place.write(f"{kind}.toml", CAMPAIGN.format(
                bundle=kind, digest=digest, device=device))
            run("run", campaign, "--out", place / name, "--set", f"run.precision={precision}",
                ranks=2)
            with h5py.File(place / name / "responses.h5") as store:
                found = store["columns/response"][()]
            off = np.abs(found - wanted).max() / wanted.std()
            print(f"  {kind} on {device} in {precision} {found.shape}: off by {off:.1e} of the spread")
            assert found.shape == wanted.shape and off < limit
        other = "0" * 64
        campaign = place.write("wrong.toml", CAMPAIGN.format(bundle=kind, digest=other,
                                                             device="cpu"))
        refused(2, "wrong.toml:", digest, command=("run", campaign, "--out", place / "wrong"))
        assert not (place / "wrong").exists()

    check.__name__ = kind
    return check


def main():
    with Workplace() as place:
        in_full = [("cpu", "float32", RELATIVE), ("emulated", "float32", RELATIVE)]
        harness.run_checks(
            place, check_of("torchscript", [*in_full, ("emulated", "bfloat16", 0.05)]),
            # Compiled programs multiply as they were compiled.
            check_of("aotinductor", [*in_full, ("emulated", "bfloat16", RELATIVE)]))


if __name__ == "__main__":
    main()
