#pragma once

#include "kernels/image.hpp"
#include "kernels/resample.hpp"

namespace twinscreen {

/// Which pixels of a picture a network's input is made of.
struct FittedAxes {
    ResampledAxis rows;
    ResampledAxis columns;
};

/// Throws Error(data) if a transform of `exact` or `crop` cannot take a picture of this size. Pure.
FittedAxes fitted_axes(const InputTransform& transform, const Picture& picture);

/// Throws Error(data) if the picture is empty, or it or the transform has a number of channels that
/// pictures do not have.
void require_picture(const Picture& picture);
void require_input_of_pictures(const InputTransform& transform);

/// What one channel of a network's input is normalised with: (value - mean) / scale.
struct Normalisation {
    float mean = 0.0F;
    float scale = 1.0F;
};
Normalisation normalisation_of(const InputTransform& transform, std::size_t channel);

}  // namespace twinscreen
