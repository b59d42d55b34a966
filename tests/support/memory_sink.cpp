#include "tests/support/memory_sink.hpp"

#include <cstring>
#include <map>
#include <set>

#include "engine/base/digest.hpp"
#include "engine/store/ledger.hpp"

namespace twinscreen::test {

namespace {

std::span<const std::byte> bytes_in(const ConstBatch& batch)
{
    return {static_cast<const std::byte*>(batch.data), bytes_of(batch)};
}

/// What survives a restart.
struct Contents {
    Plan plan;
    std::vector<ColumnSpec> columns;
    std::vector<std::vector<std::byte>> rows;  ///< per column, all of its rows
    std::map<ShardId, std::uint64_t> sealed;   ///< shard -> checksum
    std::uint32_t epoch = 0;
    bool has_summary = false;
};

class MemorySink final : public ResultSink {
public:
    explicit MemorySink(std::shared_ptr<Contents> contents, bool existed)
        : contents_(std::move(contents))
    {
        state_.existed = existed;
        state_.epoch = contents_->epoch;
        for (std::uint64_t id = 0; id < contents_->plan.shards(); ++id) {
            const Shard shard = contents_->plan.shard(ShardId{id});
            if (contents_->sealed.count(shard.id) == 0)
                state_.open.push_back(shard.id);
            else
                state_.sealed_items += shard.items.count;
        }
        state_.complete = state_.open.empty() && contents_->has_summary;
    }

    const StageState& state() const noexcept override { return state_; }
    /// Shared with the sink that reopens this one.
    const std::shared_ptr<Contents>& contents() const noexcept { return contents_; }

    void write(const Shard& shard, ColumnId column, OwnedBatch rows) override
    {
        const ColumnSpec& spec = contents_->columns.at(index_of(column));
        const bool by_item = spec.domain == Domain::item;
        const Shape wanted =
            spec.row_shape().with_rows(by_item ? static_cast<std::int64_t>(shard.items.count) : 1);
        TWINSCREEN_REQUIRE(
            spec.domain != Domain::stage && rows.shape() == wanted && rows.type() == spec.type,
            internal, "column '{}' of shard {} takes {} {}, got {} {}", spec.name,
            index_of(shard.id), name_of(spec.type), wanted.text(), name_of(rows.type()),
            rows.shape().text());
        const std::span<const std::byte> bytes = bytes_in(std::as_const(rows).view());
        const std::uint64_t first = by_item ? index_of(shard.items.first) : index_of(shard.id);
        if (!bytes.empty())
            std::memcpy(contents_->rows[index_of(column)].data() + first * spec.row_bytes(),
                        bytes.data(), bytes.size());
        written_[shard.id].insert(column);
    }

    void seal(const Shard& shard, std::int32_t, float,
              std::function<void(const Sealed&)> done) override
    {
        for (std::size_t i = 0; i < contents_->columns.size(); ++i)
            TWINSCREEN_REQUIRE(
                contents_->columns[i].domain == Domain::stage ||
                    written_[shard.id].count(ColumnId{static_cast<std::uint32_t>(i)}) > 0,
                internal, "column '{}' of shard {} was not written before the seal",
                contents_->columns[i].name, index_of(shard.id));
        written_.erase(shard.id);
        const std::uint64_t checksum = checksum_of_shard(shard);
        contents_->sealed[shard.id] = checksum;
        if (done) done({shard.id, checksum, 0.0F});
    }

    void abandon(const Shard& shard) override { written_.erase(shard.id); }

    bool verify(const Shard& shard) override
    {
        const auto sealed = contents_->sealed.find(shard.id);
        if (sealed == contents_->sealed.end()) return false;
        if (sealed->second == checksum_of_shard(shard)) return true;
        contents_->sealed.erase(sealed);
        return false;
    }

    OwnedBatch read(ColumnId column, std::uint64_t first_row, std::uint64_t rows) override
    {
        const ColumnSpec& spec = contents_->columns.at(index_of(column));
        OwnedBatch batch(spec.type, spec.row_shape().with_rows(static_cast<std::int64_t>(rows)));
        const auto& all = contents_->rows[index_of(column)];
        TWINSCREEN_REQUIRE((first_row + rows) * spec.row_bytes() <= all.size(), internal,
                           "column '{}' has no rows {}..{}", spec.name, first_row,
                           first_row + rows);
        if (batch.bytes() > 0)
            std::memcpy(batch.view().data, all.data() + first_row * spec.row_bytes(),
                        batch.bytes());
        return batch;
    }

    ConstBatch map(ColumnId column) override
    {
        const ColumnSpec& spec = contents_->columns.at(index_of(column));
        const auto& all = contents_->rows[index_of(column)];
        return {
            all.data(), spec.type,
            spec.row_shape().with_rows(static_cast<std::int64_t>(all.size() / spec.row_bytes()))};
    }

    void checkpoint(std::uint32_t epoch) override { contents_->epoch = epoch; }

    void write_summary(std::vector<std::pair<ColumnId, OwnedBatch>> rows) override
    {
        for (const auto& [column, row] : rows) {
            const std::span<const std::byte> bytes = bytes_in(row.view());
            contents_->rows.at(index_of(column)).assign(bytes.begin(), bytes.end());
        }
        contents_->has_summary = true;
    }

    void close() override {}

private:
    std::uint64_t checksum_of_shard(const Shard& shard) const
    {
        std::vector<std::uint64_t> checksums;
        for (std::size_t i = 0; i < contents_->columns.size(); ++i) {
            const ColumnSpec& spec = contents_->columns[i];
            if (spec.domain == Domain::stage) continue;
            const bool by_item = spec.domain == Domain::item;
            const std::uint64_t first = by_item ? index_of(shard.items.first) : index_of(shard.id);
            checksums.push_back(
                checksum_of(std::span(contents_->rows[i])
                                .subspan(first * spec.row_bytes(),
                                         (by_item ? shard.items.count : 1) * spec.row_bytes())));
        }
        return combined_checksum(checksums);
    }

    std::shared_ptr<Contents> contents_;  // outlives this sink in the one that reopens it
    std::map<ShardId, std::set<ColumnId>> written_;
    StageState state_;
};

const std::shared_ptr<Contents>& contents_of(const ResultSink& sink)
{
    return dynamic_cast<const MemorySink&>(sink).contents();
}

}  // namespace

std::unique_ptr<ResultSink> make_memory_sink(const Plan& plan, std::vector<ColumnSpec> columns)
{
    auto contents = std::make_shared<Contents>();
    contents->plan = plan;
    for (const ColumnSpec& column : columns) {
        const std::uint64_t rows = column.domain == Domain::item    ? plan.items
                                   : column.domain == Domain::shard ? plan.shards()
                                                                    : 1;
        contents->rows.emplace_back(rows * column.row_bytes());
    }
    contents->columns = std::move(columns);
    return std::make_unique<MemorySink>(std::move(contents), false);
}

std::unique_ptr<ResultSink> reopen_memory_sink(const ResultSink& earlier)
{
    return std::make_unique<MemorySink>(contents_of(earlier), true);
}

OwnedBatch summary_of(const ResultSink& sink, ColumnId column)
{
    const Contents& contents = *contents_of(sink);
    const ColumnSpec& spec = contents.columns.at(index_of(column));
    OwnedBatch row(spec.type, spec.row_shape());
    std::memcpy(row.view().data, contents.rows[index_of(column)].data(), row.bytes());
    return row;
}

}  // namespace twinscreen::test
