"""Bad input: campaigns, words on the command line, bundles, images, arrays, labels, recordings. Each
has its sentence and its exit code."""

import json
import os
import shutil
import struct

import harness
import tiny_bundle
from harness import CAMPAIGN_CODE, DATA_CODE, SMALL_CAMPAIGN, Workplace, refused, run

h5py = harness.h5py_or_skip()
try:
    import numpy as np
    from PIL import Image
except ImportError as error:
    harness.skip(f"this Python lacks a module: {error}")

TINY = """
[[twins]]
bundle = "{bundle}"
[[stimuli]]
{stimuli}
[screen]
measures = ["units"]
"""


def campaign_with(place, stimuli, bundle="tiny", more="", name="bad.toml"):
    return place.write(name, TINY.format(bundle=bundle, stimuli=stimuli) + more)


def images(folder, count=5):
    """PNG files of noise, "0.png" and so on."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        pixels = rng.integers(0, 256, (112, 112, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def cut_in_half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def all_mistakes_of_a_campaign_are_listed_at_once(place):
    bad = place.write("mistakes.toml", """seed = -1
sed = 3
[[twins]]
family = "gabor_enery"
[[stimuli]]
[stimuli.pink_noise]
alpa = 1.0
[screen]
measures = ["units", "area_maen"]
top_k = 0
[run]
queue_mib = 0
""")
    for ranks in (0, 2):
        result = refused(
            CAMPAIGN_CODE,
            "mistakes.toml:1:8: error: seed = -1 (must be in 0..9223372036854775807)",
            "    1 | seed = -1\n      |        ^",
            "unknown key 'sed'", "did you mean 'seed'?",
            "did you mean 'gabor_energy'?",
            "unknown key 'alpa' in [stimuli[0].pink_noise]",
            "did you mean \"area_mean\"?",
            "screen.top_k = 0 items (must be in 1..10000)",
            "run.queue_mib = 0 MiB (must be in 1..65536)",
            "errors in", "nothing was run",
            command=("run", bad, "--out", place / "mistakes"), ranks=ranks)
        # Every rank sees the mistakes; one of them tells.
        assert result.output.count("unknown key 'sed'") == 1, result
    assert not (place / "mistakes").exists()
    refused(CAMPAIGN_CODE, "seed = -1", command=("check", bad))
    refused(CAMPAIGN_CODE, "nope.toml: cannot read this campaign file",
            command=("run", place / "nope.toml"))
    refused(CAMPAIGN_CODE, "error:", command=("check", place.write("torn.toml", "[screen\nx =")))


def unknown_words_on_the_command_line_are_named(place):
    refused(CAMPAIGN_CODE, "unknown command 'verfy'", "did you mean 'verify'?",
            command=("verfy", place / "calm"))
    refused(CAMPAIGN_CODE, "--bogus", command=("run", place.campaign, "--bogus"))
    refused(CAMPAIGN_CODE, "--limit", "-3", command=("run", place.campaign, "--limit", "-3"))
    refused(CAMPAIGN_CODE, "unknown command 'rnu'", "did you mean 'run'?",
            command=("help", "rnu"))
    refused(CAMPAIGN_CODE, "unknown experiment 'scren'", "did you mean 'screen'?",
            command=("init", "scren"))
    refused(CAMPAIGN_CODE, "--set screen.measurs", "did you mean 'measures'?",
            command=("check", place.campaign, "--set", "screen.measurs=3"))


def a_bundle_that_cannot_be_used_says_why(place):
    def spoiled(name, spoil):
        folder = shutil.copytree(place / "tiny", place / name)
        spoil(folder)
        return folder

    def with_weights(change):
        def spoil(folder):
            file = folder / "weights.safetensors"
            raw = file.read_bytes()
            size, = struct.unpack("<Q", raw[:8])
            header, body = json.loads(raw[8:8 + size]), bytearray(raw[8 + size:])
            change(header, body)
            text = json.dumps(header).encode()
            file.write_bytes(struct.pack("<Q", len(text)) + text + body)
        return spoil

    def in_toml(before, after):
        def spoil(folder):
            file = folder / "twin.toml"
            assert before in file.read_text()
            file.write_text(file.read_text().replace(before, after))
        return spoil

    def huge_shape(header, _):
        header["layer0.conv.kernel"]["shape"] = [5, 5, 3, 1 << 40]

    def not_finite(header, body):
        at = header["mixing.kernel"]["data_offsets"][0]
        body[at:at + 4] = np.float32(np.nan).tobytes()

    def other_type(header, _):
        header["mixing.kernel"]["dtype"] = "F16"

    weights = "weights.safetensors"
    cases = (
        (DATA_CODE, "truncated?", lambda f: cut_in_half(f / weights)
         or (f / weights).write_bytes((f / weights).read_bytes()[:500])),
        (DATA_CODE, "holds 0 bytes", lambda f: (f / weights).write_bytes(b"")),
        (DATA_CODE, "is it a safetensors file?",
         lambda f: (f / weights).write_bytes(b"\xff" * 4096)),
        (DATA_CODE, "needs 329853488332800 bytes", with_weights(huge_shape)),
        (DATA_CODE, "holds nan at element 0, expected finite values", with_weights(not_finite)),
        (DATA_CODE, "tensor 'mixing.kernel'", with_weights(other_type)),
        (DATA_CODE, "lists 3 units, the networks of bundle 'tiny' have 4",
         in_toml("units = 3", "units = 4")),
        (DATA_CODE, "the weights give [28, 28, 4]",
         in_toml("tap_shape = [28, 28, 4]", "tap_shape = [9000, 9000, 9000]")),
        (CAMPAIGN_CODE, "must be 1; convert the bundle again", in_toml("format = 1", "format = 2")),
        (CAMPAIGN_CODE, "is missing", lambda f: (f / "twin.toml").write_text("")),
        (CAMPAIGN_CODE, "units.csv", lambda f: (f / "units.csv").unlink()),
    )
    for number, (code, sentence, spoil) in enumerate(cases):
        bundle = spoiled(f"spoiled{number}", spoil)
        refused(code, sentence, f"spoiled{number}", command=("list", bundle))
    campaign = campaign_with(place, 'folder = "images"', bundle="spoiled1")
    refused(DATA_CODE, "holds 0 bytes", command=("run", campaign, "--out", place / "x"), ranks=2)
    missing = campaign_with(place, 'folder = "images"', bundle="nowhere")
    refused(CAMPAIGN_CODE, "no bundle folder", "nowhere", command=("check", missing))


def a_bad_image_names_itself_and_its_item(place):
    folder = images(place / "broken", 70)
    good = (folder / "5.png").read_bytes()
    cut_in_half(folder / "5.png")
    campaign = campaign_with(place, 'folder = "images"\n[[stimuli]]\nfolder = "broken"')
    names = sorted(os.listdir(folder))
    item = len(os.listdir(place / "images")) + names.index("5.png")
    for ranks in (0, 2):
        refused(DATA_CODE, "image '5.png' of folder", f"item {item} of the campaign",
                command=("run", campaign, "--out", place / f"bad{ranks}"), ranks=ranks)
    # The decision to go on may be made afterwards.
    result = run("run", campaign, "--out", place / "bad0", "--set", 'run.on_bad_image="nan"')
    assert "recorded as NaN" in result.output and "5.png" in result.output, result
    with h5py.File(place / "bad0" / "responses.h5") as store:
        response = store["columns/response"][()]
        assert store["items/file"].asstr()[item] == "5.png"
        assert (store["sealed"][()] == 1).all()
    bad_rows = np.flatnonzero(np.isnan(response).any(axis=1))
    assert list(bad_rows) == [item] and np.isnan(response[item]).all()
    (folder / "5.png").write_bytes(good)
    run("run", campaign, "--out", place / "good")
    with h5py.File(place / "good" / "responses.h5") as store:
        rest = np.arange(len(response)) != item
        np.testing.assert_array_equal(store["columns/response"][()][rest], response[rest])


def stimulus_files_that_cannot_be_used_say_why(place):
    (place / "empty").mkdir(exist_ok=True)
    np.save(place / "complex.npy", np.zeros((3, 112, 112), dtype=np.complex64))
    np.save(place / "flat.npy", np.zeros(12, dtype=np.uint8))
    np.save(place / "cut.npy", np.zeros((3, 112, 112, 3), dtype=np.uint8))
    cut_in_half(place / "cut.npy")
    place.write("text.npy", "no array")
    place.write("text.zip", "no archive")
    with h5py.File(place / "arrays.h5", "w") as file:
        file.create_dataset("packed", data=np.zeros((3, 112, 112), np.uint8), chunks=True,
                            compression="gzip")
    cases = (
        ('folder = "nowhere"', "nowhere"),
        ('folder = "empty"', "holds no PNG or JPEG images"),
        ('zip = "text.zip"', "text.zip"),
        ('npy = "complex.npy"', "complex.npy"),
        ('npy = "flat.npy"', "flat.npy"),
        ('npy = "cut.npy"', "cut.npy"),
        ('npy = "text.npy"', "text.npy"),
        ('hdf5 = "arrays.h5:/packed"', "twinscreen convert"),
        ('hdf5 = "arrays.h5:/nothing"', "nothing"),
        ('folder = "images"\nlabels = "nowhere.csv"', "nowhere.csv"),
        ('folder = "images"\nfirst = 100', "reach beyond the 5 stimuli"),
    )
    for stimuli, sentence in cases:
        refused(CAMPAIGN_CODE, sentence, "nothing was run",
                command=("check", campaign_with(place, stimuli)))


def label_tables_must_fit_the_images(place):
    cases = (
        ("file,mood\n0.png,1\n1.png,2\n", "has no row for 3 of the images"),
        ("mood\n1\n2\n", "has 2 rows, but there are 5 stimuli"),
        ("file,mood\n0.png,1\n0.png,2\n1.png,1\n2.png,1\n", "'0.png' stands twice"),
        ("file,mood\n0.png\n", "labels.csv"),
        ("", "labels.csv"),
    )
    campaign = campaign_with(place, 'folder = "images"\nlabels = "labels.csv"')
    for text, sentence in cases:
        place.write("labels.csv", text)
        refused(CAMPAIGN_CODE, sentence, command=("check", campaign))


def recordings_must_fit_twins_and_stimuli(place):
    campaign = place.write("score.toml", """
