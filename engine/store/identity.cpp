#include "engine/store/identity.hpp"

#include <algorithm>
#include <array>
#include <sstream>

namespace twinscreen {

namespace {

/// Long values (column lists, digests of many twins) are shown up to where they differ.
std::string shown(const std::string& value, const std::string& other)
{
    constexpr std::size_t longest = 80;
    constexpr std::size_t context = 24;
    const auto [here, there] =
        std::mismatch(value.begin(), value.end(), other.begin(), other.end());
    const auto differs_at = static_cast<std::size_t>(here - value.begin());
    if (value.size() <= longest) return '"' + value + '"';
    const std::size_t first = differs_at > context ? differs_at - context : 0;
    const std::size_t count = std::min(longest, value.size() - first);
    return fmt::format("{}\"{}\"{}", first > 0 ? "..." : "", value.substr(first, count),
                       first + count < value.size() ? "..." : "");
}

const std::string* find(const Identity& identity, const std::string& name)
{
    for (const auto& [part, value] : identity)
        if (part == name) return &value;
    return nullptr;
}

std::string columns_text(const std::vector<StoredColumn>& columns)
{
    constexpr std::array<const char*, 3> domains{"item", "shard", "stage"};
    std::string text;
    for (const StoredColumn& column : columns)
        text += fmt::format("{}{} {} {} ({}; {} bytes a row){}", text.empty() ? "" : ", ",
                            domains.at(static_cast<std::size_t>(column.domain)), column.name,
                            name_of(column.type), column.axes, column.row_bytes,
                            column.unit.empty() ? "" : " [" + column.unit + "]");
    return text;
}

std::vector<StoredColumn> as_stored(const std::vector<ColumnSpec>& columns)
{
    std::vector<StoredColumn> stored;
    for (const ColumnSpec& column : columns)
        stored.push_back({column.name, column.domain, column.type, axes_text(column), column.unit,
                          0, column.row_bytes(), 0});
    return stored;
}

bool is_tolerated(const StoreOptions& options, const std::string& part)
{
    return std::find(options.tolerated.begin(), options.tolerated.end(), part) !=
           options.tolerated.end();
}

std::string shards_text(const std::string& stage, std::uint64_t items, std::uint64_t shard_items)
{
    return fmt::format("{} items of stage '{}' in shards of {}", items, stage, shard_items);
}

/// Lines that say something, without comments and indentation.
std::vector<std::string> settings_in(const std::string& campaign)
{
    std::vector<std::string> lines;
    std::istringstream text(campaign);
    for (std::string line; std::getline(text, line);) {
        const std::size_t first = line.find_first_not_of(" \t\r");
        if (first == std::string::npos || line[first] == '#') continue;
        const std::size_t comment = line.find(" #");
        const std::size_t last = line.find_last_not_of(" \t\r", comment);
        lines.push_back(line.substr(first, last - first + 1));
    }
    return lines;
}

/// Lines of one campaign that the other lacks, for people: a digest tells nobody what differs.
void add_lines_missing_in(const std::vector<std::string>& other,
                          const std::vector<std::string>& lines, const char* whose, Error& error)
{
    constexpr std::size_t most_shown = 6;
    std::size_t missing = 0;
    for (const std::string& line : lines) {
        if (std::ranges::find(other, line) != other.end()) continue;
        if (++missing <= most_shown) error.add_context(fmt::format("{} {}", whose, line));
    }
    if (missing > most_shown)
        error.add_context(fmt::format("{} {} more lines", whose, missing - most_shown));
}

void add_changed_settings(const StoreOptions& options, const StageLayout& stored, Error& error)
{
    std::string campaign;
    for (const auto& [name, value] : options.provenance)
        if (name == "campaign_text" || name == "campaign_overrides") campaign += value + "\n";
    const std::vector<std::string> before = settings_in(stored.campaign),
                                   now = settings_in(campaign);
    add_lines_missing_in(now, before, "the campaign had:", error);
    add_lines_missing_in(before, now, "the campaign has:", error);
}

}  // namespace

void require_same_stage(const StoreOptions& options, const Plan& plan,
                        const std::vector<ColumnSpec>& columns, const StageLayout& stored)
{
    Identity have = stored.identity;
    Identity want = options.identity;
    have.emplace_back("shards", shards_text(stored.stage, stored.items, stored.shard_items));
    want.emplace_back("shards", shards_text(plan.stage, plan.items, plan.shard_items));
    if (find(have, "columns") == nullptr || find(want, "columns") == nullptr ||
        *find(have, "columns") == *find(want, "columns")) {
        have.emplace_back("stored columns", columns_text(stored.columns));
        want.emplace_back("stored columns", columns_text(as_stored(columns)));
    }
    if (!options.allow_mixed_numerics) {
        have.emplace_back("numerics", stored.numerics);
        want.emplace_back("numerics", options.numerics);
    }
    std::vector<std::string> differences;
    for (const auto& [name, wanted] : want) {
        if (is_tolerated(options, name)) continue;
        const std::string* found = find(have, name);
        if (found == nullptr)
            differences.push_back(
                fmt::format("{}: not stored, wanted {}", name, shown(wanted, "")));
        else if (*found != wanted)
            differences.push_back(fmt::format("{}: stored {}, wanted {}", name,
                                              shown(*found, wanted), shown(wanted, *found)));
    }
    for (const auto& [name, found] : have)
        if (find(want, name) == nullptr)
            differences.push_back(fmt::format("{}: stored {}, not wanted", name, shown(found, "")));
    if (differences.empty()) return;
    const bool stimuli_differ = std::ranges::any_of(differences, [](const std::string& difference) {
        return difference.starts_with("stimuli:");
    });
    Error error(
        Error::Kind::store,
        fmt::format("{} holds results of another campaign ({} {})", options.file.string(),
                    differences.size(), differences.size() == 1 ? "part differs" : "parts differ"),
        fmt::format("Choose another output folder (--out), or go back to the campaign that made "
                    "it.{}",
                    stimuli_differ ? " Where only broken files of stimuli were replaced, --set "
                                     "run.changed_stimuli=accept goes on."
                                   : ""));
    for (std::string& difference : differences) error.add_context(std::move(difference));
    add_changed_settings(options, stored, error);
    throw error;
}

}  // namespace twinscreen
