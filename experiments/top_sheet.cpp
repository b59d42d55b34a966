#include "experiments/top_sheet.hpp"

#include <algorithm>
#include <optional>

#include "engine/stimulus/contact_sheet.hpp"
#include "engine/stimulus/png_writer.hpp"
#include "experiments/item_name.hpp"
#include "kernels/select.hpp"

namespace twinscreen {
namespace {

constexpr std::size_t most_rows = 24;   // areas on one sheet
constexpr std::size_t most_cells = 10;  // stimuli in one row

std::optional<ColumnId> find_column(const std::vector<ColumnSpec>& columns, std::string_view name)
{
    for (std::size_t at = 0; at < columns.size(); ++at)
        if (columns[at].name == name) return ColumnId{static_cast<std::uint32_t>(at)};
    return std::nullopt;
}

/// The network input that synthetic stimuli are drawn for: that of the area's own twin.
const InputTransform& canvas_of(const CampaignInputs& inputs, const std::string& twin_name)
{
    for (const Twin& twin : inputs.twins)
        if (twin.spec.name == twin_name) return twin.parts.front().backbone->input();
    throw Error(Error::Kind::internal, fmt::format("no twin is called '{}'", twin_name));
}

/// One end of the ranking: [areas, kept] values and items.
struct End {
    OwnedBatch values;
    OwnedBatch items;
    std::size_t kept;

    float value(std::size_t area, std::size_t place) const
    {
        return values.values<float>()[area * kept + place];
    }
    std::uint64_t item(std::size_t area, std::size_t place) const
    {
        return items.values<std::uint64_t>()[area * kept + place];
    }
};

std::optional<End> read_end(const StageResults& results, const std::vector<ColumnSpec>& columns,
                            const std::string& name)
{
    const auto value = find_column(columns, name + "_value");
    const auto item = find_column(columns, name + "_item");
    if (!value || !item) return std::nullopt;
    const auto kept = columns[index_of(*value)].row.back().extent;
    return End{results.read(*value, 0, 1), results.read(*item, 0, 1),
               static_cast<std::size_t>(kept)};
}

SheetRow row_of(const End& end, std::size_t area, const std::string& label,
                const CampaignInputs& inputs, const InputTransform& canvas)
{
    SheetRow row{label, {}};
    for (std::size_t place = 0; place < std::min(end.kept, most_cells); ++place) {
        if (end.item(area, place) == Selection::no_item) break;
        row.cells.push_back(
            {inputs.stimuli->draw(ItemId{end.item(area, place)}, canvas),
             fmt::format("#{} {:.3g}", end.item(area, place), end.value(area, place))});
    }
    return row;
}

}  // namespace

std::vector<std::string> write_top_sheet(const StageResults& results,
                                         const std::vector<ColumnSpec>& columns, const Table& areas,
                                         const CampaignInputs& inputs,
                                         const std::filesystem::path& folder)
{
    const auto top = read_end(results, columns, "area_top");
    const auto bottom = read_end(results, columns, "area_bottom");
    if (!top || !bottom) return {};
    std::vector<std::string> lines;
    std::vector<SheetRow> rows;
    for (std::size_t area = 0; area < std::min(areas.rows(), most_rows); ++area) {
        const std::string who = fmt::format("{}, {} {}", areas.text("twin", area),
                                            areas.text("subject", area), areas.text("area", area));
        const std::string label =
            fmt::format("{}\n{} {}\n", areas.text("twin", area), areas.text("subject", area),
                        areas.text("area", area));
        const InputTransform& canvas = canvas_of(inputs, areas.text("twin", area));
        rows.push_back(row_of(*top, area, label + "most", inputs, canvas));
        rows.push_back(row_of(*bottom, area, label + "least", inputs, canvas));
        if (top->item(area, 0) == Selection::no_item) continue;
        lines.push_back(fmt::format(
            "{}: mean response highest {:.3g} for {}, lowest {:.3g} for {}", who,
            top->value(area, 0), name_of_item(*inputs.stimuli, top->item(area, 0)),
            bottom->value(area, 0), name_of_item(*inputs.stimuli, bottom->item(area, 0))));
    }
    if (areas.rows() > most_rows)
        lines.push_back(fmt::format("and {} more areas", areas.rows() - most_rows));
    const std::filesystem::path sheet = folder / "top_stimuli.png";
    write_png(contact_sheet(rows, "stimuli that drive each area most and least"), sheet);
    lines.push_back(fmt::format("contact sheet: {}", sheet.string()));
    return lines;
}

}  // namespace twinscreen
