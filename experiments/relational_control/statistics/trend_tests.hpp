#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "experiments/relational_control/statistics/permutation_test.hpp"

namespace twinscreen {

/// Groups of pairs of areas, by their place in a list of pairs, in an order: near to far for
/// cortical distance; within, then between for category selectivity. A pair may be in no group.
using PairGroups = std::vector<std::vector<std::uint32_t>>;

/// Statistics of values that fall from group to group; all are positive where they do.
enum class Trend {
    /// (m_1 - m_2) + (m_2 - m_3) + ... of the group means, as published (Gifford, Jastrzebowska,
    /// Singer & Cichy 2024). It is m_1 minus the last mean: groups in between have no influence.
    ends,
    /// Least-squares line through all values on group numbers, times -1. Groups in between have
    /// influence unless the group sizes are symmetric.
    slope,
    /// The smallest of m_1 - m_2, m_2 - m_3, ...: positive only if every group is below the one
    /// before it. Groups in between always have influence. With two groups, the same as `ends`.
    smallest_step,
};

inline constexpr std::size_t trend_count = 3;
using Trends = std::array<double, trend_count>;

enum class TrendDirection { falling, rising };

/// Values of the pairs of one group.
struct GroupSum {
    double sum = 0.0;
    double count = 0.0;

    double mean() const noexcept { return sum / count; }
};

/// groups   [groups]  at least two
/// returns  [trend]   of the values times -1 where the direction is `rising`: positive values speak
///                    for the direction; NaN where a group has no value
Trends trends_of(std::span<const GroupSum> groups, TrendDirection direction);

/// Every trend of one condition against permuted labels. All count null > observed.
struct TrendTests {
    TrendTests(std::span<const GroupSum> observed, TrendDirection tested);

    void add(std::span<const GroupSum> null_values);
    void merge(const TrendTests& later);
    const PermutationTest& test(Trend trend) const
    {
        return tests[static_cast<std::size_t>(trend)];
    }

    TrendDirection direction;
    std::vector<double> group_means;                 // [groups] observed
    std::array<PermutationTest, trend_count> tests;  // [trend]
};

}  // namespace twinscreen
