"""The way of a GPU, tried on the processor with `device = "emulated"`: answers of all kinds of readouts
as on the processor, the same bytes for any number of ranks and after a kill, and what is said when
there is no GPU or when one fails in the middle."""

import harness
import same_bits_test
import tiny_bundle
from harness import RESUMABLE, Workplace, content_hash, refused, run, start

h5py = harness.h5py_or_skip()
import numpy as np  # noqa: E402  (h5py needs it anyway)

CAMPAIGN = """
seed = 11
[[twins]]
family = "gabor_energy"
positions = 3
orientations = 3
spatial_frequencies = [1.0]
phases = 2
[[twins]]
bundle = "tiny"
[[stimuli]]
count = 600
[stimuli.pink_noise]
[[stimuli]]
folder = "pictures"
[run]
shard_items = 64
batch_items = 32
[screen]
measures = ["units", "area_mean", "moments", "top_k"]
"""
OF_ITS_SPREAD = 1e-4  # sums in another order
DEVICE_FAILED = 5
STORE_REFUSED = 4
OUT_OF_MEMORY, ECC = 2, 214  # cudaError_t


def go_on(place, name, device, more=(), **options):
    return run("run", place / "campaign.toml", "--out", place / name, "--set",
               f"run.device='{device}'", *more, **options)


def columns_of(store):
    with h5py.File(store / "responses.h5") as file:
        return {name: dataset[()] for name, dataset in file["columns"].items()}


def answers_are_those_of_the_processor(place):
    go_on(place, "cpu", "cpu")
    assert "networks run on emulated" in go_on(place, "emulated", "emulated").output
    expected, found = columns_of(place / "cpu"), columns_of(place / "emulated")
    assert expected.keys() == found.keys() and expected
    for name, values in expected.items():
        off = np.abs(values.astype("f8") - found[name]).max(axis=0) / values.std(axis=0)
        print(f"  {name} {values.shape}: largest difference {off.max():.1e} of its spread")
        assert 0.0 <= off.max() < OF_ITS_SPREAD


def bytes_depend_on_no_number_of_ranks(place):
    for ranks in (2, 3):
        go_on(place, f"ranks{ranks}", "emulated", ranks=ranks)
        assert content_hash(place / f"ranks{ranks}") == content_hash(place / "emulated")


def every_experiment_gives_its_bytes_on_any_number_of_ranks(place):
    same_bits_test.make_inputs(place)
    without_twins = "[[stimuli]]" + same_bits_test.INPUTS.split("[[stimuli]]")[1]
    texts = {name: same_bits_test.INPUTS + text
             for name, text in same_bits_test.EXPERIMENTS.items()}
    texts["relational_control_stored"] = texts["relational_control"].replace(
        "generations = 20", 'generations = 20\nsimilarities = "stored"')
    texts["baselines"] = without_twins + same_bits_test.EXPERIMENTS["encoding_score"]
    for name, text in texts.items():
        campaign = place.write(f"{name}.toml", text)
        for ranks in (1, 3):
            run("run", campaign, "--out", place / f"{name}{ranks}", "--set",
                "run.device='emulated'", ranks=ranks)
        assert content_hash(place / f"{name}1") == content_hash(place / f"{name}3"), name


def what_is_folded_where_it_is_computed_is_what_is_stored(place):
    """Moments, best items and histograms of responses that are sent, too, and of such as are not."""
    (place / "broken").mkdir()
    for number in range(70):
        place.write(f"broken/{number:02}.png", b"no picture" if number % 11 == 3
                    else harness.tiny_png(number))
    text = CAMPAIGN[:CAMPAIGN.index("[[stimuli]]")] + """
[[stimuli]]
folder = "broken"
[run]
device = "emulated"
shard_items = 32
batch_items = 8
on_bad_image = "nan"
[screen]
top_k_of = "both"
histogram = {from = 0.0, to = 3.0, bins = 9}
measures = ["moments", "top_k", "histogram"MORE]
"""
    stores = {}
    for name, more in (("folded", ""), ("sent", ', "units", "area_mean"')):
        campaign = place.write(f"{name}.toml", text.replace("MORE", more))
        run("run", campaign, "--out", place / name)
        with h5py.File(place / name / "responses.h5") as file:
            stores[name] = {group + "/" + key: file[group][key][()] for group in
                            ("summary", "columns") if group in file for key in file[group]}
    responses = stores["sent"]["columns/response"]
    missing = np.isnan(responses).all(axis=1)
    assert missing.sum() == 7 and not np.isnan(responses[~missing]).any()
    for store in stores.values():
        assert (store["summary/response_count"] == 63).all()
        assert np.allclose(store["summary/response_mean"], np.nanmean(responses.astype("f8"), axis=0))
        best = store["summary/unit_top_item"][:, 0]
        assert (best == np.nanargmax(responses, axis=0)).all()
        edges = np.linspace(0.0, 3.0, 10, dtype="f4")
        for unit in range(0, responses.shape[1], 7):
            found = responses[~missing, unit]
            wanted = [(found < 0).sum(), *np.histogram(found, edges)[0], (found > 3).sum()]
            assert (store["summary/histogram"][unit] == wanted).all()
    for name, values in stores["folded"].items():
        assert values.tobytes() == stores["sent"][name].tobytes(), name