[[twins]]
bundle = "tiny"
[[stimuli]]
folder = "images"
[encoding_score]
responses = "recorded.npy"
layout = "units,items"
""")
    items = len(os.listdir(place / "images"))
    infinite = np.ones((3, items), np.float32)
    infinite[1, 2] = np.inf
    cases = (
        (np.ones((3, 9), np.float32),
         f"holds responses to 9 items, the campaign has {items} stimuli"),
        (np.ones((3,), np.float32), "is not [units, items]"),
        (np.ones((3, items), np.int16), "holds values of type '<i2' (taken: uint8, int32, int64, "),
        (np.ones((3, items), np.complex64), "holds values of type '<c8'"),
        (np.ones((3, 0), np.float32), "holds responses to 0 items"),
        (np.ones((0, items), np.float32), "holds no responses"),
        (np.ones((2, items), np.float32), "stands for row 2 of the recording, which has 2 rows"),
        (infinite, "the response of neuron 1 to item 2 is inf"),
    )
    for array, sentence in cases:
        np.save(place / "recorded.npy", array)
        refused(CAMPAIGN_CODE, sentence, "nothing was run",
                command=("run", campaign, "--out", place / "score"))
    np.save(place / "recorded.npy", np.ones((3, items), np.float32))
    cut_in_half(place / "recorded.npy")
    refused(CAMPAIGN_CODE, "recorded.npy", command=("check", campaign))
    assert not (place / "score").exists()


def main():
    with Workplace(SMALL_CAMPAIGN) as place:
        tiny_bundle.write(place / "tiny")
        images(place / "images")
        harness.run_checks(
            place,
            all_mistakes_of_a_campaign_are_listed_at_once,
            unknown_words_on_the_command_line_are_named,
            a_bundle_that_cannot_be_used_says_why,
            a_bad_image_names_itself_and_its_item,
            stimulus_files_that_cannot_be_used_say_why,
            label_tables_must_fit_the_images,
            recordings_must_fit_twins_and_stimuli,
        )


if __name__ == "__main__":
    main()
