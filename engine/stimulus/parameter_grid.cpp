#include "engine/stimulus/parameter_grid.hpp"

#include <algorithm>
#include <cmath>

namespace twinscreen {

ParameterAxis::ParameterAxis(std::string name, std::string unit, std::vector<double> values)
    : name_(std::move(name)),
      unit_(std::move(unit)),
      values_(std::move(values)),
      steps_(values_.size())
{
}

ParameterAxis::ParameterAxis(std::string name, std::string unit, double from, double to,
                             std::uint64_t steps, bool logarithmic)
    : name_(std::move(name)),
      unit_(std::move(unit)),
      from_(from),
      to_(to),
      steps_(steps),
      logarithmic_(logarithmic)
{
}

double ParameterAxis::value(std::uint64_t step) const
{
    if (!values_.empty()) return values_[step];
    if (step == 0 || steps_ == 1) return from_;
    if (step == steps_ - 1) return to_;
    const double part = static_cast<double>(step) / static_cast<double>(steps_ - 1);
    return logarithmic_ ? from_ * std::pow(to_ / from_, part) : from_ + (to_ - from_) * part;
}

double ParameterAxis::lowest() const
{
    return values_.empty() ? std::min(from_, value(steps_ - 1))
                           : *std::min_element(values_.begin(), values_.end());
}

double ParameterAxis::highest() const
{
    return values_.empty() ? std::max(from_, value(steps_ - 1))
                           : *std::max_element(values_.begin(), values_.end());
}

std::string ParameterAxis::text() const
{
    std::string result = name_ + "=";
    if (values_.empty())
        return result + fmt::format("{}..{} in {} {} steps", from_, to_, steps_,
                                    logarithmic_ ? "log" : "linear");
    for (std::size_t i = 0; i < values_.size(); ++i)
        result += fmt::format("{}{}", i > 0 ? "," : "", values_[i]);
    return result;
}

namespace {

bool is_allowed(double value, const ParameterRule& rule)
{
    return std::isfinite(value) && value <= rule.highest &&
           (rule.above_lowest ? value > rule.lowest : value >= rule.lowest);
}

std::string text_of(const ParameterRule& rule)
{
    return fmt::format("{} {} and at most {}", rule.above_lowest ? "above" : "at least",
                       rule.lowest, rule.highest);
}

ParameterAxis read_steps(ConfigSection& section, const std::string& key, const std::string& unit)
{
    ConfigSection range = section.child(key);
    const auto from = range.require<double>("from", unit);
    const auto to = range.require<double>("to", unit);
    const auto steps =
        range.require<std::int64_t>("steps", {}, in_range<std::int64_t>(1, 1'000'000'000));
    const bool logarithmic = range.one_of("spacing", "linear", {"linear", "log"}) == "log";
    range.reject_unknown_keys();
    if (logarithmic && !(from > 0.0 && to > 0.0) && !range.has_mistakes())
        range.complain(
            "spacing",
            fmt::format("spacing = \"log\" from {} to {} (both must be above 0)", from, to));
    return {
        key,        unit, from, to, static_cast<std::uint64_t>(std::max<std::int64_t>(steps, 1)),
        logarithmic};
}

}  // namespace

ParameterAxis read_axis(ConfigSection& section, const std::string& key, const std::string& unit,
                        double fallback, const ParameterRule& rule)
{
    ParameterAxis axis(key, unit, std::vector<double>{fallback});
    if (section.holds_table(key)) {
        axis = read_steps(section, key, unit);
    } else if (section.holds_array(key)) {
        auto values = section.require<std::vector<double>>(key, unit);
        if (values.empty()) {
            if (!section.has_mistakes())
                section.complain(key, fmt::format("{} is an empty list", key));
            return axis;
        }
        axis = ParameterAxis(key, unit, std::move(values));
    } else {
        axis = ParameterAxis(key, unit, {section.get_or<double>(key, fallback, unit)});
    }
    for (const double end : {axis.lowest(), axis.highest()}) {
        if (!section.has(key) || is_allowed(end, rule)) continue;
        section.complain(key, fmt::format("{} = {} (must be {}{})", key, end, text_of(rule),
                                          unit.empty() ? unit : fmt::format(" [{}]", unit)));
        break;
    }
    return axis;
}

ParameterGrid::ParameterGrid(std::vector<ParameterAxis> axes) : axes_(std::move(axes))
{
    for (const ParameterAxis& axis : axes_)
        if (__builtin_mul_overflow(count_, axis.size(), &count_) || count_ > most_items) {
            count_ = most_items + 1;
            break;
        }
}

std::vector<double> ParameterGrid::at(std::uint64_t item) const
{
    std::vector<double> values(axes_.size());
    for (std::size_t i = axes_.size(); i-- > 0;) {
        values[i] = axes_[i].value(item % axes_[i].size());
        item /= axes_[i].size();
    }
    return values;
}

Table ParameterGrid::describe(ItemRange items) const
{
    Table table;
    for (const ParameterAxis& axis : axes_)
        table.columns.push_back({axis.name(), axis.unit(), std::vector<double>(items.count)});
    for (std::uint64_t row = 0; row < items.count; ++row) {
        const std::vector<double> values = at(index_of(items.first) + row);
        for (std::size_t i = 0; i < values.size(); ++i)
            std::get<std::vector<double>>(table.columns[i].values)[row] = values[i];
    }
    return table;
}

std::string ParameterGrid::text() const
{
    std::string result;
    for (const ParameterAxis& axis : axes_)
        result += fmt::format("{}{}", result.empty() ? "" : " ", axis.text());
    return result;
}

}  // namespace twinscreen
