#include "experiments/relational_control/group_analysis.hpp"

#include <algorithm>

#include <fmt/ranges.h>

namespace twinscreen {
namespace {

void add_area(std::vector<std::size_t>& areas, std::size_t area)
{
    if (std::ranges::find(areas, area) == areas.end()) areas.push_back(area);
}

GroupAnalysis find_group(const GroupRule& rule, const Study& study, ConfigSection& section)
{
    constexpr std::size_t most_areas = 4;  // 24 orders of their labels
    GroupAnalysis analysis{rule.name, rule.kind, {}, {}, {}};
    std::vector<ConfigSection> sections = section.children("groups");
    for (std::size_t group = 0; group < rule.groups.size(); ++group) {
        analysis.groups.emplace_back();
        for (std::size_t at = 0; at < rule.groups[group].size(); ++at) {
            const std::string& name = rule.groups[group][at];
            const std::string key = fmt::format("pairs[{}]", at);
            const std::size_t pair = study.pair_named(name);
            if (pair == study.pairs.size()) {
                sections[group].complain(key, fmt::format("the study has no pair \"{}\"", name));
                continue;
            }
            if (std::ranges::find(analysis.pairs, pair) != analysis.pairs.end())
                sections[group].complain(key,
                                         fmt::format("the pair \"{}\" is in two groups", name));
            analysis.groups.back().push_back(static_cast<std::uint32_t>(analysis.pairs.size()));
            analysis.pairs.push_back(pair);
            add_area(analysis.areas, study.pairs[pair].first);
            add_area(analysis.areas, study.pairs[pair].second);
        }
    }
    std::ranges::sort(analysis.areas);
    if (analysis.areas.size() > most_areas)
        section.complain("groups", fmt::format("the pairs compare {} areas (at most {})",
                                               analysis.areas.size(), most_areas));
    return analysis;
}

}  // namespace

std::vector<GroupAnalysis> find_groups(const ControlSettings& settings, const Study& study,
                                       ConfigSection& section)
{
    std::vector<GroupAnalysis> analyses;
    std::vector<ConfigSection> sections = section.children("group_analysis");
    for (std::size_t at = 0; at < settings.groups.size(); ++at)
        analyses.push_back(find_group(settings.groups[at], study, sections[at]));
    return analyses;
}

std::size_t most_groups(const std::vector<GroupAnalysis>& analyses)
{
    std::size_t most = 0;
    for (const GroupAnalysis& analysis : analyses) most = std::max(most, analysis.groups.size());
    return most;
}

Table group_table(const std::vector<GroupAnalysis>& analyses, const Study& study)
{
    std::vector<std::string> names, kinds, groups;
    for (const GroupAnalysis& analysis : analyses) {
        names.push_back(analysis.name);
        kinds.emplace_back(analysis.kind == GroupKind::distance ? "distance" : "category");
        std::string text;
        for (const auto& group : analysis.groups) {
            std::vector<std::string> pairs;
            for (const std::uint32_t at : group)
                pairs.push_back(study.pair_name(analysis.pairs[at]));
            text += fmt::format("{}{}", text.empty() ? "" : "; ", fmt::join(pairs, ", "));
        }
        groups.push_back(std::move(text));
    }
    return {{{"name", "", std::move(names)},
             {"kind", "", std::move(kinds)},
             {"groups", "", std::move(groups)}}};
}

Table trend_table()
{
    return {{{"name", "", std::vector<std::string>{"ends", "slope", "smallest_step"}}}};
}

Trend counted_trend(Compat compat)
{
    return compat == Compat::reference ? Trend::ends : Trend::slope;
}

}  // namespace twinscreen
