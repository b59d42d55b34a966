#pragma once

#include <utility>
#include <vector>

#include "experiments/relational_control/control_stage.hpp"
#include "experiments/relational_control/multivariate/similarity_views.hpp"
#include "experiments/relational_control/responses/patterns.hpp"

namespace twinscreen {

/// Two populations whose similarities are multiplied; first <= second.
using PopulationPair = std::pair<std::size_t, std::size_t>;

/// What distances between the similarities of areas are made of, each once: every two populations
/// of a view, ascending.
std::vector<PopulationPair> pairs_to_multiply(const SimilarityView& view);

/// Squared distances between the similarities of areas, over pairs of all items [areas, areas].
///
/// products  [pairs_to_multiply(view)]
std::vector<double> similarity_distances(const SimilarityView& view,
                                         const std::vector<double>& products);
/// The same over the pairs of a set of items.
std::vector<double> similarity_distances_of_set(const Patterns& patterns, const Study& study,
                                                const SimilarityView& view,
                                                std::span<const std::uint32_t> items);

/// Products of the similarities of two populations, summed over every two images, one pair of
/// populations an item: memory and time do not grow with the square of the images, and areas as
/// wide as they like are shared out over ranks.
///
/// /columns/product  f64 [pair of populations]
class SimilarityProducts final : public ControlStage {
public:
    static constexpr const char* stage_name = "similarity_products";

    SimilarityProducts(const Study& study, const SimilarityViews& views)
        : study_(study), view_(views.views[views.train.front()])
    {
    }

    std::string name() const override { return stage_name; }
    StagePlan plan(const CampaignInputs&, const StageHistory&) override;
    void run(const Shard&, ShardTools&) override;
    std::string outlook() const override;

private:
    const Study& study_;
    const SimilarityView& view_;  ///< of all subjects
    Patterns patterns_;
    std::vector<PopulationPair> pairs_;
};

/// Of the finished stage.
std::vector<double> read_similarity_products(const StageHistory& history);

}  // namespace twinscreen
