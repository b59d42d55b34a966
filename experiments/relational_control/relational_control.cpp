#include <algorithm>
#include <memory>

#include "engine/base/digest.hpp"
#include "experiments/examples.hpp"
#include "experiments/experiments.hpp"
#include "experiments/relational_control/generative/generative_control.hpp"
#include "experiments/relational_control/group_stage.hpp"
#include "experiments/relational_control/labels/label_stage.hpp"
#include "experiments/relational_control/labels/set_responses.hpp"
#include "experiments/relational_control/maps/area_maps.hpp"
#include "experiments/relational_control/maps/similarity_products.hpp"
#include "experiments/relational_control/multivariate/multivariate_baseline.hpp"
#include "experiments/relational_control/multivariate/multivariate_search.hpp"
#include "experiments/relational_control/multivariate/multivariate_statistics.hpp"
#include "experiments/relational_control/multivariate/optimiser_comparison.hpp"
#include "experiments/relational_control/multivariate/similarity_stage.hpp"
#include "experiments/relational_control/responses/imported_responses.hpp"
#include "experiments/relational_control/responses/response_stage.hpp"
#include "experiments/relational_control/study/unit_scores.hpp"
#include "experiments/relational_control/univariate/univariate_baseline.hpp"
#include "experiments/relational_control/univariate/univariate_selection.hpp"
#include "experiments/relational_control/univariate/univariate_statistics.hpp"

namespace twinscreen {
namespace {

/// Which images make two areas behave alike, and which apart (Gifford, Jastrzebowska, Singer &
/// Cichy 2024).
class RelationalControl final : public Experiment {
public:
    explicit RelationalControl(ControlSettings settings) : settings_(std::move(settings)) {}

    void check(ConfigSection& section, const CampaignInputs& inputs) override
    {
        if (!check_sources(section, inputs)) return;
        check_generative(section, settings_, inputs);
        if (!settings_.imports.empty()) {
            imported_ = std::make_unique<ImportedResponses>(settings_.imports, section);
            if (section.has_mistakes()) return;
            check_images(section, inputs);
        }
        Table units = imported_ != nullptr
                          ? imported_->units()
                          : ForwardPlan(inputs.twins, inputs.covariates, {false, false}).units();
        add_unit_scores(settings_.unit_scores, units, section);
        if (section.has_mistakes()) return;
        study_ = make_study(settings_, units, inputs.seed, section);
        if (section.has_mistakes()) return;
        groups_ = find_groups(settings_, study_, section);
        if (!groups_.empty() && study_.test_folds() == 0)
            section.complain("group_analysis",
                             "groups of pairs are compared in held-out subjects, and no subject "
                             "can be held out");
        check_session(section, inputs);
        check_labels(section, with_filter_columns(std::move(units), inputs.seed));
        check_set_sizes(section, inputs);
        add_stages(inputs);
    }

    std::optional<StagePlan> next_stage(const CampaignInputs& inputs,
                                        const StageHistory& history) override
    {
        for (const auto& stage : stages_) {
            if (history.has(stage->name()) || !stage->is_ready(inputs, history)) continue;
            current_ = stage.get();
            StagePlan plan = stage->plan(inputs, history);
            add_earlier_stages(plan);
            return plan;
        }
        return std::nullopt;
    }

    std::vector<std::string> outlook(const CampaignInputs&) const override
    {
        std::vector<std::string> lines;
        for (std::size_t stage = 1; stage < stages_.size(); ++stage)
            lines.push_back(stages_[stage]->outlook());
        return lines;
    }

    ItemRange reads(const Shard& shard) const override { return current_->reads(shard); }
    void begin_stage(Communicator& communicator, Executor& executor) override
    {
        current_->begin(communicator, executor);
    }
    void run_shard(const Shard& shard, ShardTools& tools) override { current_->run(shard, tools); }
    SummaryRows combine(const StageResults& results) override { return current_->combine(results); }
    std::vector<std::string> report(const StageResults& results, const CampaignInputs& inputs,
                                    const std::filesystem::path& folder) override
    {
        std::vector<std::string> lines = current_->report(results, inputs, folder);
        const std::size_t tested = study_.test_folds(), subjects = study_.subjects.size();
        if (current_ == stages_.front().get() && settings_.leave_one_out && tested < subjects)
            lines.push_back(fmt::format(
                "{} of {} subjects can be held out and tested: the rest share members with all "
                "others, or there are no others",
                tested, subjects));
        return lines;
    }

private:
    /// Results of a stage are those of a campaign only if the earlier stages are: what these depend
    /// on, it depends on. Univariate and multivariate control do not depend on each other.
    void add_earlier_stages(StagePlan& stage)
    {
        const std::string& name = stage.plan.stage;
        const bool is_first = name == ResponseStage::stage_name;
        const bool is_univariate =
            name.starts_with("univariate") || name == GenerativeControl::stage_name;
        std::string earlier = is_univariate ? univariate_ : multivariate_;
        if (name == AreaMaps::stage_name)
            earlier = Digest{}.add(univariate_).add(multivariate_).hex();
        if (!is_first) stage.settings.emplace_back("earlier stages", earlier);
        // No other stage depends on these, but for maps on products, and these on responses.
        if (name == SimilarityProducts::stage_name || name == AreaMaps::stage_name ||
            name == OptimiserComparison::stage_name)
            return;
        Digest all;
        all.add(earlier).add(name).add(stage.plan.items);
        for (const ColumnSpec& column : stage.columns)
            all.add(column.name).add(column.row_shape().text());
        for (const auto& [setting, value] : stage.settings) all.add(setting).add(value);
        const std::string digest = all.hex();
        if (is_first || is_univariate) univariate_ = digest;
        if (!is_univariate) multivariate_ = digest;
    }

