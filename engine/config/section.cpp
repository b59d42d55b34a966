#include "engine/config/section.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <type_traits>
#include <utility>

#include "engine/config/document_state.hpp"
#include "engine/config/limits.hpp"
#include "engine/config/utf8.hpp"

namespace twinscreen {

namespace detail {

const ConfigEntry* SectionState::find(std::string_view key)
{
    auto& known = document->known[name];
    if (std::find(known.begin(), known.end(), key) == known.end()) known.emplace_back(key);
    return table == nullptr ? nullptr : find_entry(*table, key);
}

void SectionState::add(const Origin& place, std::string_view key, std::string message,
                       std::string hint)
{
    const std::string subject = key.empty() ? name : joined_name(name, key);
    document->diagnostics.push_back({place, std::move(message), std::move(hint), subject});
    // Fifty are shown; a file with as many mistakes as bytes must not take hours to refuse.
    if (document->diagnostics.size() >= most_mistakes)
        throw Error(Error::Kind::config, report(*document));
}

}  // namespace detail

namespace {

using detail::ConfigArray;
using detail::ConfigEntry;
using detail::ConfigTable;
using detail::ConfigValue;
using detail::SectionState;

template <class T>
struct IsVector : std::false_type {
};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {
};

template <class T>
std::string expected_text(std::string_view unit)
{
    std::string text;
    if constexpr (std::is_same_v<T, bool>)
        text = "true or false";
    else if constexpr (std::is_same_v<T, std::int64_t>)
        text = "a whole number";
    else if constexpr (std::is_same_v<T, double>)
        text = "a number";
    else if constexpr (std::is_same_v<T, std::string>)
        text = "a string";
    else if constexpr (std::is_same_v<T, std::vector<std::int64_t>>)
        text = "an array of whole numbers";
    else if constexpr (std::is_same_v<T, std::vector<double>>)
        text = "an array of numbers";
    else
        text = "an array of strings";
    return unit.empty() ? text : fmt::format("{} [{}]", text, unit);
}

std::string with_unit(std::string_view unit)
{
    return unit.empty() ? "" : fmt::format(" {}", unit);
}

/// Reads one value into a T and complains about what is in the way.
class Reader {
public:
    Reader(SectionState& section, std::string_view key, std::string_view unit, bool finite)
        : section_(section), key_(key), unit_(unit), finite_(finite)
    {
    }

    template <class T>
    std::optional<T> read(const ConfigValue& value, const std::string& name)
    {
        if constexpr (IsVector<T>::value) {
            return read_array<typename T::value_type>(value, name);
        } else {
            if (const T* same = std::get_if<T>(&value.value)) return checked(*same, value, name);
            if constexpr (std::is_same_v<T, double>)
                if (const auto* whole = std::get_if<std::int64_t>(&value.value))
                    return static_cast<double>(*whole);
            refuse_type(value, name, expected_text<T>(unit_));
            return std::nullopt;
        }
    }

private:
    template <class Element>
    std::optional<std::vector<Element>> read_array(const ConfigValue& value,
                                                   const std::string& name)
    {
        const auto* array = std::get_if<ConfigArray>(&value.value);
        if (array == nullptr && std::holds_alternative<ConfigTable>(value.value)) {
            refuse_type(value, name, expected_text<std::vector<Element>>(unit_));
            return std::nullopt;
        }
        std::vector<Element> elements;
        bool complete = true;
        const std::size_t count = array == nullptr ? 1 : array->size();
        for (std::size_t i = 0; i < count; ++i) {
            const auto element = array == nullptr
                                     ? read<Element>(value, name)
                                     : read<Element>((*array)[i], fmt::format("{}[{}]", name, i));
            complete = complete && element.has_value();
            if (complete) elements.push_back(*element);
        }
        return complete ? std::optional(std::move(elements)) : std::nullopt;
    }

