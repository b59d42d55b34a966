#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/base/digest.hpp"
#include "engine/base/log.hpp"
#include "engine/base/memory.hpp"
#include "engine/fit/ridge.hpp"
#include "engine/twin/untrained_twin.hpp"
#include "experiments/band_weights.hpp"
#include "experiments/examples.hpp"
#include "experiments/experiments.hpp"
#include "experiments/fit_moments.hpp"
#include "experiments/fit_report.hpp"
#include "experiments/fit_settings.hpp"
#include "experiments/item_name.hpp"
#include "experiments/recorded_units.hpp"
#include "experiments/unit_score.hpp"

namespace twinscreen {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr const char* features_stage = "features";
constexpr const char* moments_stage = "moments";
constexpr const char* fits_stage = "fits";

/// Columns of the stage of features.
enum FeatureColumn : std::uint32_t { feature, luminance, picture };

ColumnId id(std::uint32_t number) { return ColumnId{number}; }

Axis axis(const std::string& name, std::size_t extent)
{
    return {name, static_cast<std::int64_t>(extent), ""};
}

OwnedBatch column_of(std::span<const double> values, const Shape& shape)
{
    OwnedBatch result(ElementType::f64, shape);
    std::ranges::copy(values, result.values<double>().begin());
    return result;
}

/// One value per unit of a fit, as a column of the stage of fits and, over all units, of its
/// summary.
struct FitColumn {
    const char* name;
    const char* text;
};
/// Behind the scores of `score_columns`.
enum FitValue : std::size_t { r_shuffled, validation_r2, chosen_lambda, chosen_band, intercept };
const std::vector<FitColumn> fit_columns{
    {"r_shuffled",
     "baseline: Pearson r of the same features fitted to the responses to shuffled "
     "images"},
    {"validation_r2",
     "explained share of the variance of the images held out to choose the penalty"},
    {"lambda", "penalty that was chosen"},
    {"band_draw", "number of the band weights that were chosen; 0: all alike"},
    {"intercept", "response where all features are 0"}};

/// Recorded responses + stimuli + features of any twins -> readouts, their accuracy on held-out
/// images beside trivial baselines, and a bundle.
class FitReadout final : public Experiment {
public:
    explicit FitReadout(FitSettings settings) : settings_(std::move(settings)) {}

    void check(ConfigSection& section, const CampaignInputs& inputs) override
    {
        settle_smoke_run(inputs);
        try {
            recording_ = read_recording(settings_.responses, settings_.layout,
                                        inputs.stimuli->count(), Missing::keep);
            recorded_table_ = recorded_units(settings_.unit_table, recording_.neurons,
                                             settings_.subject, settings_.area);
        } catch (const Error& error) {
            section.complain("responses", error.what());
            return;
        }
        check_ranges(section, inputs);
        if (section.has_mistakes()) return;
        std::vector<std::uint64_t> all(inputs.items());
        std::iota(all.begin(), all.end(), std::uint64_t{0});
        try {
            settle_units(split_images(settings_.split, all, inputs.seed));
        } catch (const Error& error) {
            section.complain(error.kind() == Error::Kind::data ? "responses" : "folds",
                             error.what());
        }
        add_untrained(inputs);
    }

    std::optional<StagePlan> next_stage(const CampaignInputs& inputs,
                                        const StageHistory& history) override
    {
        seed_ = inputs.seed;
        history_ = &history;
        if (history.has(fits_stage)) return std::nullopt;
        if (!history.has(features_stage)) return plan_features(inputs);
        if (!history.has(moments_stage)) {
            settle_images(inputs);
            return plan_moments(inputs);
        }
        return plan_fits(inputs);
    }

    ItemRange reads(const Shard& shard) const override
    {
        return stage_ == features_stage ? shard.items : ItemRange{};
    }

    void run_shard(const Shard& shard, ShardTools& tools) override
    {
        if (stage_ == features_stage)
            compute_features(shard, tools);
        else if (stage_ == moments_stage)
            moments_->run(shard, tools);
        else
            fit_set(shard, tools);
    }

    SummaryRows combine(const StageResults& results) override
    {
        if (stage_ != fits_stage) return {};
        return summarise(results);
    }

