#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/config/section.hpp"
#include "experiments/relational_control/compat.hpp"

namespace twinscreen {

/// Responses of one area of one subject in a file: [images, units].
struct ImportedFile {
    std::filesystem::path file;
    std::string dataset;  ///< of an HDF5 file
    std::string subject;
    std::string area;
    std::filesystem::path noise_ceiling;  ///< .npy [units]; empty: unknown
};

/// An area by name: units for which a filter over the unit table holds. Parts of an area (FFA-1,
/// FFA-2) are one area of a wider filter.
struct AreaRule {
    std::string name;
    std::string units;
};

/// A subject of the study: units of these subjects of the unit table. More than one where areas
/// were recorded in different animals.
struct SubjectRule {
    std::string name;
    std::vector<std::string> members;
};

/// Univariate control (Gifford, Jastrzebowska, Singer & Cichy 2024).
struct UnivariateSettings {
    std::uint32_t images = 25;             ///< of a controlling set
    double margin = 0.04;                  ///< beyond the baseline, in units of the mean response
    std::uint64_t draws = 1'000'000;       ///< random sets of the baseline
    std::uint64_t permutations = 100'000;  ///< of image labels, for p
};

struct ControlSettings {
    std::string units = "noise_ceiling > 0.5";  ///< kept units
    std::string subject_column = "subject";
    std::vector<AreaRule> areas;        ///< empty: the values of the unit table's column
    std::vector<SubjectRule> subjects;  ///< empty: the subjects that have every area
    std::vector<std::string> pairs;     ///< "V1 - hV4"; empty: each two areas
    bool leave_one_out = true;
    bool patterns = true;  ///< store normalised patterns beside the mean responses
    Compat compat = Compat::corrected;
    std::vector<ImportedFile> imports;  ///< empty: the responses of the campaign's twins
    std::optional<UnivariateSettings> univariate;
};

/// Reads `[relational_control]`; mistakes are complained of in the section.
ControlSettings read_control_settings(ConfigSection& section);

}  // namespace twinscreen
