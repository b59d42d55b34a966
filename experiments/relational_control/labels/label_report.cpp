#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/stimulus/contact_sheet.hpp"
#include "engine/stimulus/png_writer.hpp"
#include "experiments/relational_control/columns.hpp"
#include "experiments/relational_control/labels/label_columns.hpp"
#include "experiments/relational_control/labels/label_stage.hpp"
#include "experiments/relational_control/multivariate/multivariate_search.hpp"
#include "experiments/relational_control/statistics/subject_summary.hpp"

namespace twinscreen {
namespace {

using namespace label_columns;

constexpr std::size_t labels = 2;

OwnedBatch whole_numbers(const std::vector<std::int64_t>& values, const Shape& shape)
{
    OwnedBatch batch(ElementType::i64, shape);
    std::ranges::copy(values, batch.values<std::int64_t>().begin());
    return batch;
}

/// Values of all subjects in each cell of a column.
std::vector<std::vector<double>> by_cell(const StageResults& results, ItemColumn column)
{
    const std::uint64_t subjects = results.plan().items;
    const std::vector<double> all = numbers_of(results.read(id(column), 0, subjects));
    std::vector<std::vector<double>> cells(all.size() / subjects);
    for (std::size_t at = 0; at < all.size(); ++at) cells[at % cells.size()].push_back(all[at]);
    return cells;
}

/// Mean over subjects [objectives, areas, members, members].
std::vector<double> mean_similarities(const StageResults& results)
{
    const std::uint64_t subjects = results.plan().items;
    std::vector<double> mean;
    for (std::uint64_t subject = 0; subject < subjects; ++subject) {
        const OwnedBatch stored = results.read(id(similarity), subject, 1);
        const auto values = stored.values<float>();
        mean.resize(values.size());
        for (std::size_t at = 0; at < values.size(); ++at)
            mean[at] += static_cast<double>(values[at]) / static_cast<double>(subjects);
    }
    return mean;
}

/// One similarity matrix as squares of grey from lowest (black) to highest (white), the images in
/// the order given.
Picture picture_of_matrix(std::span<const double> similarity, std::span<const std::size_t> order,
                          double lowest, double highest)
{
    constexpr std::size_t square = 4;
    const std::size_t side = order.size() * square;
    Picture picture{static_cast<int>(side), static_cast<int>(side), 1, false,
                    OwnedBatch(ElementType::u8, {extent(side), extent(side), 1})};
    const auto pixels = picture.pixels.values<std::uint8_t>();
    for (std::size_t row = 0; row < side; ++row)
        for (std::size_t column = 0; column < side; ++column) {
            const double value =
                similarity[order[row / square] * order.size() + order[column / square]];
            const double level = 255.0 * (value - lowest) / std::max(highest - lowest, 1e-12);
            pixels[row * side + column] =
                static_cast<std::uint8_t>(std::clamp(std::round(level), 0.0, 255.0));
        }
    return picture;
}

}  // namespace

SummaryRows LabelStage::combine(const StageResults& results)
{
    const std::int64_t size = extent(images_[0].size()), areas = extent(parts_.size());
    SummaryRows summary;
    const auto add = [&](StageColumn column, OwnedBatch rows) {
        summary.emplace_back(id(column, !parts_.empty()), std::move(rows));
    };
    const auto add_means = [&](ItemColumn column, StageColumn mean, const Shape& shape) {
        std::array<std::vector<double>, 3> values;
        for (const std::vector<double>& cell : by_cell(results, column)) {
            const SubjectMean over = mean_over_subjects(cell);
            values[0].push_back(over.mean);
            values[1].push_back(over.low);
            values[2].push_back(over.high);
        }
        for (std::uint32_t at = 0; at < values.size(); ++at)
            add(static_cast<StageColumn>(mean + at), batch_of(values[at], shape));
    };
    std::vector<std::int64_t> ids, label_of;
    for (const auto& set : images_) ids.insert(ids.end(), set.begin(), set.end());
    for (const std::size_t label : labels_.of_image) label_of.push_back(extent(label));
    add(image, whole_numbers(ids, {extent(objectives.size()), size}));
    add(image_label, whole_numbers(label_of, {size}));
    add_means(group_similarity, mean_group_similarity, {2, 3});
    if (parts_.empty()) return summary;
    add_means(part_response, mean_part_response, {areas, 2, labels});
    add_means(score, mean_score, {areas, labels});
    std::vector<double> counts, chances;
    for (const std::vector<double>& marks : by_cell(results, significant)) {
        const SubjectCount count = count_subjects(marks, study_.has_independent_subjects());
        counts.push_back(count.significant);
        chances.push_back(count.binomial_p);
    }
    add(significant_subjects, batch_of(counts, {areas, labels}));
    add(binomial_p, batch_of(chances, {areas, labels}));
    return summary;
}

std::vector<std::string> LabelStage::report(const StageResults& results, const CampaignInputs&,
                                            const std::filesystem::path& folder)
{
    const auto read = [&](StageColumn column) {
        return numbers_of(results.read(id(column, !parts_.empty()), 0, 1));
    };
    const std::vector<double> means = read(mean_group_similarity), low = read(group_similarity_low),
                              high = read(group_similarity_high);
    const std::vector<std::string> names = group_names();
    std::vector<std::string> lines{
        fmt::format("similarity of the images that align {} ({} '{}', {} '{}'), mean [95 % "
                    "interval] over {} subjects",
                    study_.pair_name(settings_.image_labels->pair_index), labels_.count(0),
                    table_.names[0], labels_.count(1), table_.names[1], study_.subjects.size())};
    for (std::size_t at = 0; at < means.size(); ++at)
        lines.push_back(fmt::format("  {:<12} {:<24} {:+.4f} [{:+.4f}, {:+.4f}]",
                                    study_.areas[area_of(at / names.size())],
                                    names[at % names.size()], means[at], low[at], high[at]));
    if (!parts_.empty())
        for (std::string& line : report_parts(results)) lines.push_back(std::move(line));
    lines.push_back(draw_similarities(results, folder));
    return lines;
}

std::vector<std::string> LabelStage::report_parts(const StageResults& results) const
{
    const auto read = [&](StageColumn column) {
        return numbers_of(results.read(id(column, true), 0, 1));
    };
    const std::vector<double> means = read(mean_score), low = read(score_low),
                              high = read(score_high), counts = read(significant_subjects),
                              chances = read(binomial_p);
    const bool has_binomial = study_.has_independent_subjects();
    std::vector<std::string> lines{
        fmt::format("response of the part that should answer more minus the other's, mean [95 % "
                    "interval]; significant subjects of {}{}",
                    study_.subjects.size(), has_binomial ? ", binomial p" : "")};
    for (std::size_t at = 0; at < means.size(); ++at)
        lines.push_back(fmt::format("  {:<12} {:<24} {:+.4f} [{:+.4f}, {:+.4f}]; {:.0f}{}",
                                    parts_[at / labels].rule.area, table_.names[at % labels],
                                    means[at], low[at], high[at], counts[at],
                                    has_binomial ? fmt::format(", {:.2g}", chances[at]) : ""));
    for (std::string& line : changed_verdicts(results)) lines.push_back(std::move(line));
    return lines;
}

/// Where the other setting of compat would have found otherwise.
std::vector<std::string> LabelStage::changed_verdicts(const StageResults& results) const
{
    const std::uint64_t subjects = results.plan().items;
    const std::vector<double> marks = numbers_of(results.read(id(significant), 0, subjects));
    const std::vector<double> others = numbers_of(results.read(id(p_other), 0, subjects));
    std::vector<std::string> lines;
    for (std::size_t first = 0; first < marks.size(); first += labels) {
        const std::size_t cell = first / labels;
        const std::string where = fmt::format("{} in {}", parts_[cell % parts_.size()].rule.area,
                                              study_.subjects[cell / parts_.size()].name);
        const auto changed = twinscreen::changed_verdicts(
            where, table_.names, std::span(marks).subspan(first, labels),
            std::span(others).subspan(first, labels), settings_.compat);
        lines.insert(lines.end(), changed.begin(), changed.end());
    }
    return lines;
}

/// Mean similarities over subjects; the aligning images with one label stand before those with the
/// other.
std::string LabelStage::draw_similarities(const StageResults& results,
                                          const std::filesystem::path& folder) const
{
    const std::size_t images = images_[0].size();
    const std::vector<double> mean = mean_similarities(results);
    double lowest = 1.0, highest = -1.0;
    for (std::size_t at = 0; at < mean.size(); ++at) {
        if (at / images % images == at % images) continue;
        lowest = std::min(lowest, mean[at]);
        highest = std::max(highest, mean[at]);
    }
    std::vector<SheetRow> rows;
    for (std::size_t objective = 0; objective < objectives.size(); ++objective) {
        std::vector<std::size_t> order(images);
        std::iota(order.begin(), order.end(), std::size_t{0});
        if (objective == 0)
            std::ranges::stable_sort(order, {},
                                     [&](std::size_t at) { return labels_.of_image[at]; });
        rows.push_back(
            {objective_names[objective] +
                 (objective > 0 ? std::string()
                                : fmt::format("\n{}: {},\nthen {}: {}", table_.names[0],
                                              labels_.count(0), table_.names[1], labels_.count(1))),
             {}});
        for (std::size_t side = 0; side < 2; ++side)
            rows.back().cells.push_back(
                {picture_of_matrix(std::span(mean).subspan((2 * objective + side) * images * images,
                                                           images * images),
                                   order, lowest, highest),
                 study_.areas[area_of(side)]});
    }
    const std::filesystem::path sheet = folder / "image_similarities.png";
    const std::string title = fmt::format(
        "similarities of images, from {:+.2f} (black) to {:+.2f} (white)", lowest, highest);
    write_png(contact_sheet(rows, title, 256), sheet);
    return fmt::format("similarities drawn: {}", sheet.string());
}

}  // namespace twinscreen
