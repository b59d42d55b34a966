#pragma once

#include <cstdint>
#include <span>

#include "experiments/relational_control/generative/image_generator.hpp"

namespace twinscreen {

enum class ComplexityMeasure {
    entropy,  ///< estimated size of a losslessly coded picture
    png       ///< size of a PNG file, as published
};

/// What it takes to write a picture down [bytes]; `entropy` is fractional.
///
/// Entropy: each pixel is predicted from its left, upper and upper left neighbours by the median
/// edge detector of JPEG-LS (Weinberger, Seroussi & Sapiro 2000), and the residuals of each of
/// eight classes of local contrast (of the same neighbours) are charged their empirical entropy.
/// That is the length an ideal adaptive coder would need, without writing the code: one pass, no
/// library whose version could change results, and in steps of a fraction of a byte, so that
/// selection sees changes that deflate rounds away. An even picture costs 0.
///
/// picture  [height, width, channels]
double complexity_of(ComplexityMeasure measure, const PictureSize& size,
                     std::span<const std::uint8_t> picture);

}  // namespace twinscreen
