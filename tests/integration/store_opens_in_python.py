"""Opens a small stage file with plain h5py and plain xarray and checks what a reader finds.

usage: store_opens_in_python.py FILE   (made by store_python_test, see tests/support/store_fixture.hpp)
"""

import sys

import h5py
import numpy as np
import xarray as xr

ITEMS, SHARDS, UNITS = 23, 5, 4
DIMENSIONS = {
    "/columns/response": ("item", "unit"),
    "/columns/half": ("item",),
    "/partials/moments": ("shard", "moment", "unit"),
    "/summary/top": ("rank",),
    "/items/label": ("item",),
    "/items/angle": ("item",),
    "/units/id": ("unit",),
    "/units/x": ("unit",),
    "/units/channel": ("unit",),
    "/sealed": ("item",),
    "/ledger/shards": ("ledger_record", "ledger_byte"),
    "/ledger/sealed_epoch": (),
    "/ledger/mixed_numerics": (),
    "/ledger/description_checksum": (),
}

response = np.arange(ITEMS)[:, None] + 0.125 * np.arange(UNITS)[None, :]
moments = (np.arange(SHARDS) * 100)[:, None, None] + np.arange(2 * UNITS).reshape(2, UNITS)
half = (0x3C00 + np.arange(ITEMS)).astype(np.uint16).view(np.float16)
labels = ["" if item == 1 else f"stimulus é {item}" for item in range(ITEMS)]


def check_with_h5py(path):
    with h5py.File(path) as store:
        assert store.attrs["format"] == "twinscreen stage"
        assert store.attrs["version"] == 2
        assert store.attrs["campaign"] == "[screen]\nseed = 7\n"
        assert store.attrs["identity.seed"] == "7"
        found = {}

        def visit(name, node):
            if isinstance(node, h5py.Dataset) and "/" + name in DIMENSIONS:
                found["/" + name] = tuple(axis[0].name.lstrip("/") for axis in node.dims)
                assert tuple(axis.label for axis in node.dims) == found["/" + name]
                assert node.chunks is None and node.compression is None
            elif isinstance(node, h5py.Dataset):
                assert node.is_scale, name

        store.visititems(visit)
        assert found == DIMENSIONS, found
        assert list(store["columns"]) == ["response", "half"]  # in the order of the stage
        assert store["columns/response"].attrs["units"] == "z"
        assert store["columns/response"].attrs["long_name"] == "response"
        assert store["columns/half"].dtype == np.float16
        np.testing.assert_array_equal(store["columns/response"], response)
        np.testing.assert_array_equal(store["columns/half"], half)
        np.testing.assert_array_equal(store["partials/moments"], moments)
        np.testing.assert_array_equal(store["summary/top"], [20, 19, 18])
        np.testing.assert_array_equal(store["sealed"], np.ones(ITEMS))
        assert list(store["items/label"].asstr()) == labels
        assert store["items/angle"].attrs["units"] == "deg"
        np.testing.assert_array_equal(store["units/channel"], [7, 8, 9, 10])


def check_with_xarray(path, engine):
    with xr.open_datatree(path, engine=engine) as store:
        seen = {}
        for node in store.subtree:
            for name, variable in node.ds.variables.items():
                seen[node.path.rstrip("/") + "/" + name] = variable.dims
        assert seen == DIMENSIONS, (engine, seen)
        np.testing.assert_array_equal(store["columns/response"], response)
        np.testing.assert_array_equal(store["partials/moments"], moments)
        assert [str(label) for label in store["items/label"].values] == labels
        assert [str(unit) for unit in store["units/id"].values] == ["a", "b", "c", "d"]
        # netCDF has no 16-bit float: its library widens such columns.
        assert store["columns/half"].dtype == (np.float16 if engine == "h5netcdf" else np.float32)
        np.testing.assert_array_equal(store["columns/half"], half)
        assert store["columns/response"].attrs["units"] == "z"
        assert "units" not in store["columns/half"].attrs


def main():
    path = sys.argv[1]
    check_with_h5py(path)
    for engine in ("h5netcdf", "netcdf4"):
        check_with_xarray(path, engine)


if __name__ == "__main__":
    main()