    std::vector<std::string> report(const StageResults& results, const CampaignInputs& inputs,
                                    const std::filesystem::path& folder) override
    {
        static_cast<void>(inputs);
        if (stage_ != fits_stage) return {};
        return report_fits(results, folder);
    }

private:
    // ---- what is known before the first stage ----

    /// A smoke run has too few items for the ranges of the campaign: three quarters are fitted.
    void settle_smoke_run(const CampaignInputs& inputs)
    {
        SplitSettings& split = settings_.split;
        const std::uint64_t items = inputs.items();
        const std::uint64_t last =
            std::max({split.train.end, split.validation.end, split.test.end});
        if (inputs.schedule.limit == 0 || last <= items) return;
        split.train = split.validation = split.test = {};
        is_smoke_run_ = true;
    }

    void check_ranges(ConfigSection& section, const CampaignInputs& inputs) const
    {
        const SplitSettings& split = settings_.split;
        const auto check = [&](const char* key, const ItemSpan& span) {
            if (span.end > inputs.items())
                section.complain(key, fmt::format("the campaign has {} items", inputs.items()));
        };
        check("train_items", split.train);
        check("validation_items", split.validation);
        check("test_items", split.test);
        const auto overlap = [](const ItemSpan& a, const ItemSpan& b) {
            return std::max(a.first, b.first) < std::min(a.end, b.end);
        };
        if (overlap(split.train, split.test) || overlap(split.validation, split.test) ||
            overlap(split.train, split.validation))
            section.complain("test_items",
                             "the ranges of training, validation and test images overlap: a score "
                             "on images that were fitted says nothing");
    }

    /// Which recorded units can be fitted.
    void settle_units(const ImageSplit& split)
    {
        const std::vector<UnusableUnit> unusable = unusable_units(recording_, split);
        if (!unusable.empty() && !settings_.leave_out_unusable) {
            std::string text =
                fmt::format("{}: {} of {} units cannot be fitted", settings_.responses.string(),
                            unusable.size(), recording_.neurons);
            constexpr std::size_t shown = 5;
            for (std::size_t at = 0; at < std::min(shown, unusable.size()); ++at)
                text += fmt::format("\n  neuron {}: {}", unusable[at].neuron, unusable[at].reason);
            if (unusable.size() > shown)
                text += fmt::format("\n  and {} more", unusable.size() - shown);
            throw Error(Error::Kind::data, text, "unusable_units = \"leave_out\" goes on without");
        }
        neurons_.clear();
        auto left_out = unusable.begin();
        for (std::size_t neuron = 0; neuron < recording_.neurons; ++neuron) {
            if (left_out != unusable.end() && left_out->neuron == neuron)
                ++left_out;
            else
                neurons_.push_back(neuron);
        }
        TWINSCREEN_REQUIRE(!neurons_.empty(), data, "{}: none of the {} units can be fitted ({})",
                           settings_.responses.string(), recording_.neurons,
                           unusable.front().reason);
        units_ = recorded_table_.select(neurons_);
        left_out_ = unusable.size();
    }

    /// The campaign's twins and, beside each that has one, its untrained counterpart.
    void add_untrained(const CampaignInputs& inputs)
    {
        constexpr std::uint64_t draw = 1;
        twins_.clear();
        covariates_.clear();
        untrained_.clear();
        for (std::size_t twin = 0; twin < inputs.twins.size(); ++twin) {
            twins_.push_back(copy_of(inputs.twins[twin]));
            covariates_.push_back(inputs.covariates[twin]);
        }
        for (std::size_t twin = 0; settings_.untrained && twin < inputs.twins.size(); ++twin) {
            std::optional<Twin> drawn = untrained_twin(inputs.twins[twin], draw);
            if (!drawn) continue;
            untrained_.emplace_back(drawn->spec.name, inputs.twins[twin].spec.name);
            twins_.push_back(std::move(*drawn));
            covariates_.push_back(inputs.covariates[twin]);
        }
    }

    // ---- features ----

