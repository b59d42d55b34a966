#include "experiments/relational_control/study/study.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/ranges.h>

#include "engine/config/row_filter.hpp"
#include "kernels/random.hpp"

namespace twinscreen {
namespace {

constexpr const char* ceilings_hint =
    "none of them has a noise ceiling: noise_ceiling = \"FILE.npy\" in "
    "[[relational_control.responses]] gives them, units = \"\" keeps all units";

std::vector<std::string> distinct(const Table& units, std::string_view column)
{
    std::vector<std::string> names;
    for (std::size_t row = 0; row < units.rows(); ++row) {
        const std::string& name = units.text(column, row);
        if (std::ranges::find(names, name) == names.end()) names.push_back(name);
    }
    return names;
}

template <class Named>
std::size_t index_named(const std::vector<Named>& list, std::string_view name)
{
    for (std::size_t at = 0; at < list.size(); ++at) {
        if constexpr (std::is_same_v<Named, std::string>) {
            if (list[at] == name) return at;
        } else {
            if (list[at].name == name) return at;
        }
    }
    return list.size();
}

class StudyMaker {
public:
    StudyMaker(const ControlSettings& settings, const Table& units, std::uint64_t seed,
               ConfigSection& section)
        : settings_(settings), all_(with_filter_columns(units, seed)), section_(section)
    {
    }

    Study make()
    {
        if (keep_units() && add_areas() && add_populations() && add_subjects() && add_pairs())
            add_folds();
        return std::move(study_);
    }

private:
    bool keep_units()
    {
        const TableColumn* column = all_.find(settings_.subject_column);
        if (column == nullptr || !column->is_text()) {
            section_.complain("subject_column",
                              fmt::format("the unit table has no column of texts named '{}'",
                                          settings_.subject_column));
            return false;
        }
        const auto kept = filtered(section_, "units", settings_.units);
        if (!kept) return false;
        is_kept_.assign(all_.rows(), false);
        for (const std::size_t row : *kept) is_kept_[row] = true;
        if (!kept->empty()) return true;
        section_.complain(
            "units", fmt::format("\"{}\" keeps none of the {} units", settings_.units, all_.rows()),
            none_has_ceiling(all_.rows(), [](std::size_t at) { return at; })
                ? ceilings_hint
                : "twinscreen list BUNDLE shows what is known of units; units = \"\" keeps all");
        return false;
    }

    /// Whether units are chosen by noise ceilings, and none of these has one.
    template <class RowAt>
    bool none_has_ceiling(std::size_t count, const RowAt& row_at) const
    {
        const TableColumn* ceilings = all_.find("noise_ceiling");
        if (ceilings == nullptr || settings_.units.find("noise_ceiling") == std::string::npos)
            return false;
        for (std::size_t at = 0; at < count; ++at)
            if (!std::isnan(all_.number("noise_ceiling", row_at(at)))) return false;
        return true;
    }

    std::optional<std::vector<std::size_t>> filtered(ConfigSection& section, const char* key,
                                                     const std::string& expression)
    {
        try {
            return filter_rows(all_, expression);
        } catch (const Error& error) {
            section.complain(key, error.what());
            return std::nullopt;
        }
    }

    /// Rows of the unit table of every area.
    bool add_areas()
    {
        if (settings_.areas.empty()) {
            study_.areas = distinct(all_, "area");
            for (const std::string& area : study_.areas) {
                rows_of_area_.emplace_back();
                for (std::size_t row = 0; row < all_.rows(); ++row)
                    if (all_.text("area", row) == area) rows_of_area_.back().push_back(row);
            }
            return true;
        }
        std::vector<ConfigSection> sections = section_.children("areas");
        for (std::size_t area = 0; area < settings_.areas.size(); ++area) {
            const auto rows = filtered(sections[area], "units", settings_.areas[area].units);
            if (rows && rows->empty())
                sections[area].complain("units",
                                        fmt::format("\"{}\" holds for none of the {} units",
                                                    settings_.areas[area].units, all_.rows()));
            study_.areas.push_back(settings_.areas[area].name);
            rows_of_area_.push_back(rows.value_or(std::vector<std::size_t>{}));
        }
        return !section_.has_mistakes();
    }

