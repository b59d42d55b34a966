#include <algorithm>
#include <map>

#include "engine/base/digest.hpp"
#include "engine/run/progress.hpp"
#include "engine/run/response_stream.hpp"
#include "experiments/examples.hpp"
#include "experiments/experiments.hpp"
#include "experiments/relational_control/accuracy/accuracy_columns.hpp"
#include "experiments/relational_control/columns.hpp"
#include "experiments/relational_control/statistics/group_statistics.hpp"

namespace twinscreen {
namespace {

constexpr const char* stage_name = "control_accuracy";
constexpr const char* responses_stage = "responses";  // of twins, where no file has them

struct Recording {
    std::string subject;
    std::string area;
    AreaFiles files;
    std::filesystem::path predicted;  ///< empty: the twins answer
    std::string dataset;              ///< of an HDF5 file of predictions
    std::string twin_area;            ///< the area whose units of the twins answer
};

struct Settings {
    std::vector<Recording> recordings;  ///< parts of an area are several
    std::uint32_t permutations = 100'000;
    Compat compat = Compat::corrected;
};

/// Entries in the order in which they first occur.
std::vector<std::string> distinct(const std::vector<Recording>& recordings,
                                  std::string Recording::*name)
{
    std::vector<std::string> names;
    for (const Recording& one : recordings)
        if (std::ranges::find(names, one.*name) == names.end()) names.push_back(one.*name);
    return names;
}

/// How well encoding models predict recorded areas, and whether their predictions are less noisy
/// than measured responses. One item for each subject.
class ControlAccuracy final : public Experiment {
public:
    explicit ControlAccuracy(Settings settings)
        : settings_(std::move(settings)),
          subjects_(distinct(settings_.recordings, &Recording::subject)),
          areas_(distinct(settings_.recordings, &Recording::area))
    {
    }

    void check(ConfigSection& section, const CampaignInputs& inputs) override
    {
        std::vector<ConfigSection> sections = section.children("recordings");
        if (!know_twins(sections, inputs)) return;
        Digest all;
        digests_.clear();
        for (const std::string& subject : subjects_)
            for (const std::string& area : areas_) {
                digests_.push_back(check_area(sections, parts_of(subject, area)));
                all.add(subject).add(area).add(digests_.back());
            }
        digest_ = all.hex();
    }

    std::optional<StagePlan> next_stage(const CampaignInputs& inputs,
                                        const StageHistory& history) override
    {
        if (history.has(stage_name)) return std::nullopt;
        is_answering_ = asks_twins_ && !history.has(responses_stage);
        if (is_answering_) return plan_responses(inputs);
        seed_ = inputs.seed;
        history_ = &history;
        StagePlan stage = plan_without_stimuli("subjects");
        stage.plan.stage = stage_name;
        stage.plan.items = subjects_.size();
        stage.plan.threads_per_rank = inputs.schedule.threads_per_rank;
        stage.columns = accuracy_columns(areas_.size());
        const auto names = [](const auto& values) {
            return Table{{{"name", "", std::vector<std::string>(values.begin(), values.end())}}};
        };
        stage.tables.axes = {{"areas", "area", names(areas_)},
                             {"predictors", "predictor", names(predictor_names)},
                             {"comparisons", "comparison", names(comparison_names)}};
        stage.tables.items = stage.plan.items;
        stage.tables.describe_items = [this](ItemRange items) {
            const auto first =
                subjects_.begin() + static_cast<std::ptrdiff_t>(index_of(items.first));
            return Table{{{"subject", "",
                           std::vector<std::string>(
                               first, first + static_cast<std::ptrdiff_t>(items.count))}}};
        };
        stage.settings = {
            {"recordings", digest_},
            {"permutations", std::to_string(settings_.permutations)},
            {"compat", settings_.compat == Compat::reference ? "reference" : "corrected"}};
        return stage;
    }

    ItemRange reads(const Shard& shard) const override
    {
        return is_answering_ ? shard.items : ItemRange{};
    }

    void run_shard(const Shard& shard, ShardTools& tools) override
    {
        if (is_answering_) return answer(shard, tools);
        const std::size_t subject = index_of(shard.items.first);
        std::vector<AreaAccuracy> areas(areas_.size());
        for (std::size_t area = 0; area < areas_.size(); ++area) {
            tools.check_stop();
            std::vector<AreaPart> parts;
            for (const std::size_t at : parts_of(subjects_[subject], areas_[area])) {
                const Recording& part = settings_.recordings[at];
                parts.push_back(read_area_part(part.files, predictions_of(part)));
            }
            if (parts.empty()) continue;
            const auto item = static_cast<std::uint32_t>(subject * areas_.size() + area);
            const RecordedArea recorded = join_parts(parts);
            TWINSCREEN_REQUIRE(recorded.digest == digests_[item], data,
                               "files of area '{}' of subject '{}' changed while the campaign ran",
                               areas_[area], subjects_[subject]);
            areas[area] = score_area(recorded, {tools.seed, item, 0, settings_.permutations});
        }
        std::vector<OwnedBatch> rows = accuracy_rows(areas, settings_.compat);
        for (std::uint32_t column = 0; column < rows.size(); ++column)
            tools.write(ColumnId{column}, std::move(rows[column]));
    }

