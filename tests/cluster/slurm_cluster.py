"""A SLURM of one's own: munge, a controller and several nodes, all on this machine and in one folder."""
import contextlib
import getpass
import os
import pathlib
import shutil
import signal
import socket
import subprocess

from harness import descendants, wait_until

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "squeue", "scancel", "sinfo")
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"

# A node that is silent for seconds is down, and a job that is run again does not wait for two
# minutes, the usual life of credentials: the tests should not wait for those.
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdSpoolDir={folder}/spool-%n
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SlurmdTimeout=20
KillWait=15
OverTimeLimit=0
InactiveLimit=0
MinJobAge=300
SchedulerParameters=batch_sched_delay=0,sched_interval=2,requeue_delay=0
JobRequeue=1
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing_programs():
    return [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class SlurmCluster:
    """Starts in `with`, and ends everything that it started there, by pid."""

    def __init__(self, folder, nodes=4, cores=2):
        self.folder = pathlib.Path(folder)
        self.names = [f"n{number}" for number in range(1, nodes + 1)]
        self.cores = cores
        self.daemons = {}

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def _start(self):
        self.folder.mkdir(parents=True)
        self.folder.chmod(0o755)
        host = socket.gethostname().split(".")[0]
        nodes = "\n".join(
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={free_port()} "
            f"CPUs={self.cores} RealMemory=4000 State=UNKNOWN" for name in self.names)
        (self.folder / "state").mkdir()
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(
            host=host, controller_port=free_port(), user=getpass.getuser(), folder=self.folder,
            nodes=nodes))
        self.environment = {**os.environ, "PATH": PATH, "SLURM_CONF": str(self.folder / "slurm.conf")}
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        self._daemon("munged", "--foreground", "--force", f"--key-file={key}",
                     f"--socket={self.folder}/munge.socket", f"--pid-file={self.folder}/munged.pid",
                     f"--log-file={self.folder}/munged.log", f"--seed-file={self.folder}/munged.seed")
        wait_until((self.folder / "munge.socket").exists, "munged to listen", 20)
        self._daemon("slurmctld", "-D", "-c")
        for name in self.names:
            (self.folder / f"spool-{name}").mkdir()
            self.start_node(name)
        wait_until(lambda: self.idle_nodes() == len(self.names), "all nodes to be idle", 60, 0.2)

    def _daemon(self, program, *arguments, name=None):
        name = name or program
        with open(self.folder / f"{name}.out", "ab") as out:
            # A session of its own: what it starts can be found, and a Ctrl-C goes to the test only.
            self.daemons[name] = subprocess.Popen(
                [shutil.which(program, path=PATH), *arguments], env=self.environment, stdout=out,
                stderr=out, stdin=subprocess.DEVNULL, start_new_session=True, cwd=self.folder)

    def start_node(self, name):
        self._daemon("slurmd", "-D", "-N", name, name=f"slurmd-{name}")

    def idle_nodes(self):
        done = self.command("sinfo", "--noheader", "--Node", "--format=%T", check=False)
        return done.stdout.split().count("idle")

    def command(self, *words, check=True, **more):
        done = subprocess.run(words, env=self.environment, stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=120, check=False, **more)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, words))}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def job(self, number):
        """What the controller says of a job, as a dictionary."""
        text = self.command("scontrol", "--oneliner", "show", "job", str(number)).stdout
        return dict(word.split("=", 1) for word in text.split() if "=" in word)

    def wait_for_job(self, number, states, seconds):
        try:
            wait_until(lambda: self.job(number)["JobState"] in states,
                       f"job {number} to be {' or '.join(states)}", seconds, 0.3)
        except TimeoutError as late:
            raise AssertionError(f"{late}: {self.job(number)}") from late
        return self.job(number)

    def kill_node(self, name):
        """As if its power failed: the daemon and everything that it started."""
        daemon = self.daemons.pop(f"slurmd-{name}")
        doomed = set(descendants(daemon.pid)) | self._named_stepds(name)
        for pid in doomed | {daemon.pid}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        daemon.wait()

    def _named_stepds(self, name):
        """slurmstepd leaves its parent: found by the spool folder in which it keeps its socket."""
        found = set()
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (folder / "environ").read_bytes().split(b"\0")
                if f"SLURMD_NODENAME={name}".encode() in words and self._is_ours(words):
                    found.add(int(folder.name))
        return found

    def _is_ours(self, words):
        return f"SLURM_CONF={self.folder}/slurm.conf".encode() in words

    def leftovers(self):
        """Processes that run with our configuration in their environment."""
        found = set()
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if self._is_ours((folder / "environ").read_bytes().split(b"\0")):
                    found.add(int(folder.name))
        return found - {os.getpid()}

    def close(self):
        for pid in self.leftovers() if self.daemons else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for daemon in self.daemons.values():
            daemon.kill()
            daemon.wait()
        self.daemons.clear()

    def logs(self):
        return "\n".join(f"== {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-12:])
                         for log in sorted(self.folder.glob("*.log")))

