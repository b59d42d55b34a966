#include "experiments/relational_control/set_sheet.hpp"

#include <algorithm>

#include "engine/stimulus/contact_sheet.hpp"
#include "engine/stimulus/png_writer.hpp"

namespace twinscreen {
namespace {

constexpr std::size_t most_rows = 40;
constexpr std::size_t row_cells = 25;

/// What synthetic stimuli are drawn for.
InputTransform canvas_of(const CampaignInputs& inputs)
{
    if (!inputs.twins.empty()) return inputs.twins[0].parts.front().backbone->input();
    InputTransform canvas;
    canvas.channels = 3;
    canvas.height = canvas.width = 128;
    return canvas;
}

}  // namespace

std::vector<std::string> write_set_sheet(const std::vector<ShownSet>& sets,
                                         const std::string& title, const CampaignInputs& inputs,
                                         const std::filesystem::path& file)
{
    if (inputs.stimuli->count() == 0) return {};
    const InputTransform canvas = canvas_of(inputs);
    std::vector<SheetRow> rows;
    for (const ShownSet& set : sets)
        for (std::size_t first = 0; first < set.images.size() && rows.size() < most_rows;
             first += row_cells) {
            SheetRow row{first == 0 ? set.label : "", {}};
            for (std::size_t at = first; at < std::min(first + row_cells, set.images.size()); ++at)
                row.cells.push_back({inputs.stimuli->draw(ItemId{set.images[at]}, canvas),
                                     fmt::format("#{}", set.images[at])});
            rows.push_back(std::move(row));
        }
    if (rows.empty()) return {};
    write_png(contact_sheet(rows, title, 64), file);
    return {fmt::format("contact sheet: {}", file.string())};
}

}  // namespace twinscreen
