#include <algorithm>
#include <limits>

#include "engine/stimulus/stimuli.hpp"

namespace twinscreen {
namespace {

/// An empty cell of the kind of a column.
template <class T>
T blank()
{
    if constexpr (std::is_same_v<T, double>)
        return std::numeric_limits<double>::quiet_NaN();
    else
        return T{};
}

std::vector<double> as_numbers(const std::vector<std::int64_t>& values)
{
    return {values.begin(), values.end()};
}

/// Appends `part` (a column of some rows, or null: `rows` blanks) to `whole`, which has `before`
/// rows. Integers become numbers as soon as a blank or a number joins them.
void append_cells(TableColumn& whole, const TableColumn* part, std::size_t rows)
{
    if (auto* integers = std::get_if<std::vector<std::int64_t>>(&whole.values);
        integers != nullptr &&
        (part == nullptr || !std::holds_alternative<std::vector<std::int64_t>>(part->values)))
        whole.values = as_numbers(*integers);
    std::visit(
        [&](auto& cells) {
            using Cells = std::decay_t<decltype(cells)>;
            using Cell = typename Cells::value_type;
            if (part == nullptr) {
                cells.resize(cells.size() + rows, blank<Cell>());
                return;
            }
            Cells added;
            if (const auto* same = std::get_if<Cells>(&part->values))
                added = *same;
            else if constexpr (std::is_same_v<Cell, double>) {
                if (const auto* integers = std::get_if<std::vector<std::int64_t>>(&part->values))
                    added = as_numbers(*integers);
            }
            cells.insert(cells.end(), added.begin(), added.end());
        },
        whole.values);
}

class ConcatenatedSource final : public StimulusSource {
public:
    explicit ConcatenatedSource(std::vector<std::unique_ptr<StimulusSource>> sets)
        : sets_(std::move(sets))
    {
        for (const auto& set : sets_) {
            first_.push_back(count_);
            count_ += set->count();
        }
        // Column kinds must not depend on the range that is asked for: one row of each set tells.
        for (std::size_t set = 0; set < sets_.size(); ++set) {
            const Table row =
                sets_[set]->describe({ItemId{0}, std::min<std::uint64_t>(1, sets_[set]->count())});
            for (const TableColumn& column : row.columns) add_column(column, set);
        }
        for (TableColumn& column : columns_) {
            const std::size_t holders =
                holders_[static_cast<std::size_t>(&column - columns_.data())];
            if (holders < sets_.size() && !column.is_text()) column.values = std::vector<double>{};
        }
    }

    std::uint64_t count() const noexcept override { return count_; }
    bool drawn_for_canvas() const noexcept override
    {
        return std::any_of(sets_.begin(), sets_.end(),
                           [](const auto& set) { return set->drawn_for_canvas(); });
    }
    Picture draw(ItemId item, const InputTransform& canvas) const override
    {
        const std::size_t set = set_of(index_of(item));
        try {
            return sets_[set]->draw(ItemId{index_of(item) - first_[set]}, canvas);
        } catch (Error& error) {
            if (sets_.size() > 1)
                error.add_context(fmt::format("item {} of all stimuli", index_of(item)));
            throw;
        }
    }
    void check(const InputTransform& canvas) const override
    {
        for (const auto& set : sets_) set->check(canvas);
    }

    Table describe(ItemRange items) const override
    {
        Table table;
        table.columns.push_back({"set", "", std::vector<std::int64_t>{}});
        table.columns.insert(table.columns.end(), columns_.begin(), columns_.end());
        std::uint64_t at = index_of(items.first);
        const std::uint64_t end = at + items.count;
        while (at < end) {
            const std::size_t set = set_of(at);
            const std::uint64_t stop = std::min(end, first_[set] + sets_[set]->count());
            const Table part = sets_[set]->describe({ItemId{at - first_[set]}, stop - at});
            auto& numbers = std::get<std::vector<std::int64_t>>(table.columns.front().values);
            numbers.resize(numbers.size() + (stop - at), static_cast<std::int64_t>(set));
            for (std::size_t c = 1; c < table.columns.size(); ++c)
                append_cells(table.columns[c], part.find(table.columns[c].name), stop - at);
            at = stop;
        }
        return table;
    }

    std::string identity() const override
    {
        std::string text;
        for (const auto& set : sets_) text += set->identity() + "\n";
        return text;
    }
    std::string summary() const override
    {
        std::string text;
        for (const auto& set : sets_) text += (text.empty() ? "" : " + ") + set->summary();
        return text;
    }

private:
    std::size_t set_of(std::uint64_t item) const
    {
        // The last set that starts at or before the item; sets before it may be empty.
        return static_cast<std::size_t>(std::upper_bound(first_.begin(), first_.end(), item) -
                                        first_.begin()) -
               1;
    }

    void add_column(const TableColumn& column, std::size_t set)
    {
        for (std::size_t c = 0; c < columns_.size(); ++c) {
            TableColumn& known = columns_[c];
            if (known.name != column.name) continue;
            TWINSCREEN_REQUIRE(
                known.is_text() == column.is_text() && known.unit == column.unit, data,
                "column '{}' of stimulus set {} holds {}{}, in an earlier set it holds "
                "{}{}. Rename one of them, or give both the same unit",
                column.name, set, column.is_text() ? "texts" : "numbers", in_brackets(column.unit),
                known.is_text() ? "texts" : "numbers", in_brackets(known.unit));
            if (known.values.index() != column.values.index()) known.values = std::vector<double>{};
            ++holders_[c];
            return;
        }
        TableColumn empty{column.name, column.unit, {}};
        std::visit([&](const auto& cells) { empty.values = std::decay_t<decltype(cells)>{}; },
                   column.values);
        columns_.push_back(std::move(empty));
        holders_.push_back(1);
    }

    static std::string in_brackets(const std::string& unit)
    {
        return unit.empty() ? "" : " [" + unit + "]";
    }

    std::vector<std::unique_ptr<StimulusSource>> sets_;
    std::vector<std::uint64_t> first_;
    std::uint64_t count_ = 0;
    std::vector<TableColumn> columns_;  // without cells
    std::vector<std::size_t> holders_;  // sets that have the column
};

}  // namespace

std::unique_ptr<StimulusSource> concatenate(std::vector<std::unique_ptr<StimulusSource>> sets)
{
    return std::make_unique<ConcatenatedSource>(std::move(sets));
}

}  // namespace twinscreen
