#include "engine/stimulus/contact_sheet.hpp"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "engine/stimulus/small_font.hpp"

namespace twinscreen {
namespace {

constexpr int margin = 12;
constexpr int gap = 8;
constexpr int caption_gap = 4;
constexpr int widest_label = 320;
constexpr int line_gap = 6;
constexpr int label_scale = 2;
constexpr std::uint8_t paper = 255;
constexpr std::uint8_t ink = 32;
constexpr std::uint8_t faint_ink = 96;

std::string cut_to(std::string text, int width, int scale)
{
    if (text_width(text, scale) <= width) return text;
    while (!text.empty() && text_width(text + "..", scale) > width) text.pop_back();
    return text + "..";
}

std::vector<std::string> lines_of(const std::string& text)
{
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

/// The lines of a label, one below the other, in the middle of a row of `height` pixels.
void draw_label(Picture& sheet, int top, int height, int width, const std::string& label)
{
    const std::vector<std::string> lines = lines_of(label);
    const int step = letter_height * label_scale + line_gap;
    int at = top + (height - static_cast<int>(lines.size()) * step + line_gap) / 2;
    for (const std::string& line : lines) {
        draw_text(sheet, margin, at, cut_to(line, width, label_scale), label_scale, ink);
        at += step;
    }
}

/// Any picture as u8.
Picture viewable(const Picture& picture)
{
    Picture result{picture.height, picture.width, picture.channels == 3 ? 3 : 1, false,
                   OwnedBatch(ElementType::u8,
                              {picture.height, picture.width, picture.channels == 3 ? 3 : 1})};
    const auto out = result.pixels.values<std::uint8_t>();
    if (picture.pixels.type() == ElementType::u8) {
        const auto in = picture.pixels.values<std::uint8_t>();
        std::copy(in.begin(), in.end(), out.begin());
        return result;
    }
    const auto in = picture.pixels.values<float>();
    float low = 0.0F;
    float high = 255.0F;
    if (picture.prepared) {
        low = *std::min_element(in.begin(), in.end());
        high = std::max(*std::max_element(in.begin(), in.end()), low + 1e-6F);
    }
    // Of inputs with an unusual number of channels the first is shown.
    const std::size_t step = in.size() / out.size();
    for (std::size_t i = 0; i < out.size(); ++i) {
        const float value = std::clamp((in[i * step] - low) / (high - low), 0.0F, 1.0F);
        out[i] = static_cast<std::uint8_t>(std::lround(255.0F * value));
    }
    return result;
}

/// Scaled into a square of `side` pixels with its aspect kept.
Picture thumbnail_of(const Picture& picture, int side)
{
    const Picture shown = viewable(picture);
    const double scale =
        std::min(static_cast<double>(side) / shown.height, static_cast<double>(side) / shown.width);
    const auto scaled = [&](int length) {
        return std::clamp(static_cast<int>(std::lround(length * scale)), 1, side);
    };
    return resize(shown, scaled(shown.height), scaled(shown.width), ResizeFilter::pil_bicubic);
}

void paste(Picture& sheet, const Picture& picture, int left, int top)
{
    const auto to = sheet.pixels.values<std::uint8_t>();
    const auto from = picture.pixels.values<std::uint8_t>();
    const auto channels = static_cast<std::size_t>(sheet.channels);
    for (int y = 0; y < picture.height; ++y)
        for (int x = 0; x < picture.width; ++x)
            for (std::size_t c = 0; c < channels; ++c) {
                const auto at =
                    static_cast<std::size_t>(y) * static_cast<std::size_t>(picture.width) +
                    static_cast<std::size_t>(x);
                const auto place =
                    static_cast<std::size_t>(top + y) * static_cast<std::size_t>(sheet.width) +
                    static_cast<std::size_t>(left + x);
                to[place * channels + c] = picture.channels == 3 ? from[at * 3 + c] : from[at];
            }
}

struct SheetLayout {
    int label_width = 0;
    int cell_height = 0;
    int first_row = 0;
    int height = 0;
    int width = 0;
};

SheetLayout layout_of(const std::vector<SheetRow>& rows, const std::string& title, int thumbnail)
{
    SheetLayout layout;
    std::size_t most_cells = 0;
    bool captions = false;
    for (const SheetRow& row : rows) {
        for (const std::string& line : lines_of(row.label))
            layout.label_width = std::max(layout.label_width, text_width(line, label_scale));
        most_cells = std::max(most_cells, row.cells.size());
        for (const SheetCell& cell : row.cells) captions = captions || !cell.caption.empty();
    }
    layout.label_width = std::min(layout.label_width, widest_label);
    layout.cell_height = thumbnail + (captions ? caption_gap + letter_height : 0);
    layout.first_row = margin + (title.empty() ? 0 : letter_height * label_scale + 2 * gap);
    layout.height = layout.first_row + static_cast<int>(rows.size()) * (layout.cell_height + gap) -
                    gap + margin;
    layout.width = 2 * margin + (layout.label_width > 0 ? layout.label_width + gap : 0) +
                   static_cast<int>(most_cells) * (thumbnail + gap) - gap;
    layout.width = std::max(layout.width, 2 * margin + text_width(title, label_scale));
    return layout;
}

}  // namespace

Picture contact_sheet(const std::vector<SheetRow>& rows, const std::string& title, int thumbnail)
{
    TWINSCREEN_REQUIRE(!rows.empty() && thumbnail >= 8, internal,
                       "a contact sheet needs rows and thumbnails of at least 8 pixels");
    const SheetLayout layout = layout_of(rows, title, thumbnail);
    bool coloured = false;
    for (const SheetRow& row : rows)
        for (const SheetCell& cell : row.cells) coloured = coloured || cell.picture.channels == 3;
    const int channels = coloured ? 3 : 1;
    Picture sheet{layout.height, layout.width, channels, false,
                  OwnedBatch(ElementType::u8, {layout.height, layout.width, channels})};
    const auto pixels = sheet.pixels.values<std::uint8_t>();
    std::fill(pixels.begin(), pixels.end(), paper);
    draw_text(sheet, margin, margin, title, label_scale, ink);
    int top = layout.first_row;
    for (const SheetRow& row : rows) {
        draw_label(sheet, top, thumbnail, layout.label_width, row.label);
        int left = margin + (layout.label_width > 0 ? layout.label_width + gap : 0);
        for (const SheetCell& cell : row.cells) {
            const Picture small = thumbnail_of(cell.picture, thumbnail);
            paste(sheet, small, left + (thumbnail - small.width) / 2,
                  top + (thumbnail - small.height) / 2);
            const std::string caption = cut_to(cell.caption, thumbnail, 1);
            draw_text(sheet, left + (thumbnail - text_width(caption, 1)) / 2,
                      top + thumbnail + caption_gap, caption, 1, faint_ink);
            left += thumbnail + gap;
        }
        top += layout.cell_height + gap;
    }
    return sheet;
}

}  // namespace twinscreen
