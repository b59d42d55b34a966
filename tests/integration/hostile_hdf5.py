"""HDF5 files that nobody should trust, made for tests: damaged bytes, wild numbers, links and values
that lead elsewhere, unusual types and layouts."""

import os
import struct

import h5py
import numpy as np

SHAPE = (3, 24, 24)
SUPERBLOCK_END_AT = 40    # version 0: where the end of the file stands
UNKNOWN_FILTER = 32_123   # of the range for plug-ins that anybody may register


def pixels(shape=SHAPE, kind=np.uint8):
    return np.random.default_rng(5).integers(0, 200, shape).astype(kind)


def sound(path):
    """One ordinary contiguous array, /pixels."""
    with h5py.File(path, "w") as file:
        file["pixels"] = pixels()
    return path


def patched(path, offset, data):
    raw = bytearray(path.read_bytes())
    raw[offset:offset + len(data)] = data
    path.write_bytes(raw)


def layout_of(path):
    """Where the address of the contiguous values of /pixels stands in the file."""
    with h5py.File(path) as file:
        address, size = file["pixels"].id.get_offset(), file["pixels"].id.get_storage_size()
    return path.read_bytes().index(struct.pack("<QQ", address, size))


def with_extents(*extents):
    def make(path):
        raw = sound(path).read_bytes()
        old = struct.pack("<QQQ", *SHAPE)
        assert raw.count(old) == 2  # now, and at most
        path.write_bytes(raw.replace(old, struct.pack("<QQQ", *extents)))
    return make


def with_values_at(address):
    return lambda path: patched(path, layout_of(sound(path)), struct.pack("<Q", address))


def with_bytes(offset, data):
    return lambda path: patched(sound(path), offset, data)


def with_every_address(value):
    """Every number of the metadata that could be an address inside the file becomes `value`."""
    def make(path):
        raw = bytearray(sound(path).read_bytes())
        for at in range(96, min(len(raw), 2048) - 8, 8):
            number, = struct.unpack_from("<Q", raw, at)
            if 96 <= number < len(raw):
                struct.pack_into("<Q", raw, at, value)
        path.write_bytes(raw)
    return make


def of_type(data, **options):
    def make(path):
        with h5py.File(path, "w") as file:
            file.create_dataset("pixels", data=data, **options)
    return make


def strings(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("pixels", data=np.full(SHAPE, "word", dtype=object),
                            dtype=h5py.string_dtype())


def references(path):
    with h5py.File(path, "w") as file:
        file["set"] = [1]
        file.create_dataset("pixels", data=np.full(SHAPE, file["set"].ref, dtype=object),
                            dtype=h5py.ref_dtype)


def lists(path):
    with h5py.File(path, "w") as file:
        made = file.create_dataset("pixels", SHAPE, dtype=h5py.vlen_dtype(np.uint8))
        made[0, 0, 0] = np.arange(3, dtype=np.uint8)


def odd_float(path):
    """Two bytes like a float16, but with the exponent of a bfloat16."""
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_fields(15, 7, 8, 0, 7)
    kind.set_size(2)
    kind.set_ebias(127)
    with h5py.File(path, "w") as file:
        space = h5py.h5s.create_simple(SHAPE)
        h5py.h5d.create(file.id, b"pixels", kind, space).close()


def null_space(path):
    with h5py.File(path, "w") as file:
        file["pixels"] = h5py.Empty("f4")


def external_link(other):
    def make(path):
        with h5py.File(path, "w") as file:
            file["pixels"] = h5py.ExternalLink(other, "/pixels")
    return make


def external_group(other):
    def make(path):
        with h5py.File(path, "w") as file:
            file["set"] = h5py.ExternalLink(other, "/")
            file["pixels"] = h5py.SoftLink("/set/pixels")
    return make


def external_values(other):
    return of_type(None, shape=SHAPE, dtype=np.uint8, external=[(other, 0, h5py.h5f.UNLIMITED)])


def virtual(other):
    """The number of items depends on the other file."""
    def make(path):
        layout = h5py.VirtualLayout(SHAPE, np.uint8, maxshape=(None, *SHAPE[1:]))
        source = h5py.VirtualSource(other, "pixels", SHAPE, maxshape=(None, *SHAPE[1:]))
        layout[:h5py.h5s.UNLIMITED] = source[:h5py.h5s.UNLIMITED]
        with h5py.File(path, "w") as file:
            file.create_virtual_dataset("pixels", layout)
    return make


def plugin_filter(path):
    """Chunks that only a plug-in could read; they are stored as if it had packed them."""
    with h5py.File(path, "w") as file:
        creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        creation.set_chunk(SHAPE)
        creation.set_filter(h5py.h5z.FILTER_DEFLATE, 0, (4,))
        space = h5py.h5s.create_simple(SHAPE)
        made = h5py.h5d.create(file.id, b"pixels", h5py.h5t.STD_U8LE, space, dcpl=creation)
        made.write_direct_chunk((0, 0, 0), pixels().tobytes())
        made.close()
    # Version 1 of the filter message: the number, the length of the name, flags, one value, name.
    raw = path.read_bytes()
    message = struct.pack("<HHHH", 1, 8, 0, 1) + b"deflate\0"
    assert raw.count(message) == 1
    path.write_bytes(raw.replace(message, struct.pack("<HHHH", UNKNOWN_FILTER, 8, 0, 1)
                                 + b"mystery\0"))


def soft_loop(path):
    with h5py.File(path, "w") as file:
        file["pixels"] = h5py.SoftLink("/other")
        file["other"] = h5py.SoftLink("/pixels")


def group_in_itself(path):
    """/a/a/a/... is /a, and /a/pixels an ordinary array."""
    with h5py.File(path, "w") as file:
        file["a/pixels"] = pixels()
        file["a/a"] = file["a"]


def claims_more_than_it_stores(path):
    """Chunks that were never written: a few kilobytes that read as 2^50 zeros."""
    with h5py.File(path, "w") as file:
        file.create_dataset("pixels", (1 << 30, 1024, 1024), np.uint8, chunks=(1, 1024, 1024),
                            compression="gzip")


def impossible_shape(path):
    """2^64 values and a bit more: their number fits no integer."""
    with h5py.File(path, "w") as file:
        file.create_dataset("pixels", (1 << 32, 1 << 32, 2), np.uint8, chunks=(1, 1024, 1))


def one_huge_item(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("pixels", (1, 1 << 18, 1 << 16), np.uint8, chunks=(1, 1024, 1024))


def damaged_chunk(path):
    of_type(pixels(), chunks=SHAPE, compression="gzip")(path)
    with h5py.File(path) as file:
        at = file["pixels"].id.get_chunk_info(0).byte_offset
    patched(path, at, bytes(8))


def named_pipe(path):
    os.mkfifo(path)


def folder(path):
    path.mkdir()


def device(path):
    path.symlink_to("/dev/zero")
