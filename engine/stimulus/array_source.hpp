#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "engine/stimulus/npy.hpp"
#include "engine/stimulus/source.hpp"

namespace twinscreen {

/// Order of the axes of an array of pictures.
enum class ArrayLayout { nhw, nhwc, nchw };

struct ArrayOptions {
    std::optional<ArrayLayout> layout;  ///< absent: inferred where the shape leaves no doubt
    std::optional<double> range_low;    ///< value of black; needed for float arrays
    std::optional<double> range_high;   ///< value of white
    bool prepared = false;              ///< float values are the twin's network input itself
};

/// Pictures of one array, read item by item at its offset; never whole, never mapped.
/// `display` names file and dataset in messages. Throws Error(data).
std::unique_ptr<StimulusSource> make_array_source(ReadFile file, ArrayHeader header,
                                                  std::string display, const ArrayOptions& options);

}  // namespace twinscreen
