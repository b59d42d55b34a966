"""Reads a dictionary of arrays from a .npy file that holds a pickle, without running what it holds.

Published encoding models are often saved with numpy.save(FILE, {...}). Such a file is a pickle, and a
pickle may name any importable function. The unpickler below knows what numpy needs to put arrays
together, and refuses every other name before anything is called.
"""

import pickle
from pathlib import Path

import numpy as np
from numpy._core import multiarray

from bundle_writer import ConversionError

# numpy 1 and 2 call the same things by two names.
ALLOWED = {(f"numpy.{core}.multiarray", name): value
           for core in ("core", "_core")
           for name, value in (("_reconstruct", multiarray._reconstruct),
                               ("scalar", multiarray.scalar))}
ALLOWED |= {("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype}


class ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        try:
            return ALLOWED[module, name]
        except KeyError:
            raise ConversionError(f"it names {module}.{name}, which is refused (a model's file "
                                  "holds dictionaries and arrays only)") from None

    def persistent_load(self, identity):
        raise ConversionError(f"it refers to {identity!r}, outside of the file")


def read_dictionary(file):
    """The dictionary of a .npy file: names to numbers, texts, arrays, lists and dictionaries."""
    file = Path(file)
    try:
        with open(file, "rb") as stream:
            version = np.lib.format.read_magic(stream)
            read_header = {(1, 0): np.lib.format.read_array_header_1_0,
                           (2, 0): np.lib.format.read_array_header_2_0}.get(version)
            if read_header is None:
                raise ConversionError(f"has version {version} of the format")
            shape, _, dtype = read_header(stream)
            if shape != () or dtype != np.dtype(object):
                raise ConversionError(f"holds {dtype} of shape {shape}, expected a dictionary")
            value = ArrayUnpickler(stream).load()
    except ConversionError as problem:
        raise ConversionError(f"{file}: {problem}") from None
    except OSError:
        raise
    except Exception as problem:  # a broken file raises almost anything
        raise ConversionError(f"{file}: is not a .npy file that can be read "
                              f"({type(problem).__name__}: {problem})") from None
    value = value.item() if isinstance(value, np.ndarray) and value.shape == () else value
    if not isinstance(value, dict):
        raise ConversionError(f"{file}: does not hold a dictionary")
    return value
