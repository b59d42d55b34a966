"""A hostile machine: foreign and damaged stores, a second job, read-only folders, a full disk, too
little memory. Each has its sentence and its exit code, and nothing that was sealed is lost."""

import json
import os
import shutil
import stat

import harness
from harness import DEVICE_CODE, SMALL_CAMPAIGN, STORE_CODE, Workplace
from harness import content_hash, refused, run, start

h5py = harness.h5py_or_skip()

def cut_in_half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


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
        ("old", lambda f: version(f, 0), "format version 0, this build reads versions 1 to 2"),
        ("new", lambda f: version(f, 99), "format version 99, this build reads versions 1 to 2"),
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


def nothing_is_writable_for_the_world(place):
    before = os.umask(0)
    try:
        run("run", place.campaign, "--out", place / "open", ranks=2)
    finally:
        os.umask(before)
    found = [path for path in [place / "open", *(place / "open").rglob("*")]]
    assert len(found) > 2, found
    for path in found:
        assert not path.stat().st_mode & stat.S_IWOTH, (path, oct(path.stat().st_mode))


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
        cp {disk}/full/telemetry.jsonl {place.folder}
    """
    for size in ("16k", "300k"):
        result = harness.run_with_own_mounts(script, size)
        if result is None:
            return
        assert result.code == 0, result
        assert "no room left" in result.output and place.calm_hash in result.output, result
        # A line that the full disk cut is not left in the way.
        events = [json.loads(line) for line in (place / "telemetry.jsonl").open()]
        assert events[-1]["event"] == "finished", events[-1]


def a_twin_too_large_for_memory_says_so(place):
    if not harness.may_bound_memory():
        return
    large = ("--set", "twins.0.size=512", "--set", "twins.0.positions=8")
    result = run_wrapped(["prlimit", "--as=2500000000"], "run", place.campaign, *large, "--out",
                         place / "large")
    assert result.code == DEVICE_CODE, result
    assert "GiB of memory" in result.output and "are available" in result.output, result
    assert not (place / "large").exists()


def main():
    with Workplace(SMALL_CAMPAIGN) as place:
        run("run", place.campaign, "--out", place / "calm")
        place.calm_hash = content_hash(place / "calm")
        harness.run_checks(
            place,
            a_store_of_another_campaign_is_not_touched,
            histogram_edges_belong_to_the_campaign,
            damaged_stores_are_named_and_kept,
            a_flipped_bit_is_found,
            a_second_job_on_one_folder_is_turned_away,
            more_ranks_than_shards_are_idle_and_warned_about,
            read_only_folders_are_refused,
            nothing_is_writable_for_the_world,
            a_limit_on_file_sizes_is_told,
            a_full_disk_keeps_what_is_sealed,
            a_twin_too_large_for_memory_says_so,
        )


if __name__ == "__main__":
    main()