    StagePlan plan_features(const CampaignInputs& inputs)
    {
        stage_ = features_stage;
        StagePlan stage;
        stage.forward =
            std::make_shared<ForwardPlan>(twins_, covariates_, ForwardWants{true, false});
        settle_sets(*stage.forward);
        const Table& features = stage.forward->units();
        stage.columns = {{"feature",
                          Domain::item,
                          ElementType::f32,
                          {axis("feature", features.rows())},
                          "",
                          "features of every stimulus"},
                         {"luminance",
                          Domain::item,
                          ElementType::f64,
                          {},
                          "level 0..255",
                          "mean pixel value of the picture over height, width and channels"},
                         {"picture",
                          Domain::item,
                          ElementType::u64,
                          {},
                          "",
                          "digest of the picture as the first network sees it"}};
        stage.tables.axes = {{"features", "feature", features}};
        const std::size_t item_bytes = features.rows() * sizeof(float) + 2 * sizeof(double);
        stage.plan = plan_stimulus_stage(features_stage, inputs, *stage.forward, item_bytes, 0);
        stage.tables.items = stage.plan.items;
        describe_stimuli(inputs, stage.tables);
        for (const Twin& twin : twins_)
            stage.settings.emplace_back("features of " + twin.spec.name, twin.spec.digest);
        return stage;
    }

    void settle_sets(const ForwardPlan& forward)
    {
        sets_ = feature_sets(forward.units(), untrained_, settings_.together);
        feature_count_ = forward.units().rows();
    }

    void compute_features(const Shard& shard, ShardTools& tools) const
    {
        const auto rows = static_cast<std::int64_t>(shard.items.count);
        OwnedBatch features(ElementType::f32, {rows, static_cast<std::int64_t>(feature_count_)});
        OwnedBatch luminances(ElementType::f64, {rows});
        OwnedBatch pictures(ElementType::u64, {rows});
        std::int64_t at = 0;
        while (const InputBatch* batch = tools.inputs.next()) {
            const auto count = static_cast<std::int64_t>(batch->items.count);
            const Batch mine = rows_of(features.view(), at, count);
            tools.forward.run(*batch, mine, Batch{}, tools.executor);
            require_finite(*batch, values_of<float>(mine), tools.forward.units());
            std::ranges::copy(batch->luminance, luminances.values<double>().begin() + at);
            for (std::int64_t row = 0; row < count; ++row) {
                const ConstBatch seen = rows_of(batch->canvases.front().view(), row, 1);
                pictures.values<std::uint64_t>()[static_cast<std::size_t>(at + row)] =
                    checksum_of(std::as_bytes(values_of<float>(seen)));
            }
            at += count;
        }
        tools.write(id(feature), std::move(features));
        tools.write(id(luminance), std::move(luminances));
        tools.write(id(picture), std::move(pictures));
    }

    void require_finite(const InputBatch& batch, std::span<const float> values,
                        const Table& units) const
    {
        for (std::size_t row = 0; row < batch.items.count; ++row) {
            if (batch.valid[row] == 0) continue;
            for (std::size_t unit = 0; unit < feature_count_; ++unit)
                TWINSCREEN_REQUIRE(std::isfinite(values[row * feature_count_ + unit]), data,
                                   "feature '{}' of twin '{}' is {} for item {}",
                                   units.text("id", unit), units.text("twin", unit),
                                   values[row * feature_count_ + unit],
                                   index_of(batch.items.first) + row);
        }
    }

    // ---- what is known when the features are ----

    void settle_images(const CampaignInputs& inputs)
    {
        const std::uint64_t items = inputs.items();
        const OwnedBatch levels = history_->read(features_stage, id(luminance), 0, items);
        std::vector<std::uint64_t> usable;
        for (std::uint64_t item = 0; item < items; ++item)
            if (!std::isnan(levels.values<double>()[item])) usable.push_back(item);
        split_ = split_images(settings_.split, usable, seed_);
        unreadable_ = items - usable.size();
        refuse_leaks(inputs);
        settle_units(split_);
        fitted_ = split_.fitted();
        rows_ =
            std::make_unique<FeatureRows>(*history_, features_stage, id(feature), feature_count_);
        settle_responses();
        settle_scores(levels.values<double>());
        settle_references();
        moments_ = std::make_unique<MomentStage>(
            MomentInputs{*rows_, sets_, split_, responses_, fitted_, x0_, y0_});
    }

