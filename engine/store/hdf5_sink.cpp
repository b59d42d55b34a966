#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "engine/base/digest.hpp"
#include "engine/base/failpoint.hpp"
#include "engine/base/log.hpp"
#include "engine/store/ledger.hpp"
#include "engine/store/mapped_bytes.hpp"
#include "engine/store/opening.hpp"
#include "engine/store/raw_file.hpp"
#include "engine/store/sink.hpp"
#include "engine/store/stage_file.hpp"
#include "engine/store/stage_writer.hpp"
#include "engine/store/writer_thread.hpp"

namespace twinscreen {

namespace {

using Clock = std::chrono::steady_clock;

float seconds_since(Clock::time_point start)
{
    return std::chrono::duration<float>(Clock::now() - start).count();
}

std::uint64_t first_row_of(const Shard& shard, Domain domain)
{
    return domain == Domain::item ? index_of(shard.items.first) : index_of(shard.id);
}

std::uint64_t rows_of_shard(const Shard& shard, Domain domain)
{
    return domain == Domain::item ? shard.items.count : 1;
}

/// What the writer thread knows of a shard between its first write and its seal.
struct PendingShard {
    std::vector<std::optional<std::uint64_t>> column_checksums;
    float write_s = 0.0F;
};

class Hdf5Sink final : public ResultSink {
public:
    Hdf5Sink(const StoreOptions& options, const Plan& plan, std::vector<ColumnSpec> columns,
             StageState state, Communicator& communicator)
        : options_(options),
          plan_(plan),
          columns_(std::move(columns)),
          state_(std::move(state)),
          epoch_(state_.epoch + 1),
          suspects_(state_.suspect.begin(), state_.suspect.end()),
          communicator_(communicator),
          raw_(options.file, RawFile::Access::read),
          file_(options.file, columns_, communicator.native(), state_.complete),
          writer_(options.queue_bytes)
    {
    }

    const StageState& state() const noexcept override { return state_; }
    void write(const Shard& shard, ColumnId column, OwnedBatch rows) override;
    void seal(const Shard& shard, std::int32_t rank, float compute_s,
              std::function<void(const Sealed&)> done) override;
    void abandon(const Shard& shard) override;
    bool verify(const Shard& shard) override;
    OwnedBatch read(ColumnId column, std::uint64_t first_row, std::uint64_t rows) override;
    ConstBatch map(ColumnId column) override;
    void checkpoint(std::uint32_t epoch) override;
    void write_summary(std::vector<std::pair<ColumnId, OwnedBatch>> rows) override;
    void close() override;

    /// Rank 0: from now on the file says that its shards were computed on different numerics.
    void mark_mixed_numerics()
    {
        writer_.run(WriterThread::Job([this] { file_.mark_mixed_numerics(); }));
    }

private:
    // On the writer thread.
    void write_now(const Shard& shard, ColumnId column, const OwnedBatch& rows);
    void seal_now(const Shard& shard, LedgerRecord record,
                  const std::function<void(const Sealed&)>& done);

    const ColumnSpec& column_at(ColumnId column) const;
    std::uint64_t stored_rows(const ColumnSpec& spec) const;
    void require_writable() const;
    std::optional<LedgerRecord> stored_record(std::uint64_t record) const;
    /// Collective: every rank's part succeeds, or every rank throws.
    template <class Action>
    void together(Action&& action);

