#include "engine/stimulus/hdf5_dataset.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string_view>

#include <hdf5.h>

#include "engine/base/child_process.hpp"
#include "engine/base/error.hpp"

namespace twinscreen {
namespace {

/// Closes any kind of HDF5 identifier.
class Handle {
public:
    Handle(hid_t id, const std::string& what) : id_(id)
    {
        TWINSCREEN_REQUIRE(id_ >= 0, data, "{} (HDF5 says no more). Check the file with h5ls",
                           what);
    }
    ~Handle() { H5Idec_ref(id_); }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    operator hid_t() const noexcept { return id_; }  // NOLINT: passed to C calls everywhere

private:
    hid_t id_;
};

ElementType element_type(hid_t type, const std::string& where)
{
    const H5T_class_t kind = H5Tget_class(type);
    const std::size_t bytes = H5Tget_size(type);
    const bool little = bytes == 1 || H5Tget_order(type) == H5T_ORDER_LE;
    if (kind == H5T_INTEGER && bytes == 1 && H5Tget_sign(type) == H5T_SGN_NONE)
        return ElementType::u8;
    if (kind == H5T_FLOAT && little && bytes == 2) return ElementType::f16;
    if (kind == H5T_FLOAT && little && bytes == 4) return ElementType::f32;
    if (kind == H5T_FLOAT && little && bytes == 8) return ElementType::f64;
    throw Error(Error::Kind::data,
                fmt::format("{} holds values of a type that is not taken (taken: uint8, float16, "
                            "float32, float64, little-endian)",
                            where),
                "write it again as uint8 or float32");
}

/// An open dataset with its type and shape; only ever made in a child process.
struct OpenDataset {
    std::string where;
    Handle file;
    Handle dataset;
    ArrayHeader header;

    OpenDataset(const std::string& path, const std::string& name)
        : where(path + ":" + name),
          file(open_file(path), path),
          dataset(H5Dopen2(file, name.c_str(), H5P_DEFAULT),
                  fmt::format("{} has no dataset '{}'", path, name))
    {
        const Handle type(H5Dget_type(dataset), where + " has no type");
        header.type = element_type(type, where);
        const Handle space(H5Dget_space(dataset), where + " has no shape");
        const int rank = H5Sget_simple_extent_ndims(space);
        TWINSCREEN_REQUIRE(rank >= 1 && rank <= 6, data, "{} has {} axes, expected 3 or 4", where,
                           rank);
        std::array<hsize_t, 6> extent{};
        H5Sget_simple_extent_dims(space, extent.data(), nullptr);
        header.shape.assign(extent.begin(), extent.begin() + rank);
    }

private:
    static hid_t open_file(const std::string& path)
    {
        H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
        const hid_t id = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
        TWINSCREEN_REQUIRE(
            id >= 0, data,
            "{} cannot be opened as an HDF5 file. Check it with h5ls, or copy it again", path);
        return id;
    }
};

/// offset, type, rank, extents: one number each.
std::string describe_in_child(const std::string& path, const std::string& name)
{
    const OpenDataset open(path, name);
    const Handle creation(H5Dget_create_plist(open.dataset), open.where + " has no properties");
    const haddr_t offset = H5Dget_offset(open.dataset);
    const bool plain = H5Pget_layout(creation) == H5D_CONTIGUOUS &&
                       H5Pget_nfilters(creation) == 0 && H5Pget_external_count(creation) == 0 &&
                       offset != HADDR_UNDEF;
    if (!plain)
        throw Error(
            Error::Kind::data,
            fmt::format("{} is not stored contiguously and uncompressed (it is read by many "
                        "threads, without the HDF5 library)",
                        open.where),
            fmt::format("convert it once: twinscreen convert {} OUT.npy", open.where));
    std::ostringstream answer;
    answer << offset << ' ' << static_cast<int>(open.header.type) << ' '
           << open.header.shape.size();
    for (const std::uint64_t extent : open.header.shape) answer << ' ' << extent;
    return answer.str();
}

hid_t native_type(ElementType type, hid_t stored)
{
    return type == ElementType::u8 ? H5T_NATIVE_UINT8 : stored;
}

void copy_slices(const OpenDataset& open, std::ofstream& out)
{
    constexpr std::uint64_t slice_bytes = std::uint64_t{16} << 20U;
    const std::vector<std::uint64_t>& shape = open.header.shape;
    std::uint64_t row_bytes = bytes_of(open.header.type);
    for (std::size_t axis = 1; axis < shape.size(); ++axis) row_bytes *= shape[axis];
    if (row_bytes == 0) return;
    const Handle type(H5Dget_type(open.dataset), open.where + " has no type");
    const Handle file_space(H5Dget_space(open.dataset), open.where + " has no shape");
    const std::uint64_t step = std::clamp<std::uint64_t>(slice_bytes / row_bytes, 1, shape[0] + 1);
    std::vector<char> buffer(static_cast<std::size_t>(step * row_bytes));
    std::vector<hsize_t> count(shape.begin(), shape.end());
    std::vector<hsize_t> start(shape.size(), 0);
    for (std::uint64_t row = 0; row < shape[0]; row += step) {
        start[0] = row;
        count[0] = std::min(step, shape[0] - row);
        H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start.data(), nullptr, count.data(),
                            nullptr);
        const Handle memory(H5Screate_simple(static_cast<int>(count.size()), count.data(), nullptr),
                            "no memory for a slice");
        TWINSCREEN_REQUIRE(H5Dread(open.dataset, native_type(open.header.type, type), memory,
                                   file_space, H5P_DEFAULT, buffer.data()) >= 0,
                           data, "{}: items {} to {} cannot be read (the data are damaged)",
                           open.where, row, row + count[0] - 1);
        out.write(buffer.data(), static_cast<std::streamsize>(count[0] * row_bytes));
    }
}

}  // namespace

