#include <algorithm>
#include <cctype>
#include <numeric>
#include <set>

#include "engine/base/digest.hpp"
#include "engine/base/memory.hpp"
#include "engine/config/csv.hpp"
#include "engine/run/progress.hpp"
#include "experiments/examples.hpp"
#include "experiments/experiments.hpp"
#include "experiments/fit_readout/band_weights.hpp"
#include "experiments/fit_readout/feature_stage.hpp"
#include "experiments/fit_readout/fit_images.hpp"
#include "experiments/fit_readout/fit_stage.hpp"

namespace twinscreen {
namespace {

constexpr const char* moments_stage = "moments";
constexpr const char* fits_stage = "fits";

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
        images_ = read_fit_images(settings_, inputs.stimuli->count(), section);
        if (settings_.untrained) check_names(section, inputs);
        if (section.has_mistakes()) return;
        std::vector<std::uint64_t> all(inputs.items());
        std::iota(all.begin(), all.end(), std::uint64_t{0});
        try {
            settle_units(settings_, split_images(settings_.split, all, inputs.seed), images_);
        } catch (const Error& error) {
            section.complain(error.kind() == Error::Kind::data ? "responses" : "folds",
                             error.what());
        }
        features_ = std::make_unique<FeatureStage>(inputs, settings_.untrained, settings_.together,
                                                   section.reads());
        if (settings_.factorised) features_->check_maps(section);
    }

    std::optional<StagePlan> next_stage(const CampaignInputs& inputs,
                                        const StageHistory& history) override
    {
        if (history.has(fits_stage)) return std::nullopt;
        if (!history.has(FeatureStage::name)) {
            stage_ = FeatureStage::name;
            return features_->plan(inputs);
        }
        if (fits_ == nullptr) settle(inputs, history);
        // A factorised readout is fitted to the features themselves.
        if (!settings_.factorised && !history.has(moments_stage)) return plan_moments(inputs);
        return plan_fits(inputs);
    }

    void require_room(const CampaignInputs& inputs) const override
    {
        const Outlook ahead(*this, inputs);
        require_memory(
            "a readout of these features (sums of products of each two; tap_pool, "
            "tap_project and fewer taps make them fewer)",
            std::max(settings_.factorised ? 0.0 : ahead.moments.memory_bytes(),
                     ahead.form->memory_bytes()));
    }

    std::vector<std::string> outlook(const CampaignInputs& inputs) const override
    {
        const Outlook ahead(*this, inputs);
        std::vector<std::string> lines;
        if (!settings_.factorised) lines.push_back(moments_line(ahead.moments));
        lines.push_back(fmt::format(
            "stage {}: {} sets of up to {} features, {} units; memory per rank: about {}",
            fits_stage, features_->sets().size(), count_text(ahead.data.widest_set()),
            ahead.images.neurons.size(), bytes_text(ahead.form->memory_bytes())));
        return lines;
    }

    ItemRange reads(const Shard& shard) const override
    {
        return stage_ == FeatureStage::name ? shard.items : ItemRange{};
    }

    void run_shard(const Shard& shard, ShardTools& tools) override
    {
        if (stage_ == FeatureStage::name)
            features_->run(shard, tools);
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
        FitReport report = fits_->report(results);
        if (settings_.band_draws > 0) add_bands(report);
        std::vector<std::string> lines = remarks();
        for (std::string& line : describe_fit(report)) lines.push_back(std::move(line));
        write_fit_files(report, folder);
        for (std::string& line : write_bundles(results, report, inputs, folder))
            lines.push_back(std::move(line));
        return lines;
    }

private:
    /// Later stages as they will be if every picture can be read.
    struct Outlook {
        StageHistory none;
        FitImages images;
        FeatureRows rows;
        FitData data;
        std::vector<double> y0;
        MomentStage moments;
        std::unique_ptr<ReadoutForm> form;