def replayed_passes_have_the_same_bytes(place):
    for name, more in (("replayed", ()), ("replayed_low", ("--set", "run.precision=bfloat16"))):
        go_on(place, name, "emulated", more=("--set", "run.replay=true", *more))
        go_on(place, name + "_not", "emulated", more=more)
        assert content_hash(place / name) == content_hash(place / (name + "_not"))


def lower_precision_is_told_with_its_error(place):
    go_on(place, "float32", "emulated")
    exact = columns_of(place / "float32")["response"].astype("f8")
    for precision in ("bfloat16", "float16"):
        stores = {ranks: place / f"{precision}{ranks}" for ranks in (1, 3)}
        for ranks, store in stores.items():
            result = go_on(place, store.name, "emulated", ranks=ranks, more=(
                "--set", f"run.precision={precision}"))
        assert content_hash(stores[1]) == content_hash(stores[3]) != content_hash(
            place / "float32")
        found = columns_of(stores[1])["response"].astype("f8")
        off = np.sqrt(((found - exact) ** 2).sum() / ((exact - exact.mean(axis=0)) ** 2).sum())
        told = [event for event in harness.events_of(stores[3]) if event["event"] == "compared"]
        print(f"  {precision}: {off:.2e} of the spread, told {told[0]['difference_of_spread']:.2e}")
        assert 1e-5 < off < 0.05 and told[0]["precision"] == precision
        assert 0.5 < told[0]["difference_of_spread"] / off < 2.0
        assert f"{precision} networks: 10 batches compared with float32" in result.output, result
    result = run("run", place / "campaign.toml", "--out", place / "float161", "--set",
                 "run.device='emulated'", expect=STORE_REFUSED)
    assert "precision: stored" in result.output, result
    refused(2, "run.precision", "the processor computes in float32", command=(
        "check", place / "campaign.toml", "--set", "run.precision=bfloat16", "--set",
        "run.device=cpu"))


def similarities_of_pictures_are_those_of_the_processor(place):
    """After the experiments: of the responses there."""
    campaign, found = place / "relational_control_stored.toml", {}
    for device in ("cpu", "emulated"):
        store = place / f"similarities_{device}"
        run("run", campaign, "--out", store, "--set", f"run.device='{device}'")
        with h5py.File(store / "similarity.h5") as file:
            found[device] = {name: values[()] for name, values in file["columns"].items()}
    for name, wanted in found["cpu"].items():
        off = np.abs(found["emulated"][name] - wanted)
        below = np.tri(*wanted.shape[:2], k=-1, dtype=bool)
        print(f"  {name} {wanted.shape}: largest difference {np.nanmax(off):.1e}")
        assert np.isfinite(wanted[below]).all() and (off[below] < 1e-5).all()
        assert np.isnan(found["emulated"][name][~below]).all()
        assert np.nanmax(np.abs(wanted)) > 0.5


def a_killed_job_goes_on_with_the_same_bytes(place):
    with start("run", place / "campaign.toml", "--out", place / "killed", "--set",
               "run.device='emulated'", ranks=2) as job:
        job.wait_for_shards(place / "killed", 2)
        job.kill_rank(1)
        assert job.wait().code not in (0, RESUMABLE)
    go_on(place, "killed", "emulated", ranks=3)
    assert content_hash(place / "killed") == content_hash(place / "emulated")


