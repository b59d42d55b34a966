#pragma once

#include <string>

#include "engine/base/types.hpp"

namespace twinscreen {

struct NetworkTap {
    std::string name;  ///< "core"
    Shape row;         ///< [height, width, channels]; of a graph, whatever the node computes
};

}  // namespace twinscreen
