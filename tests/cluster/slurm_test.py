"""Batch jobs on a real SLURM of four nodes on this machine: what becomes of a campaign there."""
import json
import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "integration"))
import harness
from harness import CAMPAIGN_CODE, RESUMABLE, Workplace, content_hash, run, wait_until
from slurm_cluster import SlurmCluster, missing_programs

CAMPAIGN = """
seed = 3
[[twins]]
family = "gabor_energy"
positions = 3
[[stimuli]]
count = {count}
[stimuli.pink_noise]
[screen]
measures = ["area_mean"]
[run]
shard_items = 250
"""
SHORT, LONG = 40_000, 140_000  # stimuli: some ten seconds of four ranks, and more than twenty
# Open MPI between nodes that are one host: through TCP, on the loopback interface alone.
NODES_OF_ONE_HOST = {
    **harness.ENVIRONMENT,
    "OMPI_MCA_btl": "tcp,self",
    "OMPI_MCA_btl_tcp_if_include": "lo",
    "OMPI_MCA_oob_tcp_if_include": "lo",
    "OMPI_MCA_hwloc_base_binding_policy": "none",
}
HOME = harness.source_folder()
OPEN_MPI_LOST_A_DAEMON = 205  # its communication failure, -51, in eight bits


class Site:
    """The cluster, and a folder for campaigns."""

    def __init__(self, place, slurm):
        self.place, self.slurm = place, slurm
        self.campaigns = {}
        for count in (SHORT, LONG):
            place.write(f"{count}.toml", CAMPAIGN.format(count=count))

    def submit(self, name, campaign, *options, script="cpu.sh", words=()):
        """Number of a job of four ranks on four nodes."""
        self.campaigns[name] = campaign
        done = self.slurm.command(
            "sbatch", "--parsable", "--nodes=4", "--ntasks-per-node=1", "--mem=500M", *options,
            f"--output={self.place / name}.log", HOME / "cluster" / "slurm" / script, campaign,
            self.place / name, *words)
        return int(done.stdout.split(";")[0])

    def wait_for_shards(self, name, count):
        wait_until(lambda: harness.shards_reported(self.place / name) >= count,
                   f"{count} shards of {name}", 90, 0.1)

    def ended_after_a_lost_node(self, name, job, seconds):
        """The job at its end. SLURM may send a node that has just come back the end of the job's earlier attempt,
        which ends Open MPI's daemon there: then nobody runs the job again but the user, who submits the same script."""
        ended = self.slurm.wait_for_job(job, ("COMPLETED", "FAILED"), seconds)
        if ended["ExitCode"] != f"{OPEN_MPI_LOST_A_DAEMON}:0":
            return ended
        print(f"  Open MPI lost a daemon of its own; submitted again after:\n{self.logs(name)[-1]}", flush=True)
        again = self.submit(name, self.campaigns[name])
        return {**self.slurm.wait_for_job(again, ("COMPLETED", "FAILED"), seconds), "Restarts": ended["Restarts"]}

    def logs(self, name):
        """Of every attempt, in order."""
        folder = self.place / name / "slurm"
        return [log.read_text() for log in sorted(folder.glob("*attempt-*.log"))]

    def require_calm_result(self, name, count):
        calm = self.place / f"calm-{count}"
        if not calm.exists():
            run("run", self.place / f"{count}.toml", "--out", calm, ranks=2, timeout_s=600)
        assert content_hash(self.place / name) == content_hash(calm)
        assert not harness.leftovers(self.place / name)


def a_job_runs_on_four_nodes(site):
    job = site.submit("plain", site.place / f"{SHORT}.toml")
    ended = site.slurm.wait_for_job(job, ("COMPLETED", "FAILED"), 120)
    assert ended["ExitCode"] == "0:0" and ended["Restarts"] == "0", (ended, site.logs("plain"))
    site.require_calm_result("plain", SHORT)
    (log,) = site.logs("plain")
    assert "4 ranks on n[1-4] through mpirun" in log and "exit code 0" in log, log


