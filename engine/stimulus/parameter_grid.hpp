#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/table.hpp"
#include "engine/base/types.hpp"
#include "engine/config/section.hpp"

namespace twinscreen {

/// The values that one parameter of a synthetic set takes: some numbers, or a function of the
/// step, so that a billion steps cost no memory.
class ParameterAxis {
public:
    ParameterAxis(std::string name, std::string unit, std::vector<double> values);
    ParameterAxis(std::string name, std::string unit, double from, double to, std::uint64_t steps,
                  bool logarithmic);

    const std::string& name() const noexcept { return name_; }
    const std::string& unit() const noexcept { return unit_; }
    std::uint64_t size() const noexcept { return steps_; }
    double value(std::uint64_t step) const;
    double lowest() const;
    double highest() const;
    std::string text() const;

private:
    std::string name_;
    std::string unit_;
    std::vector<double> values_;  // empty: from, to, steps
    double from_ = 0.0;
    double to_ = 0.0;
    std::uint64_t steps_ = 1;
    bool logarithmic_ = false;
};

/// What a parameter may be.
struct ParameterRule {
    double lowest = -1e9;
    double highest = 1e9;
    bool above_lowest = false;  ///< `lowest` itself is not allowed
};

/// Reads a number, a list, or { from, to, steps, spacing = "linear" | "log" }. Mistakes are
/// complained of in the section.
ParameterAxis read_axis(ConfigSection& section, const std::string& key, const std::string& unit,
                        double fallback, const ParameterRule& rule);

/// Every combination of the values of some parameters; the last parameter changes fastest.
class ParameterGrid {
public:
    /// Most combinations: item numbers share 64 bits with the number of the set.
    static constexpr std::uint64_t most_items = std::uint64_t{1} << 48U;

    explicit ParameterGrid(std::vector<ParameterAxis> axes);

    /// Number of combinations; most_items + 1 if there are more than most_items.
    std::uint64_t count() const noexcept { return count_; }
    std::size_t axes() const noexcept { return axes_.size(); }
    const ParameterAxis& axis(std::size_t index) const { return axes_[index]; }
    /// [axes] the parameters of one item.
    std::vector<double> at(std::uint64_t item) const;
    /// One column per parameter.
    Table describe(ItemRange items) const;
    std::string text() const;

private:
    std::vector<ParameterAxis> axes_;
    std::uint64_t count_ = 1;
};

}  // namespace twinscreen
