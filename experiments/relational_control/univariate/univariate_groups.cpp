#include <algorithm>
#include <functional>

#include "experiments/relational_control/group_stage.hpp"
#include "experiments/relational_control/statistics/label_tests.hpp"
#include "experiments/relational_control/univariate/univariate_selection.hpp"

namespace twinscreen {
namespace {

/// Images of a set as rows of a table of usable images.
using Rows = std::vector<std::uint32_t>;

/// The tests of a block of iterations in parts, between which the job may be stopped: over many
/// images one takes minutes. Counts do not depend on where it is cut.
///
/// test_part  takes the block of a part, returns its tests
template <class TestPart>
std::vector<TrendTests> test_in_parts(const PermutationBlock& block,
                                      const std::function<void()>& check_stop,
                                      const TestPart& test_part)
{
    constexpr std::uint32_t part_iterations = 500;
    std::vector<TrendTests> tests;
    for (std::uint32_t done = 0; done < block.count; done += part_iterations) {
        check_stop();
        PermutationBlock part = block;
        part.first += done;
        part.count = std::min(part_iterations, block.count - done);
        std::vector<TrendTests> more = test_part(part);
        for (std::size_t at = 0; at < tests.size(); ++at) tests[at].merge(more[at]);
        if (tests.empty()) tests = std::move(more);
    }
    return tests;
}

class UnivariateGroups final : public GroupStage {
public:
    UnivariateGroups(const ControlSettings& settings, const Study& study,
                     const std::vector<GroupAnalysis>& analyses)
        : GroupStage(settings, study, analyses, "univariate_groups", row_names(),
                     control_conditions)
    {
    }

private:
    static std::vector<std::string> row_names()
    {
        std::vector<std::string> names(condition_names.begin(), condition_names.end());
        names.emplace_back("correlation");
        return names;
    }

    void open(const StageHistory& history) override
    {
        responses_ = read_mean_responses(study(), history);
        baseline_ = read_univariate_baseline(study(), history);
        sets_.clear();
        for (std::size_t pair = 0; pair < study().pairs.size(); ++pair)
            for (std::size_t fold = 0; fold < study().folds.size(); ++fold)
                sets_.push_back(read_controlling_sets(history, study(), pair, fold));
    }

    std::uint64_t permutations() const override { return settings().univariate->permutations; }

    /// Responses of the test subject in the areas of an analysis [usable images, areas].
    std::vector<float> responses_of(const Case& one) const
    {
        std::vector<float> table;
        const std::size_t subject = *study().folds[one.fold].test;
        for (const std::uint32_t image : responses_.usable)
            for (const std::size_t area : one.analysis->areas)
                table.push_back(responses_.at(image, study().population(subject, area)));
        return table;
    }

    std::vector<TrendTests> test(const Case& one) const override
    {
        const std::vector<std::size_t>& areas = one.analysis->areas;
        const std::vector<float> table = responses_of(one);
        const auto place_of = [&](std::size_t area) {
            return static_cast<std::size_t>(std::ranges::find(areas, area) - areas.begin());
        };
        LabelStudy labels;
        labels.responses = table;
        labels.areas = static_cast<std::uint32_t>(areas.size());
        labels.groups = one.analysis->groups;
        std::vector<std::array<Rows, control_conditions>> sets(one.analysis->pairs.size());
        for (std::size_t at = 0; at < sets.size(); ++at) {
            const std::size_t pair = one.analysis->pairs[at];
            const ControllingSets& images = sets_[pair * study().folds.size() + one.fold];
            auto& views = labels.sets.emplace_back();
            for (std::size_t condition = 0; condition < control_conditions; ++condition) {
                sets[at][condition] = responses_.rows_of(images[condition]);
                views[condition] = sets[at][condition];
            }
            labels.pairs.push_back(
                {place_of(study().pairs[pair].first), place_of(study().pairs[pair].second)});
        }
        std::vector<Rows> baselines;
        for (const std::size_t area : areas)
            baselines.push_back(responses_.rows_of(baseline_.of(one.fold, area)));
        labels.baselines.assign(baselines.begin(), baselines.end());

        const PermutationBlock block{one.seed, 2 * one.item, 0,
                                     static_cast<std::uint32_t>(permutations())};
        return test_in_parts(block, one.check_stop, [&](const PermutationBlock& part) {
            std::vector<TrendTests> tests = one.analysis->kind == GroupKind::distance
                                                ? permute_area_labels(labels, part)
                                                : permute_area_positions(labels, part);
            PermutationBlock other = part;
            other.item = 2 * one.item + 1;
            tests.push_back(
                permute_correlations(table, labels.areas, labels.pairs, labels.groups, other));
            return tests;
        });
    }

    MeanResponses responses_;
    UnivariateBaselineSets baseline_;
    std::vector<ControllingSets> sets_;  ///< [pairs * folds]
};

}  // namespace

std::unique_ptr<ControlStage> make_univariate_groups(const ControlSettings& settings,
                                                     const Study& study,
                                                     const std::vector<GroupAnalysis>& analyses)
{
    return std::make_unique<UnivariateGroups>(settings, study, analyses);
}

}  // namespace twinscreen
