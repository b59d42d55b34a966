#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "engine/base/shared_reads.hpp"
#include "engine/twin/trusted_code.hpp"
#include "engine/twin/twin.hpp"

namespace twinscreen {

struct LoadedBundle {
    Twin twin;
    std::filesystem::path samples;  ///< inputs and outputs to compare with; empty: none
};

/// load_bundle with a campaign's value for what a bundle leaves unknown; refuses to override a
/// value that the bundle states.
///
/// untrained  number of a draw: the network of the same shape with random weights
/// trusted    digests of programs that may run
/// throws     UntrustedCode for a program that has another one; it is not loaded
LoadedBundle open_bundle(const std::filesystem::path& folder, Precision precision,
                         SharedReads& reads, std::optional<double> degrees_per_pixel = {},
                         std::optional<std::uint64_t> untrained = {},
                         const TrustedDigests& trusted = {});

}  // namespace twinscreen
