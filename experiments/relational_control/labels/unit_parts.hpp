#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "experiments/relational_control/labels/image_labels.hpp"
#include "experiments/relational_control/labels/label_settings.hpp"
#include "experiments/relational_control/study/study.hpp"

namespace twinscreen {

/// The kept units of two parts of an area, in every subject.
struct AreaParts {
    PartRule rule;
    /// [parts][subjects] columns of the responses of all kept units
    std::array<std::vector<std::vector<std::uint32_t>>, 2> units;

    /// Rule and units, as one digest.
    std::string digest() const;
};

/// units  the unit table that the study was made from, with the columns that filters see
/// Mistakes (an area that is not of the pair, a part without units, a unit in both parts, a
/// preference for a label that is none) are complained of in `[[parts]]` of the section.
std::vector<AreaParts> find_parts(const ImageLabelSettings& settings, const Study& study,
                                  const LabelTable& labels, const Table& units,
                                  ConfigSection& section);

}  // namespace twinscreen
