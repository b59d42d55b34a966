#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/random.hpp"

namespace twinscreen {

/// Random permutations of which only the first places are looked at: the first steps of a shuffle
/// (Fisher & Yates 1938; Durstenfeld 1964) give the same distribution as all of it.
class PartialShuffle {
public:
    /// items  what is permuted: 0 ... items - 1
    explicit PartialShuffle(std::uint32_t items);

    std::uint32_t items() const noexcept { return static_cast<std::uint32_t>(order_.size()); }

    /// Where a random permutation of all items sends places 0, 1, ...: distinct items, every
    /// ordered choice of equal probability up to a relative places * items / 2^32.
    ///
    /// at      `index` is not used: place p takes word p mod 4 of index p / 4
    /// chosen  [places]  at most `items` of them
    void draw(DrawAddress at, std::span<std::uint32_t> chosen);

private:
    std::vector<std::uint32_t> order_;  // [items] the identity between draws
    std::vector<std::uint32_t> words_;  // of the draw, then where each place took its item from
};

}  // namespace twinscreen
