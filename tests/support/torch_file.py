"""Writes files as torch.save does, without PyTorch: a zip of a pickle and the bytes of storages."""

import io
import pickle
import zipfile
from collections import OrderedDict

import numpy as np

KINDS = {np.dtype("<f4"): "FloatStorage", np.dtype("<i8"): "LongStorage"}


class Named:
    """Pickles as a reference to any global name."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Storage:
    def __init__(self, key, kind, count):
        self.key, self.kind, self.count = key, kind, count


class Call:
    """Pickles as a call of a global name."""

    def __init__(self, function, arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        raise NotImplementedError


def torch_pickle(value, protocol=2):
    """Protocol-2 pickle in which Named, Call and Storage become what PyTorch writes."""
    out = io.BytesIO()

    class Pickler(pickle._Pickler):
        def persistent_id(self, item):
            if isinstance(item, Storage):
                return ("storage", Named("torch", item.kind), item.key, "cpu", item.count)
            return None

        def save(self, item, save_persistent_id=True):
            if isinstance(item, Named):
                self.write(pickle.GLOBAL + f"{item.module}\n{item.name}\n".encode())
            elif isinstance(item, Call):
                self.save(item.function)
                self.save(tuple(item.arguments))
                self.write(pickle.REDUCE)
            else:
                super().save(item, save_persistent_id)

    Pickler(out, protocol).dump(value)
    return out.getvalue()


def tensor(key, count, size, stride, kind="FloatStorage", offset=0):
    return Call(Named("torch._utils", "_rebuild_tensor_v2"),
                (Storage(key, kind, count), offset, size, stride, False, OrderedDict()))


class Tensor:
    """An array that is to be a tensor of the file; plain arrays stay those of numpy."""

    def __init__(self, array):
        self.array = np.ascontiguousarray(array).reshape(np.shape(array))


def with_storages(value, storages):
    """The value with calls for its Tensors, whose bytes go into storages."""
    if isinstance(value, Tensor):
        array, key = value.array, str(len(storages))
        storages[key] = array
        strides = [step // array.itemsize for step in array.strides]
        return tensor(key, array.size, array.shape, tuple(strides), KINDS[array.dtype])
    if isinstance(value, dict):
        return type(value)((key, with_storages(item, storages)) for key, item in value.items())
    return value


def write_torch_file(file, value):
    """torch.save of nested dictionaries with Tensors."""
    storages = {}
    data = torch_pickle(with_storages(value, storages))
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        for key, array in storages.items():
            archive.writestr(f"archive/data/{key}", array.tobytes())