    void refuse_leaks(const CampaignInputs& inputs)
    {
        const OwnedBatch pictures = history_->read(features_stage, id(picture), 0, inputs.items());
        const std::vector<Leak> leaks = leaks_of(split_, pictures.values<std::uint64_t>());
        leaks_ = leaks.size();
        if (leaks.empty() || settings_.allow_leakage) return;
        throw Error(
            Error::Kind::data,
            fmt::format("{} of {} test images are among the fitted images: {} is the same "
                        "picture as {}. A score on them says nothing",
                        leaks.size(), split_.test.size(),
                        name_of_item(*inputs.stimuli, leaks.front().tested),
                        name_of_item(*inputs.stimuli, leaks.front().fitted)),
            "same_images = \"allow\" in [fit_readout] takes them all the same; the features "
            "are kept");
    }

    /// Means over repeats of the fitted images, each with the responses to another image behind.
    void settle_responses()
    {
        const std::size_t units = neurons_.size();
        const std::vector<double> means = mean_responses(recording_, fitted_, neurons_);
        const std::vector<std::size_t> other = shuffled_places(fitted_.size(), seed_);
        responses_.resize(2 * means.size());
        for (std::size_t place = 0; place < fitted_.size(); ++place)
            for (std::size_t unit = 0; unit < units; ++unit) {
                responses_[2 * place * units + unit] = means[place * units + unit];
                responses_[(2 * place + 1) * units + unit] = means[other[place] * units + unit];
            }
    }

    /// What scores are taken of: fitted images first, then the test images.
    void settle_scores(std::span<const double> levels)
    {
        std::vector<std::uint64_t> items = fitted_;
        items.insert(items.end(), split_.test.begin(), split_.test.end());
        scored_ = excerpt(recording_, items, neurons_);
        levels_.clear();
        for (const std::uint64_t item : items) levels_.push_back(levels[item]);
        score_.fit = {0, fitted_.size()};
        score_.score = {fitted_.size(), items.size()};
        score_.resamples = settings_.resamples;
        score_.halvings = settings_.halvings;
        resamples_ = draw_resamples(static_cast<std::uint32_t>(split_.test.size()),
                                    settings_.resamples, seed_);
        noise_.clear();
    }

    ScoreInputs score_inputs() const
    {
        return {score_, scored_, levels_, resamples_, seed_, noise_};
    }

    /// References near the means, from the first fitted images: any would do, these keep digits.
    void settle_references()
    {
        const std::size_t count = std::min<std::size_t>(256, fitted_.size());
        const std::vector<float> rows = rows_->read(std::span(fitted_).first(count));
        x0_.assign(feature_count_, 0.0);
        for (std::size_t at = 0; at < rows.size(); ++at)
            x0_[at % feature_count_] += static_cast<double>(rows[at]);
        for (double& value : x0_) value /= static_cast<double>(count);
        y0_.assign(2 * neurons_.size(), 0.0);
        for (std::size_t at = 0; at < responses_.size(); ++at)
            y0_[at % y0_.size()] += responses_[at];
        for (double& value : y0_) value /= static_cast<double>(fitted_.size());
    }

    // ---- sums over images ----

    /// A stage that reads no stimuli and computes no network.
    StagePlan plan_without_stimuli(const CampaignInputs& inputs, std::string items_are)
    {
        StagePlan stage;
        stage.forward = std::make_shared<ForwardPlan>(
            std::span<Twin>{}, std::span<const TwinCovariates>{}, ForwardWants{false, false});
        stage.reads_stimuli = false;
        stage.items_are = std::move(items_are);
        stage.settings = fit_identity(inputs);
        return stage;
    }

    StagePlan plan_moments(const CampaignInputs& inputs)
    {
        stage_ = moments_stage;
        require_memory(
            "a readout of these features (sums of products of each two; tap_pool, "
            "tap_project and fewer taps make them fewer)",
            moments_->memory_bytes());
        StagePlan stage = plan_without_stimuli(inputs, "blocks of images");
        stage.plan = moments_->plan(moments_stage, inputs.schedule.threads_per_rank);
        stage.columns = moments_->columns();
        stage.tables.items = stage.plan.items;
        stage.tables.describe_items = [](ItemRange items) {
            return Table{{{"block", "", std::vector<std::int64_t>(items.count)}}};
        };
        return stage;
    }

