"""What the engine asks of the file system. Opens, stats and flushes of a parallel file system go through one
server for all ranks: their number may not grow with the shards, and what all ranks need is read by one of them."""
import collections
import re
import shutil
import subprocess
import zipfile

import harness
import tiny_bundle
from harness import Workplace, run, start, tiny_png

CAMPAIGN = """
seed = 1
[[twins]]
family = "gabor_energy"
positions = 1
[[stimuli]]
count = 8192
[stimuli.pink_noise]
[screen]
measures = ["units", "area_mean"]
[run]
shard_items = {shard_items}
"""
COLUMNS = 2
# Of the names in `strace -e trace=%file,%desc`, those that move bytes within an open file.
MOVES_BYTES = {"pread64", "pwrite64", "read", "write"}
# Waiting, and memory that belongs to no file.
NO_FILE = {"poll", "ppoll", "epoll_wait", "epoll_pwait", "mmap", "select", "pselect6"}


def calls_of(place, shard_items):
    """System calls on files and descriptors of a whole run, by name, and its number of shards."""
    name = f"shards-of-{shard_items}"
    campaign = place.write(f"{name}.toml", CAMPAIGN.format(shard_items=shard_items))
    log = place / f"{name}.strace"
    subprocess.run(["strace", "-f", "-qq", "-e", "trace=%file,%desc", "-o", log, harness.executable(), "run",
                    campaign, "--out", place / name], check=True, capture_output=True, timeout=240)
    calls = collections.Counter(re.findall(r"^\d+ +(\w+)\(", log.read_text(errors="replace"), re.MULTILINE))
    return calls, harness.shards_reported(place / name)


def more_shards_cost_no_metadata(place):
    few, few_shards = calls_of(place, 256)
    many, many_shards = calls_of(place, 64)
    assert (few_shards, many_shards) == (32, 128), (few_shards, many_shards)
    shards = many_shards - few_shards
    grown = {name: many[name] - few[name] for name in many.keys() | few.keys()
             if many[name] != few[name] and name not in NO_FILE}
    print("  per shard: " + ", ".join(f"{name} {count / shards:.2f}" for name, count in sorted(grown.items())))
    assert grown.keys() <= MOVES_BYTES, grown
    # Rows of each column, the shard's record, its mark, and one line of telemetry.
    assert grown["pwrite64"] <= (COLUMNS + 3) * shards and grown["write"] <= 2 * shards, grown
    assert grown.get("pread64", 0) <= 2 * shards, grown


FILES = """
[[twins]]
bundle = "tiny"
units = "id != 'nobody'"
[[stimuli]]
folder = "images"
labels = "labels.csv"
[[stimuli]]
list = "more/list.txt"
[screen]
measures = ["units"]
[run]
shard_items = 4
batch_items = 4
"""
READ_BY_ONE = ("campaign.toml", "tiny/twin.toml", "tiny/units.csv", "tiny/weights.safetensors", "labels.csv",
               "more/list.txt", "images")
RANKS, IMAGES, LISTED = 3, 40, 5


def campaign_of_files(place):
    tiny_bundle.write(place / "tiny")
    for number in range(IMAGES):
        place.write(f"images/{number:02}.png", tiny_png(number))
    place.write("labels.csv", "label\n" + "".join(f"{number}\n" for number in range(IMAGES)))
    for number in range(LISTED):
        place.write(f"more/{number}.png", tiny_png(number))
    place.write("more/list.txt", "".join(f"{number}.png\n" for number in range(LISTED)))
    return place.write("campaign.toml", FILES)


def what_all_need_is_read_by_one_rank(place):
    campaign = campaign_of_files(place)
    rank = "${OMPI_COMM_WORLD_RANK:-$PMI_RANK}"
    traced = f"exec strace -f -qq -e trace=%file,getdents64 -o {place.folder}/rank-{rank}.strace \"$@\""
    wrapper = ("bash", "-c", traced, "traced")
    with start("run", campaign, "--out", place / "of-files", ranks=RANKS, wrapper=wrapper) as job:
        result = job.wait(240)
    assert result.code == 0, result
    logs = [(place / f"rank-{rank}.strace").read_text(errors="replace") for rank in range(RANKS)]
    opens = {name: [len(re.findall(rf'openat\([^"]*"{re.escape(str(place / name))}"', log)) for log in logs]
             for name in READ_BY_ONE}
    print("  opens by rank: " + ", ".join(f"{name} {counts}" for name, counts in opens.items()))
    for name, counts in opens.items():
        assert counts[0] >= 1 and not any(counts[1:]), (name, counts)
    # Decoding an image opens it; nobody but rank 0 asks for all their sizes.
    images = [len(re.findall(r'stat[^"]*"[^"]*/\d+\.png"', log)) for log in logs]
    assert images[0] >= IMAGES + LISTED and not any(images[1:]), images


ZIPPED = """
[[twins]]
family = "gabor_energy"
positions = 1
[[stimuli]]
zip = "images.zip"
{more}
[screen]
measures = ["units"]
[run]
shard_items = 64
batch_items = 64
"""


def a_run_keeps_one_copy_of_a_file_on_the_node(place):
    with zipfile.ZipFile(place / "images.zip", "w") as archive:
        for number in range(300):
            archive.writestr(f"{number:03}.png", tiny_png(number))
    disk = place / "disk"
    plain = place.write("plain.toml", ZIPPED.format(more=""))
    copied = place.write("copied.toml", ZIPPED.format(more=f'node_copy = "{disk}"'))
    run("check", copied)
    run("plan", copied)
    assert not disk.exists(), "only a run may copy"
    result = run("run", copied, "--out", place / "copied", ranks=RANKS)
    assert result.output.count("copying") == 1, result
    assert all(file.suffix == ".lock" for file in disk.iterdir()), list(disk.iterdir())
    run("run", plain, "--out", place / "plain")
    assert harness.content_hash(place / "copied") == harness.content_hash(place / "plain")


def main():
    if shutil.which("strace") is None:
        harness.skip("no strace on this machine")
    tried = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        harness.skip(f"strace may not trace here ({tried.stderr.strip()})")
    with Workplace() as place:
        harness.run_checks(place, a_run_keeps_one_copy_of_a_file_on_the_node, more_shards_cost_no_metadata,
                           what_all_need_is_read_by_one_rank)


main()
