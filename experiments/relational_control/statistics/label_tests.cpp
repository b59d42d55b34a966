#include "experiments/relational_control/statistics/label_tests.hpp"

#include <algorithm>
#include <cmath>

#include "engine/base/error.hpp"
#include "kernels/partial_shuffle.hpp"
#include "kernels/permuted_labels.hpp"

namespace twinscreen {
namespace {

/// Values are kept as [slots, most_labels], one slot for each image of a set; an offset into them
/// is slot * most_labels + area.
using Offsets = std::vector<std::uint32_t>;
using Values = std::vector<double>;

TrendDirection direction_of(std::size_t condition)
{
    const auto tested = static_cast<ControlCondition>(condition);
    return wants_high(tested, 0) == wants_high(tested, 1) ? TrendDirection::falling
                                                          : TrendDirection::rising;
}

/// Which values the statistics of a study need.
class Plan {
public:
    explicit Plan(const LabelStudy& study) : study_(study)
    {
        check();
        for (const auto& ids : study.baselines)
            images_.insert(images_.end(), ids.begin(), ids.end());
        for (const auto& sets : study.sets)
            for (const auto& ids : sets) images_.insert(images_.end(), ids.begin(), ids.end());
        std::ranges::sort(images_);
        images_.erase(std::unique(images_.begin(), images_.end()), images_.end());
        const std::size_t images = study.responses.size() / study.areas;
        TWINSCREEN_REQUIRE(images_.empty() || images_.back() < images, internal,
                           "image {} of a set is not among {} images", images_.back(), images);
        for (std::size_t area = 0; area < study.areas; ++area)
            add(baselines_.emplace_back(), study.baselines[area], area);
        for (std::size_t condition = 0; condition < control_conditions; ++condition)
            for (const auto& pairs : study.groups) {
                Offsets& offsets = terms_[condition].emplace_back();
                for (const std::uint32_t pair : pairs) {
                    add(offsets, study.sets[pair][condition], study.pairs[pair].first);
                    add(offsets, study.sets[pair][condition], study.pairs[pair].second);
                }
            }
    }

    std::span<const std::uint32_t> images() const noexcept { return images_; }

    /// Offsets of all values that are used, each once, ascending.
    Offsets used() const
    {
        Offsets all;
        for (const auto& offsets : baselines_)
            all.insert(all.end(), offsets.begin(), offsets.end());
        for (const auto& groups : terms_)
            for (const auto& offsets : groups)
                all.insert(all.end(), offsets.begin(), offsets.end());
        std::ranges::sort(all);
        all.erase(std::unique(all.begin(), all.end()), all.end());
        return all;
    }

    Values observed() const
    {
        Values values(images_.size() * most_labels, 0.0);
        for (std::size_t slot = 0; slot < images_.size(); ++slot)
            for (std::size_t area = 0; area < study_.areas; ++area)
                values[slot * most_labels + area] = static_cast<double>(
                    study_.responses[std::size_t{images_[slot]} * study_.areas + area]);
        return values;
    }

    /// Sums of the groups of one condition, as distances from the baselines.
    ///
    /// baselines  [most_labels]
    void sums(const Values& values, std::size_t condition,
              const std::array<double, most_labels>& baselines, std::span<GroupSum> sums) const
    {
        for (std::size_t group = 0; group < sums.size(); ++group) {
            const Offsets& offsets = terms_[condition][group];
            double sum = 0.0;
            for (const std::uint32_t offset : offsets)
                sum += std::fabs(values[offset] - baselines[offset % most_labels]);
            sums[group] = {sum, static_cast<double>(offsets.size())};
        }
    }

    /// Mean over the baseline images of each area; 0 / 0 = NaN where there are none.
    std::array<double, most_labels> baselines(const Values& values) const
    {
        std::array<double, most_labels> means{};
        for (std::size_t area = 0; area < baselines_.size(); ++area) {
            double sum = 0.0;
            for (const std::uint32_t offset : baselines_[area]) sum += values[offset];
            means[area] = sum / static_cast<double>(baselines_[area].size());
        }
        return means;
    }

private:
    void check() const
    {
        TWINSCREEN_REQUIRE(study_.areas >= 2 && study_.areas <= most_labels &&
                               study_.baselines.size() == study_.areas &&
                               study_.sets.size() == study_.pairs.size(),
                           internal, "a study of {} areas with {} baselines, {} pairs with {} sets",
                           study_.areas, study_.baselines.size(), study_.pairs.size(),
                           study_.sets.size());
        for (const AreaPair& pair : study_.pairs)
            TWINSCREEN_REQUIRE(pair.first < study_.areas && pair.second < study_.areas, internal,
                               "areas {} and {} of {}", pair.first, pair.second, study_.areas);
        for (const auto& group : study_.groups)
            for (const std::uint32_t pair : group)
                TWINSCREEN_REQUIRE(pair < study_.pairs.size(), internal, "pair {} of {}", pair,
                                   study_.pairs.size());
        TWINSCREEN_REQUIRE(
            std::ranges::none_of(study_.responses, [](float u) { return std::isnan(u); }), internal,
            "responses to relabel contain NaN");
    }

