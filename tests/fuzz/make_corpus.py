"""Writes the seeds of tests/fuzz/corpus, a few small files of each kind, and tests/fuzz/workplace, the
folder that campaigns of the harness name. Run it with the test Python (numpy, h5py, Pillow).

The results are committed; this script says where they came from. Inputs that a fuzzer found lie beside
the seeds, under the name of the fault.
"""
import io
import json
import pathlib
import shutil
import struct
import sys
import zipfile
import zlib

import h5py
import numpy as np
from PIL import Image

HERE = pathlib.Path(__file__).parent
CORPUS = HERE / "corpus"
WORKPLACE = HERE / "workplace"
sys.path.insert(0, str(HERE.parent / "integration"))


def write(name, data):
    file = CORPUS / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data if isinstance(data, bytes) else data.encode())


def safetensors(header, data):
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + data


def safetensors_seeds():
    tensors = {
        "__metadata__": {"format": "pt"},
        "core.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "core.bias": {"dtype": "F64", "shape": [], "data_offsets": [24, 32]},
        "empty": {"dtype": "BF16", "shape": [0, 4], "data_offsets": [32, 32]},
        "ids": {"dtype": "I64", "shape": [1], "data_offsets": [32, 40]},
    }
    write("safetensors/five_tensors", safetensors(tensors, bytes(range(40))))
    write("safetensors/empty_header", safetensors({}, b""))
    entry = b'"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}'
    write("safetensors/name_twice", safetensors(b"{" + entry + b"," + entry + b"}", b"x"))
    overlap = {"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]},
               "b": {"dtype": "U8", "shape": [2], "data_offsets": [1, 3]}}
    write("safetensors/overlap", safetensors(overlap, b"xyz"))
    huge = {"a": {"dtype": "F64", "shape": [2**32, 2**32], "data_offsets": [0, 8]}}
    write("safetensors/shape_overflows", safetensors(huge, bytes(8)))
    write("safetensors/shape_negative", safetensors(
        {"a": {"dtype": "U8", "shape": [-1, -4], "data_offsets": [0, 4]}}, bytes(4)))


def npy(array, version=(1, 0)):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=version)
    return stream.getvalue()


def npy_seeds():
    pictures = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    write("npy/nhwc_u8", npy(pictures))
    write("npy/nchw_f32", npy((pictures / 255).transpose(0, 3, 1, 2).astype("<f4").copy()))
    write("npy/nhw_f64", npy((pictures[..., 0] / 255).astype("<f8")))
    write("npy/nhw_f16_version_2", npy(pictures[..., 0].astype("<f2"), (2, 0)))
    write("npy/fortran", npy(np.asfortranarray(pictures)))
    text = b"{'descr': '|u1', 'fortran_order': False, 'shape': (4294967296, 4294967296, 16), }\n"
    write("npy/shape_overflows", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text)


def encoded(picture, kind, **options):
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def picture(mode="RGB", side=9):
    pixels = np.random.default_rng(1).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, depth, colour, raw, more=b"", interlace=0):
    return (b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))
            + more + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b""))


def png_seeds():
    for mode in ("RGB", "RGBA", "L", "LA", "P", "1"):
        write(f"png/{mode}", encoded(picture(mode), "PNG"))
    write("png/16_bit", encoded(Image.fromarray(np.full((3, 3), 40000, np.uint16)), "PNG"))
    write("png/interlaced", png(1, 1, 8, 0, b"\0\x7f", interlace=1))
    # 4 MiB of one colour from 4 KiB: the most that deflate shrinks; must be decoded
    white = b"\0" + b"\xff" * 256
    write("png/one_bit_2048", png(2048, 2048, 1, 3, white * 2048, chunk(b"PLTE", b"\0" * 6)))
    write("png/claims_256_megapixels", png(16384, 16384, 8, 2, b"\0"))
    write("png/long_text", png(1, 1, 8, 0, b"\0\x7f", chunk(
        b"zTXt", b"comment\0\0" + zlib.compress(bytes(1 << 20), 9))))


def jpeg_seeds():
    write("jpeg/RGB", encoded(picture(), "JPEG"))
    write("jpeg/grey", encoded(picture("L"), "JPEG"))
    write("jpeg/progressive", encoded(picture(side=17), "JPEG", progressive=True))
    write("jpeg/cmyk", encoded(picture("CMYK"), "JPEG"))
    write("jpeg/restart", encoded(picture(side=33), "JPEG", subsampling=0, quality=20,
                                  restart_marker_blocks=1))
    small = encoded(picture("L"), "JPEG")
    at = small.index(b"\xff\xc0") + 5
    write("jpeg/claims_256_megapixels",
          small[:at] + struct.pack(">HH", 16384, 16384) + small[at + 4:])