    /// What a fit depends on beside features and stimuli.
    Identity fit_identity(const CampaignInputs& inputs) const
    {
        const SplitSettings& split = settings_.split;
        Digest parts;
        for (const auto& group : split_.groups)
            parts.add_bytes(std::as_bytes(std::span(group))).add("group");
        parts.add_bytes(std::as_bytes(std::span(split_.test)));
        Digest features;
        for (const Twin& twin : twins_) features.add(twin.spec.name).add(twin.spec.digest);
        static_cast<void>(inputs);
        return {{"recording", recording_.digest},
                {"layout", settings_.layout},
                {"units", fmt::format("{} of {}", neurons_.size(), recording_.neurons)},
                {"images", fmt::format("{} fitted, {} tested, {} folds; {}", fitted_.size(),
                                       split_.test.size(), split.folds, parts.hex())},
                {"features",
                 fmt::format("{}; {}", settings_.together ? "together" : "each", features.hex())}};
    }

    // ---- fits ----

    std::size_t unit_blocks() const
    {
        return (neurons_.size() + block_units() - 1) / block_units();
    }
    std::size_t block_units() const { return std::min<std::size_t>(neurons_.size(), 1024); }
    std::size_t widest_set() const
    {
        std::size_t widest = 0;
        for (const FeatureSet& set : sets_) widest = std::max(widest, set.columns.size());
        return widest;
    }

    StagePlan plan_fits(const CampaignInputs& inputs)
    {
        if (moments_ == nullptr) settle_images(inputs);
        stage_ = fits_stage;
        const auto widest = static_cast<double>(widest_set());
        const auto groups = static_cast<double>(split_.groups.size());
        require_memory(fmt::format("a readout of {} features", widest),
                       8.0 * widest * widest * (2.0 * groups + 6.0));
        StagePlan stage = plan_without_stimuli(inputs, "fits");
        stage.plan.stage = fits_stage;
        stage.plan.items = sets_.size() * unit_blocks();
        stage.plan.threads_per_rank = inputs.schedule.threads_per_rank;
        for (std::uint64_t item = 0; item < stage.plan.items; ++item) {
            const auto features = static_cast<float>(sets_[item / unit_blocks()].columns.size());
            stage.plan.relative_cost.push_back(features * features);
        }
        declare_fits(stage);
        stage.tables.items = stage.plan.items;
        stage.tables.describe_items = [this](ItemRange items) { return describe_fits(items); };
        stage.settings.emplace_back(
            "penalties",
            fmt::format("{:g} to {:g}, {}; {}, {} components, {} band draws",
                        settings_.lambdas.front(), settings_.lambdas.back(),
                        Digest{}.add_bytes(std::as_bytes(std::span(settings_.lambdas))).hex(),
                        settings_.standardise ? "standardised" : "as they are",
                        settings_.components, settings_.band_draws));
        stage.settings.emplace_back(
            "resamples",
            fmt::format("{} bootstrap, {} halvings", settings_.resamples, settings_.halvings));
        return stage;
    }

    Table describe_fits(ItemRange items) const
    {
        std::vector<std::string> twins, areas;
        std::vector<std::int64_t> features, first_units;
        for (std::uint64_t item = index_of(items.first); item < index_of(items.first) + items.count;
             ++item) {
            const FeatureSet& set = sets_[item / unit_blocks()];
            twins.push_back(set.twin);
            areas.push_back(set.area);
            features.push_back(static_cast<std::int64_t>(set.columns.size()));
            first_units.push_back(static_cast<std::int64_t>(item % unit_blocks() * block_units()));
        }
        return {{{"twin", "", std::move(twins)},
                 {"area", "", std::move(areas)},
                 {"features", "", std::move(features)},
                 {"first_unit", "", std::move(first_units)}}};
    }

