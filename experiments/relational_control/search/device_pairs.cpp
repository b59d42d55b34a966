#include "experiments/relational_control/search/device_pairs.hpp"

#include <algorithm>
#include <cmath>

#include "experiments/relational_control/search/device_memory.hpp"
#include "kernels/set_sums.hpp"

namespace twinscreen {
namespace {

/// Sums of the sets that are scored at once: they shall stay in the GPU's cache.
constexpr std::int64_t room_bytes = std::int64_t{32} << 20U;
/// What a search takes beside the similarities, at most, for sets of 50 and a usual population.
constexpr std::uint64_t search_bytes = std::uint64_t{512} << 20U;
constexpr std::int64_t doubles_of_row = 5;

/// Room to score sets in, and how many at once.
class ScoringRoom {
public:
    void fit(std::uint32_t set_size, std::int64_t sets, bool has_products, Executor& executor)
    {
        const std::int64_t sums = doubles_of_row * (set_size - 1);
        const std::int64_t products = has_products ? pair_count(set_size) : 0;
        const auto bytes_of_one =
            static_cast<std::int64_t>(static_cast<std::size_t>(sums) * sizeof(double) +
                                      static_cast<std::size_t>(products) * sizeof(PairValue));
        const std::int64_t at_once =
            std::clamp(room_bytes / bytes_of_one, std::int64_t{1}, std::max(sets, std::int64_t{1}));
        if (set_size == set_size_ && at_once <= at_once_) return;
        set_size_ = set_size;
        at_once_ = at_once;
        sums_ = DeviceValues<double>(executor, at_once * sums);
        products_ = DeviceValues<PairValue>(executor, at_once * products);
    }

    std::int64_t at_once() const noexcept { return at_once_; }
    SumRoom view() const noexcept { return {sums_.data(), products_.data()}; }

private:
    std::uint32_t set_size_ = 0;
    std::int64_t at_once_ = 0;
    DeviceValues<double> sums_;
    DeviceValues<PairValue> products_;
};

/// What both forms have in common: sets in blocks.
class PairsBase : public DevicePairs {
public:
    PairsBase(Executor& executor, bool has_products)
        : executor_(executor), has_products_(has_products)
    {
    }

    Executor& executor() const noexcept final { return executor_; }

    void score_sets(const SetColumns& sets, bool aligns, const SetCosts& costs) final
    {
        room_.fit(sets.set_size, sets.count, has_products_, executor_);
        for (std::int64_t first = 0; first < sets.count; first += room_.at_once())
            score_block(sets.part(first, std::min(room_.at_once(), sets.count - first)), aligns,
                        room_.view(), costs.from(first));
    }

protected:
    virtual void score_block(const SetColumns& sets, bool aligns, const SumRoom& room,
                             const SetCosts& costs) = 0;

private:
    Executor& executor_;
    bool has_products_;
    ScoringRoom room_;
};

std::int64_t pairs_of(std::uint64_t items)
{
    return static_cast<std::int64_t>(items * (items - 1) / 2);
}

/// Row of the strict lower triangle in which a pair lies.
std::uint64_t row_of_pair(std::uint64_t pair)
{
    auto row =
        static_cast<std::uint64_t>((1.0 + std::sqrt(1.0 + 8.0 * static_cast<double>(pair))) / 2.0);
    while (row * (row - 1) / 2 > pair) --row;
    while (row * (row + 1) / 2 <= pair) ++row;
    return row;
}

/// Consecutive pairs of the strict lower triangle.
void gather_pairs(const StoredSimilarities& stored, std::int64_t first, std::int64_t count,
                  float* to)
{
    const auto begin = static_cast<std::uint64_t>(first);
    std::uint64_t row = row_of_pair(begin);
    std::uint64_t column = begin - row * (row - 1) / 2;
    const bool are_only_two = stored.areas == 2 && stored.first == 0 && stored.second == 1;
    for (auto left = static_cast<std::uint64_t>(count); left > 0; ++row, column = 0) {
        const std::uint64_t here = std::min(left, row - column);
        const float* pair = stored.pair(row, column);
        if (are_only_two) {
            std::copy_n(pair, 2 * here, to);
        } else {
            for (std::uint64_t at = 0; at < here; ++at, pair += stored.areas) {
                to[2 * at] = pair[stored.first];
                to[2 * at + 1] = pair[stored.second];
            }
        }
        to += 2 * here;
        left -= here;
    }
}

class StoredOnDevice final : public PairsBase {
public:
    StoredOnDevice(const StoredSimilarities& stored, Executor& executor)
        : PairsBase(executor, false),
          pairs_(uploaded_rows(
              pairs_of(stored.items), 2,
              [&](std::int64_t first, std::int64_t count, float* to) {
                  gather_pairs(stored, first, count, to);
              },
              executor))
    {
    }

private:
    void score_block(const SetColumns& sets, bool aligns, const SumRoom& room,
                     const SetCosts& costs) override
    {
        score_from_pairs(static_cast<const PairValue*>(pairs_.view().data), sets, aligns, room,
                         costs, executor());
    }

