#pragma once

#include <cstddef>

namespace twinscreen {

/// Two areas by their place in a list of areas.
struct AreaPair {
    std::size_t first = 0;
    std::size_t second = 0;
};

}  // namespace twinscreen
