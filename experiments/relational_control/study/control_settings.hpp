#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/config/section.hpp"
#include "experiments/relational_control/generative/generative_settings.hpp"
#include "experiments/relational_control/labels/label_settings.hpp"
#include "experiments/relational_control/search/set_search.hpp"
#include "experiments/relational_control/study/compat.hpp"
#include "experiments/relational_control/study/session_settings.hpp"

namespace twinscreen {

/// Parts of the drawn sets that a null of differences takes: the baseline's and one for each
/// objective as published; corrected, each objective has a baseline of its own, so that the two
/// tests of a subject share no draws.
std::uint64_t null_slices(Compat compat);

/// Responses of one area of one subject in a file, [images, units], or of all units of a finished
/// screen.
struct ImportedFile {
    std::filesystem::path store;  ///< of the screen; then only `column` is given
    std::string column;
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

/// Whether groups of pairs are ordered by cortical distance, near to far, or are pairs within and
/// between categories.
enum class GroupKind { distance, category };

struct GroupRule {
    std::string name;
    GroupKind kind = GroupKind::distance;
    std::vector<std::vector<std::string>> groups;  ///< pairs by name, "V1 - V2"
};

/// Univariate control (Gifford, Jastrzebowska, Singer & Cichy 2024).
struct UnivariateSettings {
    std::uint32_t images = 25;  ///< of a controlling set
    double margin = 0.04;       ///< beyond the baseline, in units of the mean response
    /// Mean responses in units of their standard deviation over images, the margin too: for areas
    /// whose responses have different scales.
    bool standardise = false;
    std::uint64_t draws = 1'000'000;       ///< random sets of the baseline
    std::uint64_t permutations = 100'000;  ///< of image labels, for p
};

/// Multivariate control (Gifford et al. 2024).
struct MultivariateSettings {
    std::uint32_t images = 50;             ///< of a set
    std::uint64_t draws = 1'000'000;       ///< random sets of the baseline
    std::uint64_t permutations = 100'000;  ///< of them, for p
    SearchSettings search;                 ///< seed, chain and objective are set chain by chain
    bool compare_optimisers = false;       ///< all of them, on all subjects
    std::string similarities = "auto";     ///< "auto", "stored", "patterns"
    double stored_gib = 8.0;               ///< most that "auto" stores [GiB]

    /// What results of a search depend on.
    std::string text() const;
};

struct ControlSettings {
    std::string units = "noise_ceiling > 0.5";       ///< kept units
    std::vector<std::filesystem::path> unit_scores;  ///< tables of accuracies, by id
    std::string subject_column = "subject";
    std::vector<AreaRule> areas;        ///< empty: the values of the unit table's column
    std::vector<SubjectRule> subjects;  ///< empty: the subjects that have every area
    std::vector<std::string> pairs;     ///< "V1 - hV4"; empty: each two areas
    std::vector<GroupRule> groups;
    bool leave_one_out = true;
    bool patterns = true;  ///< store normalised patterns beside the mean responses
    Compat compat = Compat::corrected;
    std::vector<ImportedFile> imports;  ///< empty: the responses of the campaign's twins
    std::optional<UnivariateSettings> univariate;
    std::optional<MultivariateSettings> multivariate;
    std::optional<ImageLabelSettings> image_labels;
    std::optional<SessionSettings> session;
    std::optional<GenerativeSettings> generative;
};

/// Reads `[relational_control]`; mistakes are complained of in the section.
ControlSettings read_control_settings(ConfigSection& section);

}  // namespace twinscreen