    ExecutorMemory pairs_;  // [pairs, 2]
};

std::uint32_t fours_of(const PatternRows& rows) { return (rows.units + 3) / 4; }

/// Patterns item by item, filled up with zeros to whole fours.
ExecutorMemory uploaded_patterns(const PatternRows& rows, Executor& executor)
{
    const std::int64_t columns = std::int64_t{4} * fours_of(rows);
    const auto fill = [&](std::int64_t first, std::int64_t count, float* to) {
        for (std::int64_t item = first; item < first + count; ++item, to += columns) {
            std::copy_n(rows.row(static_cast<std::uint64_t>(item)), rows.units, to);
            std::fill(to + rows.units, to + columns, 0.0F);
        }
    };
    return uploaded_rows(static_cast<std::int64_t>(rows.items), columns, fill, executor);
}

class FactorsOnDevice final : public PairsBase {
public:
    FactorsOnDevice(const std::vector<WeightedPatterns>& first,
                    const std::vector<WeightedPatterns>& second, Executor& executor)
        : PairsBase(executor, true)
    {
        std::vector<PatternPart> parts;
        for (const auto* area : {&first, &second})
            for (const WeightedPatterns& population : *area) {
                patterns_.push_back(uploaded_patterns(population.rows, executor));
                parts.push_back({static_cast<const FourUnits*>(patterns_.back().view().data),
                                 fours_of(population.rows), population.weight});
            }
        parts_ = uploaded(std::span<const PatternPart>(parts), executor);
        areas_ = {parts_.data(), static_cast<std::uint32_t>(first.size()),
                  static_cast<std::uint32_t>(parts.size())};
    }

private:
    void score_block(const SetColumns& sets, bool aligns, const SumRoom& room,
                     const SetCosts& costs) override
    {
        score_from_patterns(areas_, sets, aligns, room, costs, executor());
    }

    std::vector<ExecutorMemory> patterns_;
    DeviceValues<PatternPart> parts_;
    AreaPatterns areas_;
};

}  // namespace

std::unique_ptr<DevicePairs> stored_on(const StoredSimilarities& stored, Executor& executor)
{
    return std::make_unique<StoredOnDevice>(stored, executor);
}

std::unique_ptr<DevicePairs> factors_on(const std::vector<WeightedPatterns>& first,
                                        const std::vector<WeightedPatterns>& second,
                                        Executor& executor)
{
    return std::make_unique<FactorsOnDevice>(first, second, executor);
}

std::uint64_t bytes_on_device(const StoredSimilarities& stored) noexcept
{
    return static_cast<std::uint64_t>(pairs_of(stored.items)) * sizeof(PairValue) + search_bytes;
}

std::uint64_t bytes_on_device(const std::vector<WeightedPatterns>& first,
                              const std::vector<WeightedPatterns>& second) noexcept
{
    std::uint64_t bytes = search_bytes;
    for (const auto* area : {&first, &second})
        for (const WeightedPatterns& population : *area)
            bytes += population.rows.items * fours_of(population.rows) * sizeof(FourUnits);
    return bytes;
}

}  // namespace twinscreen
