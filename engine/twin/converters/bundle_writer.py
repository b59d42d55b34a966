"""Writes twin bundles: twin.toml, units.csv, weights.safetensors and what else a family needs.

A bundle appears under its final name only when it is complete, and the same input gives the same
bytes.
"""

import csv
import io
import math
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save

BUNDLE_FORMAT = 1
UNIT_COLUMNS = ("id", "subject", "area", "heldout_r", "noise_ceiling", "x", "y")


class ConversionError(Exception):
    """A problem with the published files, as a sentence for the user."""


def toml_value(value):
    """One TOML value: bool, int, float, str or a list of them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ConversionError(f"{value} cannot be stated in twin.toml")
        return repr(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    if any(ord(character) < 32 for character in escaped):
        raise ConversionError(f"a text holds a control character: {escaped!r}")
    return f'"{escaped}"'


def entry_lines(name, entry):
    """Lines of one table; the tables below it come last, as TOML wants."""
    below = {key: value for key, value in entry.items()
             if isinstance(value, list) and value and isinstance(value[0], dict)}
    lines = [f"{key} = {toml_value(value)}" for key, value in entry.items() if key not in below]
    for key, tables in below.items():
        for table in tables:
            lines += [f"[[{name}.{key}]]", *entry_lines(f"{name}.{key}", table)]
    return lines


def twin_toml(head, covariates, networks, facts, tables=None):
    """Text of twin.toml.

    networks  dicts; a list of dicts in one becomes tables below it ([[networks.taps]])
    facts     {property: (value, source)}: what the twin assumes about the screen and the pixels
    tables    {name: dict}: further tables, likewise
    """
    lines = [f"format = {BUNDLE_FORMAT}"]
    lines += [f"{key} = {toml_value(value)}" for key, value in head.items()]
    for name, entry in (tables or {}).items():
        lines += ["", f"[{name}]", *entry_lines(name, entry)]
    for name, entries in (("covariates", covariates), ("networks", networks)):
        for entry in entries:
            lines += ["", f"[[{name}]]", *entry_lines(name, entry)]
    for key, (value, source) in facts.items():
        lines += ["", f"[stimulus.{key}]", f"value = {toml_value(value)}",
                  f"source = {toml_value(source)}"]
    return "\n".join(lines) + "\n"


def cell_text(value):
    """One cell of units.csv; nan where a number is unknown."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else repr(value)
    return str(value)


def unit_csv(units):
    """Text of units.csv from a list of rows (dicts with the same keys)."""
    missing = [name for name in UNIT_COLUMNS if name not in units[0]]
    if missing:
        raise ConversionError(f"the unit table lacks {missing}")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(units[0].keys())
    for unit in units:
        writer.writerow([cell_text(value) for value in unit.values()])
    return text.getvalue()


def check_finite(name, array):
    if not np.isfinite(array).all():
        raise ConversionError(f"tensor '{name}' holds values that are not finite")


def stored_array(array):
    """As it goes into the file: numbers are float32, except half precision and indices."""
    array = np.asarray(array)
    if array.dtype == bool:
        raise ConversionError("a bundle holds no boolean tensors")
    kept = array.dtype in (np.float16, np.int32, np.int64)
    # Not ascontiguousarray, which makes a vector of a single number.
    return np.asarray(array, dtype=array.dtype if kept else np.float32, order="C")


def write_bundle(folder, head, covariates, networks, facts, units, tensors, files=None,
                 tables=None):
    """Writes the folder; an existing bundle of that name is replaced as a whole.

    files   {name: bytes}: what else the folder holds
    tables  of twin_toml
    """
    folder = Path(folder)
    arrays = {}
    for name in sorted(tensors):
        arrays[name] = stored_array(tensors[name])
        check_finite(name, arrays[name])
    head = dict(head, weights="weights.safetensors", units="units.csv")
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        os.chmod(work, 0o755)
        (work / "twin.toml").write_text(twin_toml(head, covariates, networks, facts, tables),
                                        encoding="utf-8")
        (work / "units.csv").write_text(unit_csv(units), encoding="utf-8")
        (work / "weights.safetensors").write_bytes(save(arrays))
        for name, content in (files or {}).items():
            (work / name).write_bytes(content)
        if folder.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
            os.rename(folder, old / folder.name)
            os.rename(work, folder)
            shutil.rmtree(old)
        else:
            os.rename(work, folder)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    print(f"{folder}: {len(units)} units, {len(networks)} networks, {len(arrays)} tensors")


def read_accuracy(files):
    """{bundle: {unit id: held-out r}} from tables as the encoding_score experiment writes them.

    A table is CSV with at least the columns twin, id and heldout_r. Unknown accuracies (nan) are
    left out. Two tables may not disagree.
    """
    accuracy = {}
    for file in files:
        with open(file, newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            if not {"twin", "id", "heldout_r"} <= set(reader.fieldnames or ()):
                raise ConversionError(f"{file}: expected the columns twin, id and heldout_r, found "
                                      f"{reader.fieldnames}")
            for row in reader:
                try:
                    value = float(row["heldout_r"])
                except (TypeError, ValueError):
                    raise ConversionError(f"{file}:{reader.line_num}: heldout_r is "
                                          f"{row['heldout_r']!r}, expected a number") from None
                if math.isnan(value):
                    continue
                known = accuracy.setdefault(row["twin"], {}).setdefault(row["id"], value)
                if known != value:
                    raise ConversionError(f"{file}:{reader.line_num}: unit '{row['id']}' of "
                                          f"'{row['twin']}' has heldout_r {value}, an earlier "
                                          f"table says {known}")
    return accuracy


def require_known_units(bundle, accuracy, units):
    """Every unit that the accuracy tables name for this bundle is one of its units."""
    unknown = sorted(set(accuracy) - {unit["id"] for unit in units})
    if unknown:
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        raise ConversionError(f"the accuracy tables name units that the bundle '{bundle}' lacks: "
                              f"{', '.join(unknown[:5])}{more}")


def run(main):
    """Runs a converter; problems end with a sentence and exit code 3."""
    try:
        main()
    except ConversionError as problem:
        print(f"error: {problem}", file=sys.stderr)
        sys.exit(3)
    except OSError as problem:
        print(f"error: {problem.filename}: {problem.strerror}", file=sys.stderr)
        sys.exit(3)
