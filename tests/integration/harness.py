"""What the scripts that try the real executable have in common: start it (plain or under mpirun),
hurt it, and ask what its store holds. Standard library only; `h5py_or_skip` for the rest.

    import signal
    from harness import Workplace, content_hash, run, start

    with Workplace(CAMPAIGN) as place:
        run("run", place.campaign, "--out", place / "calm", ranks=2)
        with start("run", place.campaign, "--out", place / "hurt", ranks=3) as job:
            job.wait_for_shards(place / "hurt", 5)
            job.kill_rank(1)
            job.wait()
        run("run", place.campaign, "--out", place / "hurt", ranks=2)
        assert content_hash(place / "calm") == content_hash(place / "hurt")
"""

import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib

CAMPAIGN_CODE, DATA_CODE, STORE_CODE, DEVICE_CODE, SILENCE_CODE = 2, 3, 4, 5, 6
RESUMABLE = 75
SKIPPED = 77
# For tests that care about what happens to a campaign, not about what it computes.
SMALL_CAMPAIGN = """
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
MPIRUN_FLAGS = ["--oversubscribe", "--bind-to", "none"]
# Open MPI refuses root, and containers often refuse its single-copy mechanism.
ENVIRONMENT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
}


def skip(reason):
    """Ends the script as skipped; ctest shows the reason."""
    print(f"skipped: {reason}", flush=True)
    sys.exit(SKIPPED)


def may_bound_memory():
    """False, said aloud, where a sanitizer wants terabytes of addresses for itself."""
    if "TWINSCREEN_SANITIZED" not in os.environ:
        return True
    print("  not tried: a bound on memory, with a sanitizer")
    return False


def h5py_or_skip():
    """The h5py module."""
    try:
        import h5py
    except ImportError:
        skip("this Python has no h5py")
    return h5py


def executable(variable="TWINSCREEN_EXECUTABLE"):
    """The program under test: ${TWINSCREEN_EXECUTABLE}, or the one another variable names."""
    named = os.environ.get(variable, "")
    if not named:
        skip(f"{variable} does not name the program to test")
    if not os.access(named, os.X_OK):
        raise SystemExit(f"{named} ({variable}) is not an executable file")
    return named


def tiny_png(number):
    """A picture of 8 x 8 pixels, another one for each number."""
    rows = b"".join(b"\0" + bytes((number * 7 + x * y) % 256 for x in range(8)) for y in range(8))
    png = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        png += struct.pack(">I", len(data)) + kind + data
        png += struct.pack(">I", zlib.crc32(kind + data))
    return png


class Failpoint:
    """A named step of the program at which one rank is to be killed or held, when it comes there for
    the `hit`-th time; for `start(failpoint=...)`. The steps: TWINSCREEN_FAILPOINT in engine/."""

    def __init__(self, place, step, rank=0, hit=1, do="kill"):
        self.seen = place / f"seen{time.monotonic_ns()}"
        self.environment = {
            "TWINSCREEN_FAILPOINT": step,
            "TWINSCREEN_FAILPOINT_RANK": str(rank),
            "TWINSCREEN_FAILPOINT_HIT": str(hit),
            "TWINSCREEN_FAILPOINT_DO": do,
            "TWINSCREEN_FAILPOINT_SEEN": str(self.seen),
        }

    def was_reached(self):
        return self.seen.exists()


class DeviceFault:
    """A CUDA error (its number) that the device reports instead of computing batch `batch` of a rank;
    for `start(failpoint=...)`."""

    def __init__(self, code, batch):
        self.environment = {"TWINSCREEN_DEVICE_FAULT": str(code),
                            "TWINSCREEN_DEVICE_FAULT_BATCH": str(batch)}


def failing_io(call, file, reason, spared=0, rank=None):
    """The environment in which calls of a kind ("write", "read", "flush") on files whose path
    contains `file` fail with `reason` (errno) after the first `spared`; in one rank, or in a plain
    process."""
    library = os.environ.get("TWINSCREEN_FAILING_IO", "")
    if not os.access(library, os.R_OK):
        skip("TWINSCREEN_FAILING_IO does not name the library that makes calls fail")
    return {
        "LD_PRELOAD": library,
        "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0",
        "FAILING_IO_CALL": call,
        "FAILING_IO_FILE": file,
        "FAILING_IO_SPARED": str(spared),
        "FAILING_IO_REASON": str(reason),
        "FAILING_IO_RANK": "" if rank is None else str(rank),
    }


def steps_in_source():
    """The names of all failpoints."""
    names = []
    for file in (source_folder() / "engine").rglob("*.cpp"):
        names += re.findall(r'TWINSCREEN_FAILPOINT\("([^"]+)"\)', file.read_text())
    return names


def source_folder():
    """The root of the repository."""
    return pathlib.Path(__file__).resolve().parents[2]


def data_folder():
    """The folder of real data: ${TWINSCREEN_DATA}, else ../shared/data beside the repository; None
    if there is none."""
    named = os.environ.get("TWINSCREEN_DATA", "")
    folder = pathlib.Path(named) if named else source_folder().parent / "shared" / "data"
    return folder.resolve() if folder.is_dir() else None


def data_folder_or_skip():
    """The folder of real data."""
    folder = data_folder()
    if folder is None:
        skip("real data not found: set TWINSCREEN_DATA to their folder")
    return folder


def bundles_or_skip():
    """The folder of converted twins: ${TWINSCREEN_BUNDLES}, filled by convert_bundles.py."""
    named = os.environ.get("TWINSCREEN_BUNDLES", "")
    if not named or not pathlib.Path(named, "v4_shared_25", "twin.toml").is_file():
        skip("no converted bundles: TWINSCREEN_BUNDLES does not name their folder")
    return pathlib.Path(named).resolve()


def wait_until(condition, what, timeout_s=60.0, poll_s=0.01):
    """The first true value of condition(); raises TimeoutError that says what was waited for."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_s:g} s for {what}")
        time.sleep(poll_s)


