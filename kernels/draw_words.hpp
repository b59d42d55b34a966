#pragma once

#include <cstdint>
#include <span>

#include "kernels/random.hpp"

namespace twinscreen {

/// The words of many neighbouring draws: word w of `draw_bits` at index first_index + i becomes
/// words[4 * i + w]. As `draw_bits` one by one, but several at once on vector units.
///
/// at     `index` is not used
/// words  a multiple of 4
void draw_words(DrawAddress at, std::uint32_t first_index, std::span<std::uint32_t> words);

}  // namespace twinscreen
