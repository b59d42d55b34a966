#pragma once

#include <string>
#include <vector>

#include "experiments/relational_control/statistics/trend_tests.hpp"
#include "experiments/relational_control/study/study.hpp"

namespace twinscreen {

/// One question about groups of pairs of areas: do they differ by cortical distance, or within and
/// between categories (Gifford et al. 2024)?
struct GroupAnalysis {
    std::string name;
    GroupKind kind = GroupKind::distance;
    std::vector<std::size_t> pairs;  ///< of the study, that the groups have
    std::vector<std::size_t> areas;  ///< of the study, that these pairs compare
    PairGroups groups;               ///< places in `pairs`
};

/// Finds the pairs that the campaign names. Mistakes are complained of in `[[groups]]` of the
/// section.
std::vector<GroupAnalysis> find_groups(const ControlSettings& settings, const Study& study,
                                       ConfigSection& section);

/// Most groups of any analysis.
std::size_t most_groups(const std::vector<GroupAnalysis>& analyses);
/// Name, kind and pairs of every analysis.
Table group_table(const std::vector<GroupAnalysis>& analyses, const Study& study);
/// The names of the trends: "ends", "slope", "smallest_step".
Table trend_table();
/// The trend whose test is corrected and counted over subjects: as published, the one that ignores
/// groups in between; corrected, the slope, on which all groups have influence.
Trend counted_trend(Compat compat);

}  // namespace twinscreen
