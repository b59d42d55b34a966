#include "engine/stimulus/hdf5_dataset.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string_view>
#include <sys/time.h>
#include <utility>

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

hid_t make_half_type()
{
    const hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    H5Tset_fields(type, 15, 10, 5, 0, 10);
    H5Tset_size(type, 2);
    H5Tset_ebias(type, 15);
    return type;
}

ElementType element_type(hid_t type, const std::string& where)
{
    const Handle half(make_half_type(), "no memory for a type");
    const std::array<std::pair<hid_t, ElementType>, 5> taken{{{H5T_STD_U8LE, ElementType::u8},
                                                              {H5T_STD_U8BE, ElementType::u8},
                                                              {half, ElementType::f16},
                                                              {H5T_IEEE_F32LE, ElementType::f32},
                                                              {H5T_IEEE_F64LE, ElementType::f64}}};
    for (const auto& [known, element] : taken)
        if (H5Tequal(type, known) > 0) return element;
    throw Error(Error::Kind::data,
                fmt::format("{} holds values of a type that is not taken (taken: uint8, float16, "
                            "float32, float64, little-endian)",
                            where),
                "write it again as uint8 or float32");
}

/// A library that is asked to read a file may want to run other people's code (filters as plug-ins)
/// or to open other files (links): neither happens for the sake of an input file.
void keep_to_one_file()
{
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    H5PLset_loading_state(0);
}

/// Called by the library before it follows a link into another file.
herr_t refuse_link(const char*, const char*, const char* other_file, const char*, unsigned*, hid_t,
                   void* refused)
{
    *static_cast<std::string*>(refused) = other_file;
    return -1;
}

hid_t open_dataset(hid_t file, const std::string& path, const std::string& name)
{
    const Handle access(H5Pcreate(H5P_DATASET_ACCESS), "no memory for a property list");
    std::string other_file;
    H5Pset_elink_cb(access, refuse_link, &other_file);
    const hid_t id = H5Dopen2(file, name.c_str(), access);
    TWINSCREEN_REQUIRE(other_file.empty(), data,
                       "{}:{} is a link into the file '{}', and links into other files are not "
                       "followed. Name the dataset in the file that holds it",
                       path, name, other_file);
    return id;
}

/// Before anything else is asked of it: the shape of a virtual dataset may depend on other files.
void require_own_values(hid_t creation, const std::string& where)
{
    TWINSCREEN_REQUIRE(H5Pget_layout(creation) != H5D_VIRTUAL, data,
                       "{} is a virtual dataset: its values lie in other files, which are not "
                       "read. Copy the values into one dataset",
                       where);
    TWINSCREEN_REQUIRE(H5Pget_external_count(creation) == 0, data,
                       "{} keeps its values in external files, which are not read. Copy the "
                       "values into one dataset",
                       where);
}

/// An open dataset with its type and shape; only ever made in a child process.
struct OpenDataset {
    std::string where;
    Handle file;
    Handle dataset;
    ArrayHeader header;
    bool is_plain = false;  ///< contiguous, not packed: `header.offset` counts