def a_job_that_nears_its_limit_stops_and_is_run_again(site):
    job = site.submit("limited", site.place / f"{LONG}.toml", "--time=1", "--signal=B:USR1@40")
    ended = site.slurm.wait_for_job(job, ("COMPLETED", "FAILED", "TIMEOUT"), 420)
    logs = site.logs("limited")
    assert ended["JobState"] == "COMPLETED" and int(ended["Restarts"]) >= 1, (ended, logs)
    site.require_calm_result("limited", LONG)
    assert len(logs) == int(ended["Restarts"]) + 1
    for log in logs[:-1]:
        assert "warned: the time is nearly over" in log and "SLURM runs the job again" in log, log
        assert f"exit code {RESUMABLE}" in log, log


def srun_starts_a_build_with_mpich(site):
    """Debian's Open MPI does not know SLURM's PMI, its MPICH does."""
    program = pathlib.Path(os.environ.get("TWINSCREEN_MPICH_EXECUTABLE", HOME / "build" / "mpich" / "twinscreen"))
    if not program.is_file():
        print(f"  not tried: srun (no {program}; the preset mpich builds it)")
        return
    job = site.submit("srun", site.place / f"{LONG}.toml", "--time=1", "--signal=B:USR1@40",
                      f"--export=ALL,TWINSCREEN_PROGRAM={program},launcher=srun,SLURM_MPI_TYPE=pmi2")
    ended = site.slurm.wait_for_job(job, ("COMPLETED", "FAILED", "TIMEOUT"), 420)
    logs = site.logs("srun")
    assert ended["JobState"] == "COMPLETED" and int(ended["Restarts"]) >= 1, (ended, logs)
    assert all("4 ranks on n[1-4] through srun" in log for log in logs), logs
    assert all("SLURM runs the job again" in log for log in logs[:-1]), logs
    site.require_calm_result("srun", LONG)


def a_requeued_job_goes_on(site):
    job = site.submit("requeued", site.place / f"{SHORT}.toml")
    site.wait_for_shards("requeued", 20)
    site.slurm.command("scontrol", "requeue", str(job))
    ended = site.slurm.wait_for_job(job, ("COMPLETED", "FAILED"), 180)
    assert ended["Restarts"] == "1" and ended["ExitCode"] == "0:0", (ended, site.logs("requeued"))
    site.require_calm_result("requeued", SHORT)
    assert len(site.logs("requeued")) == 2


def a_job_that_loses_a_node_is_run_again(site):
    job = site.submit("lost", site.place / f"{SHORT}.toml")
    site.wait_for_shards("lost", 20)
    site.slurm.kill_node("n3")
    site.slurm.wait_for_job(job, ("PENDING",), 120)
    (log,) = site.logs("lost")
    assert "no answer from n3: waiting" in log, log
    site.slurm.start_node("n3")
    ended = site.ended_after_a_lost_node("lost", job, 240)
    assert ended["Restarts"] == "1" and ended["ExitCode"] == "0:0", (ended, site.logs("lost"))
    site.require_calm_result("lost", SHORT)


def a_cancelled_job_stays_cancelled(site):
    job = site.submit("cancelled", site.place / f"{SHORT}.toml")
    site.wait_for_shards("cancelled", 20)
    site.slurm.command("scancel", str(job))
    site.slurm.wait_for_job(job, ("CANCELLED",), 60)
    wait_until(lambda: site.slurm.idle_nodes() == 4, "the nodes to be free", 60, 0.3)
    assert site.slurm.job(job)["JobState"] == "CANCELLED" and len(site.logs("cancelled")) == 1
    # What it had done is kept.
    again = site.submit("cancelled", site.place / f"{SHORT}.toml")
    site.slurm.wait_for_job(again, ("COMPLETED",), 120)
    site.require_calm_result("cancelled", SHORT)


