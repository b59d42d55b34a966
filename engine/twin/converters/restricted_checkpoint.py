"""Reads a PyTorch .pth or .pt zip without PyTorch and without running what it holds.

A pickle may name any importable function. The unpicklers below know a few names and refuse every
other one before anything is called: for a dictionary of tensors OrderedDict,
torch._utils._rebuild_tensor_v2, FloatStorage and LongStorage; for what a training script saves
beside its tensors also numpy's arrays, and argparse.Namespace, for which an empty class stands.
"""

import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np

import restricted_npy
from bundle_writer import ConversionError

STORAGE_TYPES = {("torch", "FloatStorage"): np.dtype("<f4"),
                 ("torch", "LongStorage"): np.dtype("<i8")}
LARGEST_TENSOR = 1 << 28  # [elements]: far above any weight of these models


class StorageType:
    """Stands for a storage class of PyTorch; cannot be called."""

    def __init__(self, dtype):
        self.dtype = dtype


def whole_numbers(values, what):
    """A tuple of integers; bools are refused where sizes are meant."""
    if not isinstance(values, tuple) or len(values) > 8 or any(
            type(value) is not int or not 0 <= value <= LARGEST_TENSOR for value in values):
        raise ConversionError(f"the checkpoint gives {what} {values!r}, expected integers >= 0")
    return values


def rebuild_tensor(storage, offset, size, stride, *flags):
    """torch._utils._rebuild_tensor_v2 on a numpy array: a copy in row-major order.

    The flags (requires_grad, hooks, ...) say nothing about values. Size-1 axes may have stride 0.
    """
    if not isinstance(storage, np.ndarray):
        raise ConversionError("a tensor of the checkpoint has no storage")
    size = whole_numbers(size, "the size")
    stride = whole_numbers(stride, "the strides")
    whole_numbers((offset,), "the offset")
    if len(size) != len(stride):
        raise ConversionError(f"size {size} and strides {stride} of a tensor differ in length")
    count = int(np.prod([int(extent) for extent in size], dtype=object)) if size else 1
    last = offset + sum((extent - 1) * step for extent, step in zip(size, stride))
    if count > LARGEST_TENSOR or (count > 0 and last >= storage.size):
        raise ConversionError(f"a tensor of size {size} and strides {stride} reaches element "
                              f"{last} of a storage of {storage.size}")
    if count == 0:
        return np.zeros(size, storage.dtype)
    byte_strides = [step * storage.itemsize for step in stride]
    view = np.lib.stride_tricks.as_strided(storage[offset:], size, byte_strides, writeable=False)
    return np.array(view, order="C")


class RestrictedUnpickler(pickle.Unpickler):
    def __init__(self, stream, archive, prefix):
        super().__init__(stream)
        self.archive = archive
        self.prefix = prefix

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return rebuild_tensor
        if (module, name) in STORAGE_TYPES:
            return StorageType(STORAGE_TYPES[module, name])
        raise ConversionError(f"the checkpoint names {module}.{name}, which is refused (a twin's "
                              "checkpoint holds tensors only)")

    def persistent_load(self, identity):
        if not (isinstance(identity, tuple) and len(identity) == 5 and identity[0] == "storage"
                and isinstance(identity[1], StorageType) and isinstance(identity[2], str)):
            raise ConversionError(f"the checkpoint refers to {identity!r}, expected a storage")
        _, kind, key, _, count = identity
        whole_numbers((count,), "the storage size")
        try:
            data = self.archive.read(f"{self.prefix}/data/{key}")
        except KeyError:
            raise ConversionError(f"storage '{key}' is missing in the checkpoint") from None
        if len(data) != count * kind.dtype.itemsize:
            raise ConversionError(f"storage '{key}' holds {len(data)} bytes, expected "
                                  f"{count * kind.dtype.itemsize}")
        return np.frombuffer(data, kind.dtype)


class Settings:
    """Stands for argparse.Namespace: attributes that nobody reads."""


def latin1_bytes(text, encoding):
    """_codecs.encode, with which old pickle protocols write bytes."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise ConversionError(f"the checkpoint encodes a {type(text).__name__} as {encoding!r}")
    return text.encode("latin1")


class NestedUnpickler(RestrictedUnpickler):
    ALLOWED = {("argparse", "Namespace"): Settings, ("_codecs", "encode"): latin1_bytes,
               **restricted_npy.ALLOWED}

    def find_class(self, module, name):
        if (module, name) in self.ALLOWED:
            return self.ALLOWED[module, name]
        return super().find_class(module, name)


def unpickled(file, unpickler):
    """What the zip holds, as the unpickler lets it through."""
    file = Path(file)
    try:
        with zipfile.ZipFile(file) as archive:
            pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise ConversionError(f"{file}: holds {len(pickles)} entries */data.pkl, "
                                      "expected one")
            prefix = pickles[0].removesuffix("/data.pkl")
            stream = io.BytesIO(archive.read(pickles[0]))
            return unpickler(stream, archive, prefix).load()
    except ConversionError as problem:
        raise ConversionError(f"{file}: {problem}") from None
    except OSError:
        raise
    except Exception as problem:  # a broken zip or pickle raises almost anything
        raise ConversionError(f"{file}: is not a PyTorch checkpoint that can be read "
                              f"({type(problem).__name__}: {problem})") from None


def read_checkpoint(file):
    """{name: array} of a .pth file."""
    state = unpickled(file, RestrictedUnpickler)
    if not isinstance(state, dict) or not all(
            isinstance(name, str) and isinstance(value, np.ndarray)
            for name, value in state.items()):
        raise ConversionError(f"{file}: does not hold a dictionary of tensors")
    return state


def read_nested_checkpoint(file):
    """The dictionary of a .pt file: names to numbers, texts, arrays, lists and dictionaries."""
    state = unpickled(file, NestedUnpickler)
    if not isinstance(state, dict):
        raise ConversionError(f"{file}: does not hold a dictionary")
    return state
