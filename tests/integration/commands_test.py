"""Every command as its help shows it, from a folder of the user's."""

import json
import zipfile

import harness
import tiny_bundle
from harness import Workplace, content_hash, run

h5py = harness.h5py_or_skip()
try:
    import numpy as np
    from PIL import Image
except ImportError as error:
    harness.skip(f"this Python lacks a module: {error}")

COMMANDS = ("init", "check", "plan", "run", "encode", "verify", "list", "import", "convert",
            "help")

CAMPAIGN = """
name = "mine"
[[twins]]
family = "gabor_energy"
positions = 1
[[stimuli]]
[stimuli.gratings]
orientation = { from = 0.0, to = 175.0, steps = 36 }
spatial_frequency = [1.0, 2.0]
[screen]
measures = ["units", "area_mean"]
"""


def answer(*command):
    """What a command with --json says."""
    return json.loads(run(*command, "--json").stdout)


def responses(file):
    with h5py.File(file) as store:
        return store["columns/response"][()]


def init_writes_a_campaign_that_runs_as_it_is(place):
    home = place / "home"
    home.mkdir()
    result = run("init", "screen", cwd=home)
    assert "twinscreen run screen.toml" in result.stdout, result
    run("check", "screen.toml", cwd=home)
    run("plan", "screen.toml", cwd=home)
    run("run", "screen.toml", cwd=home, ranks=2)
    assert content_hash(home / "results" / "my_screen")
    run("init", "screen", cwd=home, expect=2)
    run("init", "screen", "--overwrite", cwd=home)
    for entry in answer("list")["experiments"]:
        run("init", entry["name"], "--file", f"{entry['name']}_too.toml", cwd=home)
        text = (home / f"{entry['name']}_too.toml").read_text()
        assert f"\n[{entry['name']}]" in text and text.count("#") > 5