    /// Responses come from twins and stimuli, or from files.
    bool check_sources(ConfigSection& section, const CampaignInputs& inputs) const
    {
        const bool has_twins = !inputs.twins.empty();
        if (settings_.imports.empty() && (!has_twins || inputs.stimuli->count() == 0))
            section.complain("responses",
                             "the campaign has no responses: neither [[twins]] with [[stimuli]] "
                             "nor [[relational_control.responses]]");
        if (!settings_.imports.empty() && has_twins)
            section.complain("responses", "responses come from [[twins]] or from files, not both",
                             "remove one of them");
        return !section.has_mistakes();
    }

    /// Stimuli beside imported responses are what the subjects saw: they are shown in sheets.
    void check_images(ConfigSection& section, const CampaignInputs& inputs) const
    {
        const std::uint64_t stimuli = inputs.stimuli->count();
        if (stimuli != 0 && stimuli != imported_->images())
            section.complain("responses",
                             fmt::format("the files hold responses to {} images, the campaign has "
                                         "{} stimuli",
                                         imported_->images(), stimuli));
        else if (stimuli != 0)
            imported_->require_stimuli(stimuli_identity(*inputs.stimuli), section);
    }

    void check_session(ConfigSection& section, const CampaignInputs& inputs)
    {
        if (!settings_.session) return;
        SessionSettings& session = *settings_.session;
        if (inputs.stimuli->count() == 0)
            section.complain("session",
                             "a session shows pictures, and the campaign has no [[stimuli]]");
        session.pair_index = pair_of(session.pair, section.child("session"));
    }

    /// Empty: the first pair.
    std::size_t pair_of(const std::string& name, ConfigSection section) const
    {
        const std::size_t pair = name.empty() ? 0 : study_.pair_named(name);
        if (pair < study_.pairs.size()) return pair;
        section.complain("pair", fmt::format("the study has no pair \"{}\"", name),
                         "write it as \"V1 - hV4\"");
        return 0;
    }

    /// units  what filters see
    void check_labels(ConfigSection& section, const Table& units)
    {
        if (!settings_.image_labels) return;
        if (!settings_.multivariate)
            section.complain("image_labels",
                             "labels are of the images that align two areas, and none are searched",
                             "add [relational_control.multivariate]");
        ConfigSection own = section.child("image_labels");
        settings_.image_labels->pair_index = pair_of(settings_.image_labels->pair, own);
        if (own.has_mistakes()) return;
        labels_ = read_label_table(settings_.image_labels->file, own);
        parts_ = find_parts(*settings_.image_labels, study_, labels_, units, own);
    }

    std::uint64_t images(const CampaignInputs& inputs) const
    {
        if (imported_ == nullptr) return inputs.items();
        const std::uint64_t limit = inputs.schedule.limit;
        return limit > 0 ? std::min(limit, imported_->images()) : imported_->images();
    }

