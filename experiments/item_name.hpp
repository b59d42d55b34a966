#pragma once

#include <cstdint>
#include <string>

#include "engine/stimulus/source.hpp"

namespace twinscreen {

/// "item 12 (image0013.jpg)": the file name of an item where it has one, else its number.
std::string name_of_item(const StimulusSource& stimuli, std::uint64_t item);

}  // namespace twinscreen
