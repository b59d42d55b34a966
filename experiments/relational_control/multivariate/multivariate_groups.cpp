#include <algorithm>

#include "experiments/relational_control/group_stage.hpp"
#include "experiments/relational_control/multivariate/multivariate_baseline.hpp"
#include "experiments/relational_control/multivariate/multivariate_search.hpp"
#include "experiments/relational_control/statistics/pair_label_tests.hpp"

namespace twinscreen {
namespace {

class MultivariateGroups final : public GroupStage {
public:
    MultivariateGroups(const ControlSettings& settings, const Study& study,
                       const SimilarityViews& views, const std::vector<GroupAnalysis>& analyses)
        : GroupStage(settings, study, analyses, "multivariate_groups",
                     {"align", "disentangle", "baseline"}, 3),
          views_(views)
    {
    }

private:
    void open(const StageHistory& history) override
    {
        nulls_ = read_null_agreement(history);
        found_ = read_found_test_scores(history);
        baseline_ = read_multivariate_baseline(history).test;
    }

    std::uint64_t permutations() const override { return settings().multivariate->permutations; }

    std::vector<TrendTests> test(const Case& one) const override
    {
        constexpr std::size_t slices = 3;  // for the aligning, disentangling and baseline sets
        const std::vector<std::size_t>& pairs = one.analysis->pairs;
        const std::size_t all = study().pairs.size();
        const std::uint64_t draws = slices * permutations();
        std::vector<double> nulls(pairs.size() * draws);
        std::array<std::vector<double>, slices> observed;
        for (std::size_t at = 0; at < pairs.size(); ++at) {
            for (std::uint64_t draw = 0; draw < draws; ++draw)
                nulls[at * draws + draw] = static_cast<double>(
                    nulls_[(draw * views_.views.size() + views_.test[one.fold]) * all + pairs[at]]);
            const std::size_t cell = pairs[at] * study().folds.size() + one.fold;
            for (std::size_t objective = 0; objective < objectives.size(); ++objective)
                observed[objective].push_back(found_[cell * objectives.size() + objective]);
            observed[2].push_back(baseline_[cell]);
        }
        PairScores scores;
        scores.null_scores = nulls;
        scores.pairs = pairs.size();
        std::ranges::copy(observed, scores.observed.begin());
        const auto iterations = static_cast<std::uint32_t>(permutations());
        return permute_pair_labels(scores, one.analysis->groups, settings().compat, iterations,
                                   {one.seed, one.item, 0, iterations});
    }

    const SimilarityViews& views_;
    const float* nulls_ = nullptr;  ///< [draws, views, pairs]
    std::vector<double> found_;     ///< [pairs, folds, objectives]
    std::vector<double> baseline_;  ///< [pairs, folds]
};

}  // namespace

std::unique_ptr<ControlStage> make_multivariate_groups(const ControlSettings& settings,
                                                       const Study& study,
                                                       const SimilarityViews& views,
                                                       const std::vector<GroupAnalysis>& analyses)
{
    return std::make_unique<MultivariateGroups>(settings, study, views, analyses);
}

}  // namespace twinscreen
