"""Bad input and a hostile machine: each has its sentence and its exit code, and nothing that was
sealed before is lost."""

import json
import os
import shutil
import struct

import harness
import tiny_bundle
from harness import Workplace, content_hash, run, start

h5py = harness.h5py_or_skip()
try:
    import numpy as np
    from PIL import Image
except ImportError as error:
    harness.skip(f"this Python lacks a module: {error}")

CAMPAIGN_CODE, DATA_CODE, STORE_CODE, DEVICE_CODE = 2, 3, 4, 5

CAMPAIGN = """
seed = 1
[[twins]]
family = "gabor_energy"
positions = 1
[[stimuli]]
count = 1000
[stimuli.pink_noise]
[screen]
measures = ["units"]
[run]
shard_items = 64
"""
TINY = """
[[twins]]
bundle = "{bundle}"
[[stimuli]]
{stimuli}
[screen]
measures = ["units"]
"""


def refused(code, *sentences, command, ranks=0, env=None):
    """The command ends with the code, says every sentence, and does not crash."""
    result = run(*command, ranks=ranks, expect=code, env=env)
    for sentence in sentences:
        assert sentence in result.output, f"expected: {sentence}\n{result}"
    for accident in ("internal error", "bad_alloc", "Segmentation", "terminate called"):
        assert accident not in result.output, result
    return result


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
        (np.ones((3, items), np.int32), "holds values of type '<i4'"),
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


def a_store_of_another_campaign_is_not_touched(place):
    before = (place / "calm" / "responses.h5").read_bytes()
    cases = (
        ("seed=2", "seed: stored \"1\", wanted \"2\""),
        ("twins.0.positions=2", "twin gabor_energy: stored"),
        ("screen.measures=[\"units\",\"area_mean\"]", "measures: stored"),
        ("run.limit=500", "plan: stored"),
        ("twins.0.units=\"orientation == 45\"", "twin gabor_energy: stored"),
    )
    for setting, difference in cases:
        refused(STORE_CODE, "holds results of another campaign", difference,
                "Choose another output folder",
                command=("run", place.campaign, "--out", place / "calm", "--set", setting))
    refused(STORE_CODE, "holds results of another campaign",
            command=("run", place.campaign, "--out", place / "calm", "--set", "seed=2"), ranks=2)
    assert (place / "calm" / "responses.h5").read_bytes() == before


def histogram_edges_belong_to_the_campaign(place):
    edges = "screen.histogram={{from=0.0,to={},bins=4}}"
    measures = ("--set", 'screen.measures=["histogram"]', "--set")
    run("run", place.campaign, "--out", place / "edges", *measures, edges.format("8.0"))
    refused(STORE_CODE, "histogram: stored \"4 bins from 0 to 8\", wanted \"4 bins from 0 to 9\"",
            command=("run", place.campaign, "--out", place / "edges", *measures,
                     edges.format("9.0")))


def damaged_stores_are_named_and_kept(place):
    def version(file, value):
        with h5py.File(file, "r+") as store:
            store.attrs["version"] = value

    cases = (
        ("old", lambda f: version(f, 0), "format version 0, this build reads version 1"),
        ("new", lambda f: version(f, 99), "format version 99, this build reads version 1"),
        ("cut", cut_in_half, "is truncated"),
        ("text", lambda f: f.write_text("hello"), "is not an HDF5 file"),
        ("zero", lambda f: f.write_bytes(b""), "is empty (0 bytes)"),
        ("foreign", foreign_file, "was not written by twinscreen, and is not overwritten"),
    )
    for name, damage, sentence in cases:
        folder = shutil.copytree(place / "calm", place / f"store-{name}")
        file = folder / "responses.h5"
        damage(file)
        before = file.read_bytes()
        refused(STORE_CODE, sentence, "responses.h5",
                command=("run", place.campaign, "--out", folder))
        assert file.read_bytes() == before
    refused(STORE_CODE, "is truncated", command=("verify", place / "store-cut"))
    refused(STORE_CODE, "truncated", command=("run", place.campaign, "--out",
                                              place / "store-cut"), ranks=2)


def foreign_file(path):
    path.unlink()
    with h5py.File(path, "w") as store:
        store["mine"] = [1, 2, 3]


def a_flipped_bit_is_found(place):
    folder = shutil.copytree(place / "calm", place / "flipped")
    with h5py.File(folder / "responses.h5", "r+") as store:
        store["columns/response"][70, 0] += 1
    result = refused(STORE_CODE, "bad_shards", command=("verify", folder, "--json"))
    assert json.loads(result.stdout)["bad_shards"] == [1]


