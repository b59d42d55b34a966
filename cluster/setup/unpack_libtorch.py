"""Unpacks what a C++ program needs of the PyTorch and CUDA runtime wheels.

usage: unpack_libtorch.py FOLDER WHEEL...

FOLDER gets lib/ (the CPU libraries and what they load; of the CUDA libraries the small one that a
CUDA build links), include/ and the licence files. The large CUDA libraries, two thirds of the wheel,
and the Python part stay packed.
"""

import shutil
import sys
import zipfile
from pathlib import Path, PurePosixPath

LIBRARIES = {
    "libc10.so",
    "libc10_cuda.so",
    "libgomp.so.1",
    "libtorch_cpu.so",
    "libcudart.so.13",
    "libcupti.so.13",
}


def destination(member: str) -> str | None:
    """Where a member of a wheel goes below FOLDER, or None if it is not needed."""
    path = PurePosixPath(member)
    if path.name in LIBRARIES and path.parent.name == "lib":
        return f"lib/{path.name}"
    # Its copy of fmt would hide the system's, whose library is the one we link.
    if path.parts[:3] == ("torch", "include", "fmt"):
        return None
    if path.parts[:2] == ("torch", "include"):
        return str(path.relative_to("torch"))
    if "licenses" in path.parts and path.parts[0].endswith(".dist-info"):
        return f"licenses/{path.parts[0].split('-')[0]}/{path.name}"
    return None


def main() -> None:
    folder = Path(sys.argv[1])
    for wheel in sys.argv[2:]:
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.infolist():
                place = destination(member.filename)
                if place is None or member.is_dir():
                    continue
                target = folder / place
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, target.open("wb") as sink:
                    shutil.copyfileobj(source, sink, 1 << 20)
    missing = sorted(name for name in LIBRARIES if not (folder / "lib" / name).is_file())
    if missing:
        sys.exit(f"error: the wheels lack {', '.join(missing)}")


if __name__ == "__main__":
    main()
