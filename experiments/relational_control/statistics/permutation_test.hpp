#pragma once

#include <cstdint>
#include <limits>

#include "kernels/random.hpp"

namespace twinscreen {

/// Which iterations of a permutation test to do, and where their draws stand. Iteration t draws at
/// stream item (item << 32) + t, so a test may be cut into blocks anywhere.
struct PermutationBlock {
    std::uint64_t seed = 0;
    std::uint32_t item =
        0;  ///< tells tests with the same seed apart: one for each study and subject
    std::uint32_t first = 0;
    std::uint32_t count = 0;

    DrawAddress address(DrawStream stream, std::uint32_t iteration) const noexcept
    {
        return {seed, stream, (std::uint64_t{item} << 32U) + iteration, 0};
    }
};

/// Which null values count as more extreme than the observed one. Ties count where few different
/// null values are possible, the observed one among them.
enum class Tail { above, below, at_least };

/// One observed value and what is known of its null values.
///
/// Blocks of iterations are merged in order. Counts, and so p, do not depend on where the blocks
/// are cut; mean and sd do in the last digits.
struct PermutationTest {
    double observed = std::numeric_limits<double>::quiet_NaN();
    Tail tail = Tail::above;
    std::uint64_t iterations = 0;
    std::uint64_t more_extreme = 0;  ///< as the tail says
    std::uint64_t equal = 0;         ///< to the observed one
    double sum = 0.0;                ///< of the null values
    double squares = 0.0;            ///< of the null values

    void add(double null_value) noexcept
    {
        ++iterations;
        more_extreme += is_more_extreme(null_value) ? 1U : 0U;
        equal += null_value == observed ? 1U : 0U;
        sum += null_value;
        squares += null_value * null_value;
    }
    bool is_more_extreme(double null_value) const noexcept
    {
        switch (tail) {
            case Tail::above: return null_value > observed;
            case Tail::below: return null_value < observed;
            case Tail::at_least: return null_value >= observed;
        }
        return false;
    }
    /// later  of the same test, with other iterations
    void merge(const PermutationTest& later);

    /// NaN where the observed or any null value is. NaN, too, where every null value is the
    /// observed one and ties do not count: responses that are all the same say nothing, and p would
    /// be small.
    double p() const;
    double mean() const noexcept { return sum / static_cast<double>(iterations); }
    /// Standard deviation with divisor iterations - 1; NaN below two iterations.
    double sd() const;
};

}  // namespace twinscreen
