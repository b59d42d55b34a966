#include "engine/config/value_tree.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "engine/config/utf8.hpp"

namespace twinscreen::detail {

namespace {

constexpr std::size_t shown_elements = 8;

bool is_bare(std::string_view key)
{
    return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               c == '_' || c == '-';
    });
}

std::string number_text(double number)
{
    std::string text = fmt::format("{}", number);
    if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
    return text;
}

struct KindName {
    std::string_view operator()(bool) const { return "true or false"; }
    std::string_view operator()(std::int64_t) const { return "a whole number"; }
    std::string_view operator()(double) const { return "a number"; }
    std::string_view operator()(const std::string&) const { return "a string"; }
    std::string_view operator()(const ConfigDate&) const { return "a date or time"; }
    std::string_view operator()(const ConfigArray&) const { return "an array"; }
    std::string_view operator()(const ConfigTable&) const { return "a table"; }
};

struct ValueText {
    std::string operator()(bool flag) const { return flag ? "true" : "false"; }
    std::string operator()(std::int64_t number) const { return fmt::format("{}", number); }
    std::string operator()(double number) const { return number_text(number); }
    std::string operator()(const std::string& text) const { return quoted(text); }
    std::string operator()(const ConfigDate&) const { return "a date or time"; }
    std::string operator()(const ConfigTable&) const { return "{...}"; }
    std::string operator()(const ConfigArray& array) const
    {
        std::string text = "[";
        for (std::size_t i = 0; i < std::min(array.size(), shown_elements); ++i)
            text += (i == 0 ? "" : ", ") + value_text(array[i]);
        return text + (array.size() > shown_elements ? ", ...]" : "]");
    }
};

}  // namespace

const ConfigEntry* find_entry(const ConfigTable& table, std::string_view key) noexcept
{
    const auto found = std::find_if(table.begin(), table.end(),
                                    [&](const ConfigEntry& entry) { return entry.key == key; });
    return found == table.end() ? nullptr : &*found;
}

ConfigEntry* find_entry(ConfigTable& table, std::string_view key) noexcept
{
    return const_cast<ConfigEntry*>(find_entry(std::as_const(table), key));
}

std::string joined_name(std::string_view section, std::string_view key)
{
    const std::string last = is_bare(key) ? std::string(key) : quoted(key);
    return section.empty() ? last : fmt::format("{}.{}", section, last);
}

std::string_view kind_of(const ConfigValue& value) noexcept
{
    return std::visit(KindName{}, value.value);
}

std::string value_text(const ConfigValue& value) { return std::visit(ValueText{}, value.value); }

}  // namespace twinscreen::detail
