#include "experiments/relational_control/labels/label_stage.hpp"

#include <algorithm>

#include <fmt/ranges.h>

#include "engine/run/progress.hpp"
#include "experiments/relational_control/columns.hpp"
#include "experiments/relational_control/labels/label_columns.hpp"
#include "experiments/relational_control/labels/set_responses.hpp"
#include "experiments/relational_control/multivariate/multivariate_search.hpp"
#include "experiments/relational_control/statistics/group_statistics.hpp"
#include "experiments/relational_control/statistics/subject_summary.hpp"

namespace twinscreen {
namespace {

using namespace label_columns;

constexpr std::size_t labels = 2;
constexpr std::size_t groups = 3;  // within each label, between them

}  // namespace

std::size_t LabelStage::area_of(std::size_t side) const
{
    const AreaPair& pair = study_.pairs[settings_.image_labels->pair_index];
    return side == 0 ? pair.first : pair.second;
}

std::vector<std::string> LabelStage::group_names() const
{
    const auto& names = table_.names;
    return {names[0] + " - " + names[0], names[1] + " - " + names[1], names[0] + " - " + names[1]};
}

std::vector<std::size_t> LabelStage::images_labelled(std::size_t label) const
{
    std::vector<std::size_t> places;
    for (std::size_t at = 0; at < labels_.of_image.size(); ++at)
        if (labels_.of_image[at] == label) places.push_back(at);
    return places;
}

/// "sky: 1 5 7; no sky: 2 9"
std::string LabelStage::labels_text() const
{
    std::string text;
    for (std::size_t label = 0; label < labels; ++label) {
        text += (label == 0 ? "" : "; ") + table_.names[label] + ":";
        for (const std::size_t at : images_labelled(label))
            text += fmt::format(" {}", images_[0][at]);
    }
    return text;
}

bool LabelStage::is_ready(const CampaignInputs& inputs, const StageHistory& history)
{
    images_.clear();
    for (std::size_t objective = 0; objective < objectives.size(); ++objective)
        images_.push_back(
            read_found_set(history, study_, settings_.image_labels->pair_index, 0, objective));
    labels_ = labels_of(table_, images_.front(), *inputs.stimuli);
    return labels_.unlabelled.empty();
}

StagePlan LabelStage::plan(const CampaignInputs& inputs, const StageHistory& history)
{
    require_two_labels(table_, labels_);
    const auto* values = static_cast<const float*>(
        history.map(SetResponses::stage_name, SetResponses::response_column).data);
    responses_.clear();
    for (std::size_t objective = 0; objective < objectives.size(); ++objective) {
        const std::size_t images = images_[objective].size();
        responses_.push_back(
            {values + objective * images * study_.columns(), images, study_.columns()});
    }
    StagePlan stage = plan_without_stimuli("subjects");
    stage.plan.stage = stage_name;
    stage.plan.items = study_.subjects.size();
    stage.plan.threads_per_rank = inputs.schedule.threads_per_rank;
    add_axes(stage);
    add_columns(stage);
    stage.settings = {{"study", study_.digest()}, {"labels", labels_text()}};
    if (parts_.empty()) return stage;
    for (const AreaParts& parts : parts_)
        stage.settings.emplace_back("parts of " + parts.rule.area, parts.digest());
    stage.settings.emplace_back("permutations",
                                std::to_string(settings_.multivariate->permutations));
    stage.settings.emplace_back("compat",
                                settings_.compat == Compat::reference ? "reference" : "corrected");
    return stage;
}

void LabelStage::add_axes(StagePlan& stage) const
{
    const std::vector<std::string> areas{study_.areas[area_of(0)], study_.areas[area_of(1)]};
    stage.tables.axes = {{"areas", "area", {{{"name", "", areas}}}},
                         {"objectives", "objective", objective_table()},
                         {"labels", "label", {{{"name", "", table_.names}}}},
                         {"groups", "group", {{{"name", "", group_names()}}}}};
    if (!parts_.empty()) {
        std::vector<std::string> names, first, second, prefers;
        for (const AreaParts& parts : parts_) {
            names.push_back(parts.rule.area);
            first.push_back(parts.rule.first);
            second.push_back(parts.rule.second);
            prefers.push_back(parts.rule.first_prefers);
        }
        stage.tables.axes.push_back({"parted_areas",
                                     "parted_area",
                                     {{{"name", "", std::move(names)},
                                       {"first", "", std::move(first)},
                                       {"second", "", std::move(second)},
                                       {"first_prefers", "", std::move(prefers)}}}});
    }
    stage.tables.items = stage.plan.items;
    stage.tables.describe_items = [this](ItemRange items) {
        std::vector<std::string> names;
        for (std::uint64_t at = 0; at < items.count; ++at)
            names.push_back(study_.subjects[index_of(items.first) + at].name);
        return Table{{{"subject", "", std::move(names)}}};
    };
}

void LabelStage::add_columns(StagePlan& stage) const
{
    const Axis objective = axis_of("objective", objectives.size()), area = axis_of("area", 2),
               group = axis_of("group", groups), member = axis_of("member", images_[0].size()),
               other = axis_of("other_member", images_[0].size()),
               parted = axis_of("parted_area", parts_.size()), part = axis_of("part", 2),
               label = axis_of("label", labels);
    const auto add = [&](const std::string& name, Domain domain, std::vector<Axis> axes,
                         const char* text, ElementType type = ElementType::f64) {
        stage.columns.push_back({name, domain, type, std::move(axes), "", text});
    };
    const auto add_group = [&](const std::string& name, const std::vector<Axis>& axes) {
        add("mean_" + name, Domain::stage, axes, "mean over subjects");
        add(name + "_low", Domain::stage, axes, "lower bound of its 95 % bootstrap interval");
        add(name + "_high", Domain::stage, axes, "upper bound of its 95 % bootstrap interval");
    };
    add("similarity", Domain::item, {objective, area, member, other},
        "Pearson correlation of the patterns of two images of the set", ElementType::f32);
    add("group_similarity", Domain::item, {area, group},
        "mean similarity of aligning images within each label and between labels");
    const std::vector<Axis> cell{parted, label}, response{parted, part, label};
    if (!parts_.empty()) {
        add("part_response", Domain::item, response,
            "mean over a part's units and the images of a label");
        add("score", Domain::item, cell,
            "mean response of the part that should answer more to the label, minus the other's");
        add("p", Domain::item, cell, "permutation p of the score, one-sided");
        add("p_other", Domain::item, cell, "p as the other setting of compat would have it");
        add("significant", Domain::item, cell,
            "1 where p passes Benjamini and Hochberg at 0.05 over the two labels");
        add("null_sd", Domain::item, cell, "standard deviation of the permuted scores");
    }
    add("image", Domain::stage, {objective, member}, "images of the sets", ElementType::i64);
    add("image_label", Domain::stage, {member}, "label of every aligning image", ElementType::i64);
    add_group("group_similarity", {area, group});
    if (parts_.empty()) return;
    add_group("part_response", response);
    add_group("score", cell);
    add("significant_subjects", Domain::stage, cell, "subjects with a significant score");
    add("binomial_p", Domain::stage, cell,
        "chance of so many without an effect; NaN below three subjects, or where they share "
        "animals");
}

void LabelStage::write_similarities(std::size_t subject, ShardTools& tools) const
{
    const std::size_t images = images_[0].size();
    OwnedBatch all(ElementType::f32,
                   {1, extent(objectives.size()), 2, extent(images), extent(images)});
    auto to = all.values<float>().begin();
    std::vector<double> means;
    for (std::size_t objective = 0; objective < objectives.size(); ++objective)
        for (std::size_t side = 0; side < 2; ++side) {
            const Population& population =
                study_.populations[study_.population(subject, area_of(side))];
            const std::vector<double> similarity = pattern_correlations(
                responses_[objective], population.first_column, population.units.size());
            to = std::ranges::transform(similarity, to, [](double value) {
                     return static_cast<float>(value);
                 }).out;
            if (objective == 0)
                std::ranges::copy(means_by_label(similarity, labels_.of_image),
                                  std::back_inserter(means));
        }
    tools.write(id(similarity), std::move(all));
    tools.write(id(group_similarity), batch_of(means, {1, 2, groups}));
}

void LabelStage::write_part_effects(std::size_t subject, ShardTools& tools) const
{
    const auto permutations = static_cast<std::uint32_t>(settings_.multivariate->permutations);
    std::vector<double> responses, scores, p_values, other_p, marks, deviations;
    for (std::size_t at = 0; at < parts_.size(); ++at) {
        const AreaParts& parts = parts_[at];
        std::array<PartEffect, labels> effects;
        for (std::size_t label = 0; label < labels; ++label) {
            const std::size_t cell = (subject * parts_.size() + at) * labels + label;
            const std::size_t prefer = table_.names[label] == parts.rule.first_prefers ? 0 : 1;
            effects[label] = test_parts(
                responses_[0], images_labelled(label),
                {parts.units[0][subject], parts.units[1][subject]}, prefer, settings_.compat,
                {tools.seed, static_cast<std::uint32_t>(cell), 0, permutations});
            tools.check_stop();
        }
        for (std::size_t part = 0; part < 2; ++part)
            for (const PartEffect& effect : effects) responses.push_back(effect.response[part]);
        const std::array<double, labels> p_of_area{effects[0].test.p(), effects[1].test.p()};
        const std::vector<bool> rejected = rejected_at_fdr(p_of_area);
        for (std::size_t label = 0; label < labels; ++label) {
            scores.push_back(effects[label].test.observed);
            p_values.push_back(p_of_area[label]);
            other_p.push_back(effects[label].other.p());
            marks.push_back(mark_of(rejected[label], p_of_area[label]));
            deviations.push_back(effects[label].test.sd());
        }
    }
    const Shape cells{1, extent(parts_.size()), labels};
    tools.write(id(part_response), batch_of(responses, {1, extent(parts_.size()), 2, labels}));
    tools.write(id(score), batch_of(scores, cells));
    tools.write(id(p), batch_of(p_values, cells));
    tools.write(id(p_other), batch_of(other_p, cells));
    tools.write(id(significant), batch_of(marks, cells));
    tools.write(id(null_sd), batch_of(deviations, cells));
}

void LabelStage::run(const Shard& shard, ShardTools& tools)
{
    const std::size_t subject = index_of(shard.items.first);
    write_similarities(subject, tools);
    if (!parts_.empty()) write_part_effects(subject, tools);
}

std::string LabelStage::outlook() const
{
    return fmt::format(
        "stage {}: similarities and parts of areas by label, once {} labels all "
        "images that align {}",
        stage_name, table_.file.string(), study_.pair_name(settings_.image_labels->pair_index));
}

}  // namespace twinscreen
