#include "engine/stimulus/source_view.hpp"

#include <map>
#include <optional>

#include "engine/base/digest.hpp"
#include "engine/config/csv.hpp"
#include "engine/stimulus/synthetic.hpp"

namespace twinscreen {
namespace {

/// Label tables are held in memory; more items than this are not labelled by a table.
constexpr std::uint64_t most_labelled = 100'000'000;

std::string last_component(const std::string& name)
{
    return std::filesystem::path(name).filename().string();
}

const TableColumn* key_column(const Table& labels)
{
    for (const char* name : {"file", "name"})
        if (const TableColumn* column = labels.find(name); column != nullptr && column->is_text())
            return column;
    return nullptr;
}

/// For each item of the view, the row of the label table that carries its file name.
std::vector<std::size_t> rows_by_name(const TableColumn& key, const Table& items,
                                      const std::string& display, const std::string& place)
{
    const auto& keys = std::get<std::vector<std::string>>(key.values);
    std::map<std::string, std::size_t> row_of;
    for (std::size_t row = 0; row < keys.size(); ++row)
        TWINSCREEN_REQUIRE(row_of.emplace(keys[row], row).second, data,
                           "{}: '{}' stands twice in column '{}'", display, keys[row], key.name);
    std::vector<std::size_t> rows;
    std::size_t missing = 0;
    std::string example;
    for (const std::string& file : std::get<std::vector<std::string>>(items.find("file")->values)) {
        auto found = row_of.find(file);
        if (found == row_of.end()) found = row_of.find(last_component(file));
        if (found != row_of.end()) {
            rows.push_back(found->second);
            continue;
        }
        if (missing++ == 0) example = file;
    }
    TWINSCREEN_REQUIRE(
        missing == 0, data,
        "{} has no row for {} of the images of {}, the first is '{}' (matched by column "
        "'{}'). Add the rows, or remove the column to match row by row",
        display, missing, place, example, key.name);
    return rows;
}

class ViewSource final : public StimulusSource {
public:
    ViewSource(std::unique_ptr<StimulusSource> whole, const SourceView& view, SharedReads& reads)
        : whole_(std::move(whole)), view_(view)
    {
        if (view_.labels.empty()) return;
        labels_ = matched_labels(read_csv(view_.labels, reads));
    }

    std::uint64_t count() const noexcept override { return view_.count; }
    bool drawn_for_canvas() const noexcept override { return whole_->drawn_for_canvas(); }

    Picture draw(ItemId item, const InputTransform& canvas) const override
    {
        try {
            return whole_->draw(inner(item), canvas);
        } catch (Error& error) {
            throw error.add_context(
                fmt::format("item {} of stimulus set {}", index_of(item), view_.set));
        }
    }
    void check(const InputTransform& canvas) const override { whole_->check(canvas); }

    Table describe(ItemRange items) const override
    {
        Table table = whole_->describe({inner(items.first), items.count});
        if (!labels_) return table;
        std::vector<std::size_t> rows(items.count);
        for (std::uint64_t i = 0; i < items.count; ++i) rows[i] = index_of(items.first) + i;
        for (TableColumn& column : labels_->select(rows).columns)
            table.columns.push_back(std::move(column));
        return table;
    }

    std::string identity() const override
    {
        std::string text =
            fmt::format("{} first={} count={}", whole_->identity(), view_.first, view_.count);
        return labels_ ? text + " labels=" + label_digest() : text;
    }
    std::string summary() const override
    {
        std::string text = whole_->summary();
        if (view_.count != whole_->count()) {
            const bool ends = whole_->count() != endless;
            text = fmt::format("{} {}{}", view_.count, ends ? "of " : "", text);
            if (view_.first > 0) text += fmt::format(", from number {}", view_.first);
        }
        return labels_ ? text + ", labels from " + view_.labels.string() : text;
    }

private:
    ItemId inner(ItemId item) const { return item + view_.first; }

    /// Rows of the label file in item order, without the column that they were matched by.
    Table matched_labels(Table labels) const
    {
        const std::string display = view_.labels.string();
        TWINSCREEN_REQUIRE(view_.count <= most_labelled, data,
                           "{} cannot label {} items (at most {})", display, view_.count,
                           most_labelled);
        const Table first_item = whole_->describe({inner(ItemId{0}), view_.count > 0 ? 1U : 0U});
        const TableColumn* file = first_item.find("file");
        const TableColumn* key = file != nullptr ? key_column(labels) : nullptr;
        std::string key_name;
        std::vector<std::size_t> rows;
        if (key != nullptr) {
            key_name = key->name;
            rows = rows_by_name(*key, whole_->describe({inner(ItemId{0}), view_.count}), display,
                                whole_->summary());
        } else {
            TWINSCREEN_REQUIRE(
                labels.rows() == whole_->count(), data,
                "{} has {} rows, but there are {} stimuli ({}). Give one row for each, "
                "or a column 'file' with the image names",
                display, labels.rows(), whole_->count(), whole_->summary());
            for (std::uint64_t i = 0; i < view_.count; ++i) rows.push_back(view_.first + i);
        }
        Table result = labels.select(rows);
        std::erase_if(result.columns, [&](const TableColumn& c) { return c.name == key_name; });
        for (const TableColumn& column : result.columns)
            TWINSCREEN_REQUIRE(first_item.find(column.name) == nullptr && column.name != "set",
                               data,
                               "{}: column '{}' has the name of a column that the stimuli have "
                               "already. Rename it",
                               display, column.name);
        return result;
    }

    std::string label_digest() const
    {
        Digest digest;
        for (const TableColumn& column : labels_->columns) {
            digest.add(column.name);
            std::visit(
                [&](const auto& cells) {
                    for (const auto& cell : cells) {
                        using T = std::decay_t<decltype(cell)>;
                        if constexpr (std::is_same_v<T, std::int64_t>)
                            digest.add(static_cast<std::uint64_t>(cell));
                        else
                            digest.add(cell);
                    }
                },
                column.values);
        }
        return digest.hex();
    }

    std::unique_ptr<StimulusSource> whole_;
    SourceView view_;
    std::optional<Table> labels_;
};

}  // namespace

std::unique_ptr<StimulusSource> make_source_view(std::unique_ptr<StimulusSource> whole,
                                                 const SourceView& view, SharedReads& reads)
{
    return std::make_unique<ViewSource>(std::move(whole), view, reads);
}

}  // namespace twinscreen
