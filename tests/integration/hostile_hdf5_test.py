"""HDF5 files of strangers: as stimuli of a campaign and in `convert`. Each has its sentence and its
exit code; no crash, no hang, no other file read, no plug-in loaded."""

import os

import harness
from harness import CAMPAIGN_CODE, DATA_CODE, Workplace, refused, run

h5py = harness.h5py_or_skip()
import hostile_hdf5 as files
import numpy as np

HEAD = """
seed = 1
[[twins]]
family = "gabor_energy"
size = 24
degrees_per_pixel = 0.1
positions = 1
[screen]
measures = ["units"]
"""
STIMULI = """
[[stimuli]]
hdf5 = "{file}:/pixels"
range = [0, 255]
"""
NOT_OPENED = "cannot be opened as an HDF5 file"
NO_DATASET = "has no dataset '/pixels' that can be opened"
NO_VALUES = "cannot be read (the data are damaged)"
OTHER_TYPE = "holds values of a type that is not taken"
TOO_SHORT = "too few for uint8 values"
PACKED = "is not stored contiguously and uncompressed"
BIG = 1 << 62


def campaign(place, *names):
    """A campaign with all of these files; several cost no more than one."""
    blocks = "".join(STIMULI.format(file=f"{name}.h5") for name in names)
    return place.write(f"{names[0]}.toml", HEAD + blocks)


def all_refused(place, cases):
    """cases: name -> (maker, sentence[, sentence of `convert`]). `check` and `run` tell all of the
    sentences, `convert` each; nothing is left behind."""
    for name, (maker, *_) in cases.items():
        maker(place / f"{name}.h5")
    file, results = campaign(place, *cases), place / "refused"
    for command in (("check", file), ("run", file, "--out", results)):
        said = refused(CAMPAIGN_CODE, "nothing was run", command=command).stderr.splitlines()
        for name, (_, sentence, *_) in cases.items():
            lines = [line for line in said if f"{name}.h5" in line and "error:" in line]
            assert any(sentence in line for line in lines), (name, sentence, lines)
    for name, (_, *sentences) in cases.items():
        out = place / f"{name}.npy"
        refused(DATA_CODE, sentences[-1], f"{name}.h5",
                command=("convert", f"{place / name}.h5:/pixels", out))
        assert not out.exists() and not (place / f"{name}.npy.part").exists(), name
    assert not results.exists()


def a_trap(place, name):
    """A named pipe: whoever opens it waits for ever."""
    path = place / name
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        os.mkfifo(path)
    return str(path)


def a_sound_array_is_screened_and_converted(place):
    kinds = ("uint8", "float16", "float32", "float64")
    for kind in kinds:
        files.of_type(files.pixels(kind=kind))(place / f"{kind}.h5")
        run("convert", f"{place / kind}.h5:/pixels", place / f"{kind}.npy")
        np.testing.assert_array_equal(np.load(place / f"{kind}.npy"), files.pixels(kind=kind))
    run("run", campaign(place, *kinds), "--out", place / "sound")
    with h5py.File(place / "sound" / "responses.h5") as store:
        response = store["columns/response"][()].reshape(len(kinds), -1)
    assert (response == response[0]).all()


def truncated_files_are_refused_at_every_length(place):
    whole = files.sound(place / "whole.h5").read_bytes()
    lengths = {0, 1, 7, 8, 24, 48, 95, 96, len(whole) - 1, *range(200, len(whole), 300)}
    for kept in lengths:
        place.write(f"kept{kept}.h5", whole[:kept])
    file = campaign(place, *(f"kept{kept}" for kept in lengths))
    said = refused(CAMPAIGN_CODE, f"{len(lengths)} errors", command=("check", file))
    assert said.output.count(NOT_OPENED) == len(lengths), said
    refused(DATA_CODE, NOT_OPENED, "kept200.h5",
            command=("convert", f"{place / 'kept200'}.h5:/pixels", place / "kept200.npy"))


def wild_numbers_are_refused(place):
    cases = {
        "signature": (files.with_bytes(0, b"\x89HDX"), NOT_OPENED),
        "superblock-version": (files.with_bytes(8, b"\x77"), NOT_OPENED),
        "offset-size": (files.with_bytes(13, b"\x63"), NOT_OPENED),
        "base": (files.with_bytes(24, b"\xff" * 7 + b"\x7f"), NOT_OPENED),
        "end": (files.with_bytes(files.SUPERBLOCK_END_AT, b"\xff" * 7 + b"\x7f"), NOT_OPENED),
        "driver-block": (files.with_bytes(48, b"\x60" + bytes(7)), NOT_OPENED),
        "root-header": (files.with_bytes(64, b"\xf0\xff\xff\xff\xff\xff\xff\x7f"), NOT_OPENED),
        "addresses-in-front": (files.with_every_address(8), NO_DATASET),
        "addresses-behind": (files.with_every_address(BIG), NO_DATASET),
        "addresses-in-circles": (files.with_every_address(96), NO_DATASET),
        "values-outside": (files.with_values_at(1 << 40), TOO_SHORT),
        "values-one-too-far": (files.with_values_at(2049), TOO_SHORT),
        "values-wrap": (files.with_values_at((1 << 64) - 64), TOO_SHORT),
        "extent-huge": (files.with_extents(BIG, 24, 24), TOO_SHORT),
        "extent-negative": (files.with_extents((1 << 64) - 3, 24, 24), NO_DATASET),
        "extents-overflow": (files.with_extents(1 << 32, 1 << 32, 4), TOO_SHORT),
    }
    all_refused(place, cases)