def plan_tells_a_program_what_will_be_done(place):
    plan = answer("plan", place.campaign, "--ranks", "8")
    stage, = plan["stages"]
    assert (plan["campaign"], plan["experiment"]) == ("mine", "screen")
    assert (stage["items"], stage["ranks"]) == (72, 8)
    assert stage["shards"] == -(-stage["items"] // stage["shard_items"])
    sizes = {column["name"]: column["bytes"] for column in stage["columns"]}
    units = next(iter(answer("plan", place.campaign)["stages"]))["columns"][0]["row"]
    assert sizes["response"] == 72 * 4 * int(units.strip("[]"))
    assert stage["passes"][0]["networks"] == 1 and stage["memory_per_rank_bytes"] > 1e6
    text = run("plan", place.campaign).stdout
    for word in ("shards", "memory per rank", "/columns/response", "forward passes"):
        assert word in text, text


def plan_shows_what_sharing_and_folding_save(place):
    tiny_bundle.write(place / "shared")
    twice = place.write("twice.toml", """
[[twins]]
name = "one"
bundle = "shared"
[[twins]]
name = "other"
bundle = "shared"
units = "neuron < 2"
[[stimuli]]
count = 10
[stimuli.pink_noise]
[screen]
measures = ["area_mean"]
""")
    stage, = answer("plan", twice)["stages"]
    only, = stage["passes"]
    assert "one" in only["twins"] and "other" in only["twins"]
    assert only["readouts"] == 2 and only["folded"]
    assert only["naive_macs"] > 1.8 * only["macs"]


def verify_and_list_answer_programs(place):
    run("run", place.campaign, "--out", place / "store")
    verdict = answer("verify", place / "store")
    assert verdict["complete"] and not verdict["bad_shards"]
    assert verdict["sealed"] == verdict["shards"] > 0 and len(verdict["content_hash"]) == 32
    assert verdict["content_hash"] in run("verify", place / "store").stdout
    build = answer("list")
    assert {entry["name"] for entry in build["experiments"]} >= {"screen", "encoding_score"}
    assert {entry["name"] for entry in build["twin_families"]} >= {
        "gabor_energy", "v4_compact", "sensorium"}
    assert {entry["name"] for entry in build["stimuli"]} >= {
        "folder", "list", "zip", "npy", "hdf5", "gratings", "gabors", "plaids", "annuli",
        "sparse_noise", "white_noise", "pink_noise", "dead_leaves", "crops"}
    assert build["version"] and build["numerics"]
    twin = answer("list", place / "tiny")
    assert (twin["family"], twin["units"]) == ("v4_compact", tiny_bundle.UNITS)
    assert twin["areas"] == [{"subject": "animal of session tiny", "area": "V4", "units": 3}]
    assert {"id", "heldout_r", "neuron"} <= set(twin["unit_columns"])
    assert "degrees_per_pixel" in run("list", place / "tiny").stdout


def a_limit_makes_a_smoke_run(place):
    run("run", place.campaign, "--out", place / "smoke", "--limit", "10")
    run("run", place.campaign, "--out", place / "whole")
    few = responses(place / "smoke" / "responses.h5")
    assert len(few) == 10
    np.testing.assert_array_equal(few, responses(place / "whole" / "responses.h5")[:10])


def an_output_folder_may_have_any_name(place):
    """MPI reads what stands before a colon as a kind of file system."""
    campaign = place.write("names.toml", CAMPAIGN)
    run("run", campaign, "--out", place / "ordinary")
    for name in ("12:30", "ufs:a", "a b", "Zürich, 3 × 4", "-o", "'\""):
        for ranks in (0, 2):
            out = place / f"named{ranks}" / name
            run("run", campaign, "--out", out, ranks=ranks)
            assert content_hash(out) == content_hash(place / "ordinary"), name


def set_overrides_any_key_and_is_recorded(place):
    settings = ("stimuli.0.gratings.contrast=[0.5]", 'screen.measures=["units"]',
                'twins.0.units="orientation == 0"')
    arguments = [word for setting in settings for word in ("--set", setting)]
    run("run", place.campaign, "--out", place / "set", *arguments)
    with h5py.File(place / "set" / "responses.h5") as store:
        assert store.attrs["campaign_overrides"].splitlines() == list(settings)
        assert store.attrs["campaign_text"] == CAMPAIGN
        assert (store["items/contrast"][()] == 0.5).all()
        assert (store["units/orientation"][()] == 0).all()
        assert list(store["columns"]) == ["response"]


def encode_takes_a_folder_a_zip_an_array_and_one_image(place):
    pixels = np.random.default_rng(2).integers(0, 256, (4, 112, 112, 3), dtype=np.uint8)
    (place / "pictures").mkdir()
    with zipfile.ZipFile(place / "pictures.zip", "w") as archive:
        for number, picture in enumerate(pixels):
            file = place / "pictures" / f"{number}.png"
            Image.fromarray(picture).save(file)
            archive.write(file, file.name)
    np.save(place / "pictures.npy", pixels)
    with h5py.File(place / "pictures.h5", "w") as file:
        file["pixels"] = pixels
    encoded = {}
    for number, images in enumerate(("pictures", "pictures.zip", "pictures.npy",
                                     "pictures.h5:/pixels", "pictures/2.png")):
        out = place / f"encoded{number}.h5"
        result = run("encode", place / "tiny", images, out, cwd=place.folder)
        assert "xarray.open_datatree" in result.stdout, result
        encoded[images] = responses(out)
        assert not list(place.folder.glob("*.partial"))
    reference = encoded["pictures"]
    assert reference.shape == (4, tiny_bundle.UNITS) and np.ptp(reference, axis=0).min() > 0
    for images in ("pictures.zip", "pictures.npy", "pictures.h5:/pixels"):
        np.testing.assert_array_equal(encoded[images], reference)
    # Another batch of one: the padding must not matter.
    np.testing.assert_allclose(encoded["pictures/2.png"], reference[2:3], rtol=1e-6)
    some = place / "some.h5"
    run("encode", place / "tiny", place / "pictures", some, "--units", "neuron > 0")
    np.testing.assert_allclose(responses(some), reference[:, 1:], rtol=1e-6)
    assert "exists already" in run("encode", place / "tiny", place / "pictures", some,
                                   expect=4).output


def a_packed_array_is_converted_and_screened(place):
    pixels = np.random.default_rng(3).integers(0, 256, (50, 40, 40), dtype=np.uint8)
    with h5py.File(place / "packed.h5", "w") as file:
        file.create_dataset("set/pixels", data=pixels, chunks=(7, 40, 40), compression="gzip")
    np.save(place / "plain.npy", pixels)
    run("convert", "packed.h5:/set/pixels", "unpacked.npy", cwd=place.folder)
    np.testing.assert_array_equal(np.load(place / "unpacked.npy"), pixels)
    hashes = set()
    for array in ("plain", "unpacked"):
        campaign = place.write(f"{array}.toml", f"""
[[twins]]
family = "gabor_energy"
positions = 1
[[stimuli]]
npy = "{array}.npy"
[screen]
measures = ["units"]
""")
        run("run", campaign, "--out", place / array)
        hashes.add(content_hash(place / array))
    assert len(hashes) == 1


def labels_become_item_columns(place):
    (place / "shown").mkdir()
    for number in range(3):
        Image.fromarray(np.full((30, 40), 80 * number, np.uint8)).save(
            place / "shown" / f"s{number}.jpg")
    place.write("labels.csv", "file,mood,level\ns2.jpg,calm,3\ns0.jpg,odd,1\ns1.jpg,calm,2\n")
    campaign = place.write("labelled.toml", """
out = "labelled"
[[twins]]
family = "gabor_energy"
positions = 1
[[stimuli]]
folder = "${SHOWN}"
labels = "labels.csv"
[screen]
measures = ["area_mean", "top_k"]
""")
    # Paths are relative to the campaign; variables are expanded.
    run("run", campaign, cwd="/", env={"SHOWN": str(place / "shown")})
    with h5py.File(place / "labelled" / "responses.h5") as store:
        assert list(store["items/file"].asstr()) == ["s0.jpg", "s1.jpg", "s2.jpg"]
        assert list(store["items/mood"].asstr()) == ["odd", "calm", "calm"]
        assert list(store["items/level"]) == [1, 2, 3]
    with Image.open(place / "labelled" / "top_stimuli.png") as sheet:
        assert min(sheet.size) > 50


def every_help_teaches_with_an_example(place):
    overview = run("--help").stdout
    for command in COMMANDS:
        assert command in overview
        text = run(command, "--help").stdout
        assert "Example" in text and f"twinscreen {command}" in text, text
        assert run("help", command).stdout == text
    assert run("help").stdout == overview
    assert run("--version").stdout.startswith("twinscreen ")


def the_quickstart_campaign_passes_check_and_plan(place):
    campaign = harness.source_folder() / "experiments" / "campaigns" / "quickstart.toml"
    assert "no mistakes" in run("check", campaign).stdout
    assert answer("plan", campaign)["stages"][0]["items"] == 20000


def main():
    with Workplace(CAMPAIGN) as place:
        tiny_bundle.write(place / "tiny")
        harness.run_checks(
            place,
            init_writes_a_campaign_that_runs_as_it_is,
            plan_tells_a_program_what_will_be_done,
            plan_shows_what_sharing_and_folding_save,
            verify_and_list_answer_programs,
            a_limit_makes_a_smoke_run,
            an_output_folder_may_have_any_name,
            set_overrides_any_key_and_is_recorded,
            encode_takes_a_folder_a_zip_an_array_and_one_image,
            a_packed_array_is_converted_and_screened,
            labels_become_item_columns,
            every_help_teaches_with_an_example,
            the_quickstart_campaign_passes_check_and_plan,
        )


if __name__ == "__main__":
    main()