def a_broken_campaign_is_not_run_again(site):
    broken = site.place.write("broken.toml", CAMPAIGN.format(count=-1))
    job = site.submit("broken", broken)
    ended = site.slurm.wait_for_job(job, ("FAILED", "COMPLETED"), 60)
    assert ended["ExitCode"] == f"{CAMPAIGN_CODE}:0" and ended["Restarts"] == "0", ended
    (log,) = site.logs("broken")
    assert "count" in log and "broken.toml:7" in log, log


def a_job_with_more_ranks_than_gpus_does_not_start(site):
    """As SLURM tells it on nodes that have some."""
    job = site.submit("gpus", site.place / f"{SHORT}.toml", "--ntasks-per-node=2", "--export=ALL,SLURM_GPUS_ON_NODE=1")
    ended = site.slurm.wait_for_job(job, ("FAILED", "COMPLETED"), 60)
    assert ended["ExitCode"] == f"{CAMPAIGN_CODE}:0" and ended["Restarts"] == "0", ended
    assert "error: 2 ranks for 1 GPUs on n1" in (site.place / "gpus.log").read_text()
    assert not (site.place / "gpus").exists()


def an_array_runs_every_campaign(site):
    names = ["first", "second"]
    for name in names:
        site.place.write(f"{name}.toml", CAMPAIGN.format(count=2_000))
    site.place.write("campaigns.txt", "".join(f"{site.place / name}.toml\n" for name in names))
    done = site.slurm.command(
        "sbatch", "--parsable", "--array=1-2", "--ntasks-per-node=1", "--mem=500M",
        f"--output={site.place / 'array-%a.log'}", HOME / "cluster/slurm/array.sh",
        site.place / "campaigns.txt", site.place / "array")
    job = int(re.match(r"\d+", done.stdout)[0])
    for task in (1, 2):
        site.slurm.wait_for_job(f"{job}_{task}", ("COMPLETED",), 90)
    assert content_hash(site.place / "array/first") == content_hash(site.place / "array/second")


def a_job_without_progress_ends(site):
    """Here a program that stops at once, whenever it is started."""
    idler = site.place.write("idler.sh", "#!/bin/sh\nexit 75\n")
    idler.chmod(0o755)
    job = site.submit("idle", site.place / f"{SHORT}.toml", f"--export=ALL,TWINSCREEN_PROGRAM={idler}")
    ended = site.slurm.wait_for_job(job, ("FAILED", "COMPLETED"), 120)
    logs = site.logs("idle")
    assert ended["ExitCode"] == f"{RESUMABLE}:0" and ended["Restarts"] == "2", (ended, logs)
    assert "SLURM runs the job again" in logs[1] and "no progress in 3 attempts" in logs[2], logs


def tasks_of_an_array_are_run_again_alone(site):
    """A program that stops in order once, in the folder of its store."""
    program = site.place.write("once.sh", "#!/bin/sh\n[ -e $4/once ] && exit 0\ntouch $4/once\nexit 75\n")
    program.chmod(0o755)
    site.place.write("two.txt", "one.toml\ntwo.toml\n")
    done = site.slurm.command(
        "sbatch", "--parsable", "--array=1-2", "--ntasks-per-node=1", "--mem=500M",
        f"--export=ALL,TWINSCREEN_PROGRAM={program}", f"--output={site.place / 'once-%a.log'}",
        HOME / "cluster/slurm/array.sh", site.place / "two.txt", site.place / "once")
    number = int(done.stdout.split(";")[0])
    for task in (1, 2):
        ended = site.slurm.wait_for_job(f"{number}_{task}", ("COMPLETED", "FAILED"), 90)
        assert ended["Restarts"] == "1" and ended["ExitCode"] == "0:0", ended
    for name in ("one", "two"):
        logs = site.logs(f"once/{name}")
        assert len(logs) == 2 and "SLURM runs the job again" in logs[0], logs


