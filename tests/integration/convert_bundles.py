"""Turns the real data into twin bundles, once for all tests of a build tree: the first argument,
else ${TWINSCREEN_BUNDLES}, is their folder. Without data it makes none; the tests then skip."""

import os
import subprocess
import sys

import harness

CONVERTERS = {
    "convert_v4_compact.py": "v4-compact-models",
    "convert_sensorium.py": "sensorium-mouse-v1-twins",
    "convert_imagenet_backbones.py": "imagenet-backbones",
    "convert_cifar_resnets.py": "cifar10-resnets",
}


def main():
    data = harness.data_folder()
    if data is None:
        print("no real data (TWINSCREEN_DATA): no bundles")
        return
    out = sys.argv[1] if len(sys.argv) > 1 else os.environ["TWINSCREEN_BUNDLES"]
    for script, folder in CONVERTERS.items():
        converter = harness.source_folder() / "engine" / "twin" / "converters" / script
        subprocess.run([sys.executable, "-B", converter, data / folder, out], check=True)


if __name__ == "__main__":
    main()
