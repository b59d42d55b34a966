"""Stores that somebody spoiled: `run` does not go on with them and leaves them as they are, `verify`
refuses them; no crash, no hang, no other file read."""

import os
import shutil
import struct

import harness
from harness import STORE_CODE, Workplace, content_hash, refused, run, verify

h5py = harness.h5py_or_skip()
import hostile_hdf5 as files
import numpy as np

CAMPAIGN = """
seed = 3
[[twins]]
family = "gabor_energy"
positions = 1
[[stimuli]]
count = 1000
[stimuli.pink_noise]
[screen]
measures = ["units", "area_mean"]
[run]
shard_items = 64
"""
CHANGED = "attributes, tables or structure are not what they were when"


def copy_of(place, source, name):
    shutil.copytree(place / source, place / name)
    return place / name / "responses.h5"


def refused_and_kept(place, name, damage, sentence, in_verify=None):
    file = copy_of(place, "calm", name)
    damage(file)
    before = file.read_bytes() if file.is_file() else None
    refused(STORE_CODE, sentence, "responses.h5",
            command=("run", place.campaign, "--out", place / name))
    refused(STORE_CODE, in_verify or sentence, command=("verify", place / name))
    assert before is None or file.read_bytes() == before, name


def replaced_by(maker):
    def damage(file):
        file.unlink()
        maker(file)
    return damage


def edited(change):
    def damage(file):
        with h5py.File(file, "r+") as store:
            change(store)
    return damage


def moved_out(path, maker):
    """A dataset or group gives way to something that leads out of the file."""
    def change(store):
        del store[path]
        maker(store)
    return edited(change)


def a_trap(place):
    """A named pipe: whoever opens it waits for ever."""
    path = place / "trap.h5"
    if not path.exists():
        os.mkfifo(path)
    return str(path)


def like(store, path):
    return dict(shape=store[path].shape, dtype=store[path].dtype)


def stores_that_lead_out_of_their_file_are_refused(place):
    trap = a_trap(place)
    response = "columns/response"

    def linked(path):
        return moved_out(path, lambda store: store.__setitem__(
            path, h5py.ExternalLink(trap, f"/{path}")))

    def rewritten(**options):
        def change(store):
            wanted = like(store, response) | options
            del store[response]
            store.create_dataset(response, **wanted)
        return edited(change)

    def virtual(store):
        wanted = like(store, response)
        del store[response]
        layout = h5py.VirtualLayout(**wanted)
        layout[:] = h5py.VirtualSource(trap, response, wanted["shape"])
        store.create_virtual_dataset(response, layout)

    in_pieces = "dataset /columns/response is not stored in one piece"
    cases = {
        "linked-group": (linked("columns"), "list group /columns/"),
        "linked-dataset": (linked(response), "/columns/response is a link elsewhere"),
        "linked-ledger": (linked("ledger"), "/ledger"),
        "external": (rewritten(external=[(trap, 0, h5py.h5f.UNLIMITED)]), in_pieces),
        "virtual": (edited(virtual), in_pieces),
        "chunked": (rewritten(chunks=True, compression="gzip"), in_pieces),
        "big-endian": (rewritten(dtype=">f4"), "element type that no column has"),
    }
    for name, (damage, sentence) in cases.items():
        refused_and_kept(place, name, damage, sentence)


def changed_descriptions_are_refused(place):
    def overwritten(before, after):
        def damage(file):
            raw = file.read_bytes()
            assert raw.count(before) > 0
            file.write_bytes(raw.replace(before, after, 1))
        return damage

    def parameters(store):
        numbers = next(column for column in store["items"].values() if column.dtype.kind in "if")
        numbers[5] += 1

    cases = {
        "attribute": (edited(lambda store: store.attrs.__setitem__("mine", 1)), CHANGED),
        "campaign": (overwritten(b"shard_items = 64", b"shard_items = 65"), CHANGED),
        "items": (edited(parameters), CHANGED),
    }
    for name, (damage, sentence) in cases.items():
        refused_and_kept(place, name, damage, sentence)
    answer = verify(place / "items", expect=STORE_CODE)
    assert answer["stages"][0]["bad_description"] and not answer["bad_shards"], answer
    refused(STORE_CODE, CHANGED, command=("verify", place / "items", "--reopen"))


def wild_numbers_are_refused(place):
    def at(offset, data):
        return lambda file: files.patched(file, offset, data)

    cases = {
        "end": (at(28, b"\xff" * 7 + b"\x7f"), "the HDF5 library refuses it"),
        "root": (at(36, b"\xff" * 7 + b"\x7f"), "the HDF5 library refuses it"),
        "extension": (at(20, struct.pack("<Q", 48)), "the HDF5 library refuses it"),
        "heart": (at(48, np.random.default_rng(7).bytes(2000)), "responses.h5"),
    }
    for name, (damage, sentence) in cases.items():
        refused_and_kept(place, name, damage, sentence)


def only_ordinary_files_are_opened(place):
    for maker in (files.named_pipe, files.folder, files.device):
        # `verify` looks for stores among the ordinary files.
        refused_and_kept(place, maker.__name__, replaced_by(maker), "is not an ordinary file",
                         "holds no results")


def main():
    with Workplace(CAMPAIGN) as place:
        run("run", place.campaign, "--out", place / "calm")
        place.calm_hash = content_hash(place / "calm")
        harness.run_checks(
            place,
            stores_that_lead_out_of_their_file_are_refused,
            changed_descriptions_are_refused,
            wild_numbers_are_refused,
            only_ordinary_files_are_opened,
        )


if __name__ == "__main__":
    main()
