#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/twin/safetensors.hpp"

namespace twinscreen {

/// Values of one tensor, row-major, widened to double so that folding loses nothing.
struct Weights {
    std::vector<std::int64_t> shape;
    std::vector<double> values;
};

/// Takes tensors out of a bundle's weight file and insists on what a family expects of them.
class WeightReader {
public:
    WeightReader(std::string bundle, const SafetensorsFile& file);

    bool has(const std::string& tensor) const;
    /// A finite tensor of 32- or 64-bit floats; an expected extent of -1 fits any. Throws
    /// Error(data) with bundle, tensor, found and expected.
    Weights read(const std::string& tensor, const std::vector<std::int64_t>& expected_shape) const;
    const std::string& bundle() const noexcept { return bundle_; }

private:
    std::string bundle_;
    const SafetensorsFile& file_;
};

}  // namespace twinscreen
