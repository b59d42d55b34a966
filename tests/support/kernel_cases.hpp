#pragma once

#include <cmath>
#include <cstring>
#include <vector>

#include "engine/device/executor_memory.hpp"
#include "kernels/placed_folds.hpp"
#include "kernels/response_rows.hpp"
#include "kernels/unit_responses.hpp"

namespace twinscreen::test {

/// Values in -1..1 that depend on the seed alone.
template <class T>
std::vector<T> values_from(std::uint32_t seed, std::size_t count)
{
    std::vector<T> values(count);
    for (T& value : values) {
        seed = seed * 1664525U + 1013904223U;
        value = static_cast<T>(static_cast<double>(seed >> 8U) / double(1U << 23U) - 1.0);
    }
    return values;
}

/// A table where the executor works.
template <class T>
ExecutorMemory placed(Executor& executor, std::vector<T> values, const Shape& shape)
{
    ExecutorMemory memory(executor, element_type_of<T>(), shape);
    executor.copy(memory.view(), {values.data(), element_type_of<T>(), shape});
    executor.synchronize();
    return memory;
}

/// Back on the host.
template <class T>
std::vector<T> fetched(Executor& executor, const ExecutorMemory& memory)
{
    std::vector<T> values(static_cast<std::size_t>(memory.shape().count()));
    executor.copy({values.data(), element_type_of<T>(), memory.shape()}, memory.view());
    executor.synchronize();
    return values;
}

// One case of every kernel of readouts; the results do not depend on where the executor works.

struct GaborCase {
    GaborStage stage{true, 0.2, 60.0, 6, 3};
    std::vector<std::int32_t> pair{0, 0, 1, 3, 5, 5};
    std::vector<std::int32_t> place{0, 0, 0, 1, 1, 1};
    std::vector<double> cosine{std::nan(""), 1.0, 0.5, std::nan(""), -1.0, 0.0};
    std::vector<double> sine{0.0, 0.0, 0.75, 0.0, 0.0, -1.0};
    std::int64_t rows = 37;

    template <class T>
    std::vector<T> filters() const
    {
        return values_from<T>(1, static_cast<std::size_t>(rows * 2 * stage.pairs));
    }
    template <class T>
    std::vector<T> responses(Executor& executor) const
    {
        const GaborCellTable cells{PlacedArray(pair), PlacedArray(place), PlacedArray(cosine),
                                   PlacedArray(sine)};
        const auto in = placed(executor, filters<T>(), {rows, 2 * stage.pairs});
        const ExecutorMemory out(executor, element_type_of<T>(),
                                 {rows, static_cast<std::int64_t>(pair.size())});
        gabor_responses(stage, cells, in.view(), out.view(), executor);
        return fetched<T>(executor, out);
    }
};

struct SampleCase {
    std::int64_t rows = 5;
    std::int64_t height = 4;
    std::int64_t width = 6;
    std::int64_t channels = 7;
    /// Inside, on a pixel, at the edge, outside.
    std::vector<double> positions{0.1, -0.3, -1.0, -1.0, 1.0, 0.99, -1.4, 0.2};
    std::vector<float> maps() const
    {
        return values_from<float>(2, static_cast<std::size_t>(rows * height * width * channels));
    }
    std::vector<float> features() const
    {
        return values_from<float>(3, static_cast<std::size_t>(4 * channels));
    }
    std::vector<float> bias() const { return values_from<float>(4, 4); }
    std::vector<float> shifts() const
    {
        return values_from<float>(5, static_cast<std::size_t>(rows * 2));
    }

    std::vector<float> responses(Executor& executor, bool shifted) const
    {
        const SampledUnitTable units{PlacedArray(positions), PlacedArray(features()),
                                     PlacedArray(bias())};
        const auto in = placed(executor, maps(), {rows, height, width, channels});
        const auto moved = placed(executor, shifts(), {rows, 2});
        const ExecutorMemory out(executor, ElementType::f32, {rows, 4});
        sampled_responses(units, in.view(), shifted ? ConstBatch(moved.view()) : ConstBatch{},
                          out.view(), executor);
        return fetched<float>(executor, out);
    }
};

struct ProjectionCase {
    std::int64_t rows = 3;
    SparseProjection projection{1000, 64, 9};