    OpenDataset(const ReadFile& readable, const std::string& name)
        : where(readable.path().string() + ":" + name),
          file(open_file(readable), where),
          dataset(open_dataset(file, readable.path().string(), name),
                  fmt::format("{} has no dataset '{}' that can be opened", readable.path().string(),
                              name))
    {
        const Handle creation(H5Dget_create_plist(dataset), where + " has no properties");
        require_own_values(creation, where);
        const haddr_t offset = H5Dget_offset(dataset);
        is_plain = H5Pget_layout(creation) == H5D_CONTIGUOUS && H5Pget_nfilters(creation) == 0 &&
                   offset != HADDR_UNDEF;
        if (is_plain) header.offset = offset;
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
    static hid_t open_file(const ReadFile& readable)
    {
        keep_to_one_file();
        const hid_t id = H5Fopen(readable.same_file().c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
        TWINSCREEN_REQUIRE(
            id >= 0, data,
            "{} cannot be opened as an HDF5 file. Check it with h5ls, or copy it again",
            readable.path().string());
        return id;
    }
};

/// offset, type, rank, extents: one number each.
std::string describe_in_child(const ReadFile& readable, const std::string& name)
{
    const OpenDataset open(readable, name);
    if (!open.is_plain)
        throw Error(
            Error::Kind::data,
            fmt::format("{} is not stored contiguously and uncompressed (it is read by many "
                        "threads, without the HDF5 library)",
                        open.where),
            fmt::format("convert it once: twinscreen convert {} OUT.npy", open.where));
    std::ostringstream answer;
    answer << open.header.offset << ' ' << static_cast<int>(open.header.type) << ' '
           << open.header.shape.size();
    for (const std::uint64_t extent : open.header.shape) answer << ' ' << extent;
    return answer.str();
}

hid_t native_type(ElementType type, hid_t stored)
{
    return type == ElementType::u8 ? H5T_NATIVE_UINT8 : stored;
}

/// The filters that belong to the library. Others are plug-ins: programs that a file would choose.
void require_builtin_filters(const OpenDataset& open)
{
    const Handle creation(H5Dget_create_plist(open.dataset), open.where + " has no properties");
    const int filters = H5Pget_nfilters(creation);
    TWINSCREEN_REQUIRE(filters >= 0, data, "{} has filters that cannot be read", open.where);
    for (unsigned at = 0; at < static_cast<unsigned>(filters); ++at) {
        unsigned flags = 0;
        std::size_t values = 0;
        const H5Z_filter_t filter =
            H5Pget_filter2(creation, at, &flags, &values, nullptr, 0, nullptr, nullptr);
        TWINSCREEN_REQUIRE(filter == H5Z_FILTER_DEFLATE || filter == H5Z_FILTER_SHUFFLE ||
                               filter == H5Z_FILTER_FLETCHER32,
                           data,
                           "{} is packed with HDF5 filter number {}, which is not taken (taken: "
                           "gzip, shuffle, fletcher32). Write it again with one of these, or with "
                           "none: h5repack -f NONE",
                           open.where, static_cast<int>(filter));
    }
}

std::uint64_t checked_bytes(const OpenDataset& open)
{
    std::uint64_t bytes = bytes_of(open.header.type);
    for (const std::uint64_t extent : open.header.shape)
        TWINSCREEN_REQUIRE(!__builtin_mul_overflow(bytes, extent, &bytes), data,
                           "{} has the impossible shape {}", open.where, open.header.shape_text());
    return bytes;
}

/// A small file may claim any number of values that it does not store.
void require_room(const OpenDataset& open, const std::filesystem::path& npy)
{
    const std::uint64_t wanted = checked_bytes(open);
    std::error_code unknown;
    const auto room = std::filesystem::space(std::filesystem::absolute(npy).parent_path(), unknown);
    TWINSCREEN_REQUIRE(unknown || wanted <= room.available, data,
                       "{} has {} values of shape {}, which need {} bytes in {}, where {} are free",
                       open.where, name_of(open.header.type), open.header.shape_text(), wanted,
                       npy.string(), room.available);
}

/// Ends this process unless it is called again in time.
void end_standstill_after(std::chrono::milliseconds limit)
{
    itimerval timer{};
    timer.it_value.tv_sec = limit.count() / 1000;
    timer.it_value.tv_usec = limit.count() % 1000 * 1000;
    setitimer(ITIMER_REAL, &timer, nullptr);
}

void copy_slices(const OpenDataset& open, std::ofstream& out, std::chrono::milliseconds limit)
{
    constexpr std::uint64_t slice_bytes = std::uint64_t{16} << 20U;
    const std::vector<std::uint64_t>& shape = open.header.shape;
    if (checked_bytes(open) == 0) return;
    const std::uint64_t row_bytes = checked_bytes(open) / shape[0];
    const Handle type(H5Dget_type(open.dataset), open.where + " has no type");
    const Handle file_space(H5Dget_space(open.dataset), open.where + " has no shape");
    const std::uint64_t step = std::clamp<std::uint64_t>(slice_bytes / row_bytes, 1, shape[0] + 1);
    std::vector<char> buffer(static_cast<std::size_t>(step * row_bytes));
    std::vector<hsize_t> count(shape.begin(), shape.end());
    std::vector<hsize_t> start(shape.size(), 0);
    for (std::uint64_t row = 0; row < shape[0]; row += step) {
        end_standstill_after(limit);
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

ArrayHeader locate_hdf5_dataset(const ReadFile& file, const std::string& dataset,
                                std::chrono::milliseconds limit)
{
    std::istringstream answer(run_in_child(
        fmt::format("{}:{}", file.path().string(), dataset), limit,
        [&] { return describe_in_child(file, dataset); }, Error::Kind::data));
    ArrayHeader header;
    int type = 0;
    std::size_t rank = 0;
    answer >> header.offset >> type >> rank;
    header.type = static_cast<ElementType>(type);
    header.shape.resize(rank);
    for (std::uint64_t& extent : header.shape) answer >> extent;
    require_complete(file, header);
    return header;
}

void convert_hdf5_to_npy(const std::filesystem::path& file, const std::string& dataset,
                         const std::filesystem::path& npy, std::chrono::milliseconds limit)
{
    const ReadFile readable(file);
    const std::filesystem::path unfinished = npy.string() + ".part";
    try {
        // Made anew: a link that somebody put there would be followed.
        std::filesystem::remove(unfinished);
        const auto copy = [&] {
            end_standstill_after(limit);
            const OpenDataset open(readable, dataset);
            require_builtin_filters(open);
            // The library itself fills up what a file is too short for.
            if (open.is_plain) require_complete(readable, open.header);
            require_room(open, npy);
            std::ofstream out(unfinished, std::ios::binary);
            TWINSCREEN_REQUIRE(out.good(), data, "cannot write {} ({})", unfinished.string(),
                               std::strerror(errno));
            out << npy_header_text(open.header.type, open.header.shape);
            copy_slices(open, out, limit);
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
