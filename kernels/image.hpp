#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/types.hpp"

namespace twinscreen {

/// One decoded or drawn stimulus: [height, width, channels], row-major, channels 1 or 3.
/// u8 holds 0..255; f32 holds the same scale 0..255 unless `prepared`, then it is the twin's
/// network input itself and only its shape is checked.
struct Picture {
    int height = 0;
    int width = 0;
    int channels = 0;
    bool prepared = false;
    OwnedBatch pixels;  ///< shape [height, width, channels]
};

/// Resize conventions, each named after what it reproduces.
enum class ResizeFilter {
    pil_box,                   ///< area average: PIL.Image.resize BOX on uint8
    pil_bilinear,              ///< antialiased triangle on uint8: PIL BILINEAR
    pil_bicubic,               ///< antialiased cubic a = -0.5 on uint8: PIL BICUBIC
    torch_area,                ///< torch interpolate mode="area" (adaptive average)
    torch_bilinear,            ///< torch interpolate bilinear, align_corners=False, no antialias
    torch_bilinear_antialias,  ///< the same with antialias=True
    torch_bicubic,             ///< torch interpolate bicubic (a = -0.75), no antialias
    torch_bicubic_antialias,   ///< antialiased cubic a = -0.5, as torch does
};
std::string_view name_of(ResizeFilter filter) noexcept;
/// Throws Error(data) listing the known names.
ResizeFilter resize_filter_named(std::string_view name);

/// How a picture becomes one row of a network's input; declared by the twin, done by us.
struct InputTransform {
    enum class Fit {
        exact,    ///< the picture must have the input's size
        stretch,  ///< resize both sides to the input's size
        cover,    ///< scale the picture to cover the input, keep the aspect, crop the centre
        crop      ///< centre crop at the picture's own scale; a smaller picture is refused
    };
    int channels = 1;  ///< 1: grey, 3: RGB
    int height = 0;
    int width = 0;
    Fit fit = Fit::cover;
    ResizeFilter filter = ResizeFilter::pil_bilinear;
    std::vector<float> mean;     ///< per channel, subtracted [0..255]
    std::vector<float> scale;    ///< per channel, divided by after the mean [0..255]
    bool channels_last = false;  ///< row layout [height, width, channels]
    float background = 127.5F;   ///< value of an empty screen [0..255]
    double degrees_per_pixel = std::numeric_limits<double>::quiet_NaN();

    /// [channels, height, width] or [height, width, channels]
    Shape row_shape() const;
    /// Equal texts mean equal inputs: twins with the same one share a canvas.
    std::string text() const;
};

/// Writes one row of a network's input. Independent, thread-safe.
///
/// In this order: grey (for one channel), resize with the centre cut out, (value - mean) / scale.
/// A uint8 picture stays uint8 through the passes of a pil_* filter and is resampled in float by a
/// torch_* filter; an f32 picture is never rounded. A grey picture fills all three channels of an
/// RGB input. For `cover` the larger of the two side ratios scales both sides, rounded to whole
/// pixels; of an odd surplus the smaller half is cut at the top and left.
///
/// picture  any size
/// row      f32, transform.row_shape()
/// throws   Error(data) if a prepared picture has another shape, or an exact one another size
void apply_transform(const InputTransform& transform, const Picture& picture, Batch row);

/// Mean over all pixels and channels [0..255]; for a prepared picture, the mean of its values.
double mean_luminance(const Picture& picture);

/// The grey version of an RGB picture, as every transform to one channel makes it before it
/// resizes: uint8 by PIL's integer Rec. 601 luma, rounded; f32 by 0.299 R + 0.587 G + 0.114 B.
Picture to_grey(const Picture& picture);

/// Resizes to [height, width] with the named convention; u8 in, u8 out; f32 in, f32 out.
Picture resize(const Picture& picture, int height, int width, ResizeFilter filter);

}  // namespace twinscreen