def zipped(entries, method=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in entries:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return stream.getvalue()


def zip_seeds():
    small = encoded(picture(side=3), "PNG")
    write("zip/stored", zipped([("a.png", small), ("below/b.png", small), ("notes.txt", b"x")]))
    write("zip/deflated", zipped([("a.png", small), ("b.jpg", encoded(picture("L", 8), "JPEG"))],
                                 zipfile.ZIP_DEFLATED))
    write("zip/leads_out", zipped([("../a.png", small), ("/b.png", small)]))
    write("zip/name_twice", zipped([("a.png", small), ("a.png", small)]))
    write("zip/empty", zipped([]))
    write("zip/bomb", zipped([("a.png", bytes(1 << 20))], zipfile.ZIP_DEFLATED))
    honest = zipped([("a.png", small)], zipfile.ZIP_DEFLATED)
    size = struct.pack("<I", len(small))
    write("zip/claims_a_gibibyte", honest.replace(size, struct.pack("<I", 1 << 30)))


def campaign_seeds():
    gabor = '[[twins]]\nfamily = "gabor_energy"\nsize = 8\npositions = 1\norientations = 2\nphases = 1\n'
    stimuli = {
        "gratings": "orientation = [0, 45]\nspatial_frequency = 1.0\n"
                    "phase = { from = 0, to = 90, steps = 2 }\n",
        "gabors": "sigma = 1.0\naspect = [1, 2]\n", "plaids": "angle = 90\n",
        "annuli": "inner_radius = 0.1\n", "sparse_noise": "squares = 3\nsize = 0.5\n",
        "white_noise": "size = 0.5\n", "pink_noise": "alpha = 1.5\n",
        "dead_leaves": "smallest_radius = 0.1\n", "crops": 'folder = "images"\n',
    }
    for kind, lines in stimuli.items():
        count = "count = 3\n" if kind in ("sparse_noise", "white_noise", "pink_noise", "dead_leaves",
                                          "crops") else ""
        write(f"campaign/{kind}.toml", f'{gabor}[[stimuli]]\n{count}[stimuli.{kind}]\n{lines}'
              f'[screen]\nmeasures = ["units", "top_k"]\n')
    write("campaign/files.toml", """name = "files"
seed = 7
[[twins]]
bundle = "tiny"
units = "heldout_r > 0.3 or subject == 'tiny'"
degrees_per_pixel = 0.1
[[stimuli]]
folder = "images"
labels = "labels.csv"
[[stimuli]]
list = "list.txt"
first = 1
[[stimuli]]
npy = "array.npy"
layout = "nhwc"
[screen]
measures = ["units", "area_mean", "moments", "top_k", "histogram"]
top_k = 2
histogram = { from = 0.0, to = 2.0, bins = 4 }
[run]
shard_items = 2
on_bad_image = "nan"
""")
    write("campaign/scores.toml", '[[twins]]\nbundle = "tiny"\n[[stimuli]]\npath = "images"\n'
          '[encoding_score]\nresponses = "responses.npy"\nlayout = "units,items"\n'
          'fit_items = [0, 1]\nscore_items = [1, 2]\nbootstrap = 10\n')


def csv_seeds():
    write("csv/units", 'id,subject,area,heldout_r,x\n1,a,V1,0.5,nan\n"2, b",b,"V""1",0.1,-inf\n')
    write("csv/tabs", "id\tarea\r\n1\tV1\r\n")


def hdf5_file(libver=None, **options):
    """The smallest that h5py makes: /pixels, and /packed with `options`."""
    stream = io.BytesIO()
    pixels = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    with h5py.File(stream, "w", libver=libver) as file:
        file["pixels"] = pixels
        file.create_dataset("packed", data=pixels, **options)
    return stream.getvalue()


def hdf5_seeds():
    write("hdf5/gzip", hdf5_file(compression="gzip", shuffle=True, fletcher32=True))
    write("hdf5/growing", hdf5_file(maxshape=(None, 3, 4)))
    write("hdf5/latest", hdf5_file(libver="latest", chunks=(1, 3, 4)))


def changes(version, *places):
    """Input of store_fuzz: the store of a format version, with bytes written at some places."""
    return bytes([version % 2]) + b"".join(struct.pack("<HB", *place) for place in places)


def store_seeds():
    for version in (1, 2):
        write(f"store/sound_{version}", changes(version))
        write(f"store/opened_{version}", changes(version, (11, 1)))
        write(f"store/description_{version}", changes(version, (7000, 3), (9000, 255)))


def graph_seeds():
    """A residual network with windows and attention, and what the reader has to refuse."""
    sys.path.insert(0, str(HERE.parents[1] / "engine" / "twin" / "converters"))
    from graph_writer import (GraphBuilder, graph_json, identity_network, sample_images,
                              stimulus_facts, unit_rows, write_graph_bundle)

    rng = np.random.default_rng(3)
    mean = scale = [127.5] * 3
    net = GraphBuilder([3, 8, 8])
    for name, shape in (("conv.weight", (4, 3, 3, 3)), ("norm.weight", (4,)), ("norm.bias", (4,)),
                        ("norm.mean", (4,)), ("head.weight", (2, 4)), ("token", (1, 1, 4))):
        net.constant(name, rng.normal(size=shape).astype(np.float32))
    net.constant("norm.var", np.ones(4, np.float32))
    net.add("conv2d", "conv", {"input": "image", "weight": "conv.weight"},
            {"stride": [2, 2], "padding": [1, 1]}, ["batch", 4, 4, 4])
    net.add("batch_norm", "norm",
            {"input": "conv", "weight": "norm.weight", "bias": "norm.bias",
             "running_mean": "norm.mean", "running_var": "norm.var"},
            {"training": False, "momentum": 0.1, "eps": 1e-5, "cudnn_enabled": False},
            ["batch", 4, 4, 4])
    net.add("relu", "relu", {"self": "norm"}, shape=["batch", 4, 4, 4])
    net.add("add.Tensor", "sum", {"self": "relu", "other": "conv"}, shape=["batch", 4, 4, 4])
    net.add("permute", "last", {"self": "sum"}, {"dims": [0, 2, 3, 1]}, ["batch", 4, 4, 4])
    net.add("reshape", "windows", {"self": "last"}, {"shape": [{"batch": 4}, 4, 4]},
            [{"batch": 4}, 4, 4])
    net.add("scaled_dot_product_attention", "attention",
            {"query": "windows", "key": "windows", "value": "windows"},
            shape=[{"batch": 4}, 4, 4])
    net.add("view", "tokens", {"self": "attention"}, {"size": ["batch", 16, 4]}, ["batch", 16, 4])
    net.add("expand", "first", {"self": "token"}, {"size": ["batch", 1, 4]}, ["batch", 1, 4])
    net.add("cat", "all", {"tensors": ["first", "tokens"]}, {"dim": 1}, ["batch", 17, 4])
    net.add("mean.dim", "pool", {"self": "all"}, {"dim": [1]}, ["batch", 4])
    net.add("linear", "logits", {"input": "pool", "weight": "head.weight"}, shape=["batch", 2])
    graph = net.graph(["logits"])
    write_graph_bundle(
        WORKPLACE / "graph", {"name": "graph", "response_unit": "", "licence": "", "citation": ""},
        graph, net.tensors, stimulus_facts([3, 8, 8], mean, scale, "test"),
        [identity_network(graph, "logits")], unit_rows("ab", "graph", "logits"),
        {"input": sample_images([3, 8, 8], mean, scale), "output.logits": np.zeros((8, 2))})
    (WORKPLACE / "graph" / "graph.json").unlink()
    write("graph/attention", graph_json(graph))
    graph["nodes"][0]["inputs"]["input"] = "logits"
    write("graph/cycle", graph_json(graph))


def make_workplace():
    import tiny_bundle

    shutil.rmtree(WORKPLACE, ignore_errors=True)
    (WORKPLACE / "images").mkdir(parents=True)
    for name in ("a", "b"):
        (WORKPLACE / "images" / f"{name}.png").write_bytes(encoded(picture(), "PNG"))
    (WORKPLACE / "list.txt").write_text("images/a.png\nimages/b.png\n")
    (WORKPLACE / "labels.csv").write_text("file,score\na.png,1\nb.png,2\n")
    (WORKPLACE / "array.npy").write_bytes(npy(np.zeros((2, 8, 8, 3), np.uint8)))
    (WORKPLACE / "responses.npy").write_bytes(npy(np.arange(6.0).reshape(3, 2)))
    (WORKPLACE / "images.zip").write_bytes(zipped([("a.png", encoded(picture(), "PNG"))]))
    tiny_bundle.write(WORKPLACE / "tiny")
    tiny = (WORKPLACE / "tiny" / "twin.toml").read_text()
    write("twin_toml/tiny", tiny)
    taps = "".join(f'[[networks.taps]]\ntap = "{tap}"\ntap_shape = [4, 28, 28]\n' for tap in "ab")
    write("twin_toml/two_taps", tiny.replace('"v4_compact"', '"graph"')
          .replace('tap = "core"\ntap_shape = [28, 28, 4]\n', "")
          .replace('readout = "mixing_pool"\nunits = 3\n', f'readout = "fwrf"\nunits = 3\n{taps}'))


if __name__ == "__main__":
    safetensors_seeds()
    npy_seeds()
    png_seeds()
    jpeg_seeds()
    zip_seeds()
    csv_seeds()
    hdf5_seeds()
    store_seeds()
    campaign_seeds()
    make_workplace()
    graph_seeds()
