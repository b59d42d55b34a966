#include "experiments/relational_control/generative/generative_control.hpp"

#include <algorithm>

#include "engine/run/progress.hpp"
#include "experiments/relational_control/columns.hpp"
#include "experiments/relational_control/generative/generative_columns.hpp"

namespace twinscreen {
namespace {

using generative::id;

/// The largest input of the study's networks: other networks see it resized.
std::unique_ptr<ImageGenerator> gabors_for(std::uint32_t elements, std::span<Twin> twins)
{
    PictureSize size;
    float background = 0.0F;
    for (const Twin& twin : twins)
        for (const auto& network : backbones_of(twin)) {
            const InputTransform& input = network->input();
            const PictureSize other{input.height, input.width, 1};
            if (other.pixels() <= size.pixels()) continue;
            size = other;
            background = input.background;
        }
    return make_gabor_generator(elements, size, background);
}

OwnedBatch bytes_of_column(const std::vector<std::uint8_t>& values, const Shape& shape)
{
    OwnedBatch batch(ElementType::u8, shape);
    std::ranges::copy(values, batch.values<std::uint8_t>().begin());
    return batch;
}

OwnedBatch floats_of_column(const std::vector<float>& values, const Shape& shape)
{
    OwnedBatch batch(ElementType::f32, shape);
    std::ranges::copy(values, batch.values<float>().begin());
    return batch;
}

/// What is known of the best picture of every generation.
std::vector<ColumnSpec> curve_columns(const Axis& generation)
{
    const auto curve = [&](const char* name, ElementType type, const char* unit,
                           const char* text) -> ColumnSpec {
        return {name, Domain::item, type, {generation}, unit, text};
    };
    return {
        curve("total", ElementType::f64, "",
              "score of the best picture so far, larger is better: minus its complexity, or its "
              "control (negated in both_low) - 1e10 where it misses a threshold"),
        curve("test_total", ElementType::f64, "", "the same in the test subject; NaN without one"),
        curve("control", ElementType::f64, "",
              "sum (both_high, both_low) or difference in the wanted direction of the two areas' "
              "mean responses to it"),
        curve("test_control", ElementType::f64, "",
              "the same in the test subject; NaN without one"),
        curve("penalised", ElementType::u8, "", "1 where it misses a threshold"),
        curve("test_penalised", ElementType::u8, "",
              "1 where it misses a threshold of the test subject, or there is none"),
        curve("complexity", ElementType::f64, "byte", "its complexity, as measured"),
    };
}

}  // namespace

void check_generative(ConfigSection& section, const ControlSettings& settings,
                      const CampaignInputs& inputs)
{
    if (!settings.generative) return;
    if (!settings.univariate)
        section.complain("generative",
                         "generative control takes its thresholds from the univariate baseline",
                         "add [relational_control.univariate]");
    if (!settings.imports.empty())
        section.complain("generative",
                         "nobody answers to generated pictures: responses come from files",
                         "generative control needs [[twins]]");
    for (const TwinCovariates& covariates : inputs.covariates)
        for (const CovariateBinding& binding : covariates)
            if (!binding.columns.empty())
                section.complain("generative",
                                 fmt::format("'{}' of a twin is read from the stimuli's columns, "
                                             "which generated pictures do not have",
                                             binding.name),
                                 "give it numbers");
}

GenerativeControl::GenerativeControl(const ControlSettings& settings, const Study& study,
                                     const CampaignInputs& inputs)
    : settings_(*settings.generative),
      study_(study),
      compat_(settings.compat),
      generator_(settings.generative->network),
      is_standardised_(settings.univariate->standardise)
{
    if (!generator_) generator_ = gabors_for(settings_.elements, inputs.twins);
}

GenerativeControl::Chain GenerativeControl::chain_of(std::uint64_t item) const
{
    const std::uint64_t cell = item / settings_.evolutions;
    const std::uint64_t trained = cell / control_conditions;
    return {trained / study_.folds.size(), trained % study_.folds.size(), cell % control_conditions,
            item % settings_.evolutions};
}

Table GenerativeControl::describe(ItemRange items) const
{
    std::vector<std::string> pairs, folds, conditions;
    std::vector<std::int64_t> evolutions;
    for (std::uint64_t at = 0; at < items.count; ++at) {
        const Chain chain = chain_of(index_of(items.first) + at);
        pairs.push_back(study_.pair_name(chain.pair));
        folds.push_back(study_.folds[chain.fold].name);
        conditions.emplace_back(condition_names[chain.condition]);
        evolutions.push_back(extent(chain.evolution));
    }
    return {{{"pair", "", std::move(pairs)},
             {"fold", "", std::move(folds)},
             {"condition", "", std::move(conditions)},
             {"evolution", "", std::move(evolutions)}}};
}

std::vector<ColumnSpec> GenerativeControl::item_columns() const
{
    const Axis generation = axis_of("generation", settings_.generations);
    const PictureSize size = generator_->size();
    std::vector<ColumnSpec> columns = curve_columns(generation);
    columns.push_back({"response",
                       Domain::item,
                       ElementType::f32,
                       {generation, axis_of("side", 2), axis_of("subject", study_.subjects.size())},
                       "",
                       "mean response of the pair's first and second area to it"});
    columns.push_back({"code",
                       Domain::item,
                       ElementType::f32,
                       {axis_of("gene", generator_->code_length())},
                       "",
                       "code of the best picture of the last generation"});
    columns.push_back({"picture",
                       Domain::item,
                       ElementType::u8,
                       {axis_of("row", static_cast<std::size_t>(size.height)),
                        axis_of("column", static_cast<std::size_t>(size.width)),
                        axis_of("channel", static_cast<std::size_t>(size.channels))},
                       "level 0..255",
                       "the best picture of the last generation"});
    columns.push_back({"threshold_generation",
                       Domain::item,
                       ElementType::i64,
                       {},
                       "",
                       "generations before the best picture passed the thresholds; all, if it "
                       "never did"});
    return columns;
}

StagePlan GenerativeControl::plan(const CampaignInputs& inputs, const StageHistory& history)
{
    baseline_ = read_univariate_baseline(study_, history);
    read_units(history);
    seed_ = inputs.seed;
    twins_ = inputs.twins;
    covariates_ = inputs.covariates;
    StagePlan stage = plan_without_stimuli("chains");
    stage.plan.stage = stage_name;
    stage.plan.items = chains();
    stage.plan.threads_per_rank = inputs.schedule.threads_per_rank;
    stage.columns = item_columns();
    for (ColumnSpec& column : summary_columns()) stage.columns.push_back(std::move(column));
    stage.tables.axes = {{"pairs", "pair", study_.pair_table()},
                         {"folds", "fold", study_.fold_table()},
                         {"conditions", "condition", condition_table()},
                         {"subjects", "subject", study_.subject_table()}};
    stage.tables.items = stage.plan.items;
    stage.tables.describe_items = [this](ItemRange items) { return describe(items); };
    stage.settings = {{"study", study_.digest()},
                      {"evolution", settings_.text()},
                      {"generator", generator_->identity()},
                      {"unit of responses", is_standardised_ ? "standard deviation" : "1"},
                      {"compat", compat_ == Compat::reference ? "reference" : "corrected"}};
    return stage;
}

/// Standard deviations over the stimuli, as the selection of controlling images has them.
void GenerativeControl::read_units(const StageHistory& history)
{
    train_units_.assign(baseline_.train.size(), 1.0);
    test_units_ = train_units_;
    if (!is_standardised_) return;
    const MeanResponses responses = read_mean_responses(study_, history);
    const auto unit_of = [&](const Fold& fold, std::size_t area) {
        const double unit =
            response_deviation(training_response(responses, study_, fold, area), responses.usable);
        TWINSCREEN_REQUIRE(unit > 0.0, data,
                           "the mean response of area '{}' is the same to all "
                           "stimuli: it has no standard deviation",
                           study_.areas[area]);
        return unit;
    };
    for (std::size_t cell = 0; cell < train_units_.size(); ++cell) {
        const Fold& fold = study_.folds[cell / study_.areas.size()];
        const std::size_t area = cell % study_.areas.size();
        train_units_[cell] = unit_of(fold, area);
        if (fold.test) test_units_[cell] = unit_of({"", {*fold.test}, std::nullopt}, area);
    }
}

ChainGoal GenerativeControl::goal_of(const Chain& chain) const
{
    const AreaPair& pair = study_.pairs[chain.pair];
    const std::size_t first = chain.fold * study_.areas.size() + pair.first;
    const std::size_t second = chain.fold * study_.areas.size() + pair.second;
    const auto goal = [&](const std::vector<double>& baseline, const std::vector<double>& units) {
        return ControlGoal::beyond(static_cast<ControlCondition>(chain.condition),
                                   {baseline[first], baseline[second]}, settings_.margin,
                                   {units[first], units[second]});
    };
    return {goal(baseline_.train, train_units_), goal(baseline_.test, test_units_),
            study_.folds[chain.fold], compat_, settings_.complexity};
}

PairResponses& GenerativeControl::responses_of(std::size_t pair)
{
    if (!responses_ || responding_pair_ != pair) {
        responses_.reset();
        responses_ =
            std::make_unique<PairResponses>(study_, study_.pairs[pair], twins_, covariates_);
        responding_pair_ = pair;
    }
    return *responses_;
}

void GenerativeControl::run(const Shard& shard, ShardTools& tools)
{
    const std::uint64_t item = index_of(shard.items.first);
    const Chain chain = chain_of(item);
    PairResponses& responses = responses_of(chain.pair);
    CodeSearchSettings search = settings_.search;
    search.code_length = generator_->code_length();
    search.seed = tools.seed;
    search.chain = static_cast<std::uint32_t>(item);
    const auto optimiser = make_code_search(search);
    const Responder respond = [&](std::span<const std::uint8_t> pictures, std::span<float> means) {
        responses.answer(generator_->size(), pictures, means, tools.executor);
    };
    EvolutionChain evolution(goal_of(chain), {*optimiser, *generator_, tools.executor, respond,
                                              responses.subjects(), responses.batch_pictures()});
    if (const std::vector<std::byte> state = tools.scratch.load(); !state.empty())
        evolution.load(state);
    const Trajectory& found = evolution.trajectory();
    while (found.generations() < settings_.generations) {
        evolution.step();
        tools.scratch.save_if_due([&] { return evolution.save(); });
    }

    const Shape curve{1, extent(settings_.generations)};
    tools.write(id(generative::total), batch_of(found.total, curve));
    tools.write(id(generative::test_total), batch_of(found.test_total, curve));
    tools.write(id(generative::control), batch_of(found.control, curve));
    tools.write(id(generative::test_control), batch_of(found.test_control, curve));
    tools.write(id(generative::penalised), bytes_of_column(found.missed, curve));
    tools.write(id(generative::test_penalised), bytes_of_column(found.test_missed, curve));
    tools.write(id(generative::complexity), batch_of(found.complexity, curve));
    tools.write(id(generative::response),
                floats_of_column(found.responses, {1, extent(settings_.generations), 2,
                                                   extent(study_.subjects.size())}));
    tools.write(id(generative::code),
                floats_of_column(evolution.best_code(), {1, extent(generator_->code_length())}));
    const PictureSize size = generator_->size();
    tools.write(
        id(generative::picture),
        bytes_of_column(evolution.best_picture(), {1, size.height, size.width, size.channels}));
    OwnedBatch threshold(ElementType::i64, {1});
    threshold.values<std::int64_t>()[0] = found.threshold_generation();
    tools.write(id(generative::threshold_generation), std::move(threshold));
}

std::string GenerativeControl::outlook() const
{
    const std::uint64_t pictures =
        settings_.search.codes +
        std::uint64_t{settings_.search.children()} * (settings_.generations - 1);
    return fmt::format(
        "stage {}: {} chains ({} pairs x {} folds x {} conditions x {} evolutions) of {} "
        "generations, {} pictures each; {}; states of unfinished chains: scratch/{}",
        stage_name, count_text(chains()), study_.pairs.size(), study_.folds.size(),
        control_conditions, settings_.evolutions, count_text(settings_.generations),
        count_text(pictures), generator_->summary(), stage_name);
}

}  // namespace twinscreen