        Outlook(const FitReadout& fit, const CampaignInputs& inputs)
            : images(with_all_images(fit, inputs)),
              rows(fit.features_->rows(none)),
              data{fit.settings_, images, fit.features_->sets(), rows, none, inputs.seed},
              y0(2 * images.neurons.size()),
              moments({rows, data.sets, images.split, {}, images.fitted, {}, y0}),
              form(fit.settings_.factorised ? factorised_form(data)
                                            : ridge_form(data, moments, moments_stage))
        {
        }
        static FitImages with_all_images(const FitReadout& fit, const CampaignInputs& inputs)
        {
            std::vector<std::uint64_t> all(inputs.items());
            std::iota(all.begin(), all.end(), std::uint64_t{0});
            FitImages images;
            images.neurons = fit.images_.neurons;
            images.recording.repeats = fit.images_.recording.repeats;
            images.split = split_images(fit.settings_.split, all, inputs.seed);
            images.fitted = images.split.fitted();
            return images;
        }
    };

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

    /// The untrained counterpart of a twin has a name of its own.
    static void check_names(ConfigSection& section, const CampaignInputs& inputs)
    {
        for (const Twin& twin : inputs.twins)
            if (twin_named(inputs, twin.spec.name + ", untrained") != nullptr)
                section.complain("untrained_baseline",
                                 fmt::format("a twin is called '{0}, untrained', as the untrained "
                                             "network of '{0}' is",
                                             twin.spec.name),
                                 "give it another name, or set untrained_baseline = false");
    }

