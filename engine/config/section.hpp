#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/error.hpp"
#include "engine/base/shared_reads.hpp"

namespace twinscreen {

/// A condition on a value and its text: "must be in 1..65536".
template <class T>
struct Rule {
    std::function<bool(const T&)> holds;
    std::string text;               ///< "in 1..65536"
    bool takes_non_finite = false;  ///< false: NaN and infinity are refused before `holds`
};

template <class T>
Rule<T> any_value()
{
    return {[](const T&) { return true; }, {}};
}
/// low <= value <= high; the text is "in low..high".
template <class T>
Rule<T> in_range(T low, T high)
{
    return {[=](const T& value) { return value >= low && value <= high; },
            fmt::format("in {}..{}", low, high)};
}
template <class T>
Rule<T> above(T low)
{
    return {[=](const T& value) { return value > low; }, fmt::format("above {}", low)};
}

namespace detail {
struct DocumentState;
struct SectionState;
}  // namespace detail

/// One table of a campaign file. Reading a key makes it known; mistakes are collected in the
/// document, not thrown, so that all of them are reported together. After a mistake the fallback
/// (or a value-initialised T) is returned.
///
/// T is one of bool, std::int64_t (10.0 is refused), double (integers are accepted), std::string,
/// std::vector<double>, std::vector<std::int64_t>, std::vector<std::string>. A single value counts
/// as an array of one. NaN and infinity are refused unless the rule takes them.
///
/// A section keeps its document alive. Asking for the same section twice gives the same keys and
/// the same knowledge of which were asked for.
class ConfigSection {
public:
    explicit ConfigSection(std::shared_ptr<detail::SectionState> state);

    /// "schedule", "stimuli[1]": for messages.
    const std::string& name() const noexcept;
    bool has(std::string_view key) const;
    /// True if the key exists and holds an array of texts (or a text), without a complaint.
    bool holds_text(std::string_view key) const;
    bool holds_table(std::string_view key) const;
    bool holds_array(std::string_view key) const;

    template <class T>
    T require(std::string_view key, std::string_view unit = {}, const Rule<T>& = any_value<T>());
    template <class T>
    T get_or(std::string_view key, T fallback, std::string_view unit = {},
             const Rule<T>& = any_value<T>());
    /// A text out of a closed list; suggests the nearest one.
    std::string one_of(std::string_view key, std::string fallback,
                       const std::vector<std::string>& allowed);
    /// Path of an existing file or folder: relative to the campaign file, ${NAME} expanded from
    /// the environment (an unset variable is a mistake, with a sentence).
    std::filesystem::path require_existing_path(std::string_view key);
    /// The same without the check for existence; nullopt if the key is absent.
    std::optional<std::filesystem::path> path(std::string_view key);

    /// The way to what the file names: all ranks of a job get the same answers.
    SharedReads& reads() const;

    /// An empty section if the key is absent.
    ConfigSection child(std::string_view key);
    /// Elements of an array of tables; empty if the key is absent. A single table counts as one.
    std::vector<ConfigSection> children(std::string_view key);
    /// Keys in file order.
    std::vector<std::string> keys() const;

    /// A mistake at the value of `key`, or at the section where there is no such key. The message
    /// is printed as it is. "measures[1]" points at the element of an array.
    void complain(std::string_view key, std::string message, std::string hint = {});
    /// Mistakes in this section or below so far.
    bool has_mistakes() const;
    /// Last call; every key asked for above counts as known. Suggests the nearest known key.
    void reject_unknown_keys();

private:
    std::shared_ptr<detail::SectionState> state_;
};

/// One TOML file and the `--set` overrides on it.
class ConfigDocument {
public:
    /// Throws Error(config) with position for text that is not TOML, is nested more than 64 deep
    /// or is beyond the limits of engine/config/limits.hpp.
    /// `folder` is what relative paths are relative to; `reads` reads what the file names.
    static ConfigDocument parse(
        std::string text, std::string display_name, std::filesystem::path folder,
        std::shared_ptr<SharedReads> reads = std::make_shared<SharedReads>());
    /// "screen.top_k=10", "stimuli.0.count=100": a TOML value, or a bare word taken as a text.
    /// Missing tables are created; an index beyond an array's end is a mistake.
    /// Diagnostics about an overridden value cite "--set screen.top_k=0" instead of the file.
    /// Throws Error(config) for a text that is no assignment. Call before root().
    void override_value(const std::string& assignment);

    /// The whole file as a section.
    ConfigSection root();
    /// One Error(config) that lists every diagnostic in file order and ends with
    /// "5 errors in campaign.toml; nothing was run".
    void throw_if_invalid() const;

private:
    explicit ConfigDocument(std::shared_ptr<detail::DocumentState> state);
    std::shared_ptr<detail::DocumentState> state_;
};

/// The known word nearest to `word` (Damerau-Levenshtein at most a third of its length, at
/// least 1), else the only one that begins with it (four letters or more), or nothing.
std::optional<std::string> nearest_word(std::string_view word,
                                        const std::vector<std::string>& known);

}  // namespace twinscreen
