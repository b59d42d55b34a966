#include "experiments/fit_readout/recorded_units.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "engine/base/error.hpp"
#include "engine/config/csv.hpp"
#include "experiments/statistics.hpp"

namespace twinscreen {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// Sets a column unless the table has it; codes that look like numbers are names here.
void complete(Table& table, const std::string& name, const std::vector<std::string>& values)
{
    TableColumn* found = table.find(name);
    if (found == nullptr) {
        table.columns.push_back({name, "", values});
        return;
    }
    if (found->is_text()) return;
    std::vector<std::string> texts;
    for (std::size_t row = 0; row < table.rows(); ++row) {
        const double code = table.number(name, row);
        texts.push_back(std::isnan(code) ? "" : fmt::format("{:.17g}", code));
    }
    found->values = std::move(texts);
}

void complete(Table& table, const std::string& name, const std::string& unit,
              const std::filesystem::path& file, std::size_t rows)
{
    const TableColumn* found = table.find(name);
    if (found == nullptr)
        table.columns.push_back({name, unit, std::vector<double>(rows, nan)});
    else
        TWINSCREEN_REQUIRE(!found->is_text(), data, "{}: column '{}' holds texts, expected numbers",
                           file.string(), name);
}

/// Bundles hold single precision: why responses would not survive it; empty if they do.
std::string lost_in_single_precision(const std::vector<double>& responses)
{
    constexpr double largest = 1e30;
    constexpr double least = 1e-30;
    const auto [low, high] = std::ranges::minmax(responses);
    const double size = std::max(std::abs(low), std::abs(high));
    if (size > largest)
        return fmt::format("its responses reach {:g}, beyond single precision; scale them", size);
    if (high - low < least || high - low < 1e-6 * size)
        return fmt::format(
            "its responses differ by {:g} around {:g}, less than single precision "
            "can tell; subtract an offset or scale them",
            high - low, high);
    return {};
}

void check_column_names(const Table& table, const std::filesystem::path& file)
{
    for (const TableColumn& column : table.columns)
        TWINSCREEN_REQUIRE(column.name.find('/') == std::string::npos && column.name != "." &&
                               column.name != ".." && column.name != "unit",
                           data,
                           "{}: a column cannot be called '{}' (columns become datasets of a store "
                           "with the axis 'unit')",
                           file.string(), column.name);
}

double mean_response(const Recording& recording, std::size_t neuron, std::uint64_t item)
{
    if (recording.repeats == 1) return recording.at(neuron, item);
    const std::size_t first = (neuron * recording.items + item) * recording.repeats;
    const auto trials = std::span(recording.values).subspan(first, recording.repeats);
    return mean_over_repeats({trials, 1, recording.repeats}).front();
}

}  // namespace

Table recorded_units(const std::filesystem::path& file, std::size_t neurons,
                     const std::string& subject, const std::string& area, SharedReads& reads)
{
    Table table;
    if (!file.empty()) {
        table = read_csv(file, reads);
        check_column_names(table, file);
        TWINSCREEN_REQUIRE(table.rows() == neurons, data,
                           "{}: lists {} units, the recording has {} neurons", file.string(),
                           table.rows(), neurons);
    }
    std::vector<std::string> ids;
    for (std::size_t neuron = 0; neuron < neurons; ++neuron)
        ids.push_back(fmt::format("neuron {}", neuron));
    complete(table, "id", ids);
    complete(table, "subject", std::vector<std::string>(neurons, subject));
    complete(table, "area", std::vector<std::string>(neurons, area));
    complete(table, "noise_ceiling", "", file, neurons);
    complete(table, "x", "deg", file, neurons);
    complete(table, "y", "deg", file, neurons);
    return table;
}

std::vector<double> mean_responses(const Recording& recording,
                                   const std::vector<std::uint64_t>& items,
                                   const std::vector<std::size_t>& neurons)
{
    std::vector<double> means;
    means.reserve(items.size() * neurons.size());
    for (const std::uint64_t item : items)
        for (const std::size_t neuron : neurons)
            means.push_back(mean_response(recording, neuron, item));
    return means;
}

std::vector<UnusableUnit> unusable_units(const Recording& recording, const ImageSplit& split)
{
    const std::vector<std::uint64_t> fitted = split.fitted();
    std::vector<UnusableUnit> found;
    for (std::size_t neuron = 0; neuron < recording.neurons; ++neuron) {
        const std::vector<double> train = mean_responses(recording, fitted, {neuron});
        const std::vector<double> test = mean_responses(recording, split.test, {neuron});
        const auto is_missing = [](double value) { return std::isnan(value); };
        const auto missing = std::ranges::count_if(train, is_missing);
        const auto tested = std::ssize(test) - std::ranges::count_if(test, is_missing);
        if (missing == std::ssize(train))
            found.push_back({neuron, "nothing was recorded of it for the fitted images"});
        else if (missing > 0)
            found.push_back({neuron, fmt::format("nothing was recorded of it for {} of the {} "
                                                 "fitted images",
                                                 missing, train.size())});
        else if (std::ranges::adjacent_find(train, std::not_equal_to<>()) == train.end())
            found.push_back(
                {neuron, fmt::format("its response to every fitted image is {:g}", train.front())});
        else if (const std::string reason = lost_in_single_precision(train); !reason.empty())
            found.push_back({neuron, reason});
        else if (tested < 3)
            found.push_back(
                {neuron, fmt::format("it was recorded for {} test images only", tested)});
    }
    return found;
}

Recording excerpt(const Recording& recording, const std::vector<std::uint64_t>& items,
                  const std::vector<std::size_t>& neurons)
{
    Recording part;
    part.neurons = neurons.size();
    part.items = items.size();
    part.repeats = recording.repeats;
    part.values.reserve(part.neurons * part.items * part.repeats);
    for (const std::size_t neuron : neurons)
        for (const std::uint64_t item : items)
            for (std::size_t repeat = 0; repeat < part.repeats; ++repeat)
                part.values.push_back(recording.at(neuron, item, repeat));
    return part;
}

}  // namespace twinscreen
