#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/twin/families.hpp"
#include "engine/twin/readout.hpp"
#include "engine/twin/twin.hpp"
#include "engine/twin/weights.hpp"

namespace twinscreen {

// Readouts of maps [channels, height, width] that pool every channel with a field of the unit's own
// and weigh the pooled features:
//
//   response[u] = bias[u] + sum over taps l and channels c of
//                 weight[u, (l, c)] * g(sum over pixels p of field_l[u, p] * g(map_l[c, p]))
//
//   factorised  g is the identity, any field: space x feature (Klindt et al. 2017)
//   sampled     g is the identity; the field is one place, between four pixels (Lurz et al. 2021,
//               at inference, where the place is the mean of the Gaussian)
//   fwrf        g(t) = ln(1 + |t|) tanh(t), any field: feature-weighted receptive field
//               (St-Yves & Naselaris 2018; this g and learnt fields: Allen et al. 2022)

/// "factorised", "sampled", "fwrf".
const std::vector<std::string>& field_readouts();
bool is_field_readout(const std::string& readout);

/// Names of the tensors that such a readout may own; the n-th tap's field is either `field.n` or
/// `field_logits.n`.
std::vector<std::string> field_tensors(const NetworkEntry& entry);

/// The readout from its tensors, each with <prefix>readout. before it:
///
/// weight        [units, channels of all taps]  in the order of the taps
/// bias          [units]
/// field.n       [units, pixels of tap n]       n = 0, 1, ...
/// field_logits.n                               the same, to go through a softmax over the pixels
/// position      [units, 2]                     of `sampled`: x, y as bilinear_sample takes them
///
/// taps  one per tap of the entry. Throws Error(data) for tensors that are missing or do not fit.
std::unique_ptr<Readout> read_field_readout(const NetworkEntry& entry, const WeightReader& weights,
                                            Precision precision, std::span<const TapId> taps);

}  // namespace twinscreen
