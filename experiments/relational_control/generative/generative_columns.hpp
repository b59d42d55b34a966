#pragma once

#include <array>

#include "engine/base/types.hpp"

namespace twinscreen::generative {

/// Columns of the stage, in order: of chains, then of the summary.
enum Column : std::uint32_t {
    total,
    test_total,
    control,
    test_control,
    penalised,
    test_penalised,
    complexity,
    response,
    code,
    picture,
    threshold_generation,
    first_summary
};

/// What the summary averages over evolutions, generation by generation.
inline constexpr std::array<Column, 3> averaged{control, test_control, complexity};
inline constexpr std::array<const char*, 3> averaged_names{"control", "test_control", "complexity"};

constexpr ColumnId id(Column column) noexcept { return ColumnId{column}; }
constexpr ColumnId mean_id(std::size_t averaged_column) noexcept
{
    return ColumnId{static_cast<std::uint32_t>(first_summary + 2 * averaged_column)};
}
constexpr ColumnId interval_id(std::size_t averaged_column) noexcept
{
    return ColumnId{static_cast<std::uint32_t>(first_summary + 2 * averaged_column + 1)};
}
/// Of the threshold generation, which is averaged as well.
inline constexpr std::size_t threshold_mean = averaged.size();

}  // namespace twinscreen::generative
