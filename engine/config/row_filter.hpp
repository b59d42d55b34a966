#pragma once

#include <string>
#include <vector>

#include "engine/base/table.hpp"

namespace twinscreen {

/// Rows of a table for which an expression holds, ascending.
///
/// Comparisons (== != < <= > >=) of a column with a number or a quoted text, `column in [..]`,
/// `column not in [..]`, combined by `and`, `or`, `not` and parentheses:
/// "heldout_r > 0.3 and area == 'V4'". A column name that is not a plain word stands in backticks.
/// NaN never compares true (except !=), texts are compared byte by byte. An empty expression keeps
/// all rows. Throws Error(config) with the position in the expression, the known columns and the
/// nearest name for an unknown column or a type that does not fit.
std::vector<std::size_t> filter_rows(const Table& table, const std::string& expression);

}  // namespace twinscreen
