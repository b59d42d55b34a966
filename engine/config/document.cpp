#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "engine/config/document_state.hpp"
#include "engine/config/limits.hpp"
#include "engine/config/utf8.hpp"

namespace twinscreen {

namespace {

using detail::ConfigArray;
using detail::ConfigEntry;
using detail::ConfigTable;
using detail::ConfigValue;
using detail::Diagnostic;
using detail::DocumentState;
using detail::Origin;

[[noreturn]] void refuse_assignment(const std::string& assignment, const std::string& reason)
{
    throw Error(Error::Kind::config,
                fmt::format("--set {}: {}", detail::printable(assignment), reason),
                "write --set key=value, for example --set screen.top_k=10 or "
                "--set 'twins.0.units=heldout_r > 0.3'");
}

struct Assignment {
    std::vector<std::string> path;
    std::string value;
};

std::string trimmed(const std::string& text)
{
    const std::size_t first = text.find_first_not_of(" \t");
    if (first == std::string::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

Assignment split_assignment(const std::string& assignment)
{
    if (detail::first_invalid_utf8(assignment) != std::string::npos)
        refuse_assignment(assignment, "is not UTF-8");
    Assignment result;
    std::string segment;
    bool in_quotes = false;
    for (std::size_t at = 0; at < assignment.size(); ++at) {
        const char c = assignment[at];
        if (c == '"')
            in_quotes = !in_quotes;
        else if (in_quotes || (c != '.' && c != '='))
            segment += c;
        else {
            result.path.push_back(trimmed(segment));
            segment.clear();
            if (c == '.') continue;
            result.value = trimmed(assignment.substr(at + 1));
            for (const std::string& name : result.path)
                if (name.empty()) refuse_assignment(assignment, "has an empty key");
            if (result.path.size() > 16)
                refuse_assignment(assignment, "has a key with more than 16 parts");
            return result;
        }
    }
    refuse_assignment(assignment, "has no '='");
}

void set_origin(ConfigValue& value, const Origin& where)
{
    value.where = where;
    if (auto* array = std::get_if<ConfigArray>(&value.value))
        for (ConfigValue& element : *array) set_origin(element, where);
    if (auto* table = std::get_if<ConfigTable>(&value.value))
        for (ConfigEntry& entry : *table) {
            entry.where = where;
            set_origin(entry.value, where);
        }
}

ConfigValue parse_value(const std::string& text, const Origin& where)
{
    ConfigValue value{text, where};
    auto parsed = detail::read_toml("value = " + text);
    if (auto* root = std::get_if<ConfigValue>(&parsed)) {
        auto& entries = std::get<ConfigTable>(root->value);
        if (entries.size() == 1 && entries.front().key == "value")
            value = std::move(entries.front().value);
    }
    set_origin(value, where);
    return value;
}

std::optional<std::size_t> as_index(const std::string& segment)
{
    std::size_t index = 0;
    const char* end = segment.data() + segment.size();
    const auto [stop, failed] = std::from_chars(segment.data(), end, index);
    if (failed != std::errc{} || stop != end) return std::nullopt;
    return index;
}

/// One step of an assignment's path: the value under a key or an index. A missing key of a table
/// is created as an empty table. Null after a mistake, which `message` tells.
ConfigValue* step(ConfigValue& from, const std::string& name, const std::string& segment,
                  const Origin& where, std::string& message)
{
    const std::optional<std::size_t> index = as_index(segment);
    if (auto* table = std::get_if<ConfigTable>(&from.value)) {
        if (ConfigEntry* entry = find_entry(*table, segment)) return &entry->value;
        table->push_back({segment, where, ConfigValue{ConfigTable{}, where}});
        return &table->back().value;
    }
    if (auto* array = std::get_if<ConfigArray>(&from.value)) {
        if (!index) {
            message = fmt::format("{} is an array: an index is needed instead of '{}', as in {}.0",
                                  name, detail::printable(segment), name);
            return nullptr;
        }
        if (*index < array->size()) return &(*array)[*index];
        message =
            array->size() == 0
                ? fmt::format("{} has no elements", name)
                : fmt::format("{} has {} element{}, the last one is {}.{}", name, array->size(),
                              array->size() == 1 ? "" : "s", name, array->size() - 1);
        return nullptr;
    }
    message = fmt::format("{} is {}, not a table", name, kind_of(from));
    return nullptr;
}

}  // namespace

ConfigDocument::ConfigDocument(std::shared_ptr<detail::DocumentState> state)
    : state_(std::move(state))
{
}

ConfigDocument ConfigDocument::parse(std::string text, std::string display_name,
                                     std::filesystem::path folder,
                                     std::shared_ptr<SharedReads> reads)
{
    if (text.size() > largest_config)
        throw Error(Error::Kind::config,
                    fmt::format("{} has {} bytes (at most {} are read)", display_name, text.size(),
                                largest_config),
                    "long lists belong into files that the campaign names");
    auto state = std::make_shared<DocumentState>();
    state->name = std::move(display_name);
    state->folder = std::move(folder);
    state->reads = std::move(reads);
    state->text = std::move(text);
    auto parsed = detail::read_toml(state->text);
    if (auto* mistake = std::get_if<Diagnostic>(&parsed)) {
        state->diagnostics.push_back(std::move(*mistake));
        throw Error(Error::Kind::config, report(*state));
    }
    state->root = std::move(std::get<ConfigValue>(parsed));
    return ConfigDocument(std::move(state));
}

void ConfigDocument::override_value(const std::string& assignment)
{
    TWINSCREEN_REQUIRE(!state_->being_read, internal, "--set {} comes after the campaign was read",
                       assignment);
    const Assignment parts = split_assignment(assignment);
    const Origin where{1, 1, static_cast<int>(state_->assignments.size())};
    state_->assignments.push_back(assignment);

    ConfigValue* value = &state_->root;
    std::string name;
    for (std::size_t i = 0; i < parts.path.size(); ++i) {
        const std::string& segment = parts.path[i];
        std::string message;
        const auto* table = std::get_if<ConfigTable>(&value->value);
        const bool absent_array = table != nullptr && find_entry(*table, segment) == nullptr &&
                                  i + 1 < parts.path.size() && as_index(parts.path[i + 1]);
        const bool in_array = std::holds_alternative<ConfigArray>(value->value);
        const std::string next =
            in_array ? fmt::format("{}.{}", name, segment) : detail::joined_name(name, segment);
        if (absent_array) message = fmt::format("{} has no elements", next);
        value = absent_array ? nullptr : step(*value, name, segment, where, message);
        if (value == nullptr) {
            state_->diagnostics.push_back({where, message, {}, name});
            return;
        }
        name = next;
    }
    *value = parse_value(parts.value, where);
}

ConfigSection ConfigDocument::root()
{
    state_->being_read = true;
    auto section = std::make_shared<detail::SectionState>();
    section->document = state_;
    section->table = &std::get<ConfigTable>(state_->root.value);
    return ConfigSection(std::move(section));
}

void ConfigDocument::throw_if_invalid() const
{
    if (!state_->diagnostics.empty()) throw Error(Error::Kind::config, report(*state_));
}

}  // namespace twinscreen
