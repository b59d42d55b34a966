#include "engine/base/table.hpp"

#include <limits>

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

namespace {

TableColumn stacked_column(const std::vector<const Table*>& tables, const TableColumn& like)
{
    std::vector<std::string> texts;
    std::vector<double> numbers;
    for (const Table* table : tables) {
        const TableColumn* column = table->find(like.name);
        const bool is_usable = column != nullptr && column->is_text() == like.is_text();
        for (std::size_t row = 0; row < table->rows(); ++row)
            if (like.is_text())
                texts.push_back(is_usable ? table->text(like.name, row) : "");
            else
                numbers.push_back(is_usable ? table->number(like.name, row)
                                            : std::numeric_limits<double>::quiet_NaN());
    }
    TableColumn result{like.name, like.unit, {}};
    if (like.is_text())
        result.values = std::move(texts);
    else
        result.values = std::move(numbers);
    return result;
}

}  // namespace

Table stack_tables(const std::vector<const Table*>& tables)
{
    Table stacked;
    for (const Table* table : tables)
        for (const TableColumn& column : table->columns)
            if (stacked.find(column.name) == nullptr)
                stacked.columns.push_back(stacked_column(tables, column));
    return stacked;
}

}  // namespace twinscreen