    void declare_fits(StagePlan& stage)
    {
        scores_ = score_columns(recording_.repeats);
        const Axis block_unit = axis("block_unit", block_units());
        const Axis unit = axis("unit", neurons_.size());
        const Axis set = axis("set", trained_sets().size());
        stage.columns.push_back({"weight",
                                 Domain::item,
                                 ElementType::f64,
                                 {axis("set_feature", widest_set()), block_unit},
                                 "",
                                 "weight of each feature; rows beyond the set's features are 0"});
        const auto add = [&](const char* name, const char* text) {
            stage.columns.push_back({name, Domain::item, ElementType::f64, {block_unit}, "", text});
        };
        for (const ScoreColumn& column : scores_) add(column.name, column.text);
        for (const FitColumn& column : fit_columns) add(column.name, column.text);
        first_summary_ = static_cast<std::uint32_t>(stage.columns.size());
        const auto summarise_as = [&](const std::string& name, const std::string& text) {
            stage.columns.push_back({name, Domain::stage, ElementType::f64, {set, unit}, "", text});
        };
        for (const ScoreColumn& column : scores_) summarise_as(column.name, column.text);
        for (const FitColumn& column : fit_columns) summarise_as(column.name, column.text);
        summarise_as("r_untrained", "baseline: Pearson r of an untrained network's same features");
        stage.tables.axes = {{"sets", "set", set_table()}, {"units", "unit", units_}};
    }

    std::vector<std::size_t> trained_sets() const
    {
        std::vector<std::size_t> trained;
        for (std::size_t set = 0; set < sets_.size(); ++set)
            if (!sets_[set].is_untrained) trained.push_back(set);
        return trained;
    }

    Table set_table() const
    {
        std::vector<std::string> twins, areas;
        std::vector<std::int64_t> features;
        for (const std::size_t set : trained_sets()) {
            twins.push_back(sets_[set].twin);
            areas.push_back(sets_[set].area);
            features.push_back(static_cast<std::int64_t>(sets_[set].columns.size()));
        }
        return {{{"twin", "", std::move(twins)},
                 {"area", "", std::move(areas)},
                 {"features", "", std::move(features)}}};
    }

    RidgeFit fit(std::size_t set, std::size_t first_unit, std::size_t units,
                 const ShardTools& tools) const
    {
        std::vector<LinearSums> groups;
        for (std::size_t group = 0; group < split_.groups.size(); ++group) {
            tools.check_stop();
            groups.push_back(
                moments_->load(*history_, moments_stage, set, group, first_unit, units));
        }
        RidgeSettings ridge{
            settings_.lambdas, settings_.standardise, settings_.components, {}, tools.check_stop};
        if (settings_.band_draws > 0)
            ridge.candidates =
                band_weights(sets_[set].band, sets_[set].bands, settings_.band_draws, seed_);
        return fit_ridge(groups, split_.held_out, units, ridge);
    }

    /// Predictions for the test images [test images, 2 * units].
    std::vector<double> predict(std::size_t set, const LinearFit& fit,
                                const ShardTools& tools) const
    {
        constexpr std::size_t images_at_once = 512;
        std::vector<double> predicted;
        const std::span<const std::uint64_t> test = split_.test;
        for (std::size_t first = 0; first < test.size(); first += images_at_once) {
            tools.check_stop();
            const std::vector<float> rows =
                rows_->read(test.subspan(first, std::min(images_at_once, test.size() - first)));
            const std::vector<double> more =
                fit.predict(gathered(sets_[set], rows, feature_count_));
            predicted.insert(predicted.end(), more.begin(), more.end());
        }
        return predicted;
    }

    /// Column `response` of predictions, placed behind the fitted images.
    std::vector<double> prediction_of(const std::vector<double>& predicted, std::size_t responses,
                                      std::size_t response) const
    {
        std::vector<double> values(fitted_.size(), nan);
        for (std::size_t at = response; at < predicted.size(); at += responses)
            values.push_back(predicted[at]);
        return values;
    }

