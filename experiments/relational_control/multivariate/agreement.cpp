#include "experiments/relational_control/multivariate/agreement.hpp"

#include <algorithm>

#include "experiments/relational_control/multivariate/similarity_stage.hpp"

namespace twinscreen {

void Agreement::open(const StageHistory& history)
{
    patterns_ = read_patterns(study_, history);
    stored_.clear();
    if (form_ == SimilarityForm::factors) return;
    for (std::size_t view = 0; view < views_.views.size(); ++view)
        stored_.push_back(static_cast<const float*>(
            history.map(SimilarityStage::stage_name, ColumnId{static_cast<std::uint32_t>(view)})
                .data));
}

std::uint32_t Agreement::item(std::uint32_t image) const
{
    return static_cast<std::uint32_t>(std::ranges::lower_bound(patterns_.images, image) -
                                      patterns_.images.begin());
}

std::unique_ptr<PairSimilarity> Agreement::of(std::size_t view, std::size_t pair) const
{
    const AreaPair& areas = study_.pairs[pair];
    if (form_ == SimilarityForm::factors)
        return from_factors(patterns_of(view, areas.first), patterns_of(view, areas.second));
    return from_stored({stored_[view], items(), static_cast<std::uint32_t>(study_.areas.size()),
                        static_cast<std::uint32_t>(areas.first),
                        static_cast<std::uint32_t>(areas.second)});
}

std::vector<WeightedPatterns> Agreement::patterns_of(std::size_t view, std::size_t area) const
{
    std::vector<WeightedPatterns> populations;
    for (const PopulationShare& share : views_.views[view].areas[area]) {
        const Population& population = study_.populations[share.population];
        populations.push_back({{patterns_.values + population.first_column, items(),
                                static_cast<std::uint32_t>(population.units.size()),
                                patterns_.columns, patterns_.images.data()},
                               static_cast<float>(share.weight)});
    }
    return populations;
}

}  // namespace twinscreen
