"""What a lost node leaves: a ledger that says sealed, and results, marks or records that never
reached the disk whole. The next run finds them by their checksums, computes exactly these again and
ends with the bytes of an undisturbed run."""

import shutil

import harness
from harness import (STORE_CODE, Ledger, Workplace, content_hash, refused, run, runs_of, shards_of,
                     start, verify)

h5py = harness.h5py_or_skip()
import numpy as np

CAMPAIGN = """
seed = 3
[[twins]]
family = "gabor_energy"
positions = 2
[[stimuli]]
count = 8000
[stimuli.pink_noise]
[screen]
measures = ["units", "area_mean", "moments"]
[run]
shard_items = 64
"""
SHARD_ITEMS, SHARDS = 64, 125
RECORD_BYTES = 64
FEW = 15  # sealed before the node is lost


class Store:
    """A copy of a store, and where things lie in its file."""

    def __init__(self, place, source, name):
        shutil.copytree(place / source, place / name)
        self.folder = place / name
        self.file = self.folder / "responses.h5"
        with h5py.File(self.file) as store:
            self.rows = [
                (column.id.get_offset(), SHARD_ITEMS * column.nbytes // len(column))
                for column in store["columns"].values()
            ] + [
                (column.id.get_offset(), column.nbytes // len(column))
                for column in store["partials"].values()
            ]
            self.marks = store["sealed"].id.get_offset()
            self.ledger = store["ledger/shards"].id.get_offset()
            self.epoch = store["ledger/sealed_epoch"].id.get_offset()
        self.sealed = sorted(Ledger(self.file).sealed_shards())

    def overwrite(self, offset, data):
        with self.file.open("r+b") as file:
            file.seek(offset)
            file.write(data)

    def overwrite_results(self, shard, column, garbage):
        offset, size = self.rows[column]
        data = np.random.default_rng(shard).bytes(size) if garbage else bytes(size)
        self.overwrite(offset + shard * size, data)

    def overwrite_half_a_record(self, shard, half):
        self.overwrite(self.ledger + shard * RECORD_BYTES + 32 * half, bytes(32))


def finish(place, store):
    """Goes on with a store, requires the bytes of the undisturbed run, and returns the telemetry of
    this last run."""
    run("run", place.campaign, "--out", store.folder, ranks=2)
    assert content_hash(store.folder) == place.calm_hash
    return runs_of(store.folder)[-1]


def torn_results_are_found_and_computed_again(place):
    store = Store(place, "lost", "torn-results")
    torn = store.sealed[1:9]
    for number, shard in enumerate(torn):
        store.overwrite_results(shard, number % len(store.rows), garbage=number % 2 == 0)
    assert verify(store.folder, expect=STORE_CODE)["bad_shards"] == torn

    last = finish(place, store)

    assert sorted(shards_of(last, "recomputed")) == torn
    kept = set(shards_of(last, "verified")) - set(torn)
    assert kept == set(store.sealed) - set(torn)


def torn_ledger_records_make_their_shards_open(place):
    store = Store(place, "lost", "torn-records")
    torn = store.sealed[:4]
    for number, shard in enumerate(torn):
        store.overwrite_half_a_record(shard, number % 2)
    assert verify(store.folder, expect=STORE_CODE)["bad_shards"] == torn

    last = finish(place, store)

    sealed_anew = set(range(SHARDS)) - set(store.sealed) | set(torn)
    assert set(shards_of(last, "sealed")) == sealed_anew
    assert set(shards_of(last, "verified")) == set(store.sealed) - set(torn)


def torn_row_marks_are_written_again(place):
    store = Store(place, "lost", "torn-marks")
    for shard in store.sealed[:3]:
        store.overwrite(store.marks + SHARD_ITEMS * shard + 7, bytes(SHARD_ITEMS // 2))
    assert verify(store.folder, expect=STORE_CODE)["bad_shards"] == store.sealed[:3]

    last = finish(place, store)

    assert not shards_of(last, "recomputed")
    with h5py.File(store.file) as file:
        assert (file["sealed"][()] == 1).all()


def a_torn_checkpoint_number_makes_every_shard_suspect(place):
    store = Store(place, "calm", "torn-epoch")
    store.overwrite(store.epoch, b"\x00\x01\x02\x03")
    store.overwrite_results(5, 0, garbage=True)

    last = finish(place, store)

    assert shards_of(last, "recomputed") == [5]
    assert set(shards_of(last, "verified")) - {5} == set(range(SHARDS)) - {5}
    result = run("run", place.campaign, "--out", store.folder)
    assert "done already" in result.output, result


def damage_before_the_last_checkpoint_is_found_by_verify_and_reopened(place):
    store = Store(place, "calm", "rotten")
    store.overwrite_results(3, 0, garbage=False)
    store.overwrite_results(7, len(store.rows) - 1, garbage=True)
    store.overwrite_half_a_record(11, 1)
    store.overwrite(store.marks + SHARD_ITEMS * 20, b"\0")
    assert verify(store.folder, expect=STORE_CODE)["bad_shards"] == [3, 7, 11, 20]
    run("verify", store.folder, "--reopen")

    last = finish(place, store)

    assert sorted(shards_of(last, "sealed")) == [3, 7, 11, 20]


def a_lost_tail_is_told_and_nothing_is_written(place):
    store = Store(place, "lost", "cut")
    whole = store.file.read_bytes()
    with h5py.File(store.file) as file:
        response = file["columns/response"].id
        middle = response.get_offset() + response.get_storage_size() // 2
    for kept in (len(whole) - 1, len(whole) - 4096, middle, store.ledger + 8):
        store.file.write_bytes(whole[:kept])
        for command in (("run", place.campaign, "--out", store.folder), ("verify", store.folder)):
            refused(STORE_CODE, "responses.h5 is truncated", command=command)
        assert store.file.read_bytes() == whole[:kept]


def main():
    with Workplace(CAMPAIGN) as place:
        run("run", place.campaign, "--out", place / "calm", ranks=2)
        place.calm_hash = content_hash(place / "calm")
        with start("run", place.campaign, "--out", place / "lost", ranks=2) as job:
            job.rank_pids()
            job.wait_for_shards(place / "lost", FEW)
            job.kill_everything()
        harness.run_checks(
            place,
            torn_results_are_found_and_computed_again,
            torn_ledger_records_make_their_shards_open,
            torn_row_marks_are_written_again,
            a_torn_checkpoint_number_makes_every_shard_suspect,
            damage_before_the_last_checkpoint_is_found_by_verify_and_reopened,
            a_lost_tail_is_told_and_nothing_is_written,
        )


if __name__ == "__main__":
    main()
