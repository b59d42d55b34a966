#include "engine/run/covariates.hpp"

#include <algorithm>
#include <cmath>
#include <span>

namespace twinscreen {

std::string CovariateBinding::text() const
{
    std::string result = name + " =";
    for (const double value : constants) result += fmt::format(" {}", value);
    for (const std::string& column : columns) result += fmt::format(" column '{}'", column);
    return result;
}

namespace {

/// Covariate axes of all backbones of a twin, each name once.
std::vector<Axis> declared_covariates(const Twin& twin)
{
    std::vector<Axis> result;
    for (const TwinPart& part : twin.parts)
        for (const Axis& axis : part.backbone->covariates())
            if (std::find(result.begin(), result.end(), axis) == result.end())
                result.push_back(axis);
    return result;
}

CovariateBinding read_binding(ConfigSection& section, const Twin& twin, const Axis& axis)
{
    CovariateBinding binding{axis.name, {}, {}};
    const auto extent = static_cast<std::size_t>(axis.extent);
    const std::string example = fmt::format(
        "give {0} numbers, or the names of {0} item columns: {1} = [...]", extent, axis.name);
    if (!section.has(axis.name)) {
        section.complain(axis.name,
                         fmt::format("twin '{}' needs the input '{}' ({} values per stimulus)",
                                     twin.spec.name, axis.name, extent),
                         example);
        binding.constants.assign(extent, 0.0);
        return binding;
    }
    if (section.holds_text(axis.name))
        binding.columns = section.require<std::vector<std::string>>(axis.name);
    else
        binding.constants = section.require<std::vector<double>>(axis.name, axis.unit);
    if (binding.extent() != extent && !section.has_mistakes())
        section.complain(axis.name,
                         fmt::format("'{}' has {} values, twin '{}' takes {}", axis.name,
                                     binding.extent(), twin.spec.name, extent),
                         example);
    return binding;
}

}  // namespace

TwinCovariates read_covariates(ConfigSection& section, const Twin& twin)
{
    TwinCovariates result;
    for (const Axis& axis : declared_covariates(twin))
        result.push_back(read_binding(section, twin, axis));
    return result;
}

OwnedBatch covariate_values(const CovariateBinding& binding, const Table& items,
                            std::uint64_t first_item, std::int64_t rows)
{
    const std::size_t extent = binding.extent();
    OwnedBatch result(ElementType::f32, {rows, static_cast<std::int64_t>(extent)});
    const std::span<float> values = result.values<float>();
    std::fill(values.begin(), values.end(), 0.0F);
    for (std::size_t at = 0; at < extent; ++at) {
        if (binding.columns.empty()) {
            for (std::size_t row = 0; row < static_cast<std::size_t>(rows); ++row)
                values[row * extent + at] = static_cast<float>(binding.constants[at]);
            continue;
        }
        const TableColumn* column = items.find(binding.columns[at]);
        TWINSCREEN_REQUIRE(column != nullptr && !column->is_text(), data,
                           "the stimuli have no item column of numbers named '{}' (needed for "
                           "'{}'); item columns come from `labels` of [[stimuli]]",
                           binding.columns[at], binding.name);
        for (std::size_t row = 0; row < items.rows(); ++row) {
            const double value = items.number(column->name, row);
            TWINSCREEN_REQUIRE(std::isfinite(value), data,
                               "item {}: column '{}' has no value (needed for '{}')",
                               first_item + row, column->name, binding.name);
            values[row * extent + at] = static_cast<float>(value);
        }
    }
    return result;
}

}  // namespace twinscreen
