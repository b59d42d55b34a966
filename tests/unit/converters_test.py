"""The converters refuse what they should and write the same bytes twice."""

import argparse
import contextlib
import csv
import io
import os
import sys
import tempfile
import unittest
import zipfile
from collections import OrderedDict
from pathlib import Path
from unittest import mock

SOURCE = Path(os.environ.get("TWINSCREEN_SOURCE", Path(__file__).parents[2]))
sys.dont_write_bytecode = True
sys.path[:0] = [str(SOURCE / "engine" / "twin" / "converters"), str(SOURCE / "tests" / "support")]

import numpy as np  # noqa: E402

import bundle_writer  # noqa: E402
import convert_v4_compact  # noqa: E402
from bundle_writer import ConversionError  # noqa: E402
from restricted_checkpoint import read_checkpoint, read_nested_checkpoint  # noqa: E402
from safetensors.numpy import save_file  # noqa: E402
from torch_file import (Call, Named, Tensor, tensor, torch_pickle,  # noqa: E402
                        write_torch_file)


class Checkpoints(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.file = Path(self.folder.name) / "model.pth"

    def write(self, data, storages=None):
        with zipfile.ZipFile(self.file, "w") as archive:
            archive.writestr("archive/data.pkl", data)
            for key, array in (storages or {}).items():
                archive.writestr(f"archive/data/{key}", array.tobytes())

    def refusal(self):
        with self.assertRaises(ConversionError) as caught:
            read_checkpoint(self.file)
        return str(caught.exception)

    def test_tensors_with_strides_and_integers_are_read(self):
        values = np.arange(6, dtype="<f4")
        self.write(torch_pickle(OrderedDict(
            transposed=tensor("0", 6, (3, 2), (1, 3)),
            flat=tensor("0", 6, (1, 1, 2), (0, 0, 1), offset=4),
            steps=tensor("1", 1, (), (), "LongStorage"))),
            {"0": values, "1": np.array([7], "<i8")})

        state = read_checkpoint(self.file)

        np.testing.assert_array_equal(state["transposed"], values.reshape(2, 3).T)
        np.testing.assert_array_equal(state["flat"], [[[4, 5]]])
        self.assertEqual(state["steps"].dtype, np.int64)
        self.assertEqual(int(state["steps"]), 7)

    def test_a_pickle_that_runs_a_command_is_refused_by_name(self):
        marker = Path(self.folder.name) / "ran"
        self.write(torch_pickle(Call(Named("os", "system"), (f"touch {marker}",))))

        self.assertIn("names os.system, which is refused", self.refusal())
        self.assertFalse(marker.exists())

    def test_other_harmless_looking_names_are_refused_too(self):
        for module, name in (("builtins", "eval"), ("torch", "load"), ("numpy", "ndarray"),
                             ("torch._utils", "_rebuild_parameter"), ("torch", "HalfStorage")):
            self.write(torch_pickle(OrderedDict(a=Named(module, name))))
            self.assertIn(f"names {module}.{name}", self.refusal())

    def test_a_tensor_beyond_its_storage_is_refused(self):
        for size, stride, offset in (((7,), (1,), 0), ((2, 3), (4, 1), 0), ((1,), (1,), 6),
                                     ((-1,), (1,), 0), ((2,), (-1,), 5), ((True,), (1,), 0)):
            self.write(torch_pickle(OrderedDict(a=tensor("0", 6, size, stride, offset=offset))),
                       {"0": np.zeros(6, "<f4")})
            with self.subTest(size=size, stride=stride, offset=offset):
                self.refusal()

    def test_a_storage_of_another_size_is_refused(self):
        self.write(torch_pickle(OrderedDict(a=tensor("0", 6, (6,), (1,)))),
                   {"0": np.zeros(5, "<f4")})
        self.assertIn("storage '0' holds 20 bytes, expected 24", self.refusal())

    def test_what_a_training_script_saves_beside_its_tensors_is_read(self):
        weights = np.arange(6, dtype="<f4").reshape(2, 3)
        write_torch_file(self.file, {
            "args.": argparse.Namespace(lr=0.1), "best": {"enc": OrderedDict(w=Tensor(weights)),
                                                          "fwrfs": {1: {"b": Tensor(weights[0])}}},
            "history": [np.float64(0.5), np.arange(3, dtype=np.float32)], "epoch": 7,
            "mean": np.full((1, 3, 1, 1), 0.4, np.float32)})

        state = read_nested_checkpoint(self.file)

        np.testing.assert_array_equal(state["best"]["enc"]["w"], weights)
        np.testing.assert_array_equal(state["best"]["fwrfs"][1]["b"], weights[0])
        np.testing.assert_array_equal(state["history"][1], [0, 1, 2])
        self.assertEqual((state["history"][0], state["epoch"]), (0.5, 7))
        self.assertEqual(state["mean"].dtype, np.float32)
        self.assertNotIsInstance(state["args."], argparse.Namespace)
        self.assertIn("names argparse.Namespace", self.refusal())

    def test_nested_files_may_name_nothing_else(self):
        marker = Path(self.folder.name) / "ran"
        for value, sentence in (
                (Call(Named("os", "system"), (f"touch {marker}",)), "names os.system"),
                (Call(Named("builtins", "getattr"), ("a", "b")), "names builtins.getattr"),
                (Call(Named("_codecs", "encode"), ("a", "idna")), "encodes a str as 'idna'"),
                (Call(Named("_codecs", "decode"), ("a", "latin1")), "names _codecs.decode"),
                (Named("numpy", "load"), "names numpy.load"), ([1], "does not hold a dictionary")):
            self.write(torch_pickle(value))
            with self.assertRaisesRegex(ConversionError, sentence):
                read_nested_checkpoint(self.file)
        self.assertFalse(marker.exists())

    def test_damaged_files_are_refused_with_a_sentence(self):
        self.file.write_bytes(b"no zip")
        self.assertIn("is not a PyTorch checkpoint", self.refusal())
        data = torch_pickle(OrderedDict(a=tensor("0", 1, (1,), (1,))))
        for length in range(len(data)):
            self.write(data[:length], {"0": np.zeros(1, "<f4")})
            self.refusal()


class Bundles(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = Path(self.folder.name)
        self.tensors = {}

    def write(self, tensors, name="toy"):
        units = [dict(zip(bundle_writer.UNIT_COLUMNS,
                          ("u/0", "s", "V4", 0.5, float("nan"), 0.0, 0.0)))]
        with contextlib.redirect_stdout(io.StringIO()):
            bundle_writer.write_bundle(self.path / name, {"name": name}, [], [],
                                       {"fit": ("cover", "assumed")}, units, tensors)

    def test_the_same_input_gives_the_same_bytes_and_replaces_the_old_bundle(self):
        first = {"b": np.ones(3, np.float32), "a": np.zeros((2, 2), np.float32)}
        self.write(first)
        before = {p.name: p.read_bytes() for p in (self.path / "toy").iterdir()}
        self.write(dict(reversed(first.items())))
        after = {p.name: p.read_bytes() for p in (self.path / "toy").iterdir()}

        self.assertEqual(before, after)
        self.assertEqual([p.name for p in self.path.iterdir()], ["toy"])

    def test_tensors_that_are_not_finite_leave_nothing_behind(self):
        with self.assertRaisesRegex(ConversionError, "tensor 'a' holds values that are not finite"):
            self.write({"a": np.array([np.inf], np.float32)})
        self.assertEqual(list(self.path.iterdir()), [])

    def test_texts_are_escaped(self):
        self.assertEqual(bundle_writer.toml_value('a "b" \\c'), '"a \\"b\\" \\\\c"')
        with self.assertRaises(ConversionError):
            bundle_writer.toml_value("a\nb")

    def test_wrong_shapes_are_named_with_file_and_tensor(self):
        file = self.path / "compact_models_190923.safetensors"
        save_file({"neuron0.layer4.sep.bias": np.zeros(3, np.float32),
                   "neuron0.readout.kernel": np.zeros((10, 1), np.float32)}, file)
        with self.assertRaisesRegex(ConversionError, r"'neuron0.readout.kernel' has shape "
                                    r"\[10, 1\], expected \[2352, 1\]"):
            convert_v4_compact.convert_single(self.path, self.path / "out", "v4_190923", {})

    def test_truncated_published_files_are_named(self):
        file = self.path / "compact_models_190923.safetensors"
        save_file({"neuron0.layer4.sep.bias": np.zeros(3, np.float32)}, file)
        file.write_bytes(file.read_bytes()[:-4])
        with self.assertRaisesRegex(ConversionError, "is not a complete safetensors file"):
            convert_v4_compact.convert_single(self.path, self.path / "out", "v4_190923", {})

    def accuracy(self, *rows, name="accuracy.csv"):
        table = self.path / name
        table.write_text("\n".join(["twin,id,heldout_r,r_low", *rows]) + "\n")
        return table

    def units_of_published(self, *tables):
        """The unit table that the converter writes for two published networks."""
        for neuron in range(2):
            self.tensors[f"neuron{neuron}.layer4.sep.bias"] = np.zeros(1, np.float32)
            self.tensors[f"neuron{neuron}.readout.kernel"] = np.zeros((784, 1), np.float32)
        save_file(self.tensors, self.path / "compact_models_190923.safetensors")
        arguments = [part for table in tables for part in ("--accuracy", str(table))]
        with mock.patch.object(sys, "argv", ["convert", str(self.path), str(self.path / "out"),
                                             "--only", "v4_190923", *arguments]):
            with contextlib.redirect_stdout(io.StringIO()):
                convert_v4_compact.main()
        return (self.path / "out" / "v4_190923" / "units.csv").read_text()

    def test_accuracy_goes_to_the_units_of_the_bundle_it_names(self):
        first = self.accuracy("v4_190923,190923/01,0.5,0.1",
                              '"v4_190923, first 12",190923/00,0.9,0',
                              "v4_shared_25,190923/00,0.8,0.1")
        second = self.accuracy("v4_190923,190923/01,0.5,0.1", "v4_190923,190923/00,nan,nan",
                               name="again.csv")

        text = self.units_of_published(first, second)

        rows = list(csv.DictReader(io.StringIO(text)))
        self.assertEqual([row["heldout_r"] for row in rows], ["nan", "0.5"])
        self.assertEqual(self.units_of_published(second, first), text)
        self.assertEqual([row["heldout_r"] for row in
                          csv.DictReader(io.StringIO(self.units_of_published()))], ["nan", "nan"])

    def test_accuracy_of_units_that_the_bundle_lacks_is_refused(self):
        table = self.accuracy("v4_190923,190923/00,0.5,0", "v4_190923,190923/77,0.5,0")
        with self.assertRaisesRegex(ConversionError, "the bundle 'v4_190923' lacks: 190923/77$"):
            self.units_of_published(table)
        self.assertFalse((self.path / "out").exists())

    def test_accuracy_tables_that_cannot_be_used_are_refused(self):
        with self.assertRaisesRegex(ConversionError, "accuracy.csv:2: heldout_r is 'good', "
                                    "expected a number"):
            bundle_writer.read_accuracy([self.accuracy("v4_190923,190923/00,good,0")])
        with self.assertRaisesRegex(ConversionError, "has heldout_r 0.6, an earlier table says "
                                    "0.5"):
            bundle_writer.read_accuracy([self.accuracy("a,u,0.5,0"),
                                         self.accuracy("a,u,0.6,0", name="b.csv")])
        other = self.path / "other.csv"
        other.write_text("id,r\n1,2\n")
        with self.assertRaisesRegex(ConversionError, "expected the columns twin, id and "
                                    "heldout_r, found"):
            bundle_writer.read_accuracy([other])


if __name__ == "__main__":
    unittest.main()