    SummaryRows combine(const StageResults& results) override
    {
        if (is_answering_) return {};
        return accuracy_summary(results, areas_.size(), seed_);
    }

    std::vector<std::string> report(const StageResults& results, const CampaignInputs&,
                                    const std::filesystem::path&) override
    {
        if (is_answering_) return {};
        return accuracy_report(results, subjects_, areas_, settings_.compat);
    }

private:
    /// Recordings of one area of one subject; none where it was not recorded.
    std::vector<std::size_t> parts_of(const std::string& subject, const std::string& area) const
    {
        std::vector<std::size_t> parts;
        for (std::size_t at = 0; at < settings_.recordings.size(); ++at)
            if (settings_.recordings[at].subject == subject &&
                settings_.recordings[at].area == area)
                parts.push_back(at);
        return parts;
    }

    /// Who answers where no file does; false after a complaint.
    bool know_twins(std::vector<ConfigSection>& sections, const CampaignInputs& inputs)
    {
        const bool has_twins = !inputs.twins.empty() && inputs.items() > 0;
        bool is_known = true;
        for (std::size_t at = 0; at < sections.size(); ++at) {
            if (!settings_.recordings[at].predicted.empty()) continue;
            asks_twins_ = true;
            if (has_twins) continue;
            is_known = false;
            sections[at].complain("predicted", "nothing predicts these responses",
                                  "predicted = \"...\" names a file; or give [[twins]] and "
                                  "[[stimuli]], the images in their order");
        }
        constexpr std::uint64_t most_images = std::uint64_t{1} << 31U;
        if (!asks_twins_ || !is_known) return is_known;
        images_ = static_cast<std::uint32_t>(std::min(inputs.stimuli->count(), most_images));
        answered_ = static_cast<std::uint32_t>(std::min(inputs.items(), most_images));
        for (const Twin& twin : inputs.twins)
            for (std::size_t unit = 0; unit < twin.units.rows(); ++unit)
                twin_units_.emplace_back(twin.units.text("subject", unit),
                                         twin.units.text("area", unit));
        return true;
    }

    /// Reads an area and drops it again. Returns the digest of what was read; empty after a
    /// complaint, and without parts.
    std::string check_area(std::vector<ConfigSection>& sections,
                           const std::vector<std::size_t>& numbers) const
    {
        std::vector<AreaPart> parts;
        for (const std::size_t at : numbers) {
            const char* key = "predicted";
            try {
                Predictions predictions = predictions_of(settings_.recordings[at]);
                key = "measured";
                parts.push_back(
                    read_area_part(settings_.recordings[at].files, std::move(predictions)));
            } catch (const Error& error) {
                sections[at].complain(key, error.what());
            }
        }
        if (parts.empty() || parts.size() < numbers.size()) return {};
        try {
            return join_parts(parts).digest;
        } catch (const Error& error) {
            sections[numbers.front()].complain("area", error.what());
            return {};
        }
    }

    StagePlan plan_responses(const CampaignInputs& inputs) const
    {
        StagePlan stage;
        stage.forward = std::make_shared<ForwardPlan>(inputs.twins, inputs.covariates,
                                                      ForwardWants{true, false});
        stage.columns = {{"response",
                          Domain::item,
                          ElementType::f32,
                          {axis_of("unit", twin_units_.size())},
                          stage.forward->response_unit(),
                          "predicted response"}};
        stage.plan = plan_stimulus_stage(responses_stage, inputs, *stage.forward,
                                         twin_units_.size() * sizeof(float), 0);
        stage.tables.items = stage.plan.items;
        stage.tables.axes = {{"units", "unit", stage.forward->units()}};
        describe_stimuli(inputs, stage.tables);
        return stage;
    }

    void answer(const Shard& shard, ShardTools& tools) const
    {
        OwnedBatch responses(ElementType::f32,
                             {extent(shard.items.count), extent(twin_units_.size())});
        std::int64_t at = 0;
        ResponseStream stream(tools.inputs, tools.forward, tools.executor);
        while (const ResponseStream::Answer* batch = stream.next()) {
            const std::int64_t count = extent(batch->items.count);
            std::ranges::copy(values_of<float>(batch->units),
                              values_of<float>(rows_of(responses.view(), at, count)).begin());
            at += count;
        }
        tools.write(ColumnId{0}, std::move(responses));
    }

