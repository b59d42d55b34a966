#pragma once

#include <array>
#include <cstdint>

#include <Random123/philox.h>

#include "kernels/function.hpp"

namespace twinscreen {

/// What a draw is for. Values are never renumbered: they are part of every published result.
enum class DrawStream : std::uint32_t {
    synthetic_noise = 1,
    null_draw = 2,
    population = 3,
    mutation = 4,
    stimulus_parameter = 5,
    bootstrap = 6,
    twin_layout = 7,
    projection = 8,
    untrained_weights = 9,
    split = 10,
    folds = 11,
    shuffled_images = 12,
    band_weights = 13,
    permuted_images = 14,
    permuted_labels = 15,
    exchange = 16,
    generator_code = 17,
    evolution = 18,
    map_start = 19,
    trial_order = 20,
    flipped_signs = 21,
};

/// Where a draw stands: `seed` is the key, (index, stream, item) the counter.
struct DrawAddress {
    std::uint64_t seed = 0;
    DrawStream stream = DrawStream::synthetic_noise;
    std::uint64_t item = 0;
    std::uint32_t index = 0;
};

/// Four independent 32-bit words of Philox4x32-10 (Salmon et al. 2011).
TWINSCREEN_FUNCTION inline std::array<std::uint32_t, 4> draw_bits(DrawAddress at) noexcept
{
    const r123::Philox4x32::ctr_type counter{{at.index, static_cast<std::uint32_t>(at.stream),
                                              static_cast<std::uint32_t>(at.item),
                                              static_cast<std::uint32_t>(at.item >> 32U)}};
    const r123::Philox4x32::key_type key{
        {static_cast<std::uint32_t>(at.seed), static_cast<std::uint32_t>(at.seed >> 32U)}};
    const auto words = r123::Philox4x32{}(counter, key);
    return {words[0], words[1], words[2], words[3]};
}

/// Uniform in the open interval (0, 1), exact in binary32.
TWINSCREEN_FUNCTION constexpr float unit_interval(std::uint32_t bits) noexcept
{
    return (static_cast<float>(bits >> 9U) + 0.5F) * 0x1p-23F;
}

/// Uniform integer in [0, bound) by multiplication; bias below bound / 2^32.
TWINSCREEN_FUNCTION constexpr std::uint32_t below(std::uint32_t bits, std::uint32_t bound) noexcept
{
    return static_cast<std::uint32_t>((static_cast<std::uint64_t>(bits) * bound) >> 32U);
}

}  // namespace twinscreen