    void add(Offsets& offsets, std::span<const std::uint32_t> ids, std::size_t area) const
    {
        for (const std::uint32_t id : ids) {
            const auto slot =
                static_cast<std::size_t>(std::ranges::lower_bound(images_, id) - images_.begin());
            offsets.push_back(static_cast<std::uint32_t>(slot * most_labels + area));
        }
    }

    const LabelStudy& study_;
    std::vector<std::uint32_t> images_;                           // [slots] ascending
    std::vector<Offsets> baselines_;                              // [areas]
    std::array<std::vector<Offsets>, control_conditions> terms_;  // [condition][group]
};

/// Tests all conditions; draw(t, values) fills the values of iteration t.
template <class Draw>
ConditionTrends run(const Plan& plan, std::size_t groups, const PermutationBlock& block,
                    const Draw& draw)
{
    Values values = plan.observed();
    std::vector<GroupSum> sums(groups);
    ConditionTrends tests;
    for (std::size_t condition = 0; condition < control_conditions; ++condition) {
        plan.sums(values, condition, plan.baselines(values), sums);
        tests.emplace_back(sums, direction_of(condition));
    }
    for (std::uint32_t t = block.first; t < block.first + block.count; ++t) {
        draw(t, values);
        const auto baselines = plan.baselines(values);
        for (std::size_t condition = 0; condition < control_conditions; ++condition) {
            plan.sums(values, condition, baselines, sums);
            tests[condition].add(sums);
        }
    }
    return tests;
}

}  // namespace

ConditionTrends permute_area_labels(const LabelStudy& study, const PermutationBlock& block)
{
    const Plan plan(study);
    const Values observed = plan.observed();
    std::array<LabelCode, label_block> codes{};
    return run(plan, study.groups.size(), block, [&](std::uint32_t t, Values& values) {
        const DrawAddress at = block.address(DrawStream::permuted_labels, t);
        values = observed;
        for (std::size_t slot = 0; slot < plan.images().size(); ++slot) {
            if (slot % label_block == 0)
                draw_labels(at, static_cast<std::uint32_t>(slot / label_block), study.areas, codes);
            relabel(codes[slot % label_block], values.data() + slot * most_labels);
        }
    });
}

ConditionTrends permute_area_positions(const LabelStudy& study, const PermutationBlock& block)
{
    const Plan plan(study);
    const Offsets used = plan.used();
    PartialShuffle shuffle(static_cast<std::uint32_t>(study.responses.size()));
    std::vector<std::uint32_t> drawn(used.size());
    return run(plan, study.groups.size(), block, [&](std::uint32_t t, Values& values) {
        shuffle.draw(block.address(DrawStream::permuted_images, t), drawn);
        for (std::size_t place = 0; place < used.size(); ++place)
            values[used[place]] = static_cast<double>(study.responses[drawn[place]]);
    });
}

TrendTests permute_correlations(std::span<const float> responses, std::uint32_t areas,
                                std::span<const AreaPair> pairs, const PairGroups& groups,
                                const PermutationBlock& block)
{
    const LabelCorrelations correlations(responses, areas);
    const auto sums_of = [&](const LabelCorrelations::Pairs& of_pairs) {
        std::vector<GroupSum> sums(groups.size());
        for (std::size_t group = 0; group < groups.size(); ++group)
            for (const std::uint32_t at : groups[group]) {
                const auto [first, second] = std::minmax(pairs[at].first, pairs[at].second);
                TWINSCREEN_REQUIRE(first < second && second < areas, internal,
                                   "areas {} and {} of {}", first, second, areas);
                sums[group].sum += of_pairs[label_pair(first, second)];
                sums[group].count += 1.0;
            }
        return sums;
    };
    TrendTests tests(sums_of(correlations.observed()), TrendDirection::falling);
    for (std::uint32_t t = block.first; t < block.first + block.count; ++t)
        tests.add(sums_of(correlations.permuted(block.address(DrawStream::permuted_labels, t))));
    return tests;
}

}  // namespace twinscreen
