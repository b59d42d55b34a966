#pragma once

#include <cstdint>
#include <optional>

#include "engine/base/shared_reads.hpp"
#include "engine/twin/twin.hpp"

namespace twinscreen {

/// The same features of a network of the same shape with random weights; nothing for twins that are
/// not features of a graph bundle. Its name is "NAME, untrained".
std::optional<Twin> untrained_twin(const Twin& twin, std::uint64_t draw, SharedReads& reads);

/// A twin that shares the backbones and owns readouts of its own.
Twin copy_of(const Twin& twin);

}  // namespace twinscreen
