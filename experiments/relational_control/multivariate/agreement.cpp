#include "experiments/relational_control/multivariate/agreement.hpp"

#include <algorithm>

#include "engine/base/log.hpp"
#include "experiments/relational_control/multivariate/similarity_stage.hpp"
#include "experiments/relational_control/search/view_scores.hpp"

namespace twinscreen {
namespace {

/// Of one view and pair, for chains that follow one another.
struct KeptPairs final : Kept {
    std::shared_ptr<const int> opening;  // shared, so that no other has its address
    std::size_t view = 0;
    std::size_t pair = 0;
    std::unique_ptr<DevicePairs> pairs;
};

constexpr double gib = 1024.0 * 1024.0 * 1024.0;

}  // namespace

void Agreement::open(const StageHistory& history)
{
    opening_ = std::make_shared<const int>(0);
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
    return from_stored(stored_of(view, pair));
}

DevicePairs* Agreement::on(Executor& executor, std::size_t view, std::size_t pair) const
{
    const auto* old = dynamic_cast<const KeptPairs*>(executor.kept().get());
    if (old != nullptr && old->opening == opening_ && old->view == view && old->pair == pair)
        return old->pairs.get();
    executor.kept().reset();
    executor.synchronize();  // what is free is known afterwards
    const std::uint64_t bytes = bytes_on_device_of(view, pair);
    if (bytes > executor.free_bytes()) {
        if (!has_warned_)
            spdlog::warn(
                "searches run on the processor: similarities and room for a search take "
                "{:.1f} GiB, {} has {:.1f} GiB free",
                static_cast<double>(bytes) / gib, executor.name(),
                static_cast<double>(executor.free_bytes()) / gib);
        has_warned_ = true;
        return nullptr;
    }
    const AreaPair& areas = study_.pairs[pair];
    auto kept = std::make_unique<KeptPairs>();
    kept->opening = opening_;
    kept->view = view;
    kept->pair = pair;
    kept->pairs =
        form_ == SimilarityForm::stored
            ? stored_on(stored_of(view, pair), executor)
            : factors_on(patterns_of(view, areas.first), patterns_of(view, areas.second), executor);
    DevicePairs* pairs = kept->pairs.get();
    executor.kept() = std::move(kept);
    return pairs;
}

StoredSimilarities Agreement::stored_of(std::size_t view, std::size_t pair) const
{
    const AreaPair& areas = study_.pairs[pair];
    return {stored_[view], items(), static_cast<std::uint32_t>(study_.areas.size()),
            static_cast<std::uint32_t>(areas.first), static_cast<std::uint32_t>(areas.second)};
}

std::uint64_t Agreement::bytes_on_device_of(std::size_t view, std::size_t pair) const
{
    const AreaPair& areas = study_.pairs[pair];
    if (form_ == SimilarityForm::stored) return bytes_on_device(stored_of(view, pair));
    return bytes_on_device(patterns_of(view, areas.first), patterns_of(view, areas.second));
}

std::uint64_t Agreement::bytes_of_set(std::size_t view, std::size_t pair,
                                      std::uint32_t set_size) const
{
    if (form_ == SimilarityForm::stored)
        return 2 * std::uint64_t{pair_count(set_size)} * sizeof(float);
    std::uint64_t units = 0;
    for (const std::size_t area : {study_.pairs[pair].first, study_.pairs[pair].second})
        for (const PopulationShare& share : views_.views[view].areas[area])
            units += study_.populations[share.population].units.size();
    return set_size * units * sizeof(float);
}

std::vector<WeightedPatterns> Agreement::patterns_of(std::size_t view, std::size_t area) const
{
    std::vector<WeightedPatterns> populations;
    for (const PopulationShare& share : views_.views[view].areas[area])
        populations.push_back({rows_of(share.population), static_cast<float>(share.weight)});
    return populations;
}

PatternRows Agreement::rows_of(std::size_t population) const
{
    const Population& units = study_.populations[population];
    return {patterns_.values + units.first_column, items(),
            static_cast<std::uint32_t>(units.units.size()), patterns_.columns,
            patterns_.images.data()};
}

void Agreement::score_all(std::span<const std::uint32_t> sets, std::uint32_t set_size,
                          std::span<double> scores) const
{
    if (form_ == SimilarityForm::stored) return score_stored(sets, set_size, scores);
    std::vector<PatternRows> populations;
    for (std::size_t at = 0; at < study_.populations.size(); ++at)
        populations.push_back(rows_of(at));
    const auto shares_of = [&](std::size_t view, std::size_t area) {
        std::vector<ViewScores::Share> shares;
        for (const PopulationShare& share : views_.views[view].areas[area])
            shares.push_back({share.population, static_cast<float>(share.weight)});
        return shares;
    };
    std::vector<ViewScores::Cell> cells;
    for (std::size_t view = 0; view < views_.views.size(); ++view)
        for (const AreaPair& pair : study_.pairs)
            cells.push_back({shares_of(view, pair.first), shares_of(view, pair.second)});
    ViewScores(std::move(populations), cells).score_sets(sets, set_size, scores);
}

void Agreement::score_stored(std::span<const std::uint32_t> sets, std::uint32_t set_size,
                             std::span<double> scores) const
{
    const std::size_t pairs = study_.pairs.size(), cells = views_.views.size() * pairs;
    std::vector<double> of_cell(scores.size() / cells);
    for (std::size_t cell = 0; cell < cells; ++cell) {
        of(cell / pairs, cell % pairs)->score_sets(sets, set_size, of_cell);
        for (std::size_t set = 0; set < of_cell.size(); ++set)
            scores[set * cells + cell] = of_cell[set];
    }
}

}  // namespace twinscreen
