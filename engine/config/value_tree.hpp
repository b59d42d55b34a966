#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace twinscreen::detail {

/// Where a value was written: a place in the file (1-based, columns in code points) or the number
/// of a `--set` assignment.
struct Origin {
    std::uint32_t line = 1;
    std::uint32_t column = 1;
    int assignment = -1;  ///< -1: in the file

    friend bool operator==(const Origin&, const Origin&) = default;
};

/// A mistake before it is printed.
struct Diagnostic {
    Origin where;
    std::string message;
    std::string hint;
    std::string subject;  ///< "schedule.shard_rows": whose mistake it is
};

/// TOML has dates and times; campaigns have no use for their values.
struct ConfigDate {};

struct ConfigValue;
struct ConfigEntry;
using ConfigArray = std::vector<ConfigValue>;
using ConfigTable = std::vector<ConfigEntry>;  ///< in file order

/// One value of a parsed file, free of the parser's own types.
struct ConfigValue {
    std::variant<bool, std::int64_t, double, std::string, ConfigDate, ConfigArray, ConfigTable>
        value;
    Origin where;
};

struct ConfigEntry {
    std::string key;
    Origin where;
    ConfigValue value;
};

/// The entry of this key; null if there is none.
const ConfigEntry* find_entry(const ConfigTable& table, std::string_view key) noexcept;
ConfigEntry* find_entry(ConfigTable& table, std::string_view key) noexcept;

/// "schedule" + "shard_rows" -> "schedule.shard_rows"; a key that TOML would quote is quoted.
std::string joined_name(std::string_view section, std::string_view key);

/// "a string", "a whole number", "a table"
std::string_view kind_of(const ConfigValue& value) noexcept;

/// "10", "10.0", "\"abc\"", "[1, 2, 3, ...]"
std::string value_text(const ConfigValue& value);

/// Parses TOML 1.0; the first syntax mistake is the diagnostic.
std::variant<ConfigValue, Diagnostic> read_toml(std::string_view text);

}  // namespace twinscreen::detail
