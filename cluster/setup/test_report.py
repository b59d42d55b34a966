"""Says which tests of a ctest JUnit report were skipped and why, and how the failed ones ended.

usage: test_report.py JUNIT.xml

A whole test counts as skipped when ctest says so (exit code 77); single GoogleTest cases that were
skipped inside a test that ran are listed too.
"""

import re
import sys
import xml.etree.ElementTree as ElementTree

LINES_OF_A_FAILURE = 40


def reasons(output: str) -> list[str]:
    """The sentences that explain the skips in one test's output, each once, in order."""
    lines = [line.strip() for line in output.splitlines()]
    found = []
    for line, following in zip(lines, [*lines[1:], ""]):
        # GoogleTest: "file.cpp:12: Skipped", then the message.
        if re.search(r":\d+: Skipped$", line):
            found.append(following)
        # Ours: "skipped: no GPU here"; GoogleTest's own "[  SKIPPED ]" lines carry no reason.
        elif match := re.match(r"skipped: (.+)", line, re.IGNORECASE):
            found.append(match[1])
    return list(dict.fromkeys(reason for reason in found if reason))


def report_skipped(tests: list) -> None:
    whole, parts, lines = 0, 0, []
    for test in tests:
        output = test.findtext("system-out") or ""
        cases = len(re.findall(r"^\[  SKIPPED \] \S+ \(", output, re.MULTILINE))
        skipped = test.find("skipped") is not None
        if not skipped and not cases:
            continue
        whole += skipped
        parts += 0 if skipped else cases
        extent = "" if skipped else f" ({cases} of its cases)"
        why = "; ".join(reasons(output)) or "no reason given"
        lines.append(f"  {test.get('name')}{extent}: {why}")
    print(f"skipped: {whole} of {len(tests)} tests, and {parts} single cases in others")
    print("\n".join(lines), end="\n" if lines else "")


def report_failed(tests: list) -> None:
    """Side by side tests mix their output; this is where a reader of a long log looks first."""
    for test in tests:
        if test.find("failure") is None:
            continue
        end = (test.findtext("system-out") or "").splitlines()[-LINES_OF_A_FAILURE:]
        print(f"failed: {test.get('name')}, whose output ends with")
        print("\n".join(f"  {line}" for line in end))


def main() -> None:
    tests = ElementTree.parse(sys.argv[1]).getroot().findall("testcase")
    report_skipped(tests)
    report_failed(tests)


if __name__ == "__main__":
    main()
