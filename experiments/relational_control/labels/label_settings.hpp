#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/config/section.hpp"

namespace twinscreen {

/// Two parts of an area, as filters over the unit table: dorsal and ventral units.
struct PartRule {
    std::string area;
    std::string first;
    std::string second;
    std::string first_prefers;  ///< the label to which the first part is expected to answer more
};

/// Two labels of the images about which two areas agree: `[relational_control.image_labels]`.
struct ImageLabelSettings {
    std::filesystem::path file;  ///< table of images and their labels; it may not exist yet
    std::string pair;            ///< "V1 - hV4"; empty: the first pair
    std::size_t pair_index = 0;
    std::vector<PartRule> parts;
};

/// Reads `[relational_control.image_labels]`; mistakes are complained of in the section.
ImageLabelSettings read_image_labels(ConfigSection section);

}  // namespace twinscreen
