#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/table.hpp"
#include "engine/base/types.hpp"
#include "engine/comm/communicator.hpp"
#include "engine/schedule/plan.hpp"

namespace twinscreen {

/// Rows per item of the stage, one row per shard (partial moments, candidates), or one per stage.
enum class Domain { item, shard, stage };

/// One result dataset. Stored as /columns/<name> [items, row...], /partials/<name>
/// [shards, row...] or /summary/<name> [row...].
struct ColumnSpec {
    std::string name;
    Domain domain = Domain::item;
    ElementType type = ElementType::f32;
    std::vector<Axis> row;  ///< named axes of one row; a name shared with `StageTables` is the same
    std::string unit;
    std::string description;  ///< one sentence, stored as attribute "long_name"

    Shape row_shape() const;
    std::size_t row_bytes() const;
};

/// The description of the axes of a stage, written once at creation.
struct StageTables {
    std::uint64_t items = 0;
    /// Fills columns of /items for a range; called on rank 0 only, range after range.
    std::function<Table(ItemRange)> describe_items;
    /// Non-empty: /items is stored as this text (the function) instead of a table.
    std::string items_as_function;
    /// Group name -> table, each with its own axis: {"units", table with axis "unit"}.
    struct AxisTable {
        std::string group;  ///< "units", "areas"
        std::string axis;   ///< "unit", "area"
        Table table;
    };
    std::vector<AxisTable> axes;
};

/// What must be equal for a stored stage to be continued: name -> value, compared part by part.
using Identity = std::vector<std::pair<std::string, std::string>>;

struct StoreOptions {
    std::filesystem::path file;          ///< DIR/<stage>.h5
    Identity identity;                   ///< plan digest, seed, columns, twins, stimuli, settings
    std::vector<std::string> tolerated;  ///< names of parts that may differ on resume
    std::vector<std::pair<std::string, std::string>> provenance;  ///< attributes, not compared
    std::string numerics;  ///< fingerprint; see `allow_mixed_numerics`
    bool allow_mixed_numerics = false;
    std::size_t queue_bytes = std::size_t{256} << 20;  ///< bound of the writer's queue
};

/// State of a stage file as found at the start.
struct StageState {
    bool existed = false;            ///< false: just created
    bool complete = false;           ///< every shard and the summary are sealed
    std::vector<ShardId> open;       ///< to run, ascending
    std::vector<ShardId> suspect;    ///< sealed after the last checkpoint: verify
    std::uint64_t sealed_items = 0;  ///< items in sealed shards
    std::uint32_t epoch = 0;         ///< last checkpoint flushed by all
};

/// What the writer thread tells when a shard is sealed.
struct Sealed {
    ShardId shard{};
    std::uint64_t checksum = 0;
    float write_s = 0.0F;
};

/// Results of one stage. HDF5 is touched by one writer thread only.
class ResultSink {
public:
    virtual ~ResultSink() = default;
    virtual const StageState& state() const noexcept = 0;

    /// Independent. Rows of one column of one shard: [shard.items.count, row...] for an item
    /// column, [1, row...] for a shard column. Takes the buffer; the writer thread checksums and
    /// writes it. Blocks while the writer's queue is full. Errors of the writer thread surface
    /// here, in `seal`, `checkpoint` and `close`.
    virtual void write(const Shard& shard, ColumnId column, OwnedBatch rows) = 0;
    /// Independent, asynchronous: after all writes of the shard; every item and shard column must
    /// have been written. `done` runs on the writer thread after the ledger record is written.
    virtual void seal(const Shard& shard, std::int32_t rank, float compute_s,
                      std::function<void(const Sealed&)> done) = 0;
    /// Independent. Drops what was written of a shard that will not be sealed (a stop in
    /// mid-shard).
    virtual void abandon(const Shard& shard) = 0;
    /// Independent. Re-reads a sealed shard and compares its checksum.
    virtual bool verify(const Shard& shard) = 0;

    /// Independent. Rows of a column as written so far, by pread; a stage column has one row.
    virtual OwnedBatch read(ColumnId column, std::uint64_t first_row, std::uint64_t rows) = 0;
    /// Independent. A whole column of a finished stage as memory, read as it is looked at, and
    /// held once for all ranks of a machine; valid until `close`.
    virtual ConstBatch map(ColumnId column) = 0;

    /// Collective: drain, flush, then advance the sealed epoch.
    virtual void checkpoint(std::uint32_t epoch) = 0;
    /// Rank 0, after a checkpoint with every shard sealed: the stage columns, in column order;
    /// writes them and seals the stage.
    virtual void write_summary(std::vector<std::pair<ColumnId, OwnedBatch>> rows) = 0;
    /// Collective: drain, flush, close. The sink must not be used afterwards.
    virtual void close() = 0;
};

/// Before MPI is initialised, in every rank. HDF5 that starts later would hang its own clean-up on
/// MPI_Finalize, and that crashes after a failed write.
void prepare_stores() noexcept;

/// Collective; creates or resumes. Rank 0 creates the file under a temporary name, flushes,
/// closes and renames it; all ranks then open it. Refuses a file whose identity differs and names
/// the differing parts.
std::unique_ptr<ResultSink> open_hdf5_sink(const StoreOptions&, const Plan&,
                                           std::vector<ColumnSpec>, const StageTables&,
                                           Communicator&);

}  // namespace twinscreen
