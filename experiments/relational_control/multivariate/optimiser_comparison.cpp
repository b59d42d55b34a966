#include "experiments/relational_control/multivariate/optimiser_comparison.hpp"

#include <algorithm>

#include "engine/run/progress.hpp"
#include "experiments/relational_control/columns.hpp"
#include "experiments/relational_control/multivariate/multivariate_search.hpp"
#include "experiments/relational_control/multivariate/search_chain.hpp"
#include "experiments/relational_control/search/search_parts.hpp"

namespace twinscreen {
namespace {

constexpr std::array<SearchMethod, 4> methods{SearchMethod::genetic, SearchMethod::greedy,
                                              SearchMethod::exchange, SearchMethod::annealing};
constexpr std::array<const char*, 4> method_names{"genetic", "greedy", "exchange", "annealing"};
constexpr ColumnId score_column{0};
constexpr ColumnId image_column{1};
constexpr ColumnId found_image_column{2};
constexpr ColumnId found_score_column{3};
constexpr ColumnId best_column{4};

Table method_table()
{
    return {{{"name", "", std::vector<std::string>(method_names.begin(), method_names.end())}}};
}

/// The optimisers whose sets differ from the best by nothing that matters.
std::string best_names(std::span<const double> scores, Objective objective)
{
    constexpr double no_matter = 1e-4;  // [RSA]
    double least = cost_of(objective, scores.front());
    for (const double score : scores) least = std::min(least, cost_of(objective, score));
    std::string names;
    for (std::size_t at = 0; at < scores.size(); ++at)
        if (cost_of(objective, scores[at]) <= least + no_matter)
            names += fmt::format("{}{}", names.empty() ? "" : ", ", method_names[at]);
    return names;
}

}  // namespace

OptimiserComparison::Chain OptimiserComparison::chain_of(std::uint64_t item)
{
    const std::uint64_t cell = item / methods.size();
    return {cell / objectives.size(), cell % objectives.size(), item % methods.size()};
}

std::uint64_t OptimiserComparison::chains() const
{
    return study_.pairs.size() * objectives.size() * methods.size();
}

Table OptimiserComparison::describe(ItemRange items) const
{
    std::vector<std::string> pairs, names, optimisers;
    for (std::uint64_t at = 0; at < items.count; ++at) {
        const Chain chain = chain_of(index_of(items.first) + at);
        pairs.push_back(study_.pair_name(chain.pair));
        names.emplace_back(objective_names[chain.objective]);
        optimisers.emplace_back(method_names[chain.optimiser]);
    }
    return {{{"pair", "", std::move(pairs)},
             {"objective", "", std::move(names)},
             {"optimiser", "", std::move(optimisers)}}};
}

StagePlan OptimiserComparison::plan(const CampaignInputs& inputs, const StageHistory& history)
{
    agreement_.open(history);
    StagePlan stage = plan_without_stimuli("chains");
    stage.plan.stage = stage_name;
    stage.plan.items = chains();
    stage.plan.threads_per_rank = inputs.schedule.threads_per_rank;
    const Axis pair = axis_of("pair", study_.pairs.size());
    const Axis objective = axis_of("objective", objectives.size());
    const Axis optimiser = axis_of("optimiser", methods.size());
    const Axis member = axis_of("member", settings_.images);
    stage.columns = {
        {"score",
         Domain::item,
         ElementType::f64,
         {axis_of("generation", settings_.search.generations)},
         "",
         "agreement of the best set so far; in a generation each optimiser looks at as many sets"},
        {"image", Domain::item, ElementType::i32, {member}, "", "images of the set found"},
        {"found_image",
         Domain::stage,
         ElementType::i64,
         {pair, objective, optimiser, member},
         "",
         "images of the set found"},
        {"found_score",
         Domain::stage,
         ElementType::f64,
         {pair, objective, optimiser},
         "",
         "its agreement"},
        {"best",
         Domain::stage,
         ElementType::i64,
         {pair, objective},
         "",
         "which optimiser found the best set (the first of several)"}};
    stage.tables.axes = {{"pairs", "pair", study_.pair_table()},
                         {"objectives", "objective", objective_table()},
                         {"optimisers", "optimiser", method_table()}};
    stage.tables.items = stage.plan.items;
    stage.tables.describe_items = [this](ItemRange items) { return describe(items); };
    stage.settings = {{"study", study_.digest()}, {"search", settings_.text()}};
    return stage;
}

void OptimiserComparison::run(const Shard& shard, ShardTools& tools)
{
    const Chain chain = chain_of(index_of(shard.items.first));
    SearchSettings settings = settings_.search;
    settings.method = methods[chain.optimiser];
    settings.seed = tools.seed;
    // As in the search for the same pair and objective on all subjects.
    settings.chain = static_cast<std::uint32_t>(
        chain.pair * study_.folds.size() * objectives.size() + chain.objective);
    settings.objective = objectives[chain.objective];
    const ChainViews views{chain.pair, agreement_.views().train.front(), std::nullopt};
    const Trajectory found =
        run_search_chain(settings, views, agreement_, tools.scratch, tools.executor);
    tools.write(score_column, batch_of(found.scores, {1, extent(settings.generations)}));
    OwnedBatch images(ElementType::i32, {1, extent(settings_.images)});
    std::copy_n(found.images.end() - extent(settings_.images), settings_.images,
                images.values<std::int32_t>().begin());
    tools.write(image_column, std::move(images));
}

SummaryRows OptimiserComparison::combine(const StageResults& results)
{
    const std::size_t last = settings_.search.generations - 1;
    const Shape cells{extent(study_.pairs.size()), extent(objectives.size())};
    OwnedBatch images(ElementType::i64, {extent(study_.pairs.size()), extent(objectives.size()),
                                         extent(methods.size()), extent(settings_.images)});
    OwnedBatch best(ElementType::i64, cells);
    auto to = images.values<std::int64_t>().begin();
    std::vector<double> scores;
    for (std::uint64_t item = 0; item < chains(); ++item) {
        scores.push_back(results.read(score_column, item, 1).values<double>()[last]);
        const OwnedBatch row = results.read(image_column, item, 1);
        to = std::ranges::copy(row.values<std::int32_t>(), to).out;
    }
    for (std::size_t cell = 0; cell < scores.size() / methods.size(); ++cell) {
        const auto first = scores.begin() + extent(cell * methods.size());
        const Objective objective = objectives[cell % objectives.size()];
        const auto found = std::min_element(
            first, first + extent(methods.size()),
            [&](double a, double b) { return cost_of(objective, a) < cost_of(objective, b); });
        best.values<std::int64_t>()[cell] = found - first;
    }
    SummaryRows summary;
    summary.emplace_back(found_image_column, std::move(images));
    summary.emplace_back(found_score_column, batch_of(scores, {cells.extent[0], cells.extent[1],
                                                               extent(methods.size())}));
    summary.emplace_back(best_column, std::move(best));
    return summary;
}

std::vector<std::string> OptimiserComparison::report(const StageResults& results,
                                                     const CampaignInputs&,
                                                     const std::filesystem::path&)
{
    const std::vector<double> scores = numbers_of(results.read(found_score_column, 0, 1));
    const std::uint64_t looks =
        std::uint64_t{sets_per_generation(settings_.search)} * settings_.search.generations;
    std::vector<std::string> lines{
        fmt::format("agreement of the best set of each optimiser on all subjects (none is held "
                    "out), after about {} sets looked at",
                    count_text(looks))};
    for (std::size_t cell = 0; cell < scores.size() / methods.size(); ++cell) {
        const auto of_cell = std::span(scores).subspan(cell * methods.size(), methods.size());
        std::string line =
            fmt::format("  {:<22} {:<12}", study_.pair_name(cell / objectives.size()),
                        objective_names[cell % objectives.size()]);
        for (std::size_t at = 0; at < methods.size(); ++at)
            line += fmt::format(" {} {:+.4f}", method_names[at], of_cell[at]);
        lines.push_back(fmt::format("{}; best: {}", line,
                                    best_names(of_cell, objectives[cell % objectives.size()])));
    }
    return lines;
}

std::string OptimiserComparison::outlook() const
{
    return fmt::format("stage {}: {} chains ({} pairs x 2 objectives x {} optimisers)", stage_name,
                       count_text(chains()), study_.pairs.size(), methods.size());
}

}  // namespace twinscreen
