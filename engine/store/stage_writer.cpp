#include "engine/store/stage_writer.hpp"

#include <algorithm>

#include <mpi.h>

#include "engine/store/ledger.hpp"
#include "engine/store/stage_layout.hpp"

namespace twinscreen {

namespace {

/// MPI counts bytes in an int; larger writes are cut.
constexpr std::size_t largest_write_bytes = std::size_t{1} << 30;
/// The disk is asked to begin after so many bytes, so that it works while results are computed and
/// checksummed, and a checkpoint finds little left to write.
constexpr std::size_t start_flush_bytes = std::size_t{8} << 20;

/// Every rank writes its own rows, in one piece: there is nothing to collect on a few ranks, and
/// nothing to read first. MPI libraries that do not know a hint ignore it.
MPI_Info hints()
{
    MPI_Info info = MPI_INFO_NULL;
    MPI_Info_create(&info);
    for (const char* hint : {"romio_cb_write", "romio_ds_write"})
        MPI_Info_set(info, hint, "disable");
    return info;
}

Hdf5Handle access_for(const void* native)
{
    Hdf5Handle access = hdf5_serial_access();
    if (native == nullptr) return access;
    MPI_Info info = hints();
    const herr_t prepared =
        H5Pset_fapl_mpio(access.id(), *static_cast<const MPI_Comm*>(native), info);
    MPI_Info_free(&info);  // HDF5 has a copy
    hdf5_check(prepared, "H5Pset_fapl_mpio", "prepare parallel file access");
    return access;
}

/// MPI takes what stands before a colon for a kind of file system ("ufs:/scratch/run").
std::string name_for(const std::filesystem::path& file, const void* native)
{
    const bool has_colon = file.string().find(':') != std::string::npos;
    return native != nullptr && has_colon ? "ufs:" + file.string() : file.string();
}

}  // namespace

StageWriter::StageWriter(const std::filesystem::path& file, const std::vector<ColumnSpec>& columns,
                         const void* native, bool read_only)
    : raw_(file, read_only ? RawFile::Access::read : RawFile::Access::read_write),
      is_shared_(native != nullptr)
{
    hdf5_prepare();
    file_ = hdf5_own(H5Fopen(name_for(file, native).c_str(),
                             read_only ? H5F_ACC_RDONLY : H5F_ACC_RDWR, access_for(native).id()),
                     H5Fclose, "H5Fopen", [&] { return fmt::format("open {}", file.string()); });
    for (const ColumnSpec& column : columns)
        columns_.push_back(open_dataset(dataset_path(column.domain, column.name)));
    ledger_ = open_dataset("/ledger/shards");
    epoch_ = open_dataset("/ledger/sealed_epoch");
    mixed_ = open_dataset("/ledger/mixed_numerics");
    sealed_ = open_dataset("/sealed");
}

StageWriter::~StageWriter()
{
    if (!is_shared_ || !file_.is_open()) return;
    const auto leave_open = [](Dataset& dataset) { dataset.handle.release(); };
    std::for_each(columns_.begin(), columns_.end(), leave_open);
    for (Dataset* dataset : {&ledger_, &epoch_, &mixed_, &sealed_}) leave_open(*dataset);
    file_.release();
}

StageWriter::Dataset StageWriter::open_dataset(const std::string& path) const
{
    const auto doing = [&] { return fmt::format("open dataset {}", path); };
    Dataset dataset;
    dataset.path = path;
    dataset.handle =
        hdf5_own(H5Dopen2(file_.id(), path.c_str(), H5P_DEFAULT), H5Dclose, "H5Dopen2", doing);
    dataset.space = hdf5_own(H5Dget_space(dataset.handle.id()), H5Sclose, "H5Dget_space", doing);
    dataset.type = hdf5_own(H5Dget_type(dataset.handle.id()), H5Tclose, "H5Dget_type", doing);
    dataset.extents.resize(static_cast<std::size_t>(hdf5_check(
        H5Sget_simple_extent_ndims(dataset.space.id()), "H5Sget_simple_extent_ndims", doing)));
    hdf5_check(H5Sget_simple_extent_dims(dataset.space.id(), dataset.extents.data(), nullptr),
               "H5Sget_simple_extent_dims", doing);
    const haddr_t offset = H5Dget_offset(dataset.handle.id());
    dataset.offset = offset == HADDR_UNDEF ? 0 : offset;
    return dataset;
}

void StageWriter::put(Dataset& dataset, std::uint64_t first, std::uint64_t count, const void* data,
                      std::size_t row_bytes)
{
    if (count == 0 || row_bytes == 0) return;
    const std::uint64_t at_once =
        std::max<std::uint64_t>(1, largest_write_bytes / std::max<std::size_t>(1, row_bytes));
    for (std::uint64_t done = 0; done < count; done += at_once)
        put_piece(dataset, first + done, std::min(at_once, count - done),
                  static_cast<const std::byte*>(data) + done * row_bytes);
}

void StageWriter::put_piece(Dataset& dataset, std::uint64_t first, std::uint64_t count,
                            const void* data)
{
    const auto doing = [&] {
        return fmt::format("write rows {}..{} of {}", first, first + count - 1, dataset.path);
    };
    Hdf5Handle rows;
    if (!dataset.extents.empty()) {
        std::vector<hsize_t> start(dataset.extents.size(), 0);
        std::vector<hsize_t> extents = dataset.extents;
        start[0] = first;
        extents[0] = count;
        hdf5_check(H5Sselect_hyperslab(dataset.space.id(), H5S_SELECT_SET, start.data(), nullptr,
                                       extents.data(), nullptr),
                   "H5Sselect_hyperslab", doing);
        rows = hdf5_own(H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr),
                        H5Sclose, "H5Screate_simple", doing);
    }
    const herr_t written =
        H5Dwrite(dataset.handle.id(), dataset.type.id(), rows.is_open() ? rows.id() : H5S_ALL,
                 rows.is_open() ? dataset.space.id() : H5S_ALL, H5P_DEFAULT, data);
    if (written < 0) explain(dataset, first, count, data);
}