def a_second_job_on_one_folder_is_turned_away(place):
    slow = ("--set", "stimuli.0.count=300000")
    with start("run", place.campaign, "--out", place / "shared", *slow, ranks=2) as job:
        job.wait_for_shards(place / "shared", 1)
        for ranks in (0, 2):
            refused(STORE_CODE, "is in use by another job", "pid",
                    command=("run", place.campaign, "--out", place / "shared", *slow), ranks=ranks)
        assert job.is_running(), job.result()
        job.kill_everything()
        reported = harness.shards_reported(place / "shared")
    # A dead job leaves no lock behind.
    with start("run", place.campaign, "--out", place / "shared", *slow) as job:
        job.wait_for_shards(place / "shared", reported + 1)


def more_ranks_than_shards_are_idle_and_warned_about(place):
    small = ("--limit", "100")
    result = run("run", place.campaign, "--out", place / "few", *small, ranks=4)
    assert "4 ranks for 2 shards" in result.output, result
    run("run", place.campaign, "--out", place / "one", *small)
    assert content_hash(place / "few") == content_hash(place / "one")


def read_only_folders_are_refused(place):
    (place / "locked").mkdir()
    (place / "locked").chmod(0o555)
    # As root, permissions count only without this capability.
    wrapper = without("dac_override") if os.geteuid() == 0 else []
    for out in (place / "locked", place / "locked" / "below"):
        result = run_wrapped(wrapper, "run", place.campaign, "--out", out)
        assert result.code == STORE_CODE, result
        assert "Permission denied" in result.output and str(out) in result.output, result


def without(*capabilities):
    if shutil.which("setpriv") is None:
        return []
    dropped = ",".join(f"-{name}" for name in capabilities)
    return ["setpriv", f"--bounding-set={dropped}", f"--inh-caps={dropped}"]


def run_wrapped(wrapper, *arguments, ranks=0, timeout_s=120.0):
    """As `run`, behind another program and for any exit code."""
    with start(*arguments, ranks=ranks, wrapper=wrapper) as job:
        return job.wait(timeout_s)


def a_limit_on_file_sizes_is_told(place):
    for bytes_allowed in (2000, 300_000):
        out = place / f"limit{bytes_allowed}"
        result = run_wrapped(["prlimit", f"--fsize={bytes_allowed}"], "run", place.campaign,
                             "--out", out)
        assert result.code == STORE_CODE and "no room left" in result.output, result
        run("run", place.campaign, "--out", out)
        assert content_hash(out) == place.calm_hash


def a_full_disk_keeps_what_is_sealed(place):
    disk = place / "disk"
    disk.mkdir()
    program = harness.executable()
    script = f"""
        mount -t tmpfs -o size=$1 none {disk} || exit 99
        {program} run {place.campaign} --out {disk}/full
        test $? = {STORE_CODE} || exit 98
        mount -o remount,size=8m {disk}
        {program} run {place.campaign} --out {disk}/full && {program} verify {disk}/full
    """
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        print("  only root can mount a small disk: not tried")
        return
    for size in ("16k", "300k"):
        with harness.Job(["unshare", "-m", "sh", "-c", script, "sh", size], 0, None,
                         {**harness.ENVIRONMENT, **os.environ}) as job:
            result = job.wait()
        if result.code == 99:
            print("  this machine lets nobody mount a disk: not tried")
            return
        assert result.code == 0, result
        assert "no room left" in result.output and place.calm_hash in result.output, result


def a_twin_too_large_for_memory_says_so(place):
    large = ("--set", "twins.0.size=512", "--set", "twins.0.positions=8")
    result = run_wrapped(["prlimit", "--as=2500000000"], "run", place.campaign, *large, "--out",
                         place / "large")
    assert result.code == DEVICE_CODE, result
    assert "GiB of memory" in result.output and "are available" in result.output, result
    assert not (place / "large").exists()


def main():
    with Workplace(CAMPAIGN) as place:
        run("run", place.campaign, "--out", place / "calm")
        place.calm_hash = content_hash(place / "calm")
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
            a_store_of_another_campaign_is_not_touched,
            histogram_edges_belong_to_the_campaign,
            damaged_stores_are_named_and_kept,
            a_flipped_bit_is_found,
            a_second_job_on_one_folder_is_turned_away,
            more_ranks_than_shards_are_idle_and_warned_about,
            read_only_folders_are_refused,
            a_limit_on_file_sizes_is_told,
            a_full_disk_keeps_what_is_sealed,
            a_twin_too_large_for_memory_says_so,
        )


if __name__ == "__main__":
    main()
