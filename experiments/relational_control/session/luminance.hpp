#pragma once

#include "kernels/image.hpp"

namespace twinscreen {

/// Mean relative luminance of a picture in 0..1: sRGB levels made linear, 0.2126 R + 0.7152 G +
/// 0.0722 B (IEC 61966-2-1).
double relative_luminance(const Picture& picture);

/// A picture whose levels were multiplied by one factor, rounded and cut to 0..255.
struct Brightened {
    Picture picture;
    double factor = 1.0;
    double luminance = 0.0;  ///< relative, of the result
};

/// Brings the mean luminance of a picture to within 0.01 of that of a grey level: the factor moves
/// in steps of 0.2, halved whenever it passes the aim (Gifford, Jastrzebowska, Singer & Cichy
/// 2024). A picture that cannot reach it (black stays black) ends as near as 60 steps bring it.
///
/// picture  u8, or f32 in 0..255
/// grey     level of the aim [0..255]
Brightened match_luminance(const Picture& picture, double grey);

}  // namespace twinscreen
