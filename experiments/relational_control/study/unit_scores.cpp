#include "experiments/relational_control/study/unit_scores.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "engine/config/csv.hpp"

namespace twinscreen {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

bool has_texts(const Table& table, std::string_view column)
{
    const TableColumn* found = table.find(column);
    return found != nullptr && found->is_text();
}

/// What tells units apart: their id, within a twin where both tables name it.
std::string key_of(const Table& table, std::size_t row, bool with_twin)
{
    return with_twin ? table.text("twin", row) + "\n" + table.text("id", row)
                     : table.text("id", row);
}

std::vector<double>& numbers_column(Table& units, const TableColumn& source)
{
    if (units.find(source.name) == nullptr)
        units.columns.push_back({source.name, source.unit, std::vector<double>(units.rows(), nan)});
    auto* numbers = std::get_if<std::vector<double>>(&units.find(source.name)->values);
    TWINSCREEN_REQUIRE(numbers != nullptr, data,
                       "column '{}' holds numbers, that of the unit table does not", source.name);
    return *numbers;
}

void add_file(const std::filesystem::path& file, Table& units, SharedReads& reads)
{
    const Table scores = read_csv(file, reads);
    TWINSCREEN_REQUIRE(has_texts(scores, "id"), data, "{}: no column of texts named 'id'",
                       file.string());
    const bool with_twin = has_texts(scores, "twin") && has_texts(units, "twin");
    std::multimap<std::string, std::size_t> rows;
    for (std::size_t row = 0; row < units.rows(); ++row)
        rows.emplace(key_of(units, row, with_twin), row);
    std::vector<std::vector<std::size_t>> named(scores.rows());  // units of each row
    std::set<std::string> seen;
    std::size_t matched = 0;
    for (std::size_t score = 0; score < scores.rows(); ++score) {
        const std::string key = key_of(scores, score, with_twin);
        TWINSCREEN_REQUIRE(seen.insert(key).second, data, "{}: unit '{}' is named twice",
                           file.string(), scores.text("id", score));
        const auto [first, last] = rows.equal_range(key);
        for (auto unit = first; unit != last; ++unit, ++matched)
            named[score].push_back(unit->second);
    }
    TWINSCREEN_REQUIRE(matched > 0, data, "{}: names none of the {} units{}", file.string(),
                       units.rows(), with_twin ? " (by twin and id)" : " (by id)");
    const auto is_text = [](const TableColumn& column) { return column.is_text(); };
    TWINSCREEN_REQUIRE(!std::ranges::all_of(scores.columns, is_text), data,
                       "{}: no column of numbers", file.string());
    for (const TableColumn& column : scores.columns) {
        if (column.is_text()) continue;
        std::vector<double>& numbers = numbers_column(units, column);
        for (std::size_t score = 0; score < scores.rows(); ++score)
            for (const std::size_t unit : named[score])
                numbers[unit] = scores.number(column.name, score);
    }
}

}  // namespace

void add_unit_scores(const std::vector<std::filesystem::path>& files, Table& units,
                     ConfigSection& section)
{
    std::vector<ConfigSection> sections = section.children("unit_scores");
    for (std::size_t at = 0; at < files.size(); ++at) {
        try {
            add_file(files[at], units, section.reads());
        } catch (const Error& error) {
            sections[at].complain("file", error.what());
        }
    }
}

}  // namespace twinscreen