    void add_bands(FitReport& report) const
    {
        report.bands = features_->sets().front().bands;
        std::vector<std::uint32_t> each(report.bands.size());
        std::iota(each.begin(), each.end(), 0U);
        report.band_weights = band_weights(each, each.size(), settings_.band_draws, data_->seed);
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

    /// Everything that is known once the features are.
    void settle(const CampaignInputs& inputs, const StageHistory& history)
    {
        const std::uint64_t items = inputs.items();
        const OwnedBatch levels = features_->luminance(history, items);
        const OwnedBatch pictures = features_->pictures(history, items);
        settle_images(settings_,
                      {*inputs.stimuli, levels.values<double>(), pictures.values<std::uint64_t>()},
                      inputs.seed, images_);
        const std::vector<FeatureSet>& sets = features_->sets();
        rows_ = std::make_unique<FeatureRows>(features_->rows(history));
        data_.reset(new FitData{settings_, images_, sets, *rows_, history, inputs.seed});
        settle_references();
        moments_ = std::make_unique<MomentStage>(
            MomentInputs{*rows_, sets, images_.split, images_.responses, images_.fitted, x0_, y0_});
        form_ = settings_.factorised ? factorised_form(*data_)
                                     : ridge_form(*data_, *moments_, moments_stage);
        fits_ = std::make_unique<FitStage>(*data_, *form_);
    }

    /// References near the means, from the first fitted images: any would do, these keep digits.
    void settle_references()
    {
        const std::size_t count = std::min<std::size_t>(256, images_.fitted.size());
        const std::vector<float> rows = rows_->read(std::span(images_.fitted).first(count));
        x0_.assign(features_->features(), 0.0);
        for (std::size_t at = 0; at < rows.size(); ++at)
            x0_[at % features_->features()] += static_cast<double>(rows[at]);
        for (double& value : x0_) value /= static_cast<double>(count);
        y0_.assign(2 * images_.neurons.size(), 0.0);
        for (std::size_t at = 0; at < images_.responses.size(); ++at)
            y0_[at % y0_.size()] += images_.responses[at];
        for (double& value : y0_) value /= static_cast<double>(images_.fitted.size());
    }

    /// A stage that is computed from the features.
    StagePlan plan_computed(std::string items_are) const
    {
        StagePlan stage = plan_without_stimuli(std::move(items_are));
        Digest parts;
        for (const auto& group : images_.split.groups)
            parts.add_bytes(std::as_bytes(std::span(group))).add("group");
        parts.add_bytes(std::as_bytes(std::span(images_.split.test)));
        stage.settings = {
            {"recording", images_.recording.digest},
            {"layout", settings_.layout},
            {"units", fmt::format("{} of {}; {}", images_.neurons.size(), images_.recording.neurons,
                                  Digest{}.add(csv_text(images_.units)).hex())},
            {"images", fmt::format("{} fitted, {} tested; {}", images_.fitted.size(),
                                   images_.split.test.size(), parts.hex())},
            {"features",
             fmt::format("{}; {}", settings_.together ? "together" : "each", features_->digest())}};
        return stage;
    }

    StagePlan plan_moments(const CampaignInputs& inputs)
    {
        stage_ = moments_stage;
        StagePlan stage = plan_computed("blocks of images");
        stage.plan = moments_->plan(moments_stage, inputs.schedule.threads_per_rank);
        stage.columns = moments_->columns();
        stage.tables.items = stage.plan.items;
        stage.tables.describe_items = number_items("block");
        return stage;
    }

    StagePlan plan_fits(const CampaignInputs& inputs)
    {
        stage_ = fits_stage;
        StagePlan stage = plan_computed("fits");
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
        if (images_.repeats > 0)
            lines.push_back(
                fmt::format("{} fitted images are in another fold as well: penalties "
                            "may be too small",
                            images_.repeats));
        return lines;
    }

    /// The twin whose taps a set of features is made of; nothing where there are several.
    static const Twin* twin_named(const CampaignInputs& inputs, const std::string& name)
    {
        for (const Twin& twin : inputs.twins)
            if (twin.spec.name == name) return &twin;
        return nullptr;
    }

    /// A name of letters and digits that no other bundle of this run has.
    static std::string folder_name(const std::string& twin, const std::string& layer,
                                   std::set<std::string>& taken)
    {
        constexpr std::size_t longest = 100;
        std::string name = (twin + "_" + layer).substr(0, longest);
        for (char& letter : name)
            if (std::isalnum(static_cast<unsigned char>(letter)) == 0 && letter != '-')
                letter = '_';
        std::string free = name;
        for (int number = 2; !taken.insert(free).second; ++number)
            free = fmt::format("{}_{}", name, number);
        return free;
    }

    std::vector<std::size_t> wanted_bundles(const FitReport& report) const
    {
        std::vector<std::size_t> wanted;
        if (settings_.bundles == "best") wanted = report.best_sets();
        if (settings_.bundles == "all") {
            wanted.resize(report.sets.size());
            std::iota(wanted.begin(), wanted.end(), std::size_t{0});
        }
        return wanted;
    }

    std::vector<std::string> write_bundles(const StageResults& results, const FitReport& report,
                                           const CampaignInputs& inputs,
                                           const std::filesystem::path& folder) const
    {
        TWINSCREEN_REQUIRE(!std::filesystem::is_symlink(folder / "bundles"), store,
                           "{}: is a link; bundles are written into the folder itself",
                           (folder / "bundles").string());
        std::vector<std::string> lines;
        std::set<std::string> taken;
        for (const std::size_t set : wanted_bundles(report)) {
            const FitReport::Set& of = report.sets[set];
            const auto to = folder / "bundles" / folder_name(of.twin, of.layer, taken);
            const std::string reason = write_bundle(results, report, inputs, set, to);
            lines.push_back(reason.empty()
                                ? fmt::format("bundle: {}", to.string())
                                : fmt::format("no bundle of {} {}: {}; the weights are in fits.h5",
                                              of.twin, of.layer, reason));
        }
        return lines;
    }

    /// Returns why there is no bundle; empty if it was written.
    std::string write_bundle(const StageResults& results, const FitReport& report,
                             const CampaignInputs& inputs, std::size_t set,
                             const std::filesystem::path& to) const
    {
        const FitReport::Set& of = report.sets[set];
        const Twin* twin = twin_named(inputs, of.twin);
        if (twin == nullptr) return "its features come from several twins";
        if (std::string reason = reason_against_bundle(*twin); !reason.empty()) return reason;
        FittedReadout readout = fits_->readout(results, set);
        readout.name = to.filename().string();
        readout.taps =
            settings_.together ? twin->selection->taps : std::vector<std::string>{of.layer};
        readout.features = twin->selection->features;
        readout.response_unit = "as recorded";
        readout.remark = fmt::format("readout fitted to {} ({} images, median held-out r {:.3f})",
                                     settings_.responses.filename().string(), images_.fitted.size(),
                                     report.median_of("r", set));
        try {
            write_fitted_bundle(*twin, readout, to);
        } catch (const Error& error) {
            if (error.kind() != Error::Kind::data) throw;
            return error.what();
        }
        return {};
    }

    FitSettings settings_;
    bool is_smoke_run_ = false;
    std::string stage_;

    std::unique_ptr<FeatureStage> features_;
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
