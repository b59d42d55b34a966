#pragma once

#include <cstdint>
#include <vector>

namespace twinscreen {

/// Candidates of weights for bands of features, as one weight per feature [candidates][features]:
/// all bands alike, each band alone, then `draws` points of the simplex, uniform (Dirichlet of
/// ones, as in the random search of Dupré la Tour et al. 2022). Weights of a candidate have mean 1
/// over bands. Weight b of draw d comes from (seed, band_weights, d, b).
///
/// band  [features] number of each feature's band, below `bands`
std::vector<std::vector<double>> band_weights(const std::vector<std::uint32_t>& band,
                                              std::size_t bands, std::uint32_t draws,
                                              std::uint64_t seed);

}  // namespace twinscreen
