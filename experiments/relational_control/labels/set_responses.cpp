#include "experiments/relational_control/labels/set_responses.hpp"

#include <algorithm>

#include <fmt/ranges.h>

#include "experiments/relational_control/columns.hpp"
#include "experiments/relational_control/multivariate/multivariate_search.hpp"

namespace twinscreen {

SetResponses::SetResponses(const ImageLabelSettings& settings, const Study& study,
                           const ImportedResponses* imported, const LabelTable& labels)
    : settings_(settings), study_(study), imported_(imported), labels_(labels)
{
    for (const Population& population : study.populations)
        units_.insert(units_.end(), population.units.begin(), population.units.end());
}

Table SetResponses::describe(ItemRange items, const StimulusSource& stimuli) const
{
    const std::size_t size = images_.size() / objectives.size();
    std::vector<std::string> sets, names;
    std::vector<std::int64_t> images;
    for (std::uint64_t at = 0; at < items.count; ++at) {
        const std::uint64_t item = index_of(items.first) + at;
        sets.emplace_back(objective_names[item / size]);
        images.push_back(images_[item]);
        names.push_back(shown_name(images_[item], stimuli));
    }
    return {{{"set", "", std::move(sets)},
             {"image", "", std::move(images)},
             {"name", "", std::move(names)}}};
}

StagePlan SetResponses::plan(const CampaignInputs& inputs, const StageHistory& history)
{
    images_.clear();
    for (std::size_t objective = 0; objective < objectives.size(); ++objective)
        std::ranges::copy(read_found_set(history, study_, settings_.pair_index, 0, objective),
                          std::back_inserter(images_));
    StagePlan stage = plan_without_stimuli("images");
    if (imported_ == nullptr) {
        stage.forward = std::make_shared<ForwardPlan>(inputs.twins, inputs.covariates,
                                                      ForwardWants{true, false});
        stage.reads_stimuli = true;
    } else {
        stage.settings = {{"imported responses", imported_->identity()}};
    }
    stage.plan = plan_stimulus_stage(stage_name, inputs, *stage.forward, 0, 0);
    stage.plan.items = images_.size();
    stage.plan.shard_items = 1;
    stage.columns = {{"response",
                      Domain::item,
                      ElementType::f32,
                      {axis_of("unit", study_.columns())},
                      "",
                      "response of every kept unit, as the areas' patterns are made of"}};
    stage.tables.items = stage.plan.items;
    stage.tables.axes = {{"populations", "population", study_.population_table()},
                         {"units", "unit", study_.units}};
    stage.tables.describe_items = [this, stimuli = inputs.stimuli](ItemRange items) {
        return describe(items, *stimuli);
    };
    stage.settings.emplace_back("study", study_.digest());
    stage.settings.emplace_back("pair", study_.pair_name(settings_.pair_index));
    return stage;
}

ItemRange SetResponses::reads(const Shard& shard) const
{
    if (imported_ != nullptr) return {};
    return {ItemId{images_[index_of(shard.items.first)]}, 1};
}

void SetResponses::run(const Shard& shard, ShardTools& tools)
{
    std::vector<float> raw;
    if (imported_ != nullptr) imported_->read(images_[index_of(shard.items.first)], 1, raw);
    while (const InputBatch* batch = imported_ == nullptr ? tools.inputs.next() : nullptr) {
        const std::size_t width = tools.forward.units().rows();
        OwnedBatch answered(ElementType::f32, {1, extent(width)});
        tools.forward.run(*batch, answered.view(), Batch{}, tools.executor);
        raw.assign(answered.values<float>().begin(), answered.values<float>().end());
    }
    OwnedBatch kept(ElementType::f32, {1, extent(units_.size())});
    std::ranges::transform(units_, kept.values<float>().begin(),
                           [&](std::size_t unit) { return raw[unit]; });
    tools.write(response_column, std::move(kept));
}

std::vector<std::string> SetResponses::report(const StageResults&, const CampaignInputs& inputs,
                                              const std::filesystem::path& folder)
{
    const auto set = std::span(images_).first(images_.size() / objectives.size());
    const SetLabels labels = labels_of(labels_, set, *inputs.stimuli);
    const std::filesystem::path list = folder / "images_to_label.csv";
    write_images_to_label(labels_, labels, set, *inputs.stimuli, list);
    std::vector<std::string> lines;
    if (labels.ignored > 0)
        lines.push_back(
            fmt::format("{}: {} labels are of images that are not in the set, and are "
                        "ignored",
                        labels_.file.string(), labels.ignored));
    if (labels.unlabelled.empty()) return lines;
    lines.push_back(
        fmt::format("image_labels waits for labels of {} of the {} images that align {}: {}",
                    labels.unlabelled.size(), set.size(), study_.pair_name(settings_.pair_index),
                    fmt::join(labels.unlabelled, " ")));
    lines.push_back(fmt::format(
        "  write them into {} ({}){}, and run the same command again: a list to fill in is {}",
        labels_.file.string(), labels_.exists ? "it lacks these" : "which does not exist",
        inputs.stimuli->count() > 0 ? "; multivariate_sets.png shows them" : "", list.string()));
    return lines;
}

std::string SetResponses::outlook() const
{
    return fmt::format("stage {}: responses to the images of two sets of {}", stage_name,
                       study_.pair_name(settings_.pair_index));
}

}  // namespace twinscreen
