#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace twinscreen {

/// One named column of a table: numbers (NaN where unknown), integers or texts.
struct TableColumn {
    std::string name;
    std::string unit;  ///< "deg", "cycles/deg", ... ; empty where there is none
    std::variant<std::vector<double>, std::vector<std::int64_t>, std::vector<std::string>> values;

    std::size_t size() const noexcept;
    bool is_text() const noexcept
    {
        return std::holds_alternative<std::vector<std::string>>(values);
    }
};

/// Columns of equal length: a unit table, the description of stimuli, a label file.
struct Table {
    std::vector<TableColumn> columns;

    std::size_t rows() const noexcept { return columns.empty() ? 0 : columns.front().size(); }
    const TableColumn* find(std::string_view name) const noexcept;
    TableColumn* find(std::string_view name) noexcept;
    /// A number of any numeric column as double; the column must exist and be numeric.
    double number(std::string_view column, std::size_t row) const;
    /// A text cell; the column must exist and hold texts.
    const std::string& text(std::string_view column, std::size_t row) const;
    /// The named rows, in the given order.
    Table select(const std::vector<std::size_t>& rows) const;
};

/// The rows of several tables one after the other, with the columns of all; a cell that its table
/// lacks, or has of the other kind, is NaN or empty. Integers become numbers.
Table stack_tables(const std::vector<const Table*>& tables);

}  // namespace twinscreen
