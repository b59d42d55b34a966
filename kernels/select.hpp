#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/types.hpp"
#include "kernels/ranked_list.hpp"

namespace twinscreen {

enum class Extreme { largest, smallest };

/// The `kept` most extreme values of each column with their items, best first; of equal values the
/// smaller item number comes first. NaN is never selected.
class Selection {
public:
    /// What fills the places for which there were no values.
    static constexpr std::uint64_t no_item = ~std::uint64_t{0};

    Selection(Extreme extreme, std::size_t columns, std::size_t kept);

    /// Adds items first_item, first_item + 1, ...; item numbers must grow from call to call.
    /// rows  [rows, columns]  f32
    void add_rows(ConstBatch rows, std::uint64_t first_item);
    /// Adds one list that was selected from other items.
    void merge(const Selection& other);

    /// Best first; shorter than `kept` where there were fewer values.
    std::vector<Ranked> column(std::size_t column) const;
    std::size_t columns() const noexcept { return filled_.size(); }
    std::size_t kept() const noexcept { return kept_; }

    /// As those of accumulators elsewhere.
    const Selection& result() const noexcept { return *this; }

    /// For storage. Empty places get NaN and `no_item`.
    /// values  [columns, kept]  f32
    /// items   [columns, kept]  u64
    void store(Batch values, Batch items) const;
    static Selection load(Extreme extreme, ConstBatch values, ConstBatch items);
    /// Lists that insert_ranked made of values with the sign of the extreme.
    static Selection from_lists(Extreme extreme, std::span<const Ranked> lists,
                                std::span<const std::uint32_t> filled, std::size_t kept);

private:
    void insert(std::size_t column, Ranked candidate);

    float sign_;  // -1 turns the smallest into the largest; stored values carry the sign
    std::size_t kept_;
    std::vector<Ranked> entries_;        // [columns, kept]
    std::vector<std::uint32_t> filled_;  // [columns]
    std::vector<float> threshold_;       // [columns] worst kept value; NaN while places are free
};

}  // namespace twinscreen
