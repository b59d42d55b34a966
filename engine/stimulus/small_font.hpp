#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/image.hpp"

namespace twinscreen {

/// Columns from one letter to the next, and rows of a line without its leading [pixels at scale 1].
inline constexpr int letter_advance = 6;
inline constexpr int letter_height = 7;

/// Width of a line of text [pixels].
int text_width(std::string_view text, int scale);

/// Writes ASCII text in a font of 5 x 7 dots into a u8 picture, every dot scale x scale pixels of
/// grey `value`; cut at the border. Other letters become question marks.
void draw_text(Picture& picture, int left, int top, std::string_view text, int scale,
               std::uint8_t value);

}  // namespace twinscreen
