"""Campaigns on several hosts, which are network namespaces of this machine: slow and broken networks."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "integration"))
import harness
from harness import DEVICE_CODE, STORE_CODE, Workplace, content_hash, events_of, run, wait_until
from several_hosts import PROGRAMS, Hosts, missing_permission

CAMPAIGN = """
seed = 3
[[twins]]
family = "gabor_energy"
positions = 3
[[stimuli]]
count = 40000
[stimuli.pink_noise]
[screen]
measures = ["area_mean"]
[run]
shard_items = 250
"""
ENDS_WITHIN = 30.0  # s


class Site:
    def __init__(self, place, hosts):
        self.place, self.hosts = place, hosts
        self.campaign = place.write("campaign.toml", CAMPAIGN)
        run("run", self.campaign, "--out", place / "calm", ranks=2, timeout_s=300)
        self.calm = content_hash(place / "calm")

    def start(self, name, **more):
        """The job on all hosts; its output goes to NAME.log."""
        with open(self.place / f"{name}.log", "w") as log:
            return subprocess.Popen(
                self.hosts.mpirun_words(harness.executable(), "run", self.campaign, "--out",
                                        self.place / name, **more),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **harness.ENVIRONMENT}, start_new_session=True)

    def log(self, name):
        return (self.place / f"{name}.log").read_text()

    def wait_for_shards(self, name, count):
        wait_until(lambda: harness.shards_reported(self.place / name) >= count, f"{count} shards of {name}", 90, 0.05)

    def finish(self, name):
        """On all hosts once more, to the end."""
        job = self.start(name)
        assert job.wait(timeout=300) == 0, self.log(name)
        assert content_hash(self.place / name) == self.calm


def a_campaign_runs_on_all_hosts(site):
    site.finish("plain")
    ranks = {event["rank"] for event in events_of(site.place / "plain") if event["event"] == "sealed"}
    assert ranks == {0, 1, 2}, ranks


def more_ranks_than_hosts_share_them(site):
    job = site.start("six", ranks_per_host=2)
    assert job.wait(timeout=300) == 0, site.log("six")
    assert content_hash(site.place / "six") == site.calm


def a_slow_network_changes_nothing(site):
    site.hosts.slow_down(2, "1mbit")
    site.finish("slow")
    site.hosts.speed_up(2)


def a_cut_network_ends_the_job_everywhere(site):
    job = site.start("cut")
    site.wait_for_shards("cut", 20)
    began = time.monotonic()
    site.hosts.cut(3)
    wait_until(lambda: job.poll() is not None and not harness.leftovers(site.place / "cut")
               and not site.hosts.daemons(), "every process of the job to end", ENDS_WITHIN, 0.1)
    print(f"  after {time.monotonic() - began:.1f} s", flush=True)
    assert job.returncode != 0
    log = site.log("cut")
    assert "lost communication with a remote daemon" in log or "silent" in log, log
    before = harness.shards_reported(site.place / "cut")
    site.hosts.mend(3)
    site.finish("cut")
    assert before >= 20


def a_dead_host_ends_the_job_on_the_others(site):
    job = site.start("dead")
    site.wait_for_shards("dead", 20)
    site.hosts.cut(2)
    for pid in site.hosts.processes_on(2):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: job.poll() is not None and not harness.leftovers(site.place / "dead")
               and not site.hosts.daemons(), "every process of the job to end", ENDS_WITHIN, 0.1)
    assert job.returncode != 0
    site.hosts.mend(2)
    site.finish("dead")


def refused(site, name, code, *sentences):
    """The job ends at its start, with a sentence of host 3, and writes nothing."""
    job = site.start(name)
    assert job.wait(timeout=60) == code, site.log(name)
    for sentence in (*sentences, "on rank 2, host-3"):
        assert sentence in site.log(name), f"expected: {sentence}\n{site.log(name)}"
    assert not (site.place / name).exists(), list((site.place / name).iterdir())
    site.hosts.make_peculiar(3)


def a_folder_that_one_host_does_not_see_is_refused(site):
    (site.place / "apart").mkdir()
    site.hosts.make_peculiar(3, f"mount -t tmpfs none {site.place / 'apart'}")
    refused(site, "apart/store", STORE_CODE, "host-3 does not see what is written in")


def another_build_on_one_host_is_refused(site):
    other = harness.executable("TWINSCREEN_WITH_FAILPOINTS")
    site.hosts.make_peculiar(3, f"mount --bind {other} {harness.executable()}")
    refused(site, "built", DEVICE_CODE, "host-3 runs another build of twinscreen than host-1")


def other_thread_limits_on_one_host_are_refused(site):
    site.hosts.make_peculiar(3, "export OMP_THREAD_LIMIT=1")
    refused(site, "limited", DEVICE_CODE,
            "host-3 has OMP_THREAD_LIMIT=1, host-1 has no OMP_THREAD_LIMIT")


def main():
    missing = [name for name in PROGRAMS if shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin") is None]
    if missing:
        harness.skip(f"programs are missing: {' '.join(missing)}")
    why = missing_permission()
    if why:
        harness.skip(f"network namespaces cannot be made here ({why})")
    with Workplace() as place, Hosts(place / "hosts", 3) as hosts:
        harness.run_checks(
            Site(place, hosts), a_campaign_runs_on_all_hosts, more_ranks_than_hosts_share_them,
            a_slow_network_changes_nothing, a_cut_network_ends_the_job_everywhere,
            a_dead_host_ends_the_job_on_the_others, a_folder_that_one_host_does_not_see_is_refused,
            another_build_on_one_host_is_refused, other_thread_limits_on_one_host_are_refused)


main()