bool split_hdf5_path(const std::string& text, std::string& file, std::string& dataset)
{
    for (const std::string_view ending : {".h5:", ".hdf5:", ".hdf:"}) {
        const auto at = text.rfind(ending);
        if (at == std::string::npos) continue;
        file = text.substr(0, at + ending.size() - 1);
        dataset = text.substr(at + ending.size());
        return !dataset.empty();
    }
    return false;
}

ArrayHeader locate_hdf5_dataset(const std::filesystem::path& file, const std::string& dataset)
{
    const ReadFile readable(file);
    std::istringstream answer(run_in_child(
        fmt::format("{}:{}", file.string(), dataset), std::chrono::seconds(30),
        [&] { return describe_in_child(file.string(), dataset); }, Error::Kind::data));
    ArrayHeader header;
    int type = 0;
    std::size_t rank = 0;
    answer >> header.offset >> type >> rank;
    header.type = static_cast<ElementType>(type);
    header.shape.resize(rank);
    for (std::uint64_t& extent : header.shape) answer >> extent;
    require_complete(readable, header);
    return header;
}

void convert_hdf5_to_npy(const std::filesystem::path& file, const std::string& dataset,
                         const std::filesystem::path& npy)
{
    const ReadFile readable(file);
    const std::filesystem::path unfinished = npy.string() + ".part";
    try {
        // Made anew: a link that somebody put there would be followed.
        std::filesystem::remove(unfinished);
        const auto copy = [&] {
            const OpenDataset open(file.string(), dataset);
            std::ofstream out(unfinished, std::ios::binary);
            TWINSCREEN_REQUIRE(out.good(), data, "cannot write {} ({})", unfinished.string(),
                               std::strerror(errno));
            out << npy_header_text(open.header.type, open.header.shape);
            copy_slices(open, out);
            out.close();
            TWINSCREEN_REQUIRE(!out.fail(), data, "cannot write {} ({})", unfinished.string(),
                               std::strerror(errno));
            return std::string{};
        };
        run_in_child(fmt::format("{}:{}", file.string(), dataset), std::nullopt, copy,
                     Error::Kind::data);
        std::filesystem::rename(unfinished, npy);
    } catch (...) {
        std::error_code ignored;
        std::filesystem::remove(unfinished, ignored);
        throw;
    }
}

}  // namespace twinscreen