class Workplace:
    """A temporary folder with a campaign file in it; `place / name` is a path inside."""

    def __init__(self, campaign=None, name="campaign.toml"):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="twinscreen-"))
        self.campaign = self.folder / name
        if campaign is not None:
            self.write(name, campaign)

    def __truediv__(self, name):
        return self.folder / name

    def write(self, name, content):
        """Writes a text or bytes below the folder; returns the path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # A test may have made folders read-only.
        for folder, _, _ in os.walk(self.folder):
            os.chmod(folder, 0o700)
        shutil.rmtree(self.folder, ignore_errors=True)


def run_checks(place, *checks):
    """Calls check(place) for each, and says which passed; the command line may name some of them."""
    wanted = sys.argv[1:]
    known = {check.__name__: check for check in checks}
    for name in wanted or known:
        if name not in known:
            raise SystemExit(f"no check '{name}'; there are {', '.join(known)}")
        began = time.monotonic()
        known[name](place)
        print(f"ok: {name.replace('_', ' ')} ({time.monotonic() - began:.1f} s)", flush=True)


class Result:
    """How a command ended."""

    def __init__(self, command, code, stdout, stderr):
        self.command = command
        self.code = code
        self.stdout = stdout
        self.stderr = stderr

    @property
    def output(self):
        return self.stdout + self.stderr

    def __str__(self):
        return (
            f"$ {' '.join(self.command)}\nexit code {self.code}\n"
            f"--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"
        )


def _stat(pid):
    """(parent, state) of a process, or None if it is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name in parentheses may hold spaces and parentheses itself.
    state, parent = text[text.rindex(")") + 2 :].split()[:2]
    return int(parent), state


