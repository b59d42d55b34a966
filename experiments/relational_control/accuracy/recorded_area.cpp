#include "experiments/relational_control/accuracy/recorded_area.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "engine/base/digest.hpp"
#include "engine/config/csv.hpp"
#include "engine/stimulus/npy.hpp"
#include "experiments/recording.hpp"
#include "experiments/relational_control/responses/array_responses.hpp"

namespace twinscreen {
namespace {

constexpr std::uint64_t fewest_images = 3;  // a correlation of two is always 1 or -1

/// Values of a whole array.
struct FileValues {
    std::vector<std::uint64_t> shape;
    std::vector<double> values;
};

FileValues read_values(const ReadFile& file, const ArrayHeader& header, Digest& digest)
{
    require_complete(file, header);
    constexpr std::uint64_t most_values = std::uint64_t{1} << 31U;
    TWINSCREEN_REQUIRE(header.values() > 0 && header.values() <= most_values, data,
                       "{}: shape {} holds no values, or more than 2^31", file.path().string(),
                       header.shape_text());
    std::vector<std::byte> bytes(header.values() * bytes_of(header.type));
    file.read(header.offset, bytes);
    digest.add(header.shape_text()).add_bytes(bytes);
    FileValues result{header.shape, doubles_of(bytes, header.type)};
    TWINSCREEN_REQUIRE(std::ranges::none_of(result.values, [](double x) { return std::isinf(x); }),
                       data, "{}: a value is infinite", file.path().string());
    return result;
}

FileValues read_npy(const std::filesystem::path& path, Digest& digest)
{
    const ReadFile file(path);
    return read_values(file, read_npy_header(file, Integers::take), digest);
}

/// Which image each trial showed, as the file says.
std::vector<double> read_order(const std::filesystem::path& path, Digest& digest)
{
    if (path.extension() == ".npy") {
        FileValues order = read_npy(path, digest);
        TWINSCREEN_REQUIRE(order.shape.size() == 1, data, "{}: an array of {} axes, not [trials]",
                           path.string(), order.shape.size());
        return std::move(order.values);
    }
    const Table table = read_csv(path);
    const TableColumn* column = table.find("image");
    TWINSCREEN_REQUIRE(column != nullptr && !column->is_text(), data,
                       "{}: no column of numbers named 'image'", path.string());
    const auto& order = std::get<std::vector<double>>(column->values);
    digest.add_bytes(std::as_bytes(std::span(order)));
    return order;
}

/// Images of all trials [trials], -1 for none: by the file, or by place in [images, repeats].
std::vector<double> order_of(const AreaFiles& files, const FileValues& measured,
                             const Predictions& predictions, Digest& digest)
{
    const std::uint64_t images = predictions.images;
    const std::string name = files.measured.string();
    const auto& shape = measured.shape;
    if (files.image.empty()) {
        TWINSCREEN_REQUIRE(shape.size() == 3, data,
                           "{}: {} axes, expected [images, repeats, units]; with [trials, units], "
                           "image = \"...\" says which image each trial showed",
                           name, shape.size());
        TWINSCREEN_REQUIRE(shape[0] == images, data, "{}: {} images, and {} has {}", name, shape[0],
                           predictions.name, images);
        std::vector<double> order(shape[0] * shape[1]);
        for (std::size_t at = 0; at < order.size(); ++at)
            order[at] = static_cast<double>(at / shape[1]);
        return order;
    }
    TWINSCREEN_REQUIRE(shape.size() == 2, data,
                       "{}: {} axes, expected [trials, units] where image = \"...\" says which "
                       "image each trial showed",
                       name, shape.size());
    std::vector<double> order = read_order(files.image, digest);
    TWINSCREEN_REQUIRE(order.size() == shape[0], data, "{}: {} trials, and {} has {}",
                       files.image.string(), order.size(), name, shape[0]);
    for (std::size_t trial = 0; trial < order.size(); ++trial)
        TWINSCREEN_REQUIRE(order[trial] >= -1.0 && order[trial] < static_cast<double>(images) &&
                               order[trial] == std::floor(order[trial]),
                           data,
                           "{}: trial {} (counted from 0) shows image {}, and {} has images 0 to "
                           "{} (-1: a trial to leave out)",
                           files.image.string(), trial, order[trial], predictions.name, images - 1);
    return order;
}

/// Keeps the trials that were recorded, unit by unit.
void add_trials(AreaPart& part, const FileValues& measured, const std::vector<double>& order,
                double answered)
{
    std::vector<std::size_t> recorded;
    for (std::size_t trial = 0; trial < order.size(); ++trial) {
        const auto row = std::span(measured.values).subspan(trial * part.units, part.units);
        if (order[trial] < 0.0 || order[trial] >= answered ||
            std::ranges::all_of(row, [](double value) { return std::isnan(value); }))
            continue;
        recorded.push_back(trial);
        part.image.push_back(static_cast<std::uint32_t>(order[trial]));
    }
    part.measured.reserve(part.units * recorded.size());
    for (std::size_t unit = 0; unit < part.units; ++unit)
        for (const std::size_t trial : recorded)
            part.measured.push_back(measured.values[trial * part.units + unit]);
}

/// Signal-to-noise ratios from the trials.
void add_ratios(AreaPart& part, const AreaFiles& files)
{
    const std::set<std::uint32_t> shown(part.image.begin(), part.image.end());
    TWINSCREEN_REQUIRE(shown.size() < part.image.size(), data,
                       "{}: no image was shown twice, so the noise is unknown; name the "
                       "signal-to-noise ratios with noise_ceiling = \"...\"",
                       files.measured.string());
    for (std::size_t unit = 0; unit < part.units; ++unit)
        part.snr.push_back(signal_to_noise(
            std::span(part.measured).subspan(unit * part.image.size(), part.image.size()),
            part.image));
}

bool has_nan(const std::vector<float>& values)
{
    return std::ranges::any_of(values, [](float value) { return std::isnan(value); });
}

/// One unit's values where they lie `stride` apart.
std::vector<float> column_of(const std::vector<double>& values, std::size_t first,
                             std::size_t stride, std::size_t count)
{
    std::vector<float> column(count);
    for (std::size_t at = 0; at < count; ++at)
        column[at] = static_cast<float>(values[first + at * stride]);
    return column;
}

std::vector<float> rows_of_columns(const std::vector<std::vector<float>>& columns)
{
    std::vector<float> rows(columns.size() * columns.front().size());
    for (std::size_t column = 0; column < columns.size(); ++column)
        for (std::size_t row = 0; row < columns[column].size(); ++row)
            rows[row * columns.size() + column] = columns[column][row];
    return rows;
}

}  // namespace

Predictions read_predictions(const std::filesystem::path& path, const std::string& dataset)
{
    const ReadFile file(path);
    Digest digest;
    FileValues read = read_values(file, locate_responses(file, dataset), digest);
    constexpr std::uint64_t most_images = std::uint64_t{1} << 31U;
    TWINSCREEN_REQUIRE(read.shape.size() == 2 && read.shape[0] < most_images, data,
                       "{}: {} axes, expected [images, units]", path.string(), read.shape.size());
    const auto images = static_cast<std::uint32_t>(read.shape[0]);
    return {path.string(), images, images, read.shape[1], std::move(read.values), digest.hex()};
}

AreaPart read_area_part(const AreaFiles& files, Predictions predictions)
{
    Digest digest;
    const FileValues measured = read_npy(files.measured, digest);
    AreaPart part;
    part.images = predictions.images;
    part.units = predictions.units;
    part.ceiling_above = files.ceiling_above;
    const std::vector<double> order = order_of(files, measured, predictions, digest);
    TWINSCREEN_REQUIRE(measured.shape.back() == part.units, data, "{}: {} units, and {} has {}",
                       files.measured.string(), measured.shape.back(), predictions.name,
                       part.units);
    add_trials(part, measured, order, predictions.answered);
    const std::set<std::uint32_t> shown(part.image.begin(), part.image.end());
    TWINSCREEN_REQUIRE(shown.size() >= fewest_images, data,
                       "{}: {} images were shown, a correlation over images needs at least {}",
                       files.measured.string(), shown.size(), fewest_images);
    part.predicted = std::move(predictions.values);
    if (files.noise_ceiling.empty())
        add_ratios(part, files);
    else
        part.snr = read_ceilings(files.noise_ceiling, part.units);
    digest.add(predictions.digest)
        .add(files.ceiling_above)
        .add_bytes(std::as_bytes(std::span(part.snr)));
    part.digest = digest.hex();
    return part;
}

RecordedArea join_parts(std::span<const AreaPart> parts)
{
    RecordedArea area;
    area.image = parts.front().image;
    area.images = parts.front().images;
    std::vector<std::vector<float>> measured, predicted;
    Digest digest;
    for (const AreaPart& part : parts) {
        TWINSCREEN_REQUIRE(part.images == area.images && part.image == area.image, data,
                           "parts of one area were recorded in other trials, or have predictions "
                           "of other images ({} of {} images, and {} of {})",
                           parts.front().image.size(), area.images, part.image.size(), part.images);
        area.recorded_units += part.units;
        digest.add(part.digest);
        for (std::size_t unit = 0; unit < part.units; ++unit) {
            if (!(part.snr[unit] > part.ceiling_above)) continue;
            auto trials = column_of(part.measured, unit * part.image.size(), 1, part.image.size());
            auto predictions = column_of(part.predicted, unit, part.units, part.images);
            if (has_nan(trials) || has_nan(predictions)) continue;
            measured.push_back(std::move(trials));
            predicted.push_back(std::move(predictions));
            area.snr.push_back(static_cast<float>(part.snr[unit]));
        }
    }
    area.digest = digest.hex();
    area.units = measured.size();
    TWINSCREEN_REQUIRE(area.units > 0, data,
                       "0 of {} units have a signal-to-noise ratio above {} and no NaN in their "
                       "responses (a lower ceiling_above keeps more)",
                       area.recorded_units, parts.front().ceiling_above);
    area.measured = rows_of_columns(measured);
    area.predicted = rows_of_columns(predicted);
    return area;
}

}  // namespace twinscreen
