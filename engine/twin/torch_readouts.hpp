#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/twin/families.hpp"
#include "engine/twin/readout.hpp"
#include "engine/twin/twin.hpp"

namespace twinscreen {

/// Dense linear map of a tap.
///
/// weights  [outputs, values of the tap row];  bias  [outputs]
std::unique_ptr<Readout> dense_readout(const std::vector<double>& weights,
                                       const std::vector<double>& bias, const Shape& tap_row,
                                       Precision precision, TapId tap = TapId{0});
/// The same of the features of one or several taps, one after the other, from the tensors
/// <prefix>readout.kernel [features, units] and <prefix>readout.bias [units].
std::unique_ptr<Readout> read_dense_readout(const NetworkEntry& entry, const Backbone& backbone,
                                            std::span<const TapId> taps,
                                            const WeightReader& weights, Precision precision);

/// Output n = bias[n] + sum over pixels p of pool[p][n] * (mixing_bias[n] + map[p] . mixing[:, n]).
struct MixingPool {
    std::vector<double> mixing;       ///< [channels, outputs]
    std::vector<double> mixing_bias;  ///< [outputs]
    std::vector<double> pool;         ///< [pixels, outputs]
    std::vector<double> bias;         ///< [outputs]
};
std::unique_ptr<Readout> mixing_pool_readout(MixingPool weights, const Shape& tap_row,
                                             Precision precision);

/// Output = bias + sum of weight * output of `inner`: a linear readout of features, and measures
/// too wide to fold into a readout's own weights.
///
/// weights  [outputs, inner outputs];  bias  [outputs]
std::unique_ptr<Readout> combined_readout(std::unique_ptr<Readout> inner,
                                          std::vector<double> weights, std::vector<double> bias,
                                          Precision precision);

/// The measure as a combination of the units that it needs; the others are not computed.
std::unique_ptr<Readout> combination(const Readout& readout, const LinearMeasure& measure,
                                     Precision precision);

}  // namespace twinscreen