void StageWriter::explain(const Dataset& dataset, std::uint64_t first, std::uint64_t count,
                          const void* data) const
{
    const std::string reason = hdf5_error_text();
    std::size_t row_bytes = H5Tget_size(dataset.type.id());
    for (std::size_t axis = 1; axis < dataset.extents.size(); ++axis)
        row_bytes *= static_cast<std::size_t>(dataset.extents[axis]);
    raw_.write(dataset.offset + first * row_bytes,
               {static_cast<const std::byte*>(data), static_cast<std::size_t>(count) * row_bytes});
    throw Error(Error::Kind::store,
                fmt::format("could not write rows {}..{} of {} in {} (H5Dwrite: {})", first,
                            first + count - 1, dataset.path, raw_.path().string(), reason));
}

void StageWriter::write_rows(ColumnId column, std::uint64_t first_row, const ConstBatch& rows)
{
    const auto count = static_cast<std::uint64_t>(rows.shape.extent[0]);
    if (count == 0) return;
    put(columns_.at(index_of(column)), first_row, count, rows.data, bytes_of(rows) / count);
    unstarted_bytes_ += bytes_of(rows);
    if (unstarted_bytes_ < start_flush_bytes) return;
    raw_.start_flush();
    unstarted_bytes_ = 0;
}

void StageWriter::write_summary(ColumnId column, const ConstBatch& row)
{
    Dataset& dataset = columns_.at(index_of(column));
    const auto rows = dataset.extents.empty() ? 1 : dataset.extents[0];
    if (rows > 0) put(dataset, 0, rows, row.data, bytes_of(row) / static_cast<std::size_t>(rows));
}

void StageWriter::mark_rows(ItemRange items, std::uint8_t mark)
{
    const std::vector<std::uint8_t> marks(static_cast<std::size_t>(items.count), mark);
    put(sealed_, index_of(items.first), items.count, marks.data(), 1);
}

void StageWriter::write_record(std::uint64_t record, std::span<const std::byte> bytes)
{
    put(ledger_, record, 1, bytes.data(), bytes.size());
}

void StageWriter::write_epoch(std::uint32_t epoch)
{
    const std::uint64_t stored = encode_epoch(epoch);
    put(epoch_, 0, 1, &stored, sizeof(stored));
}

void StageWriter::mark_mixed_numerics()
{
    put(mixed_, 0, 1, &mixed_numerics_mark, sizeof(mixed_numerics_mark));
}

void StageWriter::flush()
{
    hdf5_check(H5Fflush(file_.id(), H5F_SCOPE_GLOBAL), "H5Fflush",
               [&] { return fmt::format("flush {}", raw_.path().string()); });
    raw_.flush();
}

void StageWriter::close()
{
    const auto doing = [&] { return fmt::format("close {}", raw_.path().string()); };
    columns_.clear();
    for (Dataset* dataset : {&ledger_, &epoch_, &mixed_, &sealed_})
        hdf5_check(dataset->handle.close(), "H5Dclose", doing);
    hdf5_check(file_.close(), "H5Fclose", doing);
}

}  // namespace twinscreen
