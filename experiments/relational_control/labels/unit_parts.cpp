#include "experiments/relational_control/labels/unit_parts.hpp"

#include <algorithm>

#include "engine/base/digest.hpp"
#include "engine/config/row_filter.hpp"

namespace twinscreen {
namespace {

constexpr std::array<const char*, 2> part_keys{"first", "second"};

/// Columns of the population's units among these rows of the unit table.
std::vector<std::uint32_t> columns_of(const Population& population,
                                      const std::vector<std::size_t>& rows)
{
    std::vector<std::uint32_t> columns;
    for (std::size_t unit = 0; unit < population.units.size(); ++unit)
        if (std::ranges::binary_search(rows, population.units[unit]))
            columns.push_back(static_cast<std::uint32_t>(population.first_column + unit));
    return columns;
}

class PartFinder {
public:
    PartFinder(const Study& study, const Table& units, ConfigSection& section)
        : study_(study), units_(units), section_(section)
    {
    }

    AreaParts find(const PartRule& rule, const AreaPair& pair)
    {
        AreaParts parts{rule, {}};
        const std::array<std::size_t, 2> areas{pair.first, pair.second};
        const auto is_named = [&](std::size_t area) { return study_.areas[area] == rule.area; };
        const auto found = std::ranges::find_if(areas, is_named);
        if (found == areas.end()) {
            section_.complain(
                "area", fmt::format("the pair \"{} - {}\" has no area '{}'", study_.areas[areas[0]],
                                    study_.areas[areas[1]], rule.area));
            return parts;
        }
        for (std::size_t part = 0; part < 2; ++part)
            add_part(parts, part, *found, part == 0 ? rule.first : rule.second);
        if (!section_.has_mistakes()) require_apart(parts);
        return parts;
    }

private:
    void add_part(AreaParts& parts, std::size_t part, std::size_t area, const std::string& filter)
    {
        std::vector<std::size_t> rows;
        try {
            rows = filter_rows(units_, filter);
        } catch (const Error& error) {
            section_.complain(part_keys[part], error.what());
            return;
        }
        for (std::size_t subject = 0; subject < study_.subjects.size(); ++subject) {
            const Population& population = study_.populations[study_.population(subject, area)];
            parts.units[part].push_back(columns_of(population, rows));
            if (parts.units[part].back().empty())
                section_.complain(part_keys[part],
                                  fmt::format("\"{}\" holds for none of the {} kept units of area "
                                              "'{}' of subject '{}'",
                                              filter, population.units.size(), study_.areas[area],
                                              study_.subjects[subject].name));
        }
    }

    void require_apart(const AreaParts& parts)
    {
        for (std::size_t subject = 0; subject < study_.subjects.size(); ++subject)
            for (const std::uint32_t column : parts.units[0][subject])
                if (std::ranges::binary_search(parts.units[1][subject], column)) {
                    section_.complain(
                        "second", fmt::format("unit '{}' is in both parts of area '{}'",
                                              study_.units.text("id", column), parts.rule.area));
                    return;
                }
    }

    const Study& study_;
    const Table& units_;
    ConfigSection& section_;
};

}  // namespace

std::string AreaParts::digest() const
{
    Digest all;
    all.add(rule.area).add(rule.first_prefers);
    for (const auto& part : units)
        for (const auto& columns : part) {
            all.add(columns.size());
            for (const std::uint32_t column : columns) all.add(std::uint64_t{column});
        }
    return all.hex();
}

std::vector<AreaParts> find_parts(const ImageLabelSettings& settings, const Study& study,
                                  const LabelTable& labels, const Table& units,
                                  ConfigSection& section)
{
    std::vector<AreaParts> found;
    std::vector<ConfigSection> sections = section.children("parts");
    for (std::size_t at = 0; at < settings.parts.size(); ++at) {
        const std::string& prefers = settings.parts[at].first_prefers;
        if (labels.names.size() == 2 &&
            std::ranges::find(labels.names, prefers) == labels.names.end())
            sections[at].complain(
                "first_prefers", fmt::format("no image is labelled '{}', but '{}' or '{}'", prefers,
                                             labels.names[0], labels.names[1]));
        found.push_back(PartFinder(study, units, sections[at])
                            .find(settings.parts[at], study.pairs[settings.pair_index]));
    }
    return found;
}

}  // namespace twinscreen
