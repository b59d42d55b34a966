#include <algorithm>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "engine/config/limits.hpp"
#include "engine/config/nesting_guard.hpp"
#include "engine/config/utf8.hpp"
#include "engine/config/value_tree.hpp"

namespace twinscreen::detail {

namespace {

Origin origin_of(const toml::source_region& region)
{
    return {std::max(region.begin.line, 1U), std::max(region.begin.column, 1U), -1};
}

Origin origin_of(std::string_view text, std::size_t offset)
{
    Origin where;
    for (std::size_t at = 0; at < offset;) {
        const bool line_feed = text[at] == '\n';
        where.column = line_feed ? 1 : where.column + 1;
        if (line_feed) ++where.line;
        at += std::max<std::size_t>(utf8_length(text, at), 1);
    }
    return where;
}

bool is_before(const Origin& a, const Origin& b)
{
    return std::pair(a.line, a.column) < std::pair(b.line, b.column);
}

ConfigValue converted(const toml::node& node);

ConfigValue converted_table(const toml::table& table)
{
    ConfigTable entries;
    entries.reserve(table.size());
    for (const auto& [key, value] : table)
        entries.push_back({std::string(key.str()), origin_of(key.source()), converted(value)});
    std::ranges::stable_sort(entries, [](const ConfigEntry& a, const ConfigEntry& b) {
        return is_before(a.where, b.where);
    });
    return {std::move(entries), origin_of(table.source())};
}

ConfigValue converted(const toml::node& node)
{
    const Origin where = origin_of(node.source());
    if (const auto* table = node.as_table()) return converted_table(*table);
    if (const auto* array = node.as_array()) {
        ConfigArray elements;
        elements.reserve(array->size());
        for (const toml::node& element : *array) elements.push_back(converted(element));
        return {std::move(elements), where};
    }
    if (const auto* flag = node.as_boolean()) return {flag->get(), where};
    if (const auto* whole = node.as_integer()) return {whole->get(), where};
    if (const auto* number = node.as_floating_point()) return {number->get(), where};
    if (const auto* text = node.as_string()) return {text->get(), where};
    return {ConfigDate{}, where};
}

/// "Error while parsing table header: cannot ..." -> "cannot ... (while reading a table header)"
std::string tidy(std::string_view description)
{
    constexpr std::string_view prefix = "Error while parsing ";
    std::string text(description);
    if (text.starts_with(prefix)) {
        const std::size_t colon = text.find(": ", prefix.size());
        if (colon != std::string::npos) {
            const std::string what = text.substr(prefix.size(), colon - prefix.size());
            const bool vowel = std::string_view("aeiou").find(what[0]) != std::string::npos;
            text =
                text.substr(colon + 2) + " (while reading " + (vowel ? "an " : "a ") + what + ")";
        }
    } else if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z') {
        text[0] = static_cast<char>(text[0] - 'A' + 'a');
    }
    return printable(text);
}

/// The first key, in file order, that is longer than allowed.
const ConfigEntry* first_long_key(const ConfigValue& value)
{
    if (const auto* array = std::get_if<ConfigArray>(&value.value))
        for (const ConfigValue& element : *array)
            if (const ConfigEntry* found = first_long_key(element)) return found;
    if (const auto* table = std::get_if<ConfigTable>(&value.value))
        for (const ConfigEntry& entry : *table) {
            if (entry.key.size() > longest_key) return &entry;
            if (const ConfigEntry* found = first_long_key(entry.value)) return found;
        }
    return nullptr;
}

std::variant<ConfigValue, Diagnostic> parse(std::string_view text)
{
    try {
        ConfigValue root = converted_table(toml::parse(text));
        root.where = Origin{};
        if (const ConfigEntry* entry = first_long_key(root))
            return Diagnostic{
                entry->where,
                fmt::format("a key has {} bytes (at most {})", entry->key.size(), longest_key),
                {},
                {}};
        return root;
    } catch (const toml::parse_error& error) {
        return Diagnostic{origin_of(error.source()), tidy(error.description()), {}, {}};
    }
}

}  // namespace

std::variant<ConfigValue, Diagnostic> read_toml(std::string_view text)
{
    if (text.starts_with(utf8_byte_order_mark)) text.remove_prefix(utf8_byte_order_mark.size());
    const auto deep = first_too_deep(text);
    if (!deep) return parse(text);
    // Ordinary mistakes before that place come first; what follows it must not reach the parser.
    const Diagnostic mistake{origin_of(text, *deep),
                             fmt::format("values are nested more than {} deep", deepest_nesting),
                             {},
                             {}};
    auto before = parse(text.substr(0, *deep));
    if (auto* earlier = std::get_if<Diagnostic>(&before);
        earlier != nullptr && is_before(earlier->where, mistake.where))
        return std::move(*earlier);
    return mistake;
}

}  // namespace twinscreen::detail
