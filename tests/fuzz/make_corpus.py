"""Writes the seeds of the binary subjects into tests/fuzz/corpus: one small valid file of each kind.

The results are committed; this script says where they came from. Inputs beside them that once went wrong
carry the name of the fault.
"""
import json
import pathlib
import struct

CORPUS = pathlib.Path(__file__).parent / "corpus"


def write(name, data):
    file = CORPUS / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


def safetensors(header, data):
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + data


def safetensors_seeds():
    tensors = {
        "__metadata__": {"format": "pt"},
        "core.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "core.bias": {"dtype": "F64", "shape": [], "data_offsets": [24, 32]},
        "empty": {"dtype": "BF16", "shape": [0, 4], "data_offsets": [32, 32]},
        "ids": {"dtype": "I64", "shape": [1], "data_offsets": [32, 40]},
    }
    write("safetensors/five_tensors", safetensors(tensors, bytes(range(40))))
    write("safetensors/empty_header", safetensors({}, b""))
    twice = b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
    write("safetensors/name_twice", safetensors(twice, b"x"))
    overlap = {"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]},
               "b": {"dtype": "U8", "shape": [2], "data_offsets": [1, 3]}}
    write("safetensors/overlap", safetensors(overlap, b"xyz"))
    huge = {"a": {"dtype": "F64", "shape": [2**32, 2**32], "data_offsets": [0, 8]}}
    write("safetensors/shape_overflows", safetensors(huge, bytes(8)))


if __name__ == "__main__":
    safetensors_seeds()
