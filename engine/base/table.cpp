#include "engine/base/table.hpp"

#include "engine/base/error.hpp"

namespace twinscreen {

std::size_t TableColumn::size() const noexcept
{
    return std::visit([](const auto& cells) { return cells.size(); }, values);
}

const TableColumn* Table::find(std::string_view name) const noexcept
{
    for (const TableColumn& column : columns)
        if (column.name == name) return &column;
    return nullptr;
}

TableColumn* Table::find(std::string_view name) noexcept
{
    return const_cast<TableColumn*>(static_cast<const Table&>(*this).find(name));
}

double Table::number(std::string_view column, std::size_t row) const
{
    const TableColumn* found = find(column);
    TWINSCREEN_REQUIRE(found != nullptr && !found->is_text() && row < found->size(), internal,
                       "table has no number in column '{}', row {}", column, row);
    if (const auto* numbers = std::get_if<std::vector<double>>(&found->values))
        return (*numbers)[row];
    return static_cast<double>(std::get<std::vector<std::int64_t>>(found->values)[row]);
}

const std::string& Table::text(std::string_view column, std::size_t row) const
{
    const TableColumn* found = find(column);
    TWINSCREEN_REQUIRE(found != nullptr && found->is_text() && row < found->size(), internal,
                       "table has no text in column '{}', row {}", column, row);
    return std::get<std::vector<std::string>>(found->values)[row];
}

Table Table::select(const std::vector<std::size_t>& wanted) const
{
    Table result;
    for (const TableColumn& column : columns) {
        TableColumn picked{column.name, column.unit, {}};
        std::visit(
            [&](const auto& cells) {
                std::decay_t<decltype(cells)> kept;
                kept.reserve(wanted.size());
                for (const std::size_t row : wanted) kept.push_back(cells.at(row));
                picked.values = std::move(kept);
            },
            column.values);
        result.columns.push_back(std::move(picked));
    }
    return result;
}

}  // namespace twinscreen
