#include "experiments/relational_control/multivariate/multivariate_search.hpp"

#include <algorithm>

#include "engine/run/progress.hpp"
#include "experiments/relational_control/columns.hpp"
#include "experiments/relational_control/multivariate/multivariate_baseline.hpp"
#include "experiments/relational_control/multivariate/search_chain.hpp"

namespace twinscreen {
namespace {

constexpr ColumnId score_column{0};
constexpr ColumnId test_score_column{1};
constexpr ColumnId image_column{2};
constexpr ColumnId found_image_column{3};
constexpr ColumnId found_score_column{4};
constexpr ColumnId found_test_score_column{5};

}  // namespace

Table objective_table()
{
    return {
        {{"name", "", std::vector<std::string>(objective_names.begin(), objective_names.end())}}};
}

MultivariateSearch::Chain MultivariateSearch::chain_of(std::uint64_t item) const
{
    const std::uint64_t cell = item / objectives.size();
    return {cell / study_.folds.size(), cell % study_.folds.size(), item % objectives.size()};
}

Table MultivariateSearch::describe(ItemRange items) const
{
    std::vector<std::string> pairs, folds, names;
    for (std::uint64_t at = 0; at < items.count; ++at) {
        const Chain chain = chain_of(index_of(items.first) + at);
        pairs.push_back(study_.pair_name(chain.pair));
        folds.push_back(study_.folds[chain.fold].name);
        names.emplace_back(objective_names[chain.objective]);
    }
    return {{{"pair", "", std::move(pairs)},
             {"fold", "", std::move(folds)},
             {"objective", "", std::move(names)}}};
}

StagePlan MultivariateSearch::plan(const CampaignInputs& inputs, const StageHistory& history)
{
    agreement_.open(history);
    baseline_ = read_multivariate_baseline(history);
    StagePlan stage = plan_without_stimuli("chains");
    stage.plan.stage = stage_name;
    stage.plan.items = chains();
    stage.plan.threads_per_rank = inputs.schedule.threads_per_rank;
    const Axis generation = axis_of("generation", settings_.search.generations);
    const Axis member = axis_of("member", settings_.images);
    const Axis pair = axis_of("pair", study_.pairs.size());
    const Axis fold = axis_of("fold", study_.folds.size());
    const Axis objective = axis_of("objective", objectives.size());
    stage.columns = {
        {"score",
         Domain::item,
         ElementType::f64,
         {generation},
         "",
         "agreement of the best set so far in the training subjects, with its sign"},
        {"test_score",
         Domain::item,
         ElementType::f64,
         {generation},
         "",
         "agreement of the same set in the test subject; NaN without one"},
        {"image",
         Domain::item,
         ElementType::i32,
         {generation, member},
         "",
         "images of the best set so far"},
        {"found_image",
         Domain::stage,
         ElementType::i64,
         {pair, fold, objective, member},
         "",
         "images of the best set of the last generation"},
        {"found_score",
         Domain::stage,
         ElementType::f64,
         {pair, fold, objective},
         "",
         "its agreement in the training subjects"},
        {"found_test_score",
         Domain::stage,
         ElementType::f64,
         {pair, fold, objective},
         "",
         "its agreement in the test subject; NaN without one"},
    };
    stage.tables.axes = {{"pairs", "pair", study_.pair_table()},
                         {"folds", "fold", study_.fold_table()},
                         {"objectives", "objective", objective_table()}};
    stage.tables.items = stage.plan.items;
    stage.tables.describe_items = [this](ItemRange items) { return describe(items); };
    stage.settings = {{"study", study_.digest()}, {"search", settings_.text()}};
    return stage;
}

void MultivariateSearch::run(const Shard& shard, ShardTools& tools)
{
    const Chain chain = chain_of(index_of(shard.items.first));
    SearchSettings settings = settings_.search;
    settings.seed = tools.seed;
    settings.chain = static_cast<std::uint32_t>(index_of(shard.items.first));
    settings.objective = objectives[chain.objective];
    const SimilarityViews& all = agreement_.views();
    ChainViews views{chain.pair, all.train[chain.fold], std::nullopt};
    if (study_.folds[chain.fold].test) views.test = all.test[chain.fold];
    const Trajectory found =
        run_search_chain(settings, views, agreement_, tools.scratch, tools.executor);
    const Shape generations{1, extent(settings.generations)};
    tools.write(score_column, batch_of(found.scores, generations));
    tools.write(test_score_column, batch_of(found.test_scores, generations));
    OwnedBatch images(ElementType::i32,
                      {1, extent(settings.generations), extent(settings_.images)});
    std::ranges::copy(found.images, images.values<std::int32_t>().begin());
    tools.write(image_column, std::move(images));
}

SummaryRows MultivariateSearch::combine(const StageResults& results)
{
    const std::size_t last = settings_.search.generations - 1;
    std::vector<double> scores, test_scores;
    OwnedBatch images(ElementType::i64, {extent(study_.pairs.size()), extent(study_.folds.size()),
                                         extent(objectives.size()), extent(settings_.images)});
    auto to = images.values<std::int64_t>().begin();
    for (std::uint64_t chain = 0; chain < chains(); ++chain) {
        results.check_stop();
        scores.push_back(results.read(score_column, chain, 1).values<double>()[last]);
        test_scores.push_back(results.read(test_score_column, chain, 1).values<double>()[last]);
        const OwnedBatch row = results.read(image_column, chain, 1);
        for (const std::int32_t image :
             row.values<std::int32_t>().subspan(last * settings_.images, settings_.images))
            *to++ = image;
    }
    const Shape cells{extent(study_.pairs.size()), extent(study_.folds.size()),
                      extent(objectives.size())};
    SummaryRows summary;
    summary.emplace_back(found_image_column, std::move(images));
    summary.emplace_back(found_score_column, batch_of(scores, cells));
    summary.emplace_back(found_test_score_column, batch_of(test_scores, cells));
    return summary;
}

std::vector<std::string> MultivariateSearch::report(const StageResults& results,
                                                    const CampaignInputs& inputs,
                                                    const std::filesystem::path& folder)
{
    const std::vector<double> scores = numbers_of(results.read(found_score_column, 0, 1));
    std::vector<std::string> lines{
        "agreement (RSA) of the sets found on all subjects, about similarities averaged over "
        "subjects; baseline: the random set nearest to the mean"};
    for (std::uint64_t item = 0; item < chains(); ++item) {
        const Chain chain = chain_of(item);
        if (chain.fold == 0)
            lines.push_back(fmt::format("  {:<22} {:<12} {:+.4f} from {:+.4f}",
                                        study_.pair_name(chain.pair),
                                        objective_names[chain.objective], scores[item],
                                        baseline_.train[item / objectives.size()]));
    }
    for (std::string& line :
         write_set_sheet(shown_sets(results), "images about which two areas agree, or do not",
                         inputs, folder / "multivariate_sets.png"))
        lines.push_back(std::move(line));
    if (!session_) return lines;
    std::vector<SessionSet> sets;
    const std::size_t first = session_->pair_index * (objectives.size() + 1);
    const std::vector<ShownSet> shown = shown_sets(results);
    for (std::size_t at = 0; at <= objectives.size(); ++at)
        sets.push_back(
            {at < objectives.size() ? objective_names[at] : "baseline", shown[first + at].images});
    for (std::string& line : write_session(sets, *session_, multivariate_session, inputs, folder))
        lines.push_back(std::move(line));
    return lines;
}

/// The sets found on all subjects and the baseline's, for people.
std::vector<ShownSet> MultivariateSearch::shown_sets(const StageResults& results) const
{
    const OwnedBatch stored = results.read(found_image_column, 0, 1);
    const auto images = stored.values<std::int64_t>();
    const std::size_t size = settings_.images, folds = study_.folds.size();
    std::vector<ShownSet> sets;
    for (std::size_t pair = 0; pair < study_.pairs.size(); ++pair) {
        const auto add = [&](const char* name, const auto& set) {
            sets.push_back(
                {fmt::format("{}\n{}", study_.pair_name(pair), name), {set.begin(), set.end()}});
        };
        for (std::size_t at = 0; at < objectives.size(); ++at)
            add(objective_names[at],
                images.subspan((pair * folds * objectives.size() + at) * size, size));
        add("baseline", std::span(baseline_.images).subspan(pair * folds * size, size));
    }
    return sets;
}

std::string MultivariateSearch::outlook() const
{
    std::uint64_t most_bytes = 0;
    for (std::size_t pair = 0; pair < study_.pairs.size(); ++pair)
        most_bytes = std::max(most_bytes, agreement_.bytes_of_set(agreement_.views().train.front(),
                                                                  pair, settings_.images));
    return fmt::format(
        "stage {}: {} chains ({} pairs x {} folds x 2 objectives) of {} generations; a set reads "
        "at "
        "most {} of {}; states of unfinished chains: scratch/{}",
        stage_name, count_text(chains()), study_.pairs.size(), study_.folds.size(),
        count_text(settings_.search.generations), bytes_text(static_cast<double>(most_bytes)),
        agreement_.form() == SimilarityForm::stored ? "similarities" : "patterns", stage_name);
}

std::vector<std::uint32_t> read_found_set(const StageHistory& history, const Study& study,
                                          std::size_t pair, std::size_t fold, std::size_t objective)
{
    const OwnedBatch stored =
        history.read(MultivariateSearch::stage_name, found_image_column, 0, 1);
    const auto images = stored.values<std::int64_t>();
    const std::size_t size =
        images.size() / (study.pairs.size() * study.folds.size() * objectives.size());
    const std::size_t cell = (pair * study.folds.size() + fold) * objectives.size() + objective;
    std::vector<std::uint32_t> set;
    for (const std::int64_t image : images.subspan(cell * size, size))
        set.push_back(static_cast<std::uint32_t>(image));
    return set;
}

std::vector<double> read_found_test_scores(const StageHistory& history)
{
    return numbers_of(history.read(MultivariateSearch::stage_name, found_test_score_column, 0, 1));
}

}  // namespace twinscreen