    bool add_populations()
    {
        std::vector<std::size_t> order;
        for (std::size_t area = 0; area < study_.areas.size(); ++area) {
            std::vector<std::string> subjects;
            for (const std::size_t row : rows_of_area_[area]) {
                const std::string& subject = all_.text(settings_.subject_column, row);
                if (is_wanted(subject) && std::ranges::find(subjects, subject) == subjects.end())
                    subjects.push_back(subject);
            }
            for (const std::string& subject : subjects) add_population(area, subject, order);
        }
        study_.units = all_.select(order);
        std::erase_if(study_.units.columns, [](const TableColumn& column) {
            return column.name == "row" || column.name == "half";
        });
        std::vector<std::int64_t> population;
        for (std::size_t at = 0; at < study_.populations.size(); ++at)
            population.insert(population.end(), study_.populations[at].units.size(),
                              static_cast<std::int64_t>(at));
        study_.units.columns.insert(study_.units.columns.begin(),
                                    {"population", "", std::move(population)});
        return !section_.has_mistakes();
    }

    /// Whether the study looks at units of that subject.
    bool is_wanted(const std::string& subject) const
    {
        return settings_.subjects.empty() ||
               std::ranges::any_of(settings_.subjects, [&](const SubjectRule& rule) {
                   return std::ranges::find(rule.members, subject) != rule.members.end();
               });
    }

    void add_population(std::size_t area, const std::string& subject,
                        std::vector<std::size_t>& order)
    {
        Population population{subject, area, order.size(), {}};
        std::vector<std::size_t> candidates;
        for (const std::size_t row : rows_of_area_[area]) {
            if (all_.text(settings_.subject_column, row) != subject) continue;
            candidates.push_back(row);
            if (is_kept_[row]) population.units.push_back(row);
        }
        if (population.units.empty()) {
            section_.complain(
                "units",
                fmt::format("\"{}\" keeps none of the {} units of area '{}' of "
                            "subject '{}'",
                            settings_.units, candidates.size(), study_.areas[area], subject),
                none_has_ceiling(candidates.size(), [&](std::size_t at) { return candidates[at]; })
                    ? ceilings_hint
                    : "lower the threshold, or leave it out: [[relational_control.subjects]] "
                      "and [[relational_control.areas]] name what is looked at");
            return;
        }
        order.insert(order.end(), population.units.begin(), population.units.end());
        study_.populations.push_back(std::move(population));
    }

    bool add_subjects()
    {
        std::vector<SubjectRule> rules = settings_.subjects;
        if (rules.empty())
            for (const Population& population : study_.populations)
                if (index_named(rules, population.subject) == rules.size())
                    rules.push_back({population.subject, {population.subject}});
        std::vector<ConfigSection> sections = section_.children("subjects");
        for (std::size_t at = 0; at < rules.size(); ++at)
            add_subject(rules[at], sections.empty() ? section_ : sections[at]);
        return !section_.has_mistakes();
    }

    void add_subject(const SubjectRule& rule, ConfigSection& section)
    {
        StudySubject subject{rule.name, rule.members, {}};
        for (const std::string& member : rule.members)
            if (std::ranges::none_of(study_.populations, [&](const Population& population) {
                    return population.subject == member;
                }))
                section.complain("members",
                                 fmt::format("no kept unit is of a subject '{}'", member),
                                 nearest_subject(member));
        for (std::size_t area = 0; area < study_.areas.size(); ++area) {
            const std::vector<std::size_t> found = populations_of(rule, area);
            if (found.size() == 1) {
                subject.populations.push_back(found.front());
                continue;
            }
            std::string owners;
            for (const std::size_t at : found)
                owners += (owners.empty() ? "" : ", ") + study_.populations[at].subject;
            section.complain(
                "members",
                found.empty()
                    ? fmt::format("subject '{}' has no units of area '{}'", rule.name,
                                  study_.areas[area])
                    : fmt::format("subject '{}' has {} populations of area '{}' (of {}), not one",
                                  rule.name, found.size(), study_.areas[area], owners),
                "[[relational_control.subjects]] members = [..] says whose areas are compared; "
                "[[relational_control.areas]] names the areas");
        }
        study_.subjects.push_back(std::move(subject));
    }

