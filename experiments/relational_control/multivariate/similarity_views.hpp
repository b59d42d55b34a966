#pragma once

#include <cstddef>
#include <vector>

#include "experiments/relational_control/study/study.hpp"

namespace twinscreen {

/// Whose representational similarities are averaged in one area: populations with their shares.
struct PopulationShare {
    std::size_t population = 0;
    double weight = 1.0;

    friend bool operator==(const PopulationShare&, const PopulationShare&) = default;
};

/// One way to see all areas: through the mean similarities of some subjects. Sets are chosen
/// through the view of a fold's training subjects and tested through that of the test subject.
struct SimilarityView {
    std::string name;
    std::vector<std::vector<PopulationShare>> areas;  ///< [areas], weights add up to 1
};

/// Every view that a study needs, each once.
struct SimilarityViews {
    std::vector<SimilarityView> views;
    std::vector<std::size_t> train;  ///< [folds] view of the training subjects
    std::vector<std::size_t> test;   ///< [folds] view of the test subject; folds without one: train

    Table table(const Study& study) const;
};

SimilarityViews similarity_views(const Study& study);

}  // namespace twinscreen
