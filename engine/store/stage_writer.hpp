#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/store/hdf5_handle.hpp"
#include "engine/store/raw_file.hpp"
#include "engine/store/sink.hpp"

namespace twinscreen {

/// An open stage file as HDF5 sees it: rows go in by dataset and row number. One thread at a time.
class StageWriter {
public:
    /// Collective when `native` is an MPI communicator, otherwise for one process. A complete
    /// stage is opened for reading only.
    StageWriter(const std::filesystem::path& file, const std::vector<ColumnSpec>& columns,
                const void* native, bool read_only);
    /// Leaves a file of several processes open: closing it is collective, and this destructor may
    /// run on one rank alone.
    ~StageWriter();
    StageWriter(const StageWriter&) = delete;
    StageWriter& operator=(const StageWriter&) = delete;

    void write_rows(ColumnId column, std::uint64_t first_row, const ConstBatch& rows);
    /// The single row of a stage column.
    void write_summary(ColumnId column, const ConstBatch& row);
    void mark_rows(ItemRange items, std::uint8_t mark);
    void write_record(std::uint64_t record, std::span<const std::byte> bytes);
    void write_epoch(std::uint32_t epoch);
    void mark_mixed_numerics();
    /// Collective.
    void flush();
    /// Collective.
    void close();

    std::uint64_t offset(ColumnId column) const { return columns_.at(index_of(column)).offset; }
    std::uint64_t ledger_offset() const noexcept { return ledger_.offset; }

private:
    struct Dataset {
        std::string path;
        Hdf5Handle handle;
        Hdf5Handle space;
        Hdf5Handle type;
        std::vector<hsize_t> extents;
        std::uint64_t offset = 0;
    };

    Dataset open_dataset(const std::string& path) const;
    /// Overwrites `count` rows from `first` on; a scalar dataset is one row.
    void put(Dataset& dataset, std::uint64_t first, std::uint64_t count, const void* data,
             std::size_t row_bytes);
    void put_piece(Dataset& dataset, std::uint64_t first, std::uint64_t count, const void* data);
    /// HDF5 hides why a write failed; the same bytes at the same place, written plainly, tell.
    [[noreturn]] void explain(const Dataset& dataset, std::uint64_t first, std::uint64_t count,
                              const void* data) const;

    RawFile raw_;
    std::size_t unstarted_bytes_ = 0;  ///< written since the disk was last asked to begin
    bool is_shared_;
    Hdf5Handle file_;
    std::vector<Dataset> columns_;
    Dataset ledger_;
    Dataset epoch_;
    Dataset mixed_;
    Dataset sealed_;
};

}  // namespace twinscreen