    StoreOptions options_;
    Plan plan_;
    std::map<ColumnId, MappedBytes> mapped_;
    std::map<ColumnId, OwnedBatch> copied_;  ///< columns that cannot be used where they lie
    std::vector<ColumnSpec> columns_;
    StageState state_;
    std::uint32_t epoch_;  ///< the next checkpoint, which makes what is sealed now safe
    std::unordered_set<ShardId> suspects_;
    std::atomic<std::uint64_t> settled_suspects_{0};  ///< verified or sealed anew by this rank
    Communicator& communicator_;
    RawFile raw_;
    StageWriter file_;
    std::unordered_map<ShardId, PendingShard> pending_;  ///< of the writer thread
    WriterThread writer_;                                ///< last member: ends before what it uses
};

template <class Action>
void Hdf5Sink::together(Action&& action)
{
    std::exception_ptr failure;
    try {
        action();
    } catch (...) {
        failure = std::current_exception();
    }
    double all_good = failure ? 0.0 : 1.0;
    communicator_.all_reduce({&all_good, 1}, Reduction::min);
    if (failure) std::rethrow_exception(failure);
    TWINSCREEN_REQUIRE(all_good == 1.0, store,
                       "another rank could not write its results to {} (its message says why)",
                       options_.file.string());
}

const ColumnSpec& Hdf5Sink::column_at(ColumnId column) const
{
    TWINSCREEN_REQUIRE(index_of(column) < columns_.size(), internal, "stage '{}' has no column {}",
                       plan_.stage, index_of(column));
    return columns_[index_of(column)];
}

void Hdf5Sink::require_writable() const
{
    TWINSCREEN_REQUIRE(!state_.complete, internal, "{} is complete and cannot be written",
                       options_.file.string());
}

std::optional<LedgerRecord> Hdf5Sink::stored_record(std::uint64_t record) const
{
    LedgerBytes bytes{};
    raw_.read(file_.ledger_offset() + record * ledger_record_bytes, bytes);
    return decode(bytes, record);
}

void Hdf5Sink::write(const Shard& shard, ColumnId column, OwnedBatch rows)
{
    require_writable();
    const ColumnSpec& spec = column_at(column);
    const Shape wanted =
        spec.row_shape().with_rows(static_cast<std::int64_t>(rows_of_shard(shard, spec.domain)));
    TWINSCREEN_REQUIRE(
        spec.domain != Domain::stage && rows.shape() == wanted && rows.type() == spec.type,
        internal, "column '{}' of shard {} takes {} {}, got {} {}", spec.name, index_of(shard.id),
        name_of(spec.type), wanted.text(), name_of(rows.type()), rows.shape().text());
    const std::size_t bytes = rows.bytes();
    writer_.post(bytes, WriterThread::Job([this, shard, column, kept = std::move(rows)] {
                     write_now(shard, column, kept);
                 }));
}

void Hdf5Sink::write_now(const Shard& shard, ColumnId column, const OwnedBatch& rows)
{
    const Clock::time_point start = Clock::now();
    PendingShard& pending = pending_[shard.id];
    pending.column_checksums.resize(columns_.size());
    const ConstBatch view = rows.view();
    pending.column_checksums[index_of(column)] =
        checksum_of({static_cast<const std::byte*>(view.data), bytes_of(view)});
    TWINSCREEN_FAILPOINT("data: before the write");
    file_.write_rows(column, first_row_of(shard, columns_[index_of(column)].domain), view);
    TWINSCREEN_FAILPOINT("data: after the write");
    pending.write_s += seconds_since(start);
}

void Hdf5Sink::seal(const Shard& shard, std::int32_t rank, float compute_s,
                    std::function<void(const Sealed&)> done)
{
    require_writable();
    LedgerRecord record;
    record.sealed = true;
    record.epoch = epoch_;
    record.shard = index_of(shard.id);
    record.rank = rank;
    record.compute_s = compute_s;
    writer_.post(0, WriterThread::Job([this, shard, record, kept = std::move(done)] {
                     seal_now(shard, record, kept);
                 }));
}

void Hdf5Sink::seal_now(const Shard& shard, LedgerRecord record,
                        const std::function<void(const Sealed&)>& done)
{
    const Clock::time_point start = Clock::now();
    PendingShard pending = std::move(pending_[shard.id]);
    pending_.erase(shard.id);
    pending.column_checksums.resize(columns_.size());
    std::vector<std::uint64_t> checksums;
    for (std::size_t column = 0; column < columns_.size(); ++column) {
        if (columns_[column].domain == Domain::stage) continue;
        TWINSCREEN_REQUIRE(pending.column_checksums[column].has_value(), internal,
                           "column '{}' of shard {} was not written before the seal",
                           columns_[column].name, index_of(shard.id));
        checksums.push_back(*pending.column_checksums[column]);
    }
    const auto earlier = stored_record(index_of(shard.id));
    record.checksum = combined_checksum(checksums);
    record.attempt = earlier ? earlier->attempt + 1 : 1;
    TWINSCREEN_FAILPOINT("seal: before the rows are marked");
    file_.mark_rows(shard.items, 1);
    TWINSCREEN_FAILPOINT("seal: before the ledger is written");
    record.write_s = pending.write_s + seconds_since(start);
    file_.write_record(index_of(shard.id), encode(record));
    TWINSCREEN_FAILPOINT("seal: after the ledger is written");
    if (earlier && earlier->sealed && suspects_.count(shard.id) > 0) ++settled_suspects_;
    if (done) done({shard.id, record.checksum, record.write_s});
    TWINSCREEN_FAILPOINT("seal: reported");
}

void Hdf5Sink::abandon(const Shard& shard)
{
    writer_.post(0, WriterThread::Job([this, id = shard.id] { pending_.erase(id); }));
}

bool Hdf5Sink::verify(const Shard& shard)
{
    writer_.drain();
    const auto record = stored_record(index_of(shard.id));
    if (record && record->sealed) {
        std::vector<std::uint64_t> checksums;
        for (std::size_t column = 0; column < columns_.size(); ++column) {
            const ColumnSpec& spec = columns_[column];
            if (spec.domain == Domain::stage) continue;
            const ColumnId id{static_cast<std::uint32_t>(column)};
            checksums.push_back(raw_.checksum(
                file_.offset(id) + first_row_of(shard, spec.domain) * spec.row_bytes(),
                rows_of_shard(shard, spec.domain) * spec.row_bytes()));
        }
        const bool is_good = combined_checksum(checksums) == record->checksum;
        TWINSCREEN_FAILPOINT("verify: shard read");
        if (suspects_.count(shard.id) > 0) ++settled_suspects_;
        if (is_good) {
            if (!state_.complete)
                writer_.run(WriterThread::Job([&] { file_.mark_rows(shard.items, 1); }));
            return true;
        }
    }
    if (state_.complete) return false;
    LedgerRecord reopened;
    reopened.shard = index_of(shard.id);
    reopened.attempt = record ? record->attempt : 0;
    writer_.run(WriterThread::Job([&] {
        file_.write_record(index_of(shard.id), encode(reopened));
        TWINSCREEN_FAILPOINT("verify: torn shard reopened");
        file_.mark_rows(shard.items, 0);
        TWINSCREEN_FAILPOINT("verify: rows of a torn shard unmarked");
    }));
    return false;
}

std::uint64_t Hdf5Sink::stored_rows(const ColumnSpec& spec) const
{
    switch (spec.domain) {
        case Domain::item: return plan_.items;
        case Domain::shard: return plan_.shards();
        case Domain::stage: return 1;
    }
    return 0;
}

ConstBatch Hdf5Sink::map(ColumnId column)
{
    const ColumnSpec& spec = column_at(column);
    const std::uint64_t rows = stored_rows(spec);
    // HDF5 puts small columns at any byte.
    if (file_.offset(column) % bytes_of(spec.type) != 0) {
        if (!copied_.contains(column)) copied_.emplace(column, read(column, 0, rows));
        return copied_.at(column).view();
    }
    const auto [found, is_new] =
        mapped_.try_emplace(column, options_.file, file_.offset(column), rows * spec.row_bytes());
    return {found->second.bytes().data(), spec.type,
            spec.row_shape().with_rows(static_cast<std::int64_t>(rows))};
}

OwnedBatch Hdf5Sink::read(ColumnId column, std::uint64_t first_row, std::uint64_t rows)
{
    const ColumnSpec& spec = column_at(column);
    const std::uint64_t stored = stored_rows(spec);
    TWINSCREEN_REQUIRE(first_row <= stored && rows <= stored - first_row, internal,
                       "column '{}' has no rows {}..{} ({} rows)", spec.name, first_row,
                       first_row + rows, stored);
    OwnedBatch batch(spec.type, spec.row_shape().with_rows(static_cast<std::int64_t>(rows)));
    raw_.read(file_.offset(column) + first_row * spec.row_bytes(),
              {static_cast<std::byte*>(batch.view().data), batch.bytes()});
    return batch;
}

void Hdf5Sink::checkpoint(std::uint32_t epoch)
{
    if (state_.complete) return;
    TWINSCREEN_FAILPOINT("checkpoint: joined");
    together([&] {
        writer_.drain();
        raw_.require_still_there();
    });
    TWINSCREEN_FAILPOINT("checkpoint: writers drained");
    together([&] { writer_.run(WriterThread::Job([this] { file_.flush(); })); });
    TWINSCREEN_FAILPOINT("checkpoint: data flushed");
    // A suspect that nobody has looked at must stay one, so the stored epoch waits for all.
    double settled = static_cast<double>(settled_suspects_.load());
    communicator_.all_reduce({&settled, 1}, Reduction::sum);
    const bool may_advance = settled >= static_cast<double>(suspects_.size());
    together([&] {
        if (communicator_.rank() != 0 || !may_advance) return;
        writer_.run(WriterThread::Job([this, epoch] {
            file_.write_epoch(epoch);
            TWINSCREEN_FAILPOINT("checkpoint: epoch written");
            raw_.flush();
            TWINSCREEN_FAILPOINT("checkpoint: epoch flushed");
        }));
    });
    TWINSCREEN_FAILPOINT("checkpoint: over");
    epoch_ = epoch + 1;
}

void Hdf5Sink::write_summary(std::vector<std::pair<ColumnId, OwnedBatch>> rows)
{
    require_writable();
    std::size_t next = 0;
    std::vector<std::uint64_t> checksums;
    for (std::size_t column = 0; column < columns_.size(); ++column) {
        const ColumnSpec& spec = columns_[column];
        if (spec.domain != Domain::stage) continue;
        TWINSCREEN_REQUIRE(next < rows.size() && index_of(rows[next].first) == column &&
                               rows[next].second.shape() == spec.row_shape() &&
                               rows[next].second.type() == spec.type,
                           internal, "the summary needs column '{}' as {} {}", spec.name,
                           name_of(spec.type), spec.row_shape().text());
        const ConstBatch view = std::as_const(rows[next++].second).view();
        checksums.push_back(
            checksum_of({static_cast<const std::byte*>(view.data), bytes_of(view)}));
    }
    TWINSCREEN_REQUIRE(next == rows.size(), internal, "the summary has {} columns, expected {}",
                       rows.size(), next);
    LedgerRecord record;
    record.sealed = true;
    record.epoch = epoch_;
    record.shard = plan_.shards();
    record.checksum = combined_checksum(checksums);
    raw_.require_still_there();
    writer_.run(WriterThread::Job([&] {
        const auto earlier = stored_record(record.shard);
        record.attempt = earlier ? earlier->attempt + 1 : 1;
        for (const auto& [column, row] : rows) file_.write_summary(column, row.view());
        TWINSCREEN_FAILPOINT("summary: written");
        raw_.flush();
        TWINSCREEN_FAILPOINT("summary: flushed");
        file_.write_record(record.shard, encode(record));
        TWINSCREEN_FAILPOINT("summary: recorded");
        raw_.flush();
    }));
}

void Hdf5Sink::close()
{
    TWINSCREEN_FAILPOINT("close: begun");
    checkpoint(epoch_);
    TWINSCREEN_FAILPOINT("close: last checkpoint over");
    mapped_.clear();
    copied_.clear();
    together([&] { writer_.run(WriterThread::Job([this] { file_.close(); })); });
    TWINSCREEN_FAILPOINT("close: file closed");
}

}  // namespace

void prepare_stores() noexcept { hdf5_start(); }

std::unique_ptr<ResultSink> open_hdf5_sink(const StoreOptions& options, const Plan& plan,
                                           std::vector<ColumnSpec> columns,
                                           const StageTables& tables, Communicator& communicator)
{
    check_columns(columns, tables);
    OpenedStage opened = prepare_stage(options, plan, columns, tables, communicator);
    const bool marks_mixed =
        opened.state.existed && opened.mixes_numerics && !opened.state.complete;
    auto sink = std::make_unique<Hdf5Sink>(options, plan, std::move(columns),
                                           std::move(opened.state), communicator);
    if (marks_mixed && communicator.rank() == 0) {
        spdlog::warn("{} is continued with other numerics (instruction set or library versions)",
                     options.file.string());
        sink->mark_mixed_numerics();
    }
    return sink;
}

}  // namespace twinscreen