    Predictions predictions_of(const Recording& one) const
    {
        return one.predicted.empty() ? twin_predictions(one)
                                     : read_predictions(one.predicted, one.dataset);
    }

    /// What the twins answered; zeros before they did.
    Predictions twin_predictions(const Recording& one) const
    {
        std::vector<std::size_t> units;
        for (std::size_t unit = 0; unit < twin_units_.size(); ++unit)
            if (twin_units_[unit] == std::pair(one.subject, one.twin_area)) units.push_back(unit);
        TWINSCREEN_REQUIRE(!units.empty(), data,
                           "no twin has units of subject '{}' and area '{}' ([[twins]] may name "
                           "subject and area anew)",
                           one.subject, one.twin_area);
        // Their values are those of the stage before: only which are taken is told apart here.
        Digest taken;
        taken.add(one.twin_area).add(std::uint64_t{answered_});
        Predictions result{"the campaign's twins", images_, answered_,
                           units.size(),           {},      taken.hex()};
        result.values.assign(std::size_t{images_} * units.size(), 0.0);
        if (history_ == nullptr) return result;
        const ConstBatch stored = history_->map(responses_stage, ColumnId{0});
        const auto responses = values_of<float>(stored);
        for (std::size_t image = 0; image < answered_; ++image)
            for (std::size_t at = 0; at < units.size(); ++at)
                result.values[image * units.size() + at] =
                    static_cast<double>(responses[image * twin_units_.size() + units[at]]);
        return result;
    }

    Settings settings_;
    std::vector<std::string> subjects_, areas_;
    std::string digest_;                ///< of all that was read
    std::vector<std::string> digests_;  ///< [subjects, areas] of each
    std::uint64_t seed_ = 0;
    bool asks_twins_ = false;
    bool is_answering_ = false;                                    ///< in the first stage
    std::vector<std::pair<std::string, std::string>> twin_units_;  ///< subject and area of each
    std::uint32_t images_ = 0, answered_ = 0;  ///< stimuli, without and with a limit
    const StageHistory* history_ = nullptr;    ///< once the twins have answered
};

Recording read_recording_files(ConfigSection& section, double ceiling_above)
{
    Recording one;
    one.subject = section.require<std::string>("subject");
    one.area = section.require<std::string>("area");
    one.files.measured = section.require_existing_path("measured");
    if (section.has("image")) one.files.image = section.require_existing_path("image");
    if (section.has("predicted")) one.predicted = section.require_existing_path("predicted");
    one.dataset = section.get_or<std::string>("dataset", "insilico_fmri_responses");
    one.twin_area = section.get_or<std::string>("twin_area", one.area);
    if (section.has("noise_ceiling"))
        one.files.noise_ceiling = section.require_existing_path("noise_ceiling");
    one.files.ceiling_above =
        section.get_or<double>("ceiling_above", ceiling_above, "", in_range(0.0, 1000.0));
    section.reject_unknown_keys();
    return one;
}

std::unique_ptr<Experiment> make_control_accuracy(ConfigSection& section)
{
    Settings settings;
    const double ceiling_above =
        section.get_or<double>("ceiling_above", 0.5, "", in_range(0.0, 1000.0));
    settings.permutations = static_cast<std::uint32_t>(section.get_or<std::int64_t>(
        "permutations", settings.permutations, "", in_range<std::int64_t>(100, 1 << 30)));
    settings.compat =
        section.one_of("compat", "corrected", {"corrected", "reference"}) == "reference"
            ? Compat::reference
            : Compat::corrected;
    for (ConfigSection& one : section.children("recordings")) {
        settings.recordings.push_back(read_recording_files(one, ceiling_above));
        const Recording& last = settings.recordings.back();
        for (const Recording& other :
             std::span(settings.recordings).first(settings.recordings.size() - 1))
            if (other.subject == last.subject && other.area == last.area &&
                other.files.measured == last.files.measured)
                one.complain("measured", "the same file is given twice for this area",
                             "parts of an area are files of different units");
    }
    if (settings.recordings.empty())
        section.complain(
            "recordings", "nothing was recorded",
            "[[control_accuracy.recordings]] names the files of one area of a subject");
    return std::make_unique<ControlAccuracy>(std::move(settings));
}

}  // namespace

void register_control_accuracy(ExperimentRegistry& registry)
{
    registry.add({"control_accuracy",
                  "how well encoding models predict recorded areas, and are they less noisy than "
                  "trials?",
                  control_accuracy_example, make_control_accuracy, false, false});
}

}  // namespace twinscreen
