#pragma once

#include <algorithm>
#include <span>

#include "experiments/relational_control/generative/image_generator.hpp"
#include "kernels/image.hpp"

namespace twinscreen {

/// A generated picture as every stimulus is.
///
/// pixels  [height, width, channels]
inline Picture picture_of(const PictureSize& size, std::span<const std::uint8_t> pixels)
{
    Picture picture{size.height, size.width, size.channels, false,
                    OwnedBatch(ElementType::u8, {size.height, size.width, size.channels})};
    std::ranges::copy(pixels, picture.pixels.values<std::uint8_t>().begin());
    return picture;
}

}  // namespace twinscreen
