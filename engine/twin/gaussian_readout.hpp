#pragma once

#include <memory>
#include <vector>

#include "engine/twin/readout.hpp"
#include "engine/twin/weights.hpp"

namespace twinscreen {

/// Point readout of a map (Lurz et al. 2021, at inference): bilinear sample at a position in
/// [-1, 1] (align_corners = true, zeros outside), dot product with the features, bias, ELU + 1.
///
/// taps are "core" [28, 56, 64] and, with a shifter, "shift" [2], added to every position.
struct GaussianWeights {
    std::vector<double> positions;  ///< [units, 2]: x along the width, y along the height
    std::vector<double> features;   ///< [units, 64]
    std::vector<double> bias;       ///< [units]
    bool shifted = false;
};

/// Positions are tanh of a small network of each unit's place in the recording, then clamped.
GaussianWeights read_gaussian(const WeightReader& reader, std::int64_t units, bool shifted);
std::unique_ptr<Readout> gaussian_readout(GaussianWeights weights);

}  // namespace twinscreen
