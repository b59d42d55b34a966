"""Several hosts on one machine: network namespaces with names and addresses of their own, joined by a switch.

    with Hosts(place / "hosts", 3) as hosts:
        job = subprocess.Popen(hosts.mpirun_words("twinscreen", "run", campaign, "--out", store))
        hosts.cut(3)
        job.wait()
"""
import contextlib
import os
import pathlib
import re
import signal
import subprocess

from harness import wait_until

PROGRAMS = ("ip", "tc", "unshare", "mpirun")
NETWORK = "10.211.77"
ATTEMPT = pathlib.Path(__file__).resolve().parents[2] / "cluster/slurm/attempt.sh"

# mpirun reaches its daemons through this instead of ssh: the host is an address of ours.
AGENT = """#!/bin/sh
number=${{1##*.}}
shift
exec ip netns exec {prefix}$number unshare --uts --mount sh -c "hostname host-$number; \
    . {folder}/peculiarities-$number; exec $*"
"""


def missing_permission():
    """Why there can be no network namespaces here; empty where there can."""
    name = f"twinscreen-{os.getpid()}-try"
    tried = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        return tried.stderr.strip()
    ip("netns", "delete", name)
    return ""


def ip(*words):
    done = subprocess.run(["ip", *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"ip {' '.join(map(str, words))}: {done.stderr}")


def open_mpi_settings():
    """Those that the job scripts make."""
    found = re.findall(r"export OMPI_MCA_(\w+)=\$\{\w+:-(\w+)\}", ATTEMPT.read_text())
    return [word for name, value in found for word in ("--mca", name, value)]


class Hosts:
    """Hosts 1 to count, in `with`; what it makes on the machine is gone afterwards."""

    def __init__(self, folder, count):
        self.folder = folder
        self.numbers = range(1, count + 1)
        self.prefix = f"ts{os.getpid() % 100000}-"
        self.switch = self.prefix + "switch"
        self.namespaces = []

    def __enter__(self):
        self.folder.mkdir(parents=True)
        self.agent = self.folder / "agent"
        self.agent.write_text(AGENT.format(prefix=self.prefix, folder=self.folder))
        self.agent.chmod(0o755)
        try:
            self._add(self.switch)
            self._inside(self.switch, "link", "add", "switch", "type", "bridge")
            self._inside(self.switch, "link", "set", "switch", "up")
            for number in self.numbers:
                self._add_host(number)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in self.namespaces:
            for pid in self._pids(name):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for name in self.namespaces:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)

    def _add(self, name):
        ip("netns", "add", name)
        self.namespaces.append(name)
        self._inside(name, "link", "set", "lo", "up")

    def _inside(self, namespace, *words):
        ip("-n", namespace, *words)

    def _add_host(self, number):
        host = f"{self.prefix}{number}"
        self.make_peculiar(number)
        self._add(host)
        self._inside(self.switch, "link", "add", f"port{number}", "type", "veth", "peer", "name", "eth0",
                     "netns", host)
        self._inside(self.switch, "link", "set", f"port{number}", "master", "switch", "up")
        self._inside(host, "address", "add", f"{NETWORK}.{number}/24", "dev", "eth0")
        self._inside(host, "link", "set", "eth0", "up")

    def on_host(self, number, words):
        """The words that run a command there."""
        shell = f"hostname host-{number}; exec \"$@\""
        return ["ip", "netns", "exec", f"{self.prefix}{number}", "unshare", "--uts", "sh", "-c", shell, "sh",
                *map(str, words)]

    def mpirun_words(self, *words, ranks_per_host=1):
        hosts = ",".join(f"{NETWORK}.{number}:{ranks_per_host}" for number in self.numbers)
        return self.on_host(1, [
            "mpirun", "--allow-run-as-root", "--bind-to", "none", "--host", hosts,
            "--mca", "plm_rsh_agent", self.agent, "--mca", "plm", "rsh", "--mca", "btl", "tcp,self",
            "--mca", "btl_tcp_if_include", "eth0", "--mca", "oob_tcp_if_include", "eth0",
            *open_mpi_settings(), *words])

    def slow_down(self, number, rate):
        """Limits what a host may send, "1mbit"."""
        subprocess.run(["tc", "-n", f"{self.prefix}{number}", "qdisc", "add", "dev", "eth0", "root", "tbf",
                        "rate", rate, "burst", "32kbit", "latency", "400ms"], check=True)

    def make_peculiar(self, number, *lines):
        """Shell lines that daemons on a host run first: mounts that only it sees, variables. No
        lines: as the others again."""
        (self.folder / f"peculiarities-{number}").write_text("".join(f"{line}\n" for line in lines))

    def cut(self, number):
        self._inside(self.switch, "link", "set", f"port{number}", "down")

    def mend(self, number):
        self._inside(self.switch, "link", "set", f"port{number}", "up")
        wait_until(lambda: self._can_reach(number), f"host {number} to be reached again", 60, 0.5)

    def _can_reach(self, number):
        """Nobody listens at that port: the host itself says so."""
        asked = subprocess.run(
            self.on_host(1 if number != 1 else 2,
                         ["timeout", "2", "bash", "-c", f": < /dev/tcp/{NETWORK}.{number}/9"]),
            capture_output=True, text=True, check=False)
        return "refused" in asked.stderr

    def speed_up(self, number):
        subprocess.run(["tc", "-n", f"{self.prefix}{number}", "qdisc", "delete", "dev", "eth0", "root"], check=True)

    def _pids(self, namespace):
        done = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False)
        return [int(pid) for pid in done.stdout.split()]

    def processes_on(self, number):
        return self._pids(f"{self.prefix}{number}")

    def daemons(self):
        """Every process that still runs on a host."""
        return [pid for number in self.numbers for pid in self.processes_on(number)]
