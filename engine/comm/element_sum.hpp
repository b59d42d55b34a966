#pragma once

#include <cstddef>
#include <span>

#include "engine/base/types.hpp"
#include "engine/comm/communicator.hpp"

namespace twinscreen {

/// Collective: adds the elements of all ranks, each by itself, in place. Floating types are summed
/// in double and rounded once; integers are exact modulo 2 to their bits, for up to 2^21 ranks.
///
/// elements  of host memory, aligned for their type
void sum_over_ranks(std::span<std::byte> elements, ElementType type, Communicator& communicator);

}  // namespace twinscreen
