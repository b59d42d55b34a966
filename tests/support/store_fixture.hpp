#pragma once

#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/store/sink.hpp"

namespace twinscreen::test {

/// A small stage with a column of every domain and known contents, for tests of sinks.
///
/// 23 items in shards of 5 (the last one has 3); columns: response [items, 4] f32,
/// moments [shards, 2, 4] f64, top [3] i64, half [items] f16.
struct StoreFixture {
    static constexpr std::int64_t units = 4;

    std::filesystem::path file;
    Plan plan;
    std::vector<ColumnSpec> columns;
    StageTables tables;
    StoreOptions options;

    explicit StoreFixture(std::filesystem::path stage_file, std::uint64_t items = 23)
        : file(std::move(stage_file))
    {
        plan.stage = "responses";
        plan.items = items;
        plan.shard_items = 5;
        columns = {
            {"response", Domain::item, ElementType::f32, {{"unit", units, ""}}, "z", "response"},
            {"moments",
             Domain::shard,
             ElementType::f64,
             {{"moment", 2, ""}, {"unit", units, ""}},
             "",
             "sums"},
            {"top", Domain::stage, ElementType::i64, {{"rank", 3, ""}}, "", "best items"},
            {"half", Domain::item, ElementType::f16, {}, "", "one number"}};
        tables.items = items;
        tables.describe_items = [](ItemRange range) {
            TableColumn label{"label", "", std::vector<std::string>{}};
            TableColumn angle{"angle", "deg", std::vector<double>{}};
            for (std::uint64_t i = 0; i < range.count; ++i) {
                const std::uint64_t item = index_of(range.first) + i;
                std::get<std::vector<std::string>>(label.values)
                    .push_back(item == 1 ? "" : fmt::format("stimulus \u00e9 {}", item));
                std::get<std::vector<double>>(angle.values)
                    .push_back(0.5 * static_cast<double>(item));
            }
            return Table{{label, angle}};
        };
        Table unit_table{{{"id", "", std::vector<std::string>{"a", "b", "c", "d"}},
                          {"x", "deg", std::vector<double>{0.0, 1.5, -2.0, 3.0}},
                          {"channel", "", std::vector<std::int64_t>{7, 8, 9, 10}}}};
        tables.axes.push_back({"units", "unit", unit_table});
        options.file = file;
        options.identity = {{"seed", "7"}, {"twins", "v1:abc"}};
        options.provenance = {{"campaign", "[screen]\nseed = 7\n"}};
        options.numerics = "avx2; test 1.0";
    }

    std::unique_ptr<ResultSink> open(Communicator& communicator) const
    {
        return open_hdf5_sink(options, plan, columns, tables, communicator);
    }

    static float response(std::uint64_t item, std::int64_t unit)
    {
        return static_cast<float>(item) + 0.125F * static_cast<float>(unit);
    }
    static double moment(std::uint64_t shard, std::int64_t moment, std::int64_t unit)
    {
        return static_cast<double>(shard * 100) + static_cast<double>(moment * units + unit);
    }
    /// A positive IEEE half in 1..2, made of its bits.
    static std::uint16_t half(std::uint64_t item)
    {
        return static_cast<std::uint16_t>(0x3C00U + item % 1024U);
    }

    OwnedBatch response_rows(const Shard& shard) const
    {
        OwnedBatch rows(ElementType::f32, {static_cast<std::int64_t>(shard.items.count), units});
        for (std::uint64_t i = 0; i < shard.items.count; ++i)
            for (std::int64_t unit = 0; unit < units; ++unit)
                rows.values<float>()[i * units + static_cast<std::uint64_t>(unit)] =
                    response(index_of(shard.items.first) + i, unit);
        return rows;
    }
    OwnedBatch moment_rows(const Shard& shard) const
    {
        OwnedBatch rows(ElementType::f64, {1, 2, units});
        for (std::int64_t i = 0; i < 2 * units; ++i)
            rows.values<double>()[static_cast<std::size_t>(i)] =
                moment(index_of(shard.id), i / units, i % units);
        return rows;
    }
    OwnedBatch half_rows(const Shard& shard) const
    {
        OwnedBatch rows(ElementType::f16, {static_cast<std::int64_t>(shard.items.count)});
        auto* bits = static_cast<std::uint16_t*>(rows.view().data);
        for (std::uint64_t i = 0; i < shard.items.count; ++i)
            bits[i] = half(index_of(shard.items.first) + i);
        return rows;
    }

    void write(ResultSink& sink, const Shard& shard) const
    {
        sink.write(shard, ColumnId{0}, response_rows(shard));
        sink.write(shard, ColumnId{1}, moment_rows(shard));
        sink.write(shard, ColumnId{3}, half_rows(shard));
    }
    void run(ResultSink& sink, ShardId id, std::int32_t rank = 0,
             std::function<void(const Sealed&)> done = {}) const
    {
        write(sink, plan.shard(id));
        sink.seal(plan.shard(id), rank, 0.25F, std::move(done));
    }
    void write_summary(ResultSink& sink) const
    {
        std::vector<std::pair<ColumnId, OwnedBatch>> rows;
        rows.emplace_back(ColumnId{2}, OwnedBatch(ElementType::i64, {3}));
        for (std::int64_t i = 0; i < 3; ++i)
            rows.back().second.values<std::int64_t>()[static_cast<std::size_t>(i)] = 20 - i;
        sink.write_summary(std::move(rows));
    }
    /// One process does everything that is open, then closes.
    void finish(ResultSink& sink) const
    {
        for (const ShardId id : std::vector<ShardId>(sink.state().open)) run(sink, id);
        sink.checkpoint(sink.state().epoch + 1);
        write_summary(sink);
        sink.close();
    }

    /// True when the rows of a shard in the file are the right ones.
    bool holds(ResultSink& sink, const Shard& shard) const
    {
        const auto same = [](const OwnedBatch& a, const OwnedBatch& b) {
            return a.bytes() == b.bytes() &&
                   std::memcmp(a.view().data, b.view().data, a.bytes()) == 0;
        };
        const std::uint64_t first = index_of(shard.items.first);
        return same(sink.read(ColumnId{0}, first, shard.items.count), response_rows(shard)) &&
               same(sink.read(ColumnId{1}, index_of(shard.id), 1), moment_rows(shard)) &&
               same(sink.read(ColumnId{3}, first, shard.items.count), half_rows(shard));
    }
};

}  // namespace twinscreen::test
