#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/base/digest.hpp"
#include "engine/base/memory.hpp"
#include "engine/run/progress.hpp"
#include "engine/twin/untrained_twin.hpp"
#include "experiments/examples.hpp"
#include "experiments/experiments.hpp"
#include "experiments/fit_images.hpp"
#include "experiments/fit_stage.hpp"

namespace twinscreen {
namespace {

constexpr const char* features_stage = "features";
constexpr const char* moments_stage = "moments";
constexpr const char* fits_stage = "fits";

/// Columns of the stage of features.
enum FeatureColumn : std::uint32_t { feature, luminance, picture };

ColumnId id(std::uint32_t number) { return ColumnId{number}; }

/// Recorded responses + stimuli + features of any twins -> readouts, their accuracy on held-out
/// images beside trivial baselines, and bundles.
///
/// Three stages: features of every stimulus; sums over the images of each fold; fits.
class FitReadout final : public Experiment {
public:
    explicit FitReadout(FitSettings settings) : settings_(std::move(settings)) {}

    void check(ConfigSection& section, const CampaignInputs& inputs) override
    {
        settle_smoke_run(inputs);
        check_ranges(section, inputs);
        try {
            images_ = read_fit_images(settings_, inputs.stimuli->count());
        } catch (const Error& error) {
            section.complain("responses", error.what());
        }
        if (section.has_mistakes()) return;
        std::vector<std::uint64_t> all(inputs.items());
        std::iota(all.begin(), all.end(), std::uint64_t{0});
        try {
            settle_units(settings_, split_images(settings_.split, all, inputs.seed), images_);
        } catch (const Error& error) {
            section.complain(error.kind() == Error::Kind::data ? "responses" : "folds",
                             error.what());
        }
        add_untrained(inputs);
        if (settings_.factorised) check_maps(section);
    }

    std::optional<StagePlan> next_stage(const CampaignInputs& inputs,
                                        const StageHistory& history) override
    {
        if (history.has(fits_stage)) return std::nullopt;
        if (!history.has(features_stage)) return plan_features(inputs);
        if (fits_ == nullptr) settle(inputs, history);
        // A factorised readout is fitted to the features themselves.
        if (!settings_.factorised && !history.has(moments_stage)) return plan_moments(inputs);
        return plan_fits(inputs);
    }

    std::vector<std::string> outlook(const CampaignInputs& inputs) const override
    {
        // As if every picture could be read.
        std::vector<std::uint64_t> all(inputs.items());
        std::iota(all.begin(), all.end(), std::uint64_t{0});
        FitImages images = images_;
        images.split = split_images(settings_.split, all, inputs.seed);
        images.fitted = images.split.fitted();
        const std::size_t responses = 2 * images.neurons.size();
        const StageHistory none;
        const FeatureRows rows(none, features_stage, id(feature), feature_count_);
        const FitData data{settings_, images, sets_, rows, none, inputs.seed};
        const std::vector<double> y0(responses);
        const MomentStage moments({rows, sets_, images.split, {}, images.fitted, {}, y0});
        std::vector<std::string> lines;
        if (!settings_.factorised) lines.push_back(moments_line(moments));
        const auto form =
            settings_.factorised ? factorised_form(data) : ridge_form(data, moments, moments_stage);
        lines.push_back(fmt::format(
            "stage {}: {} sets of up to {} features, {} units; memory per rank: about {}",
            fits_stage, sets_.size(), count_text(data.widest_set()), images.neurons.size(),
            bytes_text(form->memory_bytes())));
        return lines;
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
            fits_->run(shard, tools);
    }

    SummaryRows combine(const StageResults& results) override
    {
        return stage_ == fits_stage ? fits_->summarise(results) : SummaryRows{};
    }

    std::vector<std::string> report(const StageResults& results, const CampaignInputs& inputs,
                                    const std::filesystem::path& folder) override
    {
        if (stage_ != fits_stage) return {};
        const FitReport report = fits_->report(results);
        std::vector<std::string> lines = remarks();
        for (std::string& line : describe_fit(report)) lines.push_back(std::move(line));
        write_fit_files(report, folder);
        for (std::string& line : write_bundles(results, report, inputs, folder))
            lines.push_back(std::move(line));
        return lines;
    }

private:
    static std::string moments_line(const MomentStage& moments)
    {
        const Plan plan = moments.plan(moments_stage, 1);
        double bytes = 0.0;
        for (const ColumnSpec& column : moments.columns())
            bytes += static_cast<double>(column.row_bytes() * plan.shards());
        return fmt::format(
            "stage {}: sums over {} blocks of images, stored {}; memory per rank: about {}",
            moments_stage, plan.shards(), bytes_text(bytes), bytes_text(moments.memory_bytes()));
    }