    template <class T>
    std::vector<T> values() const
    {
        return values_from<T>(6, static_cast<std::size_t>(rows * projection.inputs()));
    }
    template <class T>
    std::vector<T> projected(Executor& executor) const
    {
        const ProjectionByOutput by_output(projection);
        const auto in = placed(executor, values<T>(), {rows, projection.inputs()});
        const ExecutorMemory out(executor, element_type_of<T>(), {rows, projection.outputs()});
        by_output.project(in.view(), out.view(), executor);
        return fetched<T>(executor, out);
    }
};

/// Outputs of two readouts to units and areas.
struct RowsCase {
    std::int64_t rows = 11;
    std::int64_t units = 9;
    std::int64_t areas = 3;
    std::vector<float> outputs() const
    {
        return values_from<float>(7, static_cast<std::size_t>(rows * 4));
    }

    struct Tables {
        std::vector<float> units;
        std::vector<float> areas;
    };
    Tables made(Executor& executor) const
    {
        const auto in = placed(executor, outputs(), {rows, 4});
        const ExecutorMemory table(executor, ElementType::f32, {rows, units});
        const ExecutorMemory sums(executor, ElementType::f64, {rows, areas});
        const ExecutorMemory means(executor, ElementType::f32, {rows, areas});
        clear(table.view(), executor);
        clear(sums.view(), executor);
        place_columns(in.view(), {2, rows - 2, 5}, table.view(), executor);
        place_columns(in.view(), {0, rows, 1}, table.view(), executor);
        // Two calls: sums grow in the order of the calls.
        const auto two =
            placed(executor, values_from<float>(8, static_cast<std::size_t>(rows * 2)), {rows, 2});
        const PlacedArray<std::int32_t> first_areas({2, 0});
        add_to_areas(two.view(), first_areas.on(executor), 0, rows, sums.view(), executor);
        add_to_areas(two.view(), first_areas.on(executor), 1, rows - 1, sums.view(), executor);
        const PlacedArray<std::int32_t> first({0, 2, 2, 5});
        const PlacedArray<std::int32_t> unit({1, 4, 2, 3, 8});
        const PlacedArray<double> weight({0.5, 1.0, 1.0 / 3.0});
        finish_areas(sums.view(), {first.on(executor), unit.on(executor), weight.on(executor)},
                     table.view(), means.view(), executor);
        return {fetched<float>(executor, table), fetched<float>(executor, means)};
    }
};

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b)
{
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

/// Responses of which some are missing: all of one unit, the first ones of another, ties.
struct FoldsCase {
    static constexpr std::int64_t columns = 301;
    static constexpr std::size_t kept = 7;
    static constexpr std::uint64_t first_item = 5'000'000'000;
    std::vector<std::int64_t> batches{64, 1, 3, 64};
    std::vector<float> uneven{-0.9F, -0.5F, -0.45F, 0.0F, 0.1F, 0.8F};
    std::vector<float> even = Histogram::even_edges(-0.7F, 0.7F, 11);

    std::vector<float> rows() const
    {
        std::int64_t count = 0;
        for (const std::int64_t batch : batches) count += batch;
        auto values = values_from<float>(9, static_cast<std::size_t>(count * columns));
        for (std::size_t at = 0; at < values.size(); ++at) {
            const std::size_t column = at % columns, row = at / columns;
            const bool is_missing = column == 4 || (column == 5 && row < 66) || at % 97 == 3;
            if (is_missing) values[at] = std::nanf("");
            if (column == 8) values[at] = static_cast<float>(row % 5) / 4.0F;
        }
        return values;
    }

    struct Found {
        std::vector<double> moments;
        std::vector<float> values;
        std::vector<std::uint64_t> items, uneven, even;
        friend bool operator==(const Found&, const Found&) = default;
    };

    /// The folds are given every batch as it lies where `place` puts it.
    template <class Moments, class Best, class Counts>
    Found folded(Moments& moments, Best (&best)[2], Counts (&counts)[2], const auto& place) const
    {
        const std::vector<float> all = rows();
        std::size_t at = 0;
        std::uint64_t item = first_item;
        for (const std::int64_t batch : batches) {
            const auto size = static_cast<std::size_t>(batch * columns);
            const auto first = all.begin() + static_cast<std::ptrdiff_t>(at);
            const std::vector<float> values(first, first + static_cast<std::ptrdiff_t>(size));
            place(values, Shape{batch, columns}, [&](ConstBatch given) {
                moments.add_rows(given);
                for (Best& selection : best) selection.add_rows(given, item);
                for (Counts& histogram : counts) histogram.add_rows(given);
            });
            at += size;
            item += static_cast<std::uint64_t>(batch);
        }
        Found found;
        found.moments = moments.result().planes();
        for (Best& selection : best) {
            const Shape shape{columns, kept};
            OwnedBatch values(ElementType::f32, shape), items(ElementType::u64, shape);
            selection.result().store(values.view(), items.view());
            for (const float value : values.values<float>())
                found.values.push_back(std::isnan(value) ? -1e30F : value);
            const auto numbers = items.values<std::uint64_t>();
            found.items.insert(found.items.end(), numbers.begin(), numbers.end());
        }
        const auto counted = [](const Histogram& histogram) {
            const auto counters = values_of<std::uint64_t>(histogram.counts());
            return std::vector<std::uint64_t>(counters.begin(), counters.end());
        };
        found.uneven = counted(counts[0].result());
        found.even = counted(counts[1].result());
        return found;
    }

    Found by_the_accumulators() const
    {
        MomentAccumulator moments(columns);
        Selection best[2] = {{Extreme::largest, columns, kept}, {Extreme::smallest, columns, kept}};
        Histogram counts[2] = {{uneven, columns}, {even, columns}};
        return folded(moments, best, counts,
                      [](const std::vector<float>& values, const Shape& shape, const auto& give) {
                          give({values.data(), ElementType::f32, shape});
                      });
    }

    /// Twice, as for two shards.
    Found where_it_works(Executor& executor) const
    {
        PlacedMoments moments(columns, executor);
        PlacedSelection best[2] = {{Extreme::largest, columns, kept, executor},
                                   {Extreme::smallest, columns, kept, executor}};
        PlacedHistogram counts[2] = {{uneven, columns, executor}, {even, columns, executor}};
        const auto place = [&](const std::vector<float>& values, const Shape& shape,
                               const auto& give) {
            const ExecutorMemory memory = placed(executor, values, shape);
            give(memory.view());
            executor.synchronize();
        };
        folded(moments, best, counts, place);
        moments.start();
        for (PlacedSelection& selection : best) selection.start();
        for (PlacedHistogram& histogram : counts) histogram.start();
        return folded(moments, best, counts, place);
    }
};

/// Shares of two tables [2, 3] in area 1 of sums [2, 5, 2].
inline std::vector<float> shared_sums(Executor& executor)
{
    const ExecutorMemory sums = placed(executor, std::vector<float>(20, 100.0F), {2, 5, 2});
    for (const float share : {0.5F, 0.25F}) {
        const ExecutorMemory values =
            placed<float>(executor, {1.0F, 2.0F, 3.0F, 4.0F, 5.0F, 6.0F}, {2, 3});
        add_shares(values.view(), share, sums.view(), 1, executor);
        executor.synchronize();
    }
    return fetched<float>(executor, sums);
}

/// Rows 1 and 2 of three are not valid.
inline std::vector<float> blanked(Executor& executor)
{
    const ExecutorMemory valid = placed<std::uint8_t>(executor, {1, 0, 0}, {3});
    const ExecutorMemory table =
        placed<float>(executor, {1.0F, 2.0F, 3.0F, 4.0F, 5.0F, 6.0F}, {3, 2});
    blank_rows(valid.view(), table.view(), executor);
    return fetched<float>(executor, table);
}

}  // namespace twinscreen::test
