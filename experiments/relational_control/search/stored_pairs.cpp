#include <algorithm>
#include <limits>
#include <vector>

#include "engine/base/error.hpp"
#include "experiments/relational_control/search/pair_similarity.hpp"
#include "kernels/set_draw.hpp"

namespace twinscreen {
namespace {

/// Sorting by row wants a counter for each item: worthwhile for this share of rows to items.
constexpr std::size_t items_per_sorted_row = 4;
/// At 664 bytes of work memory for a set of 50. Measured on a virtual machine with 26,107 items:
/// 46,000 sets/s at 2,200 sets a call, 133,000 at 131,072, hardly more beyond.
constexpr std::size_t most_sets_at_once = 131'072;
/// Larger sets take more of that memory each: as many rows of pairs as those sets of 50 have.
constexpr std::size_t most_rows_at_once = most_sets_at_once * 49;

class StoredPairs final : public PairSimilarity {
public:
    explicit StoredPairs(const StoredSimilarities& stored) : stored_(stored)
    {
        TWINSCREEN_REQUIRE(stored.first < stored.areas && stored.second < stored.areas, internal,
                           "areas {} and {} of {}", stored.first, stored.second, stored.areas);
        TWINSCREEN_REQUIRE(stored.items <= std::numeric_limits<std::uint32_t>::max() / 2, internal,
                           "similarities of {} items", stored.items);
    }

    std::uint32_t items() const noexcept override
    {
        return static_cast<std::uint32_t>(stored_.items);
    }

    std::size_t sets_at_once(std::uint32_t set_size) const noexcept override
    {
        return std::min(most_sets_at_once, most_rows_at_once / (set_size - 1));
    }

    void score_sets(std::span<const std::uint32_t> sets, std::uint32_t set_size,
                    std::span<double> scores) override
    {
        const std::size_t at_once = sets_at_once(set_size);
        for (std::size_t first = 0; first < scores.size(); first += at_once) {
            const std::size_t count = std::min(at_once, scores.size() - first);
            score_block(sets.subspan(first * set_size, count * set_size), set_size,
                        scores.subspan(first, count));
        }
    }

    void hold(std::span<const std::uint32_t> ids) override { held_.assign(ids.begin(), ids.end()); }

    void compare_with_held(std::span<const std::uint32_t> candidates, std::span<float> x,
                           std::span<float> y) override
    {
        for (const std::uint32_t candidate : candidates)
            for (const std::uint32_t id : held_) __builtin_prefetch(pair_of(candidate, id));
        std::size_t at = 0;
        for (const std::uint32_t candidate : candidates) {
            for (const std::uint32_t id : held_) {
                const float* pair = pair_of(candidate, id);
                x[at] = pair[stored_.first];
                y[at] = pair[stored_.second];
                ++at;
            }
        }
    }

private:
    const float* pair_of(std::uint32_t a, std::uint32_t b) const noexcept
    {
        return stored_.pair(std::max(a, b), std::min(a, b));
    }

    void score_block(std::span<const std::uint32_t> sets, std::uint32_t set_size,
                     std::span<double> scores)
    {
        sums_.resize(scores.size());
        rows_.resize(scores.size() * (set_size - 1));
        if (rows_.size() * items_per_sorted_row < stored_.items)
            list_rows(set_size);
        else
            list_rows_by_item(sets, set_size);
        add_stored_rows(stored_, sets, set_size, rows_, sums_.data());
        for (std::size_t set = 0; set < scores.size(); ++set)
            scores[set] = correlation(sums_[set].sums, pair_count(set_size));
    }

    void list_rows(std::uint32_t set_size)
    {
        auto to = rows_.begin();
        for (std::uint32_t set = 0; set < sums_.size(); ++set)
            for (std::uint32_t row = 1; row < set_size; ++row) *to++ = {set, row};
    }

    /// In the order of the rows in memory; those of one set stay in ascending order.
    void list_rows_by_item(std::span<const std::uint32_t> sets, std::uint32_t set_size)
    {
        place_.assign(stored_.items + 1, 0);
        for (std::size_t at = 0; at < sets.size(); ++at)
            if (at % set_size != 0) ++place_[sets[at] + 1];
        for (std::size_t item = 0; item < stored_.items; ++item) place_[item + 1] += place_[item];
        const std::uint32_t* id = sets.data();
        for (std::uint32_t set = 0; set < sums_.size(); ++set, id += set_size)
            for (std::uint32_t row = 1; row < set_size; ++row)
                rows_[place_[id[row]]++] = {set, row};
    }

    StoredSimilarities stored_;
    std::vector<std::uint32_t> held_;
    std::vector<SetRow> rows_;
    std::vector<SetSums> sums_;
    std::vector<std::uint32_t> place_;  // [items + 1] where the next row of an item goes
};

}  // namespace

std::unique_ptr<PairSimilarity> from_stored(const StoredSimilarities& stored)
{
    return std::make_unique<StoredPairs>(stored);
}

}  // namespace twinscreen
