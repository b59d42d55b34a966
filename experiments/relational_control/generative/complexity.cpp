#include "experiments/relational_control/generative/complexity.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "engine/stimulus/png_writer.hpp"
#include "experiments/relational_control/generative/picture.hpp"

namespace twinscreen {
namespace {

constexpr std::size_t contrast_classes = 8;

/// Residuals modulo 256, counted for each class of local contrast.
using ResidualCounts = std::array<std::array<std::uint32_t, 256>, contrast_classes>;

/// 0, 1, 2..3, 4..7, ..., 64 and more.
std::size_t contrast_class(int left, int up, int corner)
{
    const auto contrast = static_cast<unsigned>(std::abs(left - corner) + std::abs(up - corner));
    return std::min<std::size_t>(std::bit_width(contrast), contrast_classes - 1);
}

int predicted(int left, int up, int corner)
{
    if (corner >= std::max(left, up)) return std::min(left, up);
    if (corner <= std::min(left, up)) return std::max(left, up);
    return left + up - corner;
}

/// Outside the picture lies mid grey above, and the pixel above at the left.
void count_residuals(const PictureSize& size, const std::uint8_t* picture, std::size_t channel,
                     ResidualCounts& counts)
{
    const auto channels = static_cast<std::size_t>(size.channels);
    const auto width = static_cast<std::size_t>(size.width);
    constexpr int mid_grey = 128;
    for (std::size_t row = 0; row < static_cast<std::size_t>(size.height); ++row) {
        const std::uint8_t* here = picture + row * width * channels + channel;
        const std::uint8_t* above = row > 0 ? here - width * channels : nullptr;
        int left = above != nullptr ? *above : mid_grey;
        int corner = left;
        for (std::size_t column = 0; column < width; ++column) {
            const int up = above != nullptr ? above[column * channels] : mid_grey;
            const int value = here[column * channels];
            const int residual = value - predicted(left, up, corner);
            ++counts[contrast_class(left, up, corner)][static_cast<std::uint8_t>(residual)];
            left = value;
            corner = up;
        }
    }
}

double bits_of(const ResidualCounts& counts)
{
    double bits = 0.0;
    for (const auto& of_class : counts) {
        std::uint32_t all = 0;
        for (const std::uint32_t count : of_class) all += count;
        for (const std::uint32_t count : of_class)
            if (count > 0)
                bits += static_cast<double>(count) *
                        std::log2(static_cast<double>(all) / static_cast<double>(count));
    }
    return bits;
}

}  // namespace

double complexity_of(ComplexityMeasure measure, const PictureSize& size,
                     std::span<const std::uint8_t> picture)
{
    if (measure == ComplexityMeasure::png)
        return static_cast<double>(png_bytes(picture_of(size, picture)));
    double bits = 0.0;
    for (std::size_t channel = 0; channel < static_cast<std::size_t>(size.channels); ++channel) {
        ResidualCounts counts{};
        count_residuals(size, picture.data(), channel, counts);
        bits += bits_of(counts);
    }
    return bits / 8.0;
}

}  // namespace twinscreen