    template <class T>
    std::optional<T> checked(const T& value, const ConfigValue& at, const std::string& name)
    {
        if constexpr (std::is_same_v<T, double>) {
            if (finite_ && !std::isfinite(value)) {
                section_.add(at.where, key_,
                             fmt::format("{} = {}{} (must be finite)", name, detail::value_text(at),
                                         with_unit(unit_)));
                return std::nullopt;
            }
        }
        return value;
    }

    void refuse_type(const ConfigValue& value, const std::string& name, const std::string& expected)
    {
        const bool number = std::holds_alternative<double>(value.value);
        std::string hint;
        if (value.where.assignment >= 0 && expected == "a string")
            hint = "a text that looks like something else needs quotes: '\"...\"'";
        section_.add(
            value.where, key_,
            number ? fmt::format("{} = {}, expected {}", name, detail::value_text(value), expected)
                   : fmt::format("{} is {}, expected {}", name, detail::kind_of(value), expected),
            hint);
    }

    SectionState& section_;
    std::string_view key_;
    std::string_view unit_;
    bool finite_;
};

/// The value if it is there, has the type and obeys the rule.
template <class T>
std::optional<T> read_value(SectionState& section, const ConfigEntry& entry, std::string_view unit,
                            const Rule<T>& rule)
{
    const std::string name = detail::joined_name(section.name, entry.key);
    auto value = Reader(section, entry.key, unit, !rule.takes_non_finite)
                     .template read<T>(entry.value, name);
    if (!value || !rule.holds || rule.holds(*value)) return value;
    const std::string reason = rule.text.empty() ? "not allowed" : "must be " + rule.text;
    section.add(entry.value.where, entry.key,
                fmt::format("{} = {}{} ({})", name, detail::value_text(entry.value),
                            with_unit(unit), reason));
    return std::nullopt;
}

void complain_missing(SectionState& section, std::string_view key, const std::string& expected)
{
    if (section.broken) return;
    section.add(section.where, key,
                fmt::format("{} is missing, expected {}", detail::joined_name(section.name, key),
                            expected));
}

ConfigSection section_at(const SectionState& parent, std::string name, const ConfigValue* value)
{
    auto state = std::make_shared<SectionState>();
    state->document = parent.document;
    state->name = std::move(name);
    state->where = value == nullptr ? parent.where : value->where;
    state->table = value == nullptr ? nullptr : std::get_if<ConfigTable>(&value->value);
    state->broken = parent.broken || (value != nullptr && state->table == nullptr);
    return ConfigSection(std::move(state));
}

/// "measures[1]" -> "measures", 1
std::pair<std::string_view, std::optional<std::size_t>> split_index(std::string_view key)
{
    const std::size_t open = key.rfind('[');
    std::size_t index = 0;
    if (open == std::string_view::npos || !key.ends_with(']')) return {key, std::nullopt};
    const char* end = key.data() + key.size() - 1;
    const auto [stop, failed] = std::from_chars(key.data() + open + 1, end, index);
    if (failed != std::errc{} || stop != end) return {key, std::nullopt};
    return {key.substr(0, open), index};
}

std::string quoted_list(const std::vector<std::string>& words)
{
    std::string list;
    for (const std::string& word : words) list += (list.empty() ? "\"" : ", \"") + word + "\"";
    return list;
}

std::string suggestion(std::string_view word, const std::vector<std::string>& known)
{
    const auto nearest = nearest_word(word, known);
    return nearest ? fmt::format("did you mean '{}'?", *nearest) : std::string{};
}

/// The file's or folder's path, or nothing after a mistake.
std::optional<std::filesystem::path> read_path(SectionState& section, const ConfigEntry& entry)
{
    const auto text = read_value(section, entry, {}, any_value<std::string>());
    if (!text) return std::nullopt;
    const auto refuse = [&](const std::string& reason) {
        section.add(entry.value.where, entry.key,
                    fmt::format("{} = {} {}", detail::joined_name(section.name, entry.key),
                                detail::quoted(*text), reason));
        return std::nullopt;
    };
    if (text->empty()) return refuse("(must be a path)");
    if (text->find('\0') != std::string::npos) return refuse("holds a zero byte");
    std::string mistake;
    const std::string expanded = detail::expand_environment(*text, mistake);
    if (!mistake.empty()) return refuse(mistake);
    return (section.document->folder / expanded).lexically_normal();
}

}  // namespace

ConfigSection::ConfigSection(std::shared_ptr<detail::SectionState> state) : state_(std::move(state))
{
}

const std::string& ConfigSection::name() const noexcept { return state_->name; }

SharedReads& ConfigSection::reads() const { return *state_->document->reads; }

bool ConfigSection::has(std::string_view key) const { return state_->find(key) != nullptr; }

bool ConfigSection::holds_text(std::string_view key) const
{
    const ConfigEntry* entry = state_->find(key);
    if (entry == nullptr) return false;
    const auto is_text = [](const ConfigValue& value) {
        return std::holds_alternative<std::string>(value.value);
    };
    const auto* array = std::get_if<ConfigArray>(&entry->value.value);
    if (array == nullptr) return is_text(entry->value);
    return !array->empty() && std::all_of(array->begin(), array->end(), is_text);
}

bool ConfigSection::holds_table(std::string_view key) const
{
    const ConfigEntry* entry = state_->find(key);
    return entry != nullptr && std::holds_alternative<ConfigTable>(entry->value.value);
}

bool ConfigSection::holds_array(std::string_view key) const
{
    const ConfigEntry* entry = state_->find(key);
    return entry != nullptr && std::holds_alternative<ConfigArray>(entry->value.value);
}

template <class T>
T ConfigSection::require(std::string_view key, std::string_view unit, const Rule<T>& rule)
{
    if (const ConfigEntry* entry = state_->find(key))
        return read_value(*state_, *entry, unit, rule).value_or(T{});
    std::string expected = expected_text<T>(unit);
    if (!rule.text.empty()) expected += " " + rule.text;
    complain_missing(*state_, key, expected);
    return T{};
}

template <class T>
T ConfigSection::get_or(std::string_view key, T fallback, std::string_view unit,
                        const Rule<T>& rule)
{
    const ConfigEntry* entry = state_->find(key);
    if (entry == nullptr) return fallback;
    return read_value(*state_, *entry, unit, rule).value_or(std::move(fallback));
}

#define TWINSCREEN_INSTANTIATE(T)                                                             \
    template T ConfigSection::require<T>(std::string_view, std::string_view, const Rule<T>&); \
    template T ConfigSection::get_or<T>(std::string_view, T, std::string_view, const Rule<T>&);

TWINSCREEN_INSTANTIATE(bool)
TWINSCREEN_INSTANTIATE(std::int64_t)
TWINSCREEN_INSTANTIATE(double)
TWINSCREEN_INSTANTIATE(std::string)
TWINSCREEN_INSTANTIATE(std::vector<double>)
TWINSCREEN_INSTANTIATE(std::vector<std::int64_t>)
TWINSCREEN_INSTANTIATE(std::vector<std::string>)

#undef TWINSCREEN_INSTANTIATE

std::string ConfigSection::one_of(std::string_view key, std::string fallback,
                                  const std::vector<std::string>& allowed)
{
    const ConfigEntry* entry = state_->find(key);
    if (entry == nullptr) return fallback;
    const auto word = read_value(*state_, *entry, {}, any_value<std::string>());
    if (!word) return fallback;
    if (std::find(allowed.begin(), allowed.end(), *word) != allowed.end()) return *word;
    state_->add(entry->value.where, key,
                fmt::format("{} = {} (must be one of {})", detail::joined_name(name(), key),
                            detail::quoted(*word), quoted_list(allowed)),
                suggestion(*word, allowed));
    return fallback;
}

std::filesystem::path ConfigSection::require_existing_path(std::string_view key)
{
    const ConfigEntry* entry = state_->find(key);
    if (entry == nullptr) {
        complain_missing(*state_, key, "a path");
        return {};
    }
    const auto path = read_path(*state_, *entry);
    if (!path) return {};
    const auto mistake = detail::path_mistake(*path);
    if (!mistake) return *path;
    state_->add(entry->value.where, key,
                fmt::format("{} = {} ({})", detail::joined_name(name(), key),
                            detail::value_text(entry->value), mistake->message),
                mistake->hint);
    return {};
}

std::optional<std::filesystem::path> ConfigSection::path(std::string_view key)
{
    const ConfigEntry* entry = state_->find(key);
    if (entry == nullptr) return std::nullopt;
    return read_path(*state_, *entry);
}

ConfigSection ConfigSection::child(std::string_view key)
{
    const std::string child_name = detail::joined_name(name(), key);
    const ConfigEntry* entry = state_->find(key);
    if (entry == nullptr) return section_at(*state_, child_name, nullptr);
    if (!std::holds_alternative<ConfigTable>(entry->value.value))
        state_->add(entry->value.where, key,
                    fmt::format("{} is {}, expected a table: [{}]", child_name,
                                detail::kind_of(entry->value), child_name));
    return section_at(*state_, child_name, &entry->value);
}

std::vector<ConfigSection> ConfigSection::children(std::string_view key)
{
    const ConfigEntry* entry = state_->find(key);
    if (entry == nullptr) return {};
    const std::string list_name = detail::joined_name(name(), key);
    if (std::holds_alternative<ConfigTable>(entry->value.value))
        return {section_at(*state_, list_name, &entry->value)};
    const auto refuse = [&](const ConfigValue& value, const std::string& value_name) {
        state_->add(value.where, key,
                    fmt::format("{} is {}, expected a table: [[{}]]", value_name,
                                detail::kind_of(value), list_name));
    };
    const auto* array = std::get_if<ConfigArray>(&entry->value.value);
    if (array == nullptr) {
        refuse(entry->value, list_name);
        return {};
    }
    std::vector<ConfigSection> sections;
    for (std::size_t i = 0; i < array->size(); ++i) {
        const ConfigValue& element = (*array)[i];
        const std::string element_name = fmt::format("{}[{}]", list_name, i);
        if (std::holds_alternative<ConfigTable>(element.value))
            sections.push_back(section_at(*state_, element_name, &element));
        else
            refuse(element, element_name);
    }
    return sections;
}

std::vector<std::string> ConfigSection::keys() const
{
    std::vector<std::string> keys;
    if (state_->table != nullptr)
        for (const ConfigEntry& entry : *state_->table) keys.push_back(entry.key);
    return keys;
}

void ConfigSection::complain(std::string_view key, std::string message, std::string hint)
{
    const auto [name, index] = split_index(key);
    const ConfigEntry* entry = state_->find(name);
    detail::Origin where = state_->where;
    if (entry != nullptr) {
        where = entry->value.where;
        const auto* array = std::get_if<ConfigArray>(&entry->value.value);
        if (array != nullptr && index && *index < array->size()) where = (*array)[*index].where;
    }
    state_->add(where, name, std::move(message), std::move(hint));
}

bool ConfigSection::has_mistakes() const
{
    const std::string& mine = state_->name;
    const auto below = [&](const detail::Diagnostic& diagnostic) {
        const std::string& subject = diagnostic.subject;
        return mine.empty() || (subject.starts_with(mine) &&
                                (subject.size() == mine.size() || subject[mine.size()] == '.' ||
                                 subject[mine.size()] == '['));
    };
    const auto& diagnostics = state_->document->diagnostics;
    return std::any_of(diagnostics.begin(), diagnostics.end(), below);
}

void ConfigSection::reject_unknown_keys()
{
    if (state_->table == nullptr) return;
    const std::vector<std::string>& known = state_->document->known[name()];
    for (const ConfigEntry& entry : *state_->table) {
        if (std::find(known.begin(), known.end(), entry.key) != known.end()) continue;
        const std::string where = name().empty() ? "" : fmt::format(" in [{}]", name());
        state_->add(entry.where, entry.key,
                    fmt::format("unknown key '{}'{}", detail::printable(entry.key), where),
                    suggestion(entry.key, known));
    }
}

}  // namespace twinscreen