def descendants(root):
    """Live processes below `root` as {pid: parent}."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            found = _stat(int(entry))
            if found and found[1] != "Z":
                parents[int(entry)] = found[0]

    def is_below(pid):
        while pid in parents and pid != root:
            pid = parents[pid]
        return pid == root

    return {pid: parent for pid, parent in parents.items() if pid != root and is_below(pid)}


def _rank_of(pid):
    """The rank that Open MPI gave a process, or None."""
    try:
        environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return None
    for assignment in environment.split(b"\0"):
        if assignment.startswith(b"OMPI_COMM_WORLD_RANK="):
            return int(assignment.split(b"=", 1)[1])
    return None


class Job:
    """A running command. As a context manager it leaves no process behind."""

    def __init__(self, command, ranks, cwd, env):
        self.command = command
        self.ranks = ranks
        self._rank_pids = None
        # Files instead of pipes: a killed launcher may leave a pipe open in an orphan, and reading
        # it would hang.
        self._stdout = tempfile.TemporaryFile()
        self._stderr = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._stdout,
            stderr=self._stderr,
            cwd=cwd,
            env=env,
            start_new_session=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill_everything()

    def is_running(self):
        return self.process.poll() is None

    def rank_pids(self, timeout_s=30.0):
        """Process ids in the order of ranks, once all have started."""
        if self.ranks == 0:
            return [self.process.pid]
        if self._rank_pids is not None:
            return self._rank_pids

        def all_ranks():
            if not self.is_running():
                raise AssertionError(f"the job ended before its ranks were seen\n{self.result()}")
            found = {}
            for pid, parent in descendants(self.process.pid).items():
                rank = _rank_of(pid)
                # A child of a rank inherits its environment; only the topmost is the rank.
                if rank is not None and _rank_of(parent) is None:
                    found[rank] = pid
            if len(found) < self.ranks:
                return None
            return [found[rank] for rank in range(self.ranks)]

        self._rank_pids = wait_until(
            all_ranks, f"{self.ranks} ranks of {self.command[0]}", timeout_s
        )
        return self._rank_pids

    def kill_rank(self, rank):
        """SIGKILL to one rank: what a node that runs out of memory does."""
        os.kill(self.rank_pids()[rank], signal.SIGKILL)

    def kill_rank_at_once(self, rank, timeout_s=20.0):
        """SIGKILL to one rank while the others stand still until mpirun ends them, so that nothing
        is sealed afterwards: mpirun takes seconds, in which a fast machine would finish the job."""
        os.kill(self.rank_pids()[rank], signal.SIGKILL)

        def ended():
            for pid in self.rank_pids():
                try:
                    os.kill(pid, signal.SIGSTOP)  # again and again: mpirun sends SIGCONT
                except ProcessLookupError:
                    pass
            return not self.is_running()

        wait_until(ended, "mpirun to end the job", timeout_s, poll_s=0.001)

    def resume_rank(self, rank):
        """SIGCONT to a rank that a failpoint holds."""
        os.kill(self.rank_pids()[rank], signal.SIGCONT)

    def signal_launcher(self, number):
        """A signal to mpirun itself (or to the plain process)."""
        self.process.send_signal(number)

    def signal_ranks(self, number):
        """A signal to every rank, as srun and scancel send it."""
        for pid in self.rank_pids():
            os.kill(pid, number)

    def kill_everything(self):
        """SIGKILL to the launcher and all below it, as a lost node."""
        below = descendants(self.process.pid)
        if self.is_running():
            self.process.kill()
        for pid in below:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        # Until they are gone they may still write into the store.
        wait_until(
            lambda: all((_stat(pid) or (0, "Z"))[1] == "Z" for pid in below),
            "the killed processes to end",
        )

    def wait_for_shards(self, store, shards, timeout_s=60.0):
        """Waits until telemetry reports so many shards, while the job runs."""

        def reported():
            if shards_reported(store) >= shards:
                return True
            if not self.is_running():
                raise AssertionError(f"the job ended before shard {shards}\n{self.result()}")
            return False

        wait_until(reported, f"{shards} shards in {store}", timeout_s)

    def wait(self, timeout_s=120.0):
        """The Result; after `timeout_s` everything is killed and TimeoutError raised."""
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill_everything()
            raise TimeoutError(f"did not end within {timeout_s:g} s\n{self.result()}") from None
        return self.result()

    def result(self):
        """What is known so far."""
        texts = []
        for stream in (self._stdout, self._stderr):
            texts.append(os.pread(stream.fileno(), 1 << 26, 0).decode(errors="replace"))
        return Result(self.command, self.process.poll(), *texts)


def start(*arguments, ranks=0, cwd=None, env=None, wrapper=(), failpoint=None):
    """Starts the executable: plain for ranks = 0, else under mpirun. `env` adds to ours; `wrapper`
    is a command like prlimit that runs it; with a `failpoint` it is the build that has some."""
    program = executable("TWINSCREEN_WITH_FAILPOINTS" if failpoint else "TWINSCREEN_EXECUTABLE")
    command = [*wrapper, program, *map(str, arguments)]
    env = {**(env or {}), **(failpoint.environment if failpoint else {})}
    if ranks > 0:
        mpirun = shutil.which("mpirun")
        if mpirun is None:
            skip("there is no mpirun")
        command = [mpirun, *MPIRUN_FLAGS, "-n", str(ranks), *command]
        # Open MPI leaves memory behind at exit; what we leak shows in the plain processes.
        env.setdefault("ASAN_OPTIONS", "detect_leaks=0")
    return Job(command, ranks, cwd, {**ENVIRONMENT, **os.environ, **env})


def run_with_own_mounts(script, *arguments):
    """Runs a shell script that mounts disks which nobody else sees, and exits with 99 where it cannot.
    Its Result; None, said aloud, where nobody may mount."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        print("  only root can mount a disk: not tried")
        return None
    command = ["unshare", "-m", "sh", "-c", script, "sh", *arguments]
    with Job(command, 0, None, {**ENVIRONMENT, **os.environ}) as job:
        result = job.wait()
    if result.code != 99:
        return result
    print("  this machine lets nobody mount a disk: not tried")
    return None