    std::vector<std::size_t> populations_of(const SubjectRule& rule, std::size_t area) const
    {
        std::vector<std::size_t> found;
        for (std::size_t at = 0; at < study_.populations.size(); ++at)
            if (study_.populations[at].area == area &&
                std::ranges::find(rule.members, study_.populations[at].subject) !=
                    rule.members.end())
                found.push_back(at);
        return found;
    }

    std::string nearest_subject(const std::string& member) const
    {
        const std::vector<std::string> known = distinct(all_, settings_.subject_column);
        const auto nearest = nearest_word(member, known);
        return nearest ? fmt::format("did you mean '{}'?", *nearest)
                       : fmt::format("known: {}", fmt::join(known, ", "));
    }

    bool add_pairs()
    {
        if (study_.areas.size() < 2) {
            section_.complain("areas", fmt::format("there is one area, '{}', and nothing to "
                                                   "compare it with",
                                                   study_.areas.front()));
            return false;
        }
        if (settings_.pairs.empty())
            for (std::size_t first = 0; first < study_.areas.size(); ++first)
                for (std::size_t second = first + 1; second < study_.areas.size(); ++second)
                    study_.pairs.push_back({first, second});
        for (std::size_t at = 0; at < settings_.pairs.size(); ++at) add_pair(at);
        return !section_.has_mistakes();
    }

    void add_pair(std::size_t at)
    {
        const std::string key = fmt::format("pairs[{}]", at);
        const std::string& text = settings_.pairs[at];
        const std::size_t dash = text.find(" - ");
        if (dash == std::string::npos) {
            section_.complain(key, fmt::format("\"{}\" is no pair of areas", text),
                              "write it as \"V1 - hV4\"");
            return;
        }
        AreaPair pair;
        if (!find_area(key, text.substr(0, dash), pair.first) ||
            !find_area(key, text.substr(dash + 3), pair.second))
            return;
        if (pair.first == pair.second)
            section_.complain(key, fmt::format("\"{}\" compares an area with itself", text));
        for (const AreaPair& other : study_.pairs)
            if (std::minmax(other.first, other.second) == std::minmax(pair.first, pair.second))
                section_.complain(key, fmt::format("the pair \"{}\" is named twice", text));
        study_.pairs.push_back(pair);
    }

    bool find_area(const std::string& key, const std::string& name, std::size_t& area)
    {
        area = index_named(study_.areas, name);
        if (area < study_.areas.size()) return true;
        const auto nearest = nearest_word(name, study_.areas);
        section_.complain(
            key, fmt::format("unknown area '{}' (known: {})", name, fmt::join(study_.areas, ", ")),
            nearest ? fmt::format("did you mean '{}'?", *nearest) : "");
        return false;
    }

    void add_folds()
    {
        Fold all{"all subjects", {}, std::nullopt};
        for (std::size_t subject = 0; subject < study_.subjects.size(); ++subject)
            all.train.push_back(subject);
        study_.folds.push_back(std::move(all));
        if (!settings_.leave_one_out) return;
        for (std::size_t test = 0; test < study_.subjects.size(); ++test) {
            Fold fold{"test " + study_.subjects[test].name, {}, test};
            for (std::size_t train = 0; train < study_.subjects.size(); ++train)
                if (!share_a_member(study_.subjects[train], study_.subjects[test]))
                    fold.train.push_back(train);
            if (!fold.train.empty()) study_.folds.push_back(std::move(fold));
        }
    }

    const ControlSettings& settings_;
    Table all_;
    ConfigSection& section_;
    std::vector<bool> is_kept_;                           // [all units]
    std::vector<std::vector<std::size_t>> rows_of_area_;  // [areas]
    Study study_;
};

}  // namespace

Table with_filter_columns(Table units, std::uint64_t seed)
{
    std::vector<std::int64_t> rows, halves;
    for (std::size_t row = 0; row < units.rows(); ++row) {
        rows.push_back(static_cast<std::int64_t>(row));
        const auto bits = draw_bits({seed, DrawStream::split, row, 0});
        halves.push_back(1 + static_cast<std::int64_t>(below(bits[0], 2)));
    }
    units.columns.push_back({"row", "", std::move(rows)});
    units.columns.push_back({"half", "", std::move(halves)});
    return units;
}

Study make_study(const ControlSettings& settings, const Table& units, std::uint64_t seed,
                 ConfigSection& section)
{
    return StudyMaker(settings, units, seed, section).make();
}

}  // namespace twinscreen
