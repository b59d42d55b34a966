// In place of engine/base/available_memory.cpp: a campaign may ask for twins of many gigabytes,
// which a machine of this size refuses.

#include "engine/base/memory.hpp"

namespace twinscreen {

std::size_t available_memory() { return std::size_t{8} << 20U; }  // [bytes]

}  // namespace twinscreen