def run(*arguments, ranks=0, expect=0, cwd=None, env=None, timeout_s=120.0):
    """Runs to the end and checks the exit code (None: any); returns the Result."""
    with start(*arguments, ranks=ranks, cwd=cwd, env=env) as job:
        result = job.wait(timeout_s)
    if expect is not None and result.code != expect:
        raise AssertionError(f"expected exit code {expect}\n{result}")
    return result


def refused(code, *sentences, command, ranks=0):
    """The command ends with the code, says every sentence, and does not crash."""
    result = run(*command, ranks=ranks, expect=code)
    for sentence in sentences:
        assert sentence in result.output, f"expected: {sentence}\n{result}"
    for accident in ("internal error", "bad_alloc", "Segmentation", "terminate called"):
        assert accident not in result.output, result
    return result


def shards_reported(store):
    """Shards in the finished lines of the store's telemetry; 0 where there is none yet."""
    try:
        lines = (pathlib.Path(store) / "telemetry.jsonl").read_bytes().splitlines(keepends=True)
    except OSError:
        return 0
    return sum(line.endswith(b"\n") and "shard" in json.loads(line) for line in lines)


def events_of(store):
    """The telemetry of a store whose job has ended, or writes no line just now."""
    lines = (pathlib.Path(store) / "telemetry.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def runs_of(store):
    """The telemetry, one list for each start of the job."""
    runs = []
    for event in events_of(store):
        if event["event"] == "started":
            runs.append([])
        runs[-1].append(event)
    return runs


def shards_of(run_events, kind):
    """The shards of one run that were "sealed", "verified" or "recomputed"."""
    return [event["shard"] for event in run_events if event["event"] == kind]


class Ledger:
    """The records of the shards of a stage file, without that of the summary."""

    def __init__(self, stage_file):
        with h5py_or_skip().File(stage_file) as file:
            records = file["ledger/shards"][:-1]
            self.safe_epoch = int(file["ledger/sealed_epoch"][()]) & 0xFFFFFFFF  # a check stands above
        self.sealed = self._field(records, 0) == 1
        self.epochs = self._field(records, 4)
        self.attempts = self._field(records, 28)

    @staticmethod
    def _field(records, first_byte):
        return records[:, first_byte : first_byte + 4].copy().view("<u4").ravel()

    def sealed_shards(self):
        return {int(shard) for shard in self.sealed.nonzero()[0]}

    def unsafe_shards(self):
        """Sealed, but after the last checkpoint: a lost node may have torn them."""
        return [int(shard) for shard in (self.sealed & (self.epochs > self.safe_epoch)).nonzero()[0]]


def leftovers(store):
    """Processes that still work on a store."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if str(store).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            pass
    return found


def verify(store, expect=0):
    """What `twinscreen verify --json` says: at least content_hash, shards, bad_shards."""
    answer = json.loads(run("verify", store, "--json", expect=expect).stdout)
    for key in ("content_hash", "shards", "bad_shards"):
        if key not in answer:
            raise AssertionError(f"verify --json lacks '{key}': {answer}")
    return answer


def content_hash(store):
    """One hash over all result columns of a complete and sound store."""
    answer = verify(store)
    if answer["bad_shards"]:
        raise AssertionError(f"{store} has bad shards: {answer['bad_shards']}")
    # Two unfinished stores have equal, empty hashes: that must not pass for equality.
    if not answer["content_hash"]:
        raise AssertionError(f"{store} is not complete: {answer}")
    return answer["content_hash"]
