#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/twin/tap_features.hpp"
#include "engine/twin/twin.hpp"

namespace twinscreen {

/// A readout that was fitted to features of taps of one network.
struct FittedReadout {
    struct Tensor {
        std::string name;  ///< "kernel", "bias"
        std::vector<std::int64_t> shape;
        std::vector<double> values;
    };
    std::string name;     ///< of the new twin
    std::string readout;  ///< "dense", "factorised"
    std::vector<std::string> taps;
    TapFeatures features;
    std::vector<Tensor> tensors;
    std::string response_unit;
    std::string remark;  ///< what it was fitted to, behind the citation of the network
    Table units;         ///< with the columns of every unit table
};

/// Why no bundle can be made of readouts on this twin's taps; empty if one can.
std::string reason_against_bundle(const Twin& base);

/// Writes a bundle: the network of `base` with the fitted readout in place of its own; an existing
/// folder of that name is replaced as a whole. Twins that differ in readouts only share a backbone.
/// Throws Error(store) if it cannot be written, Error(data) if the base bundle has changed.
void write_fitted_bundle(const Twin& base, const FittedReadout& fitted,
                         const std::filesystem::path& folder);

}  // namespace twinscreen
