#include "experiments/fit_readout/score_chart.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "experiments/statistics.hpp"

namespace twinscreen {
namespace {

constexpr double row_height = 16.0;  // [px]
constexpr double left = 260.0;
constexpr double width = 460.0;
constexpr double right = 40.0;
constexpr double top = 84.0;
constexpr double bottom = 40.0;

std::string escaped(const std::string& text)
{
    std::string result;
    for (const char letter : text) {
        if (letter == '&')
            result += "&amp;";
        else if (letter == '<')
            result += "&lt;";
        else if (letter == '>')
            result += "&gt;";
        else
            result += letter;
    }
    return result;
}

/// Scores on the horizontal axis.
class Scale {
public:
    explicit Scale(const ScoreChart& chart)
    {
        for (const ScoreChart::Row& row : chart.rows)
            for (const double value : {quantile(row.scores, 0.25), quantile(row.scores, 0.75),
                                       row.untrained, row.shuffled})
                include(value);
        for (const ScoreChart::Line& line : chart.lines) include(line.at);
        low_ = std::floor(low_ * 10.0) / 10.0;
        high_ = std::max(std::ceil(high_ * 10.0) / 10.0, low_ + 0.1);
    }
    double x(double score) const { return left + width * (score - low_) / (high_ - low_); }
    /// Round scores to label.
    std::vector<double> ticks() const
    {
        std::vector<double> marks;
        for (int tenth = static_cast<int>(std::lround(low_ * 10.0));
             tenth <= static_cast<int>(std::lround(high_ * 10.0)); ++tenth)
            marks.push_back(tenth / 10.0);
        return marks;
    }

private:
    void include(double value)
    {
        if (std::isnan(value)) return;
        low_ = std::min(low_, value);
        high_ = std::max(high_, value);
    }

    double low_ = 0.0;
    double high_ = 0.1;
};

std::string text_at(double x, double y, const std::string& anchor, const std::string& text,
                    const std::string& style = "")
{
    return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\"{}>{}</text>\n", x, y,
                       anchor, style.empty() ? "" : " " + style, escaped(text));
}

std::string line_from(double x1, double y1, double x2, double y2, const std::string& style)
{
    return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", x1,
                       y1, x2, y2, style);
}

std::string circle_at(double x, double y, const std::string& style)
{
    return fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.5\" {}/>\n", x, y, style);
}

constexpr const char* dot_style = "fill=\"#1f5fa8\"";
constexpr const char* ring_style = "fill=\"white\" stroke=\"#b3541e\" stroke-width=\"1.5\"";
constexpr const char* cross_style = "stroke=\"#888\" stroke-width=\"1.2\"";

std::string cross_at(double x, double y)
{
    return line_from(x - 3, y - 3, x + 3, y + 3, cross_style) +
           line_from(x - 3, y + 3, x + 3, y - 3, cross_style);
}

std::string legend()
{
    const double y = 44.0;
    std::string svg = circle_at(left, y, dot_style) + text_at(left + 9, y + 4, "start", "trained");
    svg += circle_at(left + 90, y, ring_style) + text_at(left + 99, y + 4, "start", "untrained");
    svg += cross_at(left + 190, y) + text_at(left + 199, y + 4, "start", "shuffled images");
    return svg;
}

std::string drawn_row(const ScoreChart::Row& row, const Scale& scale, double y)
{
    std::string svg = text_at(left - 10, y + 4, "end", row.label);
    const double middle = median(row.scores);
    if (!std::isnan(middle)) {
        svg +=
            line_from(scale.x(quantile(row.scores, 0.25)), y, scale.x(quantile(row.scores, 0.75)),
                      y, "stroke=\"#1f5fa8\" stroke-opacity=\"0.35\" stroke-width=\"5\"");
        svg += circle_at(scale.x(middle), y, dot_style);
    }
    if (!std::isnan(row.untrained)) svg += circle_at(scale.x(row.untrained), y, ring_style);
    if (!std::isnan(row.shuffled)) svg += cross_at(scale.x(row.shuffled), y);
    return svg;
}

std::size_t groups_of(const ScoreChart& chart)
{
    std::size_t groups = 0;
    for (std::size_t row = 0; row < chart.rows.size(); ++row)
        if (row == 0 || chart.rows[row].group != chart.rows[row - 1].group) ++groups;
    return groups;
}

}  // namespace

std::string svg_of(const ScoreChart& chart)
{
    const Scale scale(chart);
    const double rows = static_cast<double>(chart.rows.size() + groups_of(chart));
    const double end = top + rows * row_height;
    std::string svg = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
        "viewBox=\"0 0 {0:.0f} {1:.0f}\" font-family=\"sans-serif\" font-size=\"11\">\n"
        "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        left + width + right, end + bottom);
    svg += text_at(left, 24.0, "start", chart.title, "font-size=\"14\"") + legend();
    for (const double tick : scale.ticks()) {
        svg += line_from(scale.x(tick), top, scale.x(tick), end, "stroke=\"#ddd\"");
        svg += text_at(scale.x(tick), end + 16, "middle", fmt::format("{:.1f}", tick));
    }
    svg += text_at(left + width / 2, end + 32, "middle", "Pearson r on held-out images");
    for (const ScoreChart::Line& line : chart.lines) {
        if (std::isnan(line.at)) continue;
        svg += line_from(scale.x(line.at), top - 6, scale.x(line.at), end,
                         "stroke=\"#444\" stroke-dasharray=\"4 3\"");
        svg += text_at(scale.x(line.at), top - 10, "middle", line.label);
    }
    double y = top + row_height / 2;
    for (std::size_t row = 0; row < chart.rows.size(); ++row) {
        if (row == 0 || chart.rows[row].group != chart.rows[row - 1].group) {
            svg += text_at(left - 10, y + 4, "end", chart.rows[row].group, "font-weight=\"bold\"");
            y += row_height;
        }
        svg += drawn_row(chart.rows[row], scale, y);
        y += row_height;
    }
    return svg + "</svg>\n";
}

}  // namespace twinscreen
