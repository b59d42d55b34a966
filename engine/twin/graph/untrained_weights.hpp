#pragma once

#include <cstdint>

#include "engine/twin/graph/graph.hpp"
#include "engine/twin/safetensors.hpp"

namespace twinscreen {

/// The weights of a network of the same shape that has learned nothing: kernels and matrices are
/// normal with variance 2 / inputs (He et al. 2015), biases 0, norms the identity. Other tables
/// (positions, tokens) are normal with the mean and spread that they have; single numbers, vectors
/// beside these and indices stay. Value i of a tensor is drawn at (draw, untrained_weights, i / 4,
/// number of the tensor in the order of names).
SafetensorsFile untrained_weights(const SafetensorsFile& trained, const Graph& graph,
                                  std::uint64_t draw);

}  // namespace twinscreen
