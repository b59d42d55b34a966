#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/function.hpp"
#include "kernels/random.hpp"

namespace twinscreen {

/// Random permutations of the labels of two to four areas, one for each image. Four labels have
/// 24 of them.
inline constexpr std::size_t most_labels = 4;
/// Permutations that are drawn at once.
inline constexpr std::size_t label_block = 512;
/// One permutation: two bits for each of the three swaps of a shuffle.
using LabelCode = std::uint32_t;

/// Permutations of places block * 512 ... block * 512 + 511, all of equal probability up to a
/// relative 24^4 / 2^32: one word gives four of them, for places 128 apart.
///
/// at      `index` is not used
/// labels  2, 3 or 4
void draw_labels(DrawAddress at, std::uint32_t block, std::uint32_t labels,
                 std::span<LabelCode, label_block> codes);

/// Rearranges the values of one image; those beyond the labels that were drawn stay.
template <class T>
TWINSCREEN_FUNCTION constexpr void relabel(LabelCode code, T* values) noexcept
{
    for (unsigned place = 0; place < 3; ++place) {
        const unsigned other = place + ((code >> (2 * place)) & 3U);
        const T value = values[place];
        values[place] = values[other];
        values[other] = value;
    }
}

/// Correlations over all images of the responses of two to four areas, with the labels of the areas
/// permuted in each image.
class LabelCorrelations {
public:
    static constexpr std::size_t most_pairs = 6;
    /// Pearson's r of pairs (0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3); NaN where an area does
    /// not vary. Those of areas that do not exist have no meaning.
    using Pairs = std::array<double, most_pairs>;

    /// responses  [images, areas]  without NaN, at least two images
    LabelCorrelations(std::span<const float> responses, std::uint32_t areas);

    /// With the labels that are there: in double, about the mean of each area.
    const Pairs& observed() const noexcept { return observed_; }
    /// With labels drawn by `draw_labels`.
    Pairs permuted(DrawAddress at) const;

private:
    std::size_t images_;
    std::uint32_t areas_;
    std::size_t padded_;  // a multiple of label_block
    std::vector<float>
        columns_;  // [most_labels, padded] minus the mean of all, 0 beyond the images
    Pairs observed_{};
};

/// Where the pair of areas first < second stands in `LabelCorrelations::Pairs`.
constexpr std::size_t label_pair(std::size_t first, std::size_t second) noexcept
{
    return first * (2 * most_labels - first - 1) / 2 + second - first - 1;
}

}  // namespace twinscreen