def unusual_types_and_shapes_are_refused(place):
    pixels = files.pixels()
    pair = np.zeros(files.SHAPE, [("r", "u1"), ("g", "u1")])
    cases = {
        "compound": (files.of_type(pair), OTHER_TYPE),
        "big-endian": (files.of_type(pixels.astype(">f4")), OTHER_TYPE),
        "signed": (files.of_type(pixels.astype("i1")), OTHER_TYPE),
        "wide": (files.of_type(pixels.astype("u2")), OTHER_TYPE),
        "truths": (files.of_type(pixels > 9), OTHER_TYPE),
        "complex": (files.of_type(pixels.astype("c8")), OTHER_TYPE),
        "words": (files.of_type(np.full(files.SHAPE, b"word")), OTHER_TYPE),
        "opaque": (files.of_type(pixels.view("V1")), OTHER_TYPE),
        "texts": (files.strings, OTHER_TYPE),
        "lists": (files.lists, OTHER_TYPE),
        "references": (files.references, OTHER_TYPE),
        "odd-float": (files.odd_float, OTHER_TYPE),
        "null": (files.null_space, "has 0 axes"),
        "scalar": (files.of_type(np.uint8(1)), "has 0 axes"),
        "seven-axes": (files.of_type(np.zeros((1,) * 7, np.uint8)), "has 7 axes"),
        "group": (lambda path: h5py.File(path, "w").create_group("pixels").file.close(),
                  NO_DATASET),
        "loop": (files.soft_loop, NO_DATASET),
    }
    all_refused(place, cases)


def no_other_file_is_read(place):
    trap = a_trap(place, "trap.h5")
    cases = {
        "link": (files.external_link(trap), f"is a link into the file '{trap}'"),
        "linked-group": (files.external_group(trap), f"is a link into the file '{trap}'"),
        "external": (files.external_values(trap), "keeps its values in external files"),
        "passwords": (files.external_values("/etc/passwd"), "keeps its values in external files"),
        "virtual": (files.virtual(trap), "is a virtual dataset"),
    }
    all_refused(place, cases)


def no_plugin_is_loaded(place):
    a_trap(place, "plugins/libtrap.so")
    os.environ["HDF5_PLUGIN_PATH"] = str(place / "plugins")
    try:
        all_refused(place, {"plugin": (files.plugin_filter, PACKED,
                                       f"HDF5 filter number {files.UNKNOWN_FILTER}")})
    finally:
        del os.environ["HDF5_PLUGIN_PATH"]


def packed_arrays_are_for_convert(place):
    pixels = files.pixels()
    options = {
        "gzip": dict(compression="gzip"),
        "shuffled": dict(compression="gzip", shuffle=True, fletcher32=True),
        "chunks": dict(chunks=(2, 7, 9)),
        "growing": dict(maxshape=(None, 24, 24)),
    }
    for name, option in options.items():
        files.of_type(pixels, **option)(place / f"{name}.h5")
        run("convert", f"{place / name}.h5:/pixels", place / f"{name}.npy")
        np.testing.assert_array_equal(np.load(place / f"{name}.npy"), pixels)
    said = refused(CAMPAIGN_CODE, PACKED, command=("check", campaign(place, *options))).output
    assert said.count("convert it once: twinscreen convert") == len(options), said
    all_refused(place, {
        "lzf": (files.of_type(pixels, compression="lzf"), PACKED, "HDF5 filter number 32000"),
        "scaled": (files.of_type(pixels, scaleoffset=0), PACKED, "HDF5 filter number 6"),
    })


def what_cannot_be_unpacked_is_refused(place):
    all_refused(place, {
        "impossible": (files.impossible_shape, PACKED, "has the impossible shape"),
        "sparse": (files.claims_more_than_it_stores, PACKED, "1125899906842624 bytes"),
        "bad-chunk": (files.damaged_chunk, PACKED, NO_VALUES),
    })
    if harness.may_bound_memory():
        all_refused(place, {
            "huge-item": (files.one_huge_item, PACKED, "needs more than 4 GiB of memory"),
        })


def a_group_that_holds_itself_is_harmless(place):
    files.group_in_itself(place / "cycle.h5")
    run("convert", f"{place / 'cycle'}.h5:/{'a/' * 50}pixels", place / "cycle.npy")
    np.testing.assert_array_equal(np.load(place / "cycle.npy"), files.pixels())


def only_ordinary_files_are_opened(place):
    all_refused(place, {maker.__name__: (maker, "is not an ordinary file")
                        for maker in (files.named_pipe, files.folder, files.device)})


def main():
    with Workplace() as place:
        harness.run_checks(
            place,
            a_sound_array_is_screened_and_converted,
            truncated_files_are_refused_at_every_length,
            wild_numbers_are_refused,
            unusual_types_and_shapes_are_refused,
            no_other_file_is_read,
            no_plugin_is_loaded,
            packed_arrays_are_for_convert,
            what_cannot_be_unpacked_is_refused,
            a_group_that_holds_itself_is_harmless,
            only_ordinary_files_are_opened,
        )


if __name__ == "__main__":
    main()