    /// A smoke run has too few items for the ranges of the campaign: three quarters are fitted.
    void settle_smoke_run(const CampaignInputs& inputs)
    {
        SplitSettings& split = settings_.split;
        const std::uint64_t last =
            std::max({split.train.end, split.validation.end, split.test.end});
        if (inputs.schedule.limit == 0 || last <= inputs.items()) return;
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

    /// The campaign's twins and, behind them, the untrained counterparts of those that have one.
    void add_untrained(const CampaignInputs& inputs)
    {
        constexpr std::uint64_t draw = 1;
        twins_.clear();
        covariates_.assign(inputs.covariates.begin(), inputs.covariates.end());
        untrained_.clear();
        for (const Twin& twin : inputs.twins) twins_.push_back(copy_of(twin));
        for (std::size_t twin = 0; settings_.untrained && twin < inputs.twins.size(); ++twin) {
            std::optional<Twin> drawn = untrained_twin(inputs.twins[twin], draw);
            if (!drawn) continue;
            untrained_.emplace_back(drawn->spec.name, inputs.twins[twin].spec.name);
            twins_.push_back(std::move(*drawn));
            covariates_.push_back(inputs.covariates[twin]);
        }
    }

    /// The map that a set's features are all values of, where they are.
    std::optional<MapShape> map_of(const FeatureSet& set) const
    {
        for (const Twin& twin : twins_) {
            if (twin.spec.name != set.twin || !twin.selection ||
                !(twin.selection->features == TapFeatures{}))
                continue;
            for (const TapSpec& tap : twin.parts.front().backbone->taps())
                if (tap.name == set.area && tap.channels_first && tap.row.rank == 3)
                    return MapShape{tap.row.extent[0], tap.row.extent[1], tap.row.extent[2]};
        }
        return std::nullopt;
    }

    /// Factorised readouts want whole maps.
    void check_maps(ConfigSection& section)
    {
        const ForwardPlan forward(twins_, covariates_, {false, false});
        for (const FeatureSet& set : feature_sets(forward.units(), untrained_, false))
            if (!map_of(set))
                section.complain(
                    "readout",
                    fmt::format(
                        "a factorised readout needs whole maps [channels, height, width] of "
                        "a graph; {} of twin '{}' is none",
                        set.area, set.twin),
                    "name taps that are maps, without tap_pool and tap_project");
    }

    StagePlan plan_features(const CampaignInputs& inputs)
    {
        stage_ = features_stage;
        StagePlan stage;
        stage.forward =
            std::make_shared<ForwardPlan>(twins_, covariates_, ForwardWants{true, false});
        const Table& features = stage.forward->units();
        sets_ = feature_sets(features, untrained_, settings_.together);
        for (FeatureSet& set : sets_) set.map = map_of(set);
        feature_count_ = features.rows();
        stage.columns = {{"feature",
                          Domain::item,
                          ElementType::f32,
                          {{"feature", static_cast<std::int64_t>(feature_count_), ""}},
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
        const std::size_t item_bytes = feature_count_ * sizeof(float) + 2 * sizeof(double);
        stage.plan = plan_stimulus_stage(features_stage, inputs, *stage.forward, item_bytes, 0);
        stage.tables.items = stage.plan.items;
        describe_stimuli(inputs, stage.tables);
        for (const Twin& twin : twins_)
            stage.settings.emplace_back("features of " + twin.spec.name, twin.spec.digest);
        return stage;
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

    /// Everything that is known once the features are.
    void settle(const CampaignInputs& inputs, const StageHistory& history)
    {
        const std::uint64_t items = inputs.items();
        const OwnedBatch levels = history.read(features_stage, id(luminance), 0, items);
        const OwnedBatch pictures = history.read(features_stage, id(picture), 0, items);
        settle_images(settings_,
                      {*inputs.stimuli, levels.values<double>(), pictures.values<std::uint64_t>()},
                      inputs.seed, images_);
        rows_ = std::make_unique<FeatureRows>(history, features_stage, id(feature), feature_count_);
        data_.reset(new FitData{settings_, images_, sets_, *rows_, history, inputs.seed});
        settle_references();
        moments_ = std::make_unique<MomentStage>(MomentInputs{
            *rows_, sets_, images_.split, images_.responses, images_.fitted, x0_, y0_});
        form_ = settings_.factorised ? factorised_form(*data_)
                                     : ridge_form(*data_, *moments_, moments_stage);
        fits_ = std::make_unique<FitStage>(*data_, *form_);
    }

    /// References near the means, from the first fitted images: any would do, these keep digits.
    void settle_references()
    {
        const std::size_t count = std::min<std::size_t>(256, images_.fitted.size());
        const std::vector<float> rows = rows_->read(std::span(images_.fitted).first(count));
        x0_.assign(feature_count_, 0.0);
        for (std::size_t at = 0; at < rows.size(); ++at)
            x0_[at % feature_count_] += static_cast<double>(rows[at]);
        for (double& value : x0_) value /= static_cast<double>(count);
        y0_.assign(2 * images_.neurons.size(), 0.0);
        for (std::size_t at = 0; at < images_.responses.size(); ++at)
            y0_[at % y0_.size()] += images_.responses[at];
        for (double& value : y0_) value /= static_cast<double>(images_.fitted.size());
    }

    /// A stage that reads no stimuli and computes no network.
    StagePlan plan_without_stimuli(std::string items_are) const
    {
        StagePlan stage;
        stage.forward = std::make_shared<ForwardPlan>(
            std::span<Twin>{}, std::span<const TwinCovariates>{}, ForwardWants{false, false});
        stage.reads_stimuli = false;
        stage.items_are = std::move(items_are);
        Digest parts;
        for (const auto& group : images_.split.groups)
            parts.add_bytes(std::as_bytes(std::span(group))).add("group");
        parts.add_bytes(std::as_bytes(std::span(images_.split.test)));
        Digest features;
        for (const Twin& twin : twins_) features.add(twin.spec.name).add(twin.spec.digest);
        stage.settings = {
            {"recording", images_.recording.digest},
            {"layout", settings_.layout},
            {"units", fmt::format("{} of {}", images_.neurons.size(), images_.recording.neurons)},
            {"images", fmt::format("{} fitted, {} tested; {}", images_.fitted.size(),
                                   images_.split.test.size(), parts.hex())},
            {"features",
             fmt::format("{}; {}", settings_.together ? "together" : "each", features.hex())}};
        return stage;
    }

    StagePlan plan_moments(const CampaignInputs& inputs)
    {
        stage_ = moments_stage;
        require_memory(
            "a readout of these features (sums of products of each two; tap_pool, "
            "tap_project and fewer taps make them fewer)",
            moments_->memory_bytes());
        StagePlan stage = plan_without_stimuli("blocks of images");
        stage.plan = moments_->plan(moments_stage, inputs.schedule.threads_per_rank);
        stage.columns = moments_->columns();
        stage.tables.items = stage.plan.items;
        stage.tables.describe_items = [](ItemRange items) {
            std::vector<std::int64_t> blocks(items.count);
            std::iota(blocks.begin(), blocks.end(),
                      static_cast<std::int64_t>(index_of(items.first)));
            return Table{{{"block", "", std::move(blocks)}}};
        };
        return stage;
    }

    StagePlan plan_fits(const CampaignInputs& inputs)
    {
        stage_ = fits_stage;
        require_memory(fmt::format("a readout of {} features", data_->widest_set()),
                       form_->memory_bytes());
        StagePlan stage = plan_without_stimuli("fits");
        fits_->declare(fits_stage, inputs.schedule.threads_per_rank, stage);
        stage.settings.emplace_back("readout", form_->settings_text());
        stage.settings.emplace_back(
            "resamples",
            fmt::format("{} bootstrap, {} halvings", settings_.resamples, settings_.halvings));
        return stage;
    }

    std::vector<std::string> remarks() const
    {
        const std::size_t held_out = images_.split.held_out.size();
        std::vector<std::string> lines{
            fmt::format("{} images fitted ({}), {} tested; {} units", images_.fitted.size(),
                        held_out > 1 ? fmt::format("{} folds choose penalties", held_out)
                                     : std::string("validation images choose penalties"),
                        images_.split.test.size(), images_.neurons.size())};
        if (is_smoke_run_)
            lines.emplace_back("this is a smoke run on the first items: the scores mean nothing");
        if (images_.left_out > 0)
            lines.push_back(
                fmt::format("{} units that cannot be fitted were left out", images_.left_out));
        if (images_.unreadable > 0)
            lines.push_back(
                fmt::format("{} images could not be read and were left out", images_.unreadable));
        if (images_.leaks > 0)
            lines.push_back(fmt::format(
                "{} test images are among the fitted images: the scores flatter", images_.leaks));
        return lines;
    }

    /// The twin whose taps a set of features is made of; nothing where there are several.
    static const Twin* twin_named(const CampaignInputs& inputs, const std::string& name)
    {
        for (const Twin& twin : inputs.twins)
            if (twin.spec.name == name) return &twin;
        return nullptr;
    }

    static std::string folder_name(const std::string& twin, const std::string& area)
    {
        std::string name = twin + "_" + area;
        for (char& letter : name)
            if (std::isalnum(static_cast<unsigned char>(letter)) == 0 && letter != '-')
                letter = '_';
        return name;
    }

    std::vector<std::string> write_bundles(const StageResults& results, const FitReport& report,
                                           const CampaignInputs& inputs,
                                           const std::filesystem::path& folder) const
    {
        std::vector<std::size_t> wanted;
        if (settings_.bundles == "best") wanted = report.best_sets();
        if (settings_.bundles == "all") {
            wanted.resize(report.sets.size());
            std::iota(wanted.begin(), wanted.end(), std::size_t{0});
        }
        std::vector<std::string> lines;
        for (const std::size_t set : wanted) {
            const FitReport::Set& of = report.sets[set];
            const Twin* twin = twin_named(inputs, of.twin);
            const std::string reason = twin == nullptr ? "its features come from several twins"
                                                       : reason_against_bundle(*twin);
            if (!reason.empty()) {
                lines.push_back(fmt::format("no bundle of {} {}: {}; the weights are in fits.h5",
                                            of.twin, of.area, reason));
                continue;
            }
            FittedReadout readout = fits_->readout(results, set);
            readout.name = folder_name(of.twin, of.area);
            readout.taps =
                settings_.together ? twin->selection->taps : std::vector<std::string>{of.area};
            readout.features = twin->selection->features;
            readout.response_unit = "as recorded";
            readout.remark =
                fmt::format("readout fitted to {} ({} images, median held-out r {:.3f})",
                            settings_.responses.filename().string(), images_.fitted.size(),
                            report.median_of("r", set));
            const auto to = folder / "bundles" / readout.name;
            write_fitted_bundle(*twin, readout, to);
            lines.push_back(fmt::format("bundle: {}", to.string()));
        }
        return lines;
    }

    FitSettings settings_;
    bool is_smoke_run_ = false;
    std::string stage_;

    std::vector<Twin> twins_;  // the campaign's, then untrained ones
    std::vector<TwinCovariates> covariates_;
    std::vector<std::pair<std::string, std::string>> untrained_;  // name, name of the trained twin
    std::vector<FeatureSet> sets_;
    std::size_t feature_count_ = 0;

    FitImages images_;
    std::vector<double> x0_;
    std::vector<double> y0_;
    std::unique_ptr<FeatureRows> rows_;
    std::unique_ptr<FitData> data_;
    std::unique_ptr<MomentStage> moments_;
    std::unique_ptr<ReadoutForm> form_;
    std::unique_ptr<FitStage> fits_;
};

}  // namespace

void register_fit_readout(ExperimentRegistry& registry)
{
    registry.add({"fit_readout",
                  "readouts of recorded units from features of any twins: cross-validated ridge, "
                  "held-out accuracy beside baselines, new bundles",
                  fit_readout_example,
                  [](ConfigSection& section) -> std::unique_ptr<Experiment> {
                      return std::make_unique<FitReadout>(read_fit_settings(section));
                  },
                  true});
}

}  // namespace twinscreen
