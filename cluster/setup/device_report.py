"""Gathers what cluster/device_check.sh left in its folder into one JSON file, and prints a table.

usage: device_report.py WORK BUILD OUT.json

Exit code 1 if a step, a test or a benchmark failed.
"""

import json
import os
import platform
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from test_report import reasons

# The columns that device_check.sh asks nvidia-smi for, in its order, with their units.
GPU_COLUMNS = (
    "index", "name", "uuid", "driver", "compute_capability", "memory_mib", "sm_mhz", "memory_mhz",
    "max_sm_mhz", "max_memory_mhz", "power_limit_w", "ecc",
)  # fmt: skip
CLOCK_COLUMNS = ("index", "sm_mhz", "memory_mhz", "power_w", "temperature_c")
TEXT_COLUMNS = {"name", "uuid", "driver", "compute_capability", "ecc"}
TIMED_OUT = (124, 137)


def rows_of(file: Path, columns: tuple[str, ...]) -> list[dict]:
    """Lines of nvidia-smi: numbers where they are some, else what it says."""
    rows = []
    for line in file.read_text().splitlines() if file.is_file() else []:
        row = dict(zip(columns, (cell.strip() for cell in line.split(","))))
        for name, cell in row.items():
            if name not in TEXT_COLUMNS and re.fullmatch(r"[0-9.]+", cell):
                row[name] = float(cell) if "." in cell else int(cell)
        if len(row) == len(columns):  # the watch may have been stopped within a line
            rows.append(row)
    return rows


def clocks_during(file: Path) -> dict:
    """Smallest and largest of what was seen every half second."""
    rows = rows_of(file, CLOCK_COLUMNS)
    seen = {"samples": len(rows)}
    for name in CLOCK_COLUMNS[1:]:
        values = [row[name] for row in rows if not isinstance(row[name], str)]
        if values:
            seen[name] = {"smallest": min(values), "largest": max(values)}
    return seen


def output_of(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def cached(build: Path, name: str) -> str:
    """A variable of the configured build."""
    cache = build / "CMakeCache.txt"
    text = cache.read_text() if cache.is_file() else ""
    found = re.search(rf"^{name}:\w+=(.*)$", text, re.MULTILINE)
    return found[1] if found else "unknown"


def machine(build: Path) -> dict:
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    nvcc = re.search(r"release ([\d.]+)", output_of("nvcc", "--version"))
    compiler = cached(build, "CMAKE_CXX_COMPILER")
    return {
        "processor": model[1] if model else "unknown",
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "nvcc": nvcc[1] if nvcc else "unknown",
        "compiler": output_of(compiler, "--version").split("\n")[0],
        "libtorch": cached(build, "TWINSCREEN_LIBTORCH"),
        "architectures": cached(build, "CMAKE_CUDA_ARCHITECTURES"),
        "commit": output_of("git", "describe", "--always", "--dirty"),
    }


def ending(code: int) -> str:
    if code in TIMED_OUT:
        return "out of time"
    return "passed" if code == 0 else f"failed ({code})"


def steps(work: Path) -> list[dict]:
    found = []
    for line in (work / "steps.tsv").read_text().splitlines():
        name, started, ended, code = line.split("\t")
        seconds = round(float(ended) - float(started), 1)
        found.append({"name": name, "seconds": seconds, "result": ending(int(code))})
    return found


def tests(file: Path) -> list[dict]:
    """ctest counts a program as skipped where one of its cases was, also beside one that failed."""
    found = []
    for test in ElementTree.parse(file).getroot().findall("testcase") if file.is_file() else []:
        output = test.findtext("system-out") or ""
        failed = test.find("failure") is not None or "[  FAILED  ]" in output
        skipped = test.find("skipped") is not None
        row = {
            "name": test.get("name"),
            "seconds": float(test.get("time") or 0),
            "result": "failed" if failed else "skipped" if skipped else "passed",
            "cases_passed": output.count("[       OK ]"),
        }
        if why := reasons(output):
            row["skipped"] = why
        if failed:
            row["output"] = output.splitlines()[-40:]
        found.append(row)
    return found


def benchmarks(figures: Path) -> dict:
    found = {}
    for clocks in sorted(figures.glob("*.clocks")):
        name = clocks.stem
        result = figures / f"{name}.json"
        try:
            values = json.loads(result.read_text()) if result.is_file() else None
        except ValueError:
            values = None  # ended while it wrote
        found[name] = {"figures": values, "clocks": clocks_during(clocks)}
    return found


def leaves(value: object, path: str = "") -> list[tuple[str, object]]:
    """The single figures of a benchmark; a value with its unit is one."""
    if isinstance(value, dict) and set(value) <= {"value", "unit"} and "value" in value:
        return [(path, f"{value['value']} {value.get('unit', '')}".strip())]
    if isinstance(value, dict):
        return [leaf for key, part in value.items() for leaf in leaves(part, f"{path}.{key}".strip("."))]
    if isinstance(value, list):
        return [leaf for at, part in enumerate(value) for leaf in leaves(part, f"{path}[{at}]")]
    return [(path, value)]


def print_table(report: dict) -> None:
    rows = [(gpu["name"], f"driver {gpu['driver']}, {gpu['memory_mib']} MiB") for gpu in report["gpus"]]
    rows += [(step["name"], f"{step['result']}, {step['seconds']} s") for step in report["steps"]]
    for test in report["tests"]:
        why = f": {'; '.join(test['skipped'])}" if "skipped" in test else ""
        rows.append((test["name"], f"{test['result']}, {test['cases_passed']} cases{why}"))
    for name, benchmark in report["benchmarks"].items():
        figures = leaves(benchmark["figures"]) if benchmark["figures"] else [("", "no figures")]
        rows += [(f"{name} {path}".strip(), str(value)) for path, value in figures]
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        print(f"{name:{width}}  {text}")


def main() -> int:
    work, build, out = (Path(argument) for argument in sys.argv[1:4])
    report = {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "gpus": rows_of(work / "figures/gpus.csv", GPU_COLUMNS),
        "machine": machine(build),
        "steps": steps(work),
        "tests": tests(work / "figures/tests.xml"),
        "benchmarks": benchmarks(work / "figures"),
    }
    out.write_text(json.dumps(report, indent=2) + "\n")
    print_table(report)
    print(f"all of it is in {out}")
    good = all(step["result"] == "passed" for step in report["steps"])
    return 0 if good and all(test["result"] != "failed" for test in report["tests"]) else 1


if __name__ == "__main__":
    sys.exit(main())