def scaling_is_measured_in_a_job(site):
    job = int(site.slurm.command(
        "sbatch", "--parsable", "--nodes=4", "--ntasks-per-node=1", f"--output={site.place / 'scaling.log'}",
        HOME / "cluster/slurm/scaling.sh", site.place.folder, "--stimuli", "2048", "--repeats", "1").stdout)
    ended = site.slurm.wait_for_job(job, ("COMPLETED", "FAILED"), 240)
    assert ended["ExitCode"] == "0:0", (site.place / "scaling.log").read_text()
    table = [json.loads(line) for line in (site.place / "results/scaling.jsonl").read_text().splitlines()]
    assert [(row["benchmark"], row["ranks"], row["nodes"]) for row in table] == [
        (f"scaling_{kind}", ranks, 4) for kind in ("strong", "weak") for ranks in (1, 2, 4)], table


def submit_writes_the_script_and_submits_it(site):
    campaign = site.place / f"{SHORT}.toml"
    asked = ("submit", campaign, "--out", site.place / "submitted", "--nodes", "4")
    dry = run(*asked, "--ranks-per-node", "1", "--dry-run", "--partition", "all", "--time", "0-1")
    assert not (site.place / "submitted").exists()
    assert "#SBATCH --partition=all\n" in dry.stdout and "#SBATCH --time=01:00:00\n" in dry.stdout
    submitted = run(*asked)
    assert "2 for a node: 2 cores (smallest node of the partition)" in submitted.stderr, submitted
    assert re.search(r"256 stimuli just now on this machine\); asked for 00:30:00", submitted.stderr), submitted
    job = re.search(r"submitted job (\d+)", submitted.stdout)[1]
    ended = site.slurm.wait_for_job(job, ("COMPLETED", "FAILED"), 120)
    assert ended["ExitCode"] == "0:0" and ended["NumTasks"] == "8", (ended, site.logs("submitted"))
    site.require_calm_result("submitted", SHORT)
    # What the store tells is not measured again.
    again = run(*asked, "--dry-run")
    assert f"0 stimuli at" in again.stderr and "telemetry.jsonl" in again.stderr, again


def submit_refuses_what_cannot_run(site):
    broken = site.place.write("broken.toml", CAMPAIGN.format(count=-1))
    place = site.place / "refused"
    for campaign, words, sentence in (
        (broken, (), "broken.toml:7"),
        (site.place / f"{SHORT}.toml", ("--time", "soon"), "--time soon: no time of a minute or more"),
        (site.place / f"{SHORT}.toml", ("--no-measure",), "--no-measure leaves the time open"),
        (site.place / f"{SHORT}.toml", ("--gpus-per-node", "2", "--ranks-per-node", "3"),
         "--ranks-per-node 3 are more than --gpus-per-node 2"),
    ):
        harness.refused(CAMPAIGN_CODE, sentence, command=("submit", campaign, "--out", place, *words))
    assert not place.exists()
    harness.refused(harness.DEVICE_CODE, "sbatch refused", "nvalid partition",
                    command=("submit", site.place / f"{SHORT}.toml", "--out", place, "--partition", "nowhere"))


def main():
    missing = missing_programs()
    if missing:
        harness.skip(f"no SLURM on this machine (missing: {' '.join(missing)})")
    os.environ.update(NODES_OF_ONE_HOST, TWINSCREEN_HOME=str(HOME),
                      TWINSCREEN_PROGRAM=str(harness.executable()))
    with Workplace() as place, SlurmCluster(place / "slurm") as slurm:
        os.environ.update(slurm.environment)
        site = Site(place, slurm)
        try:
            harness.run_checks(
                site, a_job_runs_on_four_nodes, a_broken_campaign_is_not_run_again,
                a_job_with_more_ranks_than_gpus_does_not_start,
                an_array_runs_every_campaign, tasks_of_an_array_are_run_again_alone, scaling_is_measured_in_a_job,
                submit_writes_the_script_and_submits_it,
                submit_refuses_what_cannot_run, a_job_without_progress_ends, a_requeued_job_goes_on, a_cancelled_job_stays_cancelled,
                a_job_that_loses_a_node_is_run_again,
                a_job_that_nears_its_limit_stops_and_is_run_again, srun_starts_a_build_with_mpich)
        except Exception:
            print(slurm.logs())
            raise
        slurm.close()
        assert not slurm.leftovers(), slurm.leftovers()


main()
