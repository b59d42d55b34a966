#pragma once

#include <cstdint>

#include "engine/store/sink.hpp"

/// Columns of the stage `image_labels`.
namespace twinscreen::label_columns {

/// Of every subject; those from `part_response` on where an area has parts.
enum ItemColumn : std::uint32_t {
    similarity,
    group_similarity,
    part_response,
    score,
    p,
    p_other,
    significant,
    null_sd,
    item_columns
};
inline constexpr std::uint32_t without_parts = part_response;

/// Of the stage, behind those of subjects; those from `mean_part_response` on where there are
/// parts.
enum StageColumn : std::uint32_t {
    image,
    image_label,
    mean_group_similarity,
    group_similarity_low,
    group_similarity_high,
    mean_part_response,
    part_response_low,
    part_response_high,
    mean_score,
    score_low,
    score_high,
    significant_subjects,
    binomial_p,
};

inline ColumnId id(ItemColumn column) { return ColumnId{column}; }
inline ColumnId id(StageColumn column, bool has_parts)
{
    return ColumnId{column + (has_parts ? std::uint32_t{item_columns} : without_parts)};
}

}  // namespace twinscreen::label_columns