def a_store_stays_with_its_device(place):
    go_on(place, "begun", "emulated")
    result = run("run", place / "campaign.toml", "--out", place / "begun", "--set",
                 "run.device='cpu'", "--set", "run.batch_items=32", expect=STORE_REFUSED)
    assert "emulated" in result.output, result


def a_gpu_that_is_not_there_is_named(place):
    result = go_on(place, "gpu", "gpu", expect=DEVICE_FAILED)
    assert 'device = "gpu"' in result.output, result
    assert not (place / "gpu").exists()
    assert "no mistakes" in run("check", place / "campaign.toml", "--set",
                                "run.device='gpu'").output
    refused(2, "run.device", "did you mean 'gpu'", command=(
        "check", place / "campaign.toml", "--set", "run.device='gpus'"))


def a_gpu_that_fails_leaves_a_store_that_goes_on(place):
    with start("run", place / "campaign.toml", "--out", place / "failed", "--set",
               "run.device='emulated'", failpoint=harness.DeviceFault(ECC, batch=10)) as job:
        result = job.wait()
    assert result.code == DEVICE_FAILED, result
    for words in ("memory that cannot be corrected (ECC)", "while running shard",
                  "start the same command again"):
        assert words in result.output, result
    assert 0 < harness.shards_reported(place / "failed") < 10
    go_on(place, "failed", "emulated")
    assert content_hash(place / "failed") == content_hash(place / "emulated")


def a_batch_that_does_not_fit_is_told_with_one_that_does(place):
    campaign = place.write("large.toml", CAMPAIGN)
    command = ("run", campaign, "--out", place / "large", "--set", "run.device='emulated'")
    with start(*command, failpoint=harness.DeviceFault(OUT_OF_MEMORY, batch=1)) as job:
        result = job.wait()
    assert result.code == DEVICE_FAILED, result
    for words in ("a batch of 32 pictures does not fit", "[run] batch_items = 16"):
        assert words in result.output, result
    run(*command, "--set", "run.batch_items=16")  # no store stands in the way


def the_largest_batch_that_fits_is_found_and_kept(place):
    campaign = place.write("auto.toml", CAMPAIGN.replace("count = 600", "count = 5000"))
    command = ("run", campaign, "--set", "run.device='emulated'", "--out")
    auto = ("--set", "run.batch_items=auto")
    assert "batches of 64 (as large as is useful)" in run(*command, place / "fits", *auto).output
    # Full at the first try only: who goes on has room for 64, and yet takes what the store has.
    with start(*command, place / "auto", *auto,
               failpoint=harness.DeviceFault(OUT_OF_MEMORY, batch=1)) as job:
        job.wait_for_shards(place / "auto", 2)
        job.kill_rank(0)
        assert "batches of 32 (64 did not fit on every rank)" in job.wait().output
    run(*command, place / "auto", *auto, ranks=2)
    with h5py.File(place / "auto" / "responses.h5") as store:
        assert store.attrs["batch_items"] == 32
    run(*command, place / "stated", "--set", "run.batch_items=32")
    assert content_hash(place / "auto") == content_hash(place / "stated")
    refused(2, "run.batch_items", '1..65536 or "auto"', command=(
        "check", campaign, "--set", "run.batch_items=most"))


def main():
    with Workplace(CAMPAIGN) as place:
        tiny_bundle.write(place / "tiny")
        (place / "pictures").mkdir()
        for number in range(5):
            place.write(f"pictures/{number}.png", harness.tiny_png(number))
        harness.run_checks(
            place, answers_are_those_of_the_processor, bytes_depend_on_no_number_of_ranks,
            every_experiment_gives_its_bytes_on_any_number_of_ranks,
            similarities_of_pictures_are_those_of_the_processor,
            what_is_folded_where_it_is_computed_is_what_is_stored,
            replayed_passes_have_the_same_bytes, lower_precision_is_told_with_its_error, a_killed_job_goes_on_with_the_same_bytes,
            a_store_stays_with_its_device,
            a_batch_that_does_not_fit_is_told_with_one_that_does,
            the_largest_batch_that_fits_is_found_and_kept,
            a_gpu_that_is_not_there_is_named, a_gpu_that_fails_leaves_a_store_that_goes_on)


if __name__ == "__main__":
    main()