    void check_set_sizes(ConfigSection& section, const CampaignInputs& inputs) const
    {
        constexpr std::uint64_t most_images = std::uint64_t{1} << 31U;
        if (images(inputs) > most_images)
            section.complain("responses", fmt::format("{} images to choose from (at most {})",
                                                      images(inputs), most_images));
        const auto check = [&](const char* part, std::uint32_t size) {
            if (size > images(inputs))
                section.child(part).complain(
                    "images", fmt::format("a set of {} images out of {}", size, images(inputs)));
        };
        if (settings_.univariate) check("univariate", settings_.univariate->images);
        if (!settings_.multivariate) return;
        check("multivariate", settings_.multivariate->images);
        const std::uint32_t least = least_items(settings_.multivariate->search);
        if (settings_.multivariate->images <= images(inputs) && least > images(inputs))
            section.child("multivariate")
                .complain(
                    "images",
                    fmt::format("a set of {} images out of {}, and the search exchanges up to "
                                "{} at once for others",
                                settings_.multivariate->images, images(inputs),
                                least - settings_.multivariate->images),
                    "take smaller sets or smaller mutated_shares");
        if (!settings_.patterns)
            section.complain("patterns", "multivariate control needs patterns",
                             "remove patterns = false");
        for (const Population& population : study_.populations)
            if (population.units.size() < 2)
                section.complain("units",
                                 fmt::format("one unit of area '{}' of subject '{}' is kept, and "
                                             "multivariate control takes two or more",
                                             study_.areas[population.area], population.subject));
    }

    void add_stages(const CampaignInputs& inputs)
    {
        add<ResponseStage>(settings_, study_, imported_.get());
        if (settings_.univariate) {
            add<UnivariateBaseline>(settings_, study_);
            add<UnivariateSelection>(settings_, study_);
            if (study_.test_folds() > 0) add<UnivariateStatistics>(settings_, study_);
            if (study_.test_folds() > 0 && !groups_.empty())
                stages_.push_back(make_univariate_groups(settings_, study_, groups_));
        }
        if (settings_.multivariate) add_multivariate_stages(inputs);
        if (settings_.univariate || settings_.multivariate)
            add<AreaMaps>(settings_, study_, agreement_.get());
        if (settings_.generative) add<GenerativeControl>(settings_, study_, inputs);
        if (settings_.multivariate && settings_.multivariate->compare_optimisers)
            add<OptimiserComparison>(settings_, study_, *agreement_);
        if (!settings_.image_labels) return;
        add<SetResponses>(*settings_.image_labels, study_, imported_.get(), labels_);
        add<LabelStage>(settings_, study_, labels_, parts_);
    }

    void add_multivariate_stages(const CampaignInputs& inputs)
    {
        views_ = similarity_views(study_);
        agreement_ = std::make_unique<Agreement>(study_, views_, form(images(inputs)));
        add<SimilarityProducts>(study_, views_);
        if (agreement_->form() == SimilarityForm::stored)
            add<SimilarityStage>(settings_, study_, views_);
        add<MultivariateBaseline>(settings_, study_, *agreement_);
        add<MultivariateSearch>(settings_, study_, *agreement_);
        if (study_.test_folds() > 0) add<MultivariateStatistics>(settings_, study_, views_);
        if (study_.test_folds() > 0 && !groups_.empty())
            stages_.push_back(make_multivariate_groups(settings_, study_, views_, groups_));
    }

    template <class Stage, class... Arguments>
    void add(Arguments&&... arguments)
    {
        stages_.push_back(std::make_unique<Stage>(std::forward<Arguments>(arguments)...));
    }

    /// Never by what the machine has: results of the two forms differ in the last digits.
    SimilarityForm form(std::uint64_t items) const
    {
        const std::string& asked = settings_.multivariate->similarities;
        if (asked == "stored") return SimilarityForm::stored;
        if (asked == "patterns") return SimilarityForm::factors;
        std::vector<std::uint32_t> widths;
        for (const auto& shares : views_.views.front().areas) {
            widths.push_back(0);
            for (const PopulationShare& share : shares)
                widths.back() +=
                    static_cast<std::uint32_t>(study_.populations[share.population].units.size());
        }
        const double bytes = settings_.multivariate->stored_gib * (1U << 30U) /
                             static_cast<double>(views_.views.size());
        return choose_form(items, widths, static_cast<std::uint64_t>(bytes));
    }

    ControlSettings settings_;
    std::unique_ptr<ImportedResponses> imported_;
    Study study_;
    std::vector<GroupAnalysis> groups_;
    LabelTable labels_;
    std::vector<AreaParts> parts_;
    SimilarityViews views_;
    std::unique_ptr<Agreement> agreement_;
    std::vector<std::unique_ptr<ControlStage>> stages_;
    ControlStage* current_ = nullptr;
    std::string univariate_;    ///< what univariate stages so far depend on
    std::string multivariate_;  ///< the same of the others
};

std::unique_ptr<Experiment> make_relational_control(ConfigSection& section)
{
    return std::make_unique<RelationalControl>(read_control_settings(section));
}

}  // namespace

void register_relational_control(ExperimentRegistry& registry)
{
    registry.add({"relational_control",
                  "images that align or disentangle areas: chosen, tested on held-out subjects",
                  relational_control_example, make_relational_control, false, false});
}

}  // namespace twinscreen
