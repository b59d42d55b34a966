#include "kernels/fitted_axes.hpp"

#include <algorithm>
#include <cmath>

namespace twinscreen {
namespace {

ResampledAxis centred(int input, int scaled, int kept)
{
    return {input, scaled, (scaled - kept) / 2, kept};
}

}  // namespace

FittedAxes fitted_axes(const InputTransform& transform, const Picture& picture)
{
    const int height = transform.height;
    const int width = transform.width;
    switch (transform.fit) {
        case InputTransform::Fit::exact:
            TWINSCREEN_REQUIRE(
                picture.height == height && picture.width == width, data,
                "the picture has {} x {} pixels, the twin takes exactly {} x {} (fit = \"exact\"). "
                "Resize the pictures, or set fit = \"cover\" in the twin's transform",
                picture.height, picture.width, height, width);
            break;
        case InputTransform::Fit::stretch: break;
        case InputTransform::Fit::cover: {
            const double scale = std::max(static_cast<double>(height) / picture.height,
                                          static_cast<double>(width) / picture.width);
            const int scaled_height =
                std::max(height, static_cast<int>(std::lround(picture.height * scale)));
            const int scaled_width =
                std::max(width, static_cast<int>(std::lround(picture.width * scale)));
            return {centred(picture.height, scaled_height, height),
                    centred(picture.width, scaled_width, width)};
        }
        case InputTransform::Fit::crop:
            TWINSCREEN_REQUIRE(
                picture.height >= height && picture.width >= width, data,
                "the picture has {} x {} pixels, too few to crop {} x {} (fit = \"crop\"). Use "
                "larger pictures, or set fit = \"cover\" in the twin's transform",
                picture.height, picture.width, height, width);
            return {centred(picture.height, picture.height, height),
                    centred(picture.width, picture.width, width)};
    }
    return {{picture.height, height, 0, height}, {picture.width, width, 0, width}};
}

void require_picture(const Picture& picture)
{
    TWINSCREEN_REQUIRE(
        picture.height > 0 && picture.width > 0 && (picture.channels == 1 || picture.channels == 3),
        data,
        "a picture has {} x {} pixels and {} channels (expected at least 1 x 1 and "
        "1 or 3 channels)",
        picture.height, picture.width, picture.channels);
}

void require_input_of_pictures(const InputTransform& transform)
{
    TWINSCREEN_REQUIRE(transform.channels == 1 || transform.channels == 3, data,
                       "the twin's input has {} channels (pictures give 1 or 3). Use prepared "
                       "arrays for this twin",
                       transform.channels);
}

Normalisation normalisation_of(const InputTransform& transform, std::size_t channel)
{
    Normalisation result;
    if (channel < transform.mean.size()) result.mean = transform.mean[channel];
    if (channel < transform.scale.size()) result.scale = transform.scale[channel];
    return result;
}

}  // namespace twinscreen