    void fit_set(const Shard& shard, ShardTools& tools)
    {
        const std::uint64_t item = index_of(shard.id);
        const std::size_t set = item / unit_blocks();
        const std::size_t first = item % unit_blocks() * block_units();
        const std::size_t units = std::min(block_units(), neurons_.size() - first);
        find_noise(tools);
        const RidgeFit ridge = fit(set, first, units, tools);
        const std::vector<double> predicted = predict(set, ridge.map, tools);

        std::vector<std::vector<double>> columns(scores_.size() + fit_columns.size(),
                                                 std::vector<double>(block_units(), nan));
        ScoreInputs inputs = score_inputs();
        if (sets_[set].is_untrained) inputs.resamples = {};  // its r is a baseline
        for (std::size_t unit = 0; unit < units; ++unit) {
            tools.check_stop();
            const UnitScore score =
                score_unit(inputs, first + unit, prediction_of(predicted, 2 * units, unit));
            for (std::size_t column = 0; column < scores_.size(); ++column)
                columns[column][unit] = score.*scores_[column].value;
            const auto value = [&](FitValue which) -> double& {
                return columns[scores_.size() + which][unit];
            };
            value(r_shuffled) =
                shuffled_score(first + unit, prediction_of(predicted, 2 * units, units + unit));
            value(validation_r2) = ridge.validation_r2[unit];
            value(chosen_lambda) = settings_.lambdas[ridge.lambda[unit]];
            value(chosen_band) = ridge.candidate[unit];
            value(intercept) = ridge.map.intercept[unit];
        }
        write_weights(ridge.map, units, tools);
        for (std::size_t column = 0; column < columns.size(); ++column)
            tools.write(id(1 + static_cast<std::uint32_t>(column)),
                        column_of(columns[column], {1, static_cast<std::int64_t>(block_units())}));
    }

    void write_weights(const LinearFit& map, std::size_t units, const ShardTools& tools) const
    {
        OwnedBatch weights(ElementType::f64, {1, static_cast<std::int64_t>(widest_set()),
                                              static_cast<std::int64_t>(block_units())});
        std::ranges::fill(weights.values<double>(), 0.0);
        for (std::size_t row = 0; row < map.features; ++row)
            std::copy_n(map.weights.begin() + static_cast<std::ptrdiff_t>(row * map.responses),
                        units,
                        weights.values<double>().begin() +
                            static_cast<std::ptrdiff_t>(row * block_units()));
        tools.write(id(0), std::move(weights));
    }

    double shuffled_score(std::size_t unit, const std::vector<double>& predicted) const
    {
        const std::span<const double> tested = std::span(predicted).subspan(fitted_.size());
        std::vector<std::uint64_t> places(tested.size());
        std::iota(places.begin(), places.end(), std::uint64_t{fitted_.size()});
        return pearson(tested, mean_responses(scored_, places, {unit}));
    }

    /// Ceilings belong to units, not to fits: once per rank.
    void find_noise(const ShardTools& tools)
    {
        if (recording_.repeats == 1 || !noise_.empty()) return;
        std::vector<Reliability> found;
        for (std::size_t unit = 0; unit < neurons_.size(); ++unit) {
            tools.check_stop();
            found.push_back(noise_of(score_inputs(), unit));
        }
        noise_ = std::move(found);
    }

    // ---- summary ----

    SummaryRows summarise(const StageResults& results) const
    {
        const std::vector<std::size_t> trained = trained_sets();
        const Shape shape{static_cast<std::int64_t>(trained.size()),
                          static_cast<std::int64_t>(neurons_.size())};
        const std::size_t columns = scores_.size() + fit_columns.size();
        SummaryRows summary;
        for (std::size_t column = 0; column < columns; ++column) {
            std::vector<double> values;
            for (const std::size_t set : trained) {
                const std::vector<double> row = unit_values(results, column, set);
                values.insert(values.end(), row.begin(), row.end());
            }
            summary.emplace_back(id(first_summary_ + static_cast<std::uint32_t>(column)),
                                 column_of(values, shape));
        }
        std::vector<double> untrained;
        for (const std::size_t set : trained) {
            std::vector<double> row(neurons_.size(), nan);
            if (sets_[set].untrained) row = unit_values(results, 0, *sets_[set].untrained);
            untrained.insert(untrained.end(), row.begin(), row.end());
        }
        summary.emplace_back(id(first_summary_ + static_cast<std::uint32_t>(columns)),
                             column_of(untrained, shape));
        return summary;
    }

    /// One column of one set over all units.
    std::vector<double> unit_values(const StageResults& results, std::size_t column,
                                    std::size_t set) const
    {
        results.check_stop();
        const OwnedBatch rows = results.read(id(1 + static_cast<std::uint32_t>(column)),
                                             set * unit_blocks(), unit_blocks());
        const std::span<const double> values = rows.values<double>();
        return {values.begin(), values.begin() + static_cast<std::ptrdiff_t>(neurons_.size())};
    }

