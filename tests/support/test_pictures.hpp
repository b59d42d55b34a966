#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "kernels/image.hpp"

namespace twinscreen::test {

template <class T>
Picture picture_of(int height, int width, int channels)
{
    Picture picture{height, width, channels, false,
                    OwnedBatch(element_type_of<T>(), {height, width, channels})};
    auto pixel = picture.pixels.values<T>().begin();
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x)
            for (int c = 0; c < channels; ++c)
                *pixel++ =
                    static_cast<T>(((x * 37 + y * 91 + c * 53 + (x * y) % 17 * 29) * 7) % 256);
    return picture;
}

inline InputTransform canvas_of(int channels, int height, int width, InputTransform::Fit fit)
{
    InputTransform canvas;
    canvas.channels = channels;
    canvas.height = height;
    canvas.width = width;
    canvas.fit = fit;
    canvas.mean.assign(static_cast<std::size_t>(channels), 110.3F);
    canvas.scale.assign(static_cast<std::size_t>(channels), 57.7F);
    if (channels == 3) {
        canvas.mean = {123.675F, 116.28F, 103.53F};
        canvas.scale = {58.395F, 57.12F, 57.375F};
    }
    return canvas;
}

/// Every fit, filter, number of channels and layout, for inputs of 12 x 10 pixels.
inline std::vector<InputTransform> every_transform()
{
    using Fit = InputTransform::Fit;
    std::vector<InputTransform> all;
    for (const Fit fit : {Fit::exact, Fit::stretch, Fit::cover, Fit::crop})
        for (int filter = 0; filter <= static_cast<int>(ResizeFilter::torch_bicubic_antialias);
             ++filter)
            for (const int channels : {1, 3})
                for (const bool channels_last : {false, true}) {
                    all.push_back(canvas_of(channels, 12, 10, fit));
                    all.back().filter = static_cast<ResizeFilter>(filter);
                    all.back().channels_last = channels_last;
                }
    return all;
}

/// Heights and widths of pictures that the transform takes: its own, smaller, larger, mixed, and
/// with one side as it is.
inline std::vector<std::pair<int, int>> sizes_for(const InputTransform& transform)
{
    switch (transform.fit) {
        case InputTransform::Fit::exact: return {{transform.height, transform.width}};
        case InputTransform::Fit::crop: return {{12, 10}, {31, 10}, {12, 47}, {29, 38}};
        case InputTransform::Fit::stretch:
        case InputTransform::Fit::cover: break;
    }
    return {{12, 10}, {1, 1}, {5, 4}, {61, 22}, {30, 47}, {7, 90}, {12, 33}, {50, 10}, {113, 97}};
}

}  // namespace twinscreen::test