    /// A summary column by name [set][unit].
    std::vector<std::vector<double>> summary_of(const StageResults& results,
                                                std::size_t column) const
    {
        const OwnedBatch row =
            results.read(id(first_summary_ + static_cast<std::uint32_t>(column)), 0, 1);
        std::vector<std::vector<double>> sets;
        for (std::size_t at = 0; at < row.values<double>().size(); at += neurons_.size())
            sets.emplace_back(
                row.values<double>().begin() + static_cast<std::ptrdiff_t>(at),
                row.values<double>().begin() + static_cast<std::ptrdiff_t>(at + neurons_.size()));
        return sets;
    }

    std::vector<std::string> report_fits(const StageResults& results,
                                         const std::filesystem::path& folder)
    {
        FitReport report;
        report.units = units_;
        report.lambdas = settings_.lambdas;
        report.has_repeats = recording_.repeats > 1;
        for (const std::size_t set : trained_sets())
            report.sets.push_back({sets_[set].twin, sets_[set].area, sets_[set].columns.size()});
        for (std::size_t column = 0; column < scores_.size(); ++column)
            report.values[scores_[column].name] = summary_of(results, column);
        for (std::size_t column = 0; column < fit_columns.size(); ++column)
            report.values[fit_columns[column].name] = summary_of(results, scores_.size() + column);
        report.values["r_untrained"] = summary_of(results, scores_.size() + fit_columns.size());
        std::vector<std::string> lines{
            fmt::format("{} images fitted ({}), {} tested; {} units", fitted_.size(),
                        split_.held_out.size() > 1
                            ? fmt::format("{} folds choose penalties", split_.held_out.size())
                            : std::string("validation images choose penalties"),
                        split_.test.size(), neurons_.size())};
        if (is_smoke_run_)
            lines.push_back("this is a smoke run on the first items: the scores mean nothing");
        if (left_out_ > 0)
            lines.push_back(fmt::format("{} units that cannot be fitted were left out", left_out_));
        if (unreadable_ > 0)
            lines.push_back(
                fmt::format("{} images could not be read and were left out", unreadable_));
        if (leaks_ > 0)
            lines.push_back(
                fmt::format("{} test images are among the fitted images: the scores "
                            "flatter",
                            leaks_));
        for (std::string& line : describe_fit(report)) lines.push_back(std::move(line));
        write_fit_files(report, folder);
        return lines;
    }

    FitSettings settings_;
    Recording recording_;
    Table recorded_table_;
    bool is_smoke_run_ = false;
    std::uint64_t seed_ = 0;
    const StageHistory* history_ = nullptr;
    std::string stage_;

    std::vector<Twin> twins_;  // the campaign's, then untrained ones
    std::vector<TwinCovariates> covariates_;
    std::vector<std::pair<std::string, std::string>> untrained_;  // name, name of the trained twin
    std::vector<FeatureSet> sets_;
    std::size_t feature_count_ = 0;

    ImageSplit split_;
    std::vector<std::uint64_t> fitted_;
    std::vector<std::size_t> neurons_;  // rows of the recording that are fitted
    Table units_;
    std::size_t left_out_ = 0;
    std::uint64_t unreadable_ = 0;
    std::size_t leaks_ = 0;
    std::vector<double> responses_;  // [fitted images, 2 * units]
    std::vector<double> x0_;
    std::vector<double> y0_;
    std::unique_ptr<FeatureRows> rows_;
    std::unique_ptr<MomentStage> moments_;

    Recording scored_;  // fitted images, then test images
    std::vector<double> levels_;
    ScoreSettings score_;
    std::vector<std::uint32_t> resamples_;
    std::vector<Reliability> noise_;
    std::vector<ScoreColumn> scores_;
    std::uint32_t first_summary_ = 0;
};

}  // namespace

void register_fit_readout(ExperimentRegistry& registry)
{
    registry.add({"fit_readout",
                  "readouts of recorded units from features of any twins: cross-validated ridge, "
                  "held-out accuracy beside baselines, a new bundle",
                  fit_readout_example,
                  [](ConfigSection& section) -> std::unique_ptr<Experiment> {
                      return std::make_unique<FitReadout>(read_fit_settings(section));
                  },
                  true});
}

}  // namespace twinscreen
