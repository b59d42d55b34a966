#include "experiments/relational_control/labels/image_labels.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <set>

#include <fmt/ranges.h>

#include "engine/config/csv.hpp"

namespace twinscreen {
namespace {

/// A cell of any column as a text; empty where a number is unknown.
std::string text_of(const Table& table, const TableColumn& column, std::size_t row)
{
    if (column.is_text()) return table.text(column.name, row);
    const double number = table.number(column.name, row);
    return std::isnan(number) ? std::string() : fmt::format("{:.17g}", number);
}

const TableColumn& column_named(const Table& table, std::initializer_list<const char*> names)
{
    for (const char* name : names)
        if (const TableColumn* column = table.find(name)) return *column;
    throw Error(Error::Kind::data, fmt::format("no column named '{}'", fmt::join(names, "' or '")));
}

std::vector<std::string> distinct_labels(const Table& table, const TableColumn& label)
{
    std::vector<std::string> names;
    for (std::size_t row = 0; row < table.rows(); ++row)
        if (std::string name = text_of(table, label, row);
            !name.empty() && std::ranges::find(names, name) == names.end())
            names.push_back(std::move(name));
    std::ranges::sort(names);
    TWINSCREEN_REQUIRE(names.size() <= 2, data, "{} labels: {} (two are compared)", names.size(),
                       fmt::join(names, ", "));
    return names;
}

void read_rows(LabelTable& labels)
{
    const Table table = read_csv(labels.file);
    const TableColumn& image = column_named(table, {"item", "stimulus"});
    const TableColumn& label = column_named(table, {"label"});
    labels.by_number = !image.is_text();
    labels.names = distinct_labels(table, label);
    std::map<std::string, std::string> known;
    for (std::size_t row = 0; row < table.rows(); ++row) {
        const std::string name = text_of(table, image, row), said = text_of(table, label, row);
        if (said.empty()) continue;
        const double number = labels.by_number ? table.number(image.name, row) : 0.0;
        TWINSCREEN_REQUIRE(number >= 0.0 && number == std::floor(number) && !name.empty(), data,
                           "'{}' in row {} is no number of an image (0, 1, ...)", name, row + 1);
        const auto [found, is_new] = known.emplace(name, said);
        TWINSCREEN_REQUIRE(found->second == said, data, "image '{}' is labelled '{}' and '{}'",
                           name, found->second, said);
        const auto at = std::ranges::find(labels.names, said) - labels.names.begin();
        if (is_new) labels.labels.emplace_back(name, static_cast<std::size_t>(at));
    }
}

/// What the item table calls an image; a file with its folders, then without.
std::vector<std::string> names_of(std::uint32_t image, const StimulusSource& stimuli)
{
    std::vector<std::string> names;
    if (image >= stimuli.count()) return names;
    const Table described = stimuli.describe({ItemId{image}, 1});
    for (const char* column : {"id", "name", "file"}) {
        const TableColumn* found = described.find(column);
        if (found == nullptr || !found->is_text()) continue;
        names.push_back(described.text(column, 0));
        names.push_back(std::filesystem::path(names.back()).filename().string());
    }
    return names;
}

/// Whether somebody has written labels into the file, or anything that is no such table.
bool is_filled_in(const std::filesystem::path& file)
{
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored)) return false;
    try {
        const Table table = read_csv(file);
        const TableColumn& label = column_named(table, {"label"});
        for (std::size_t row = 0; row < table.rows(); ++row)
            if (!text_of(table, label, row).empty()) return true;
        return false;
    } catch (const Error&) {
        return true;
    }
}

}  // namespace

LabelTable read_label_table(const std::filesystem::path& file, ConfigSection& section)
{
    LabelTable labels;
    labels.file = file;
    std::error_code failed;  // where nobody can tell, reading it says why
    labels.exists = !file.empty() && (std::filesystem::exists(file, failed) || failed);
    if (!labels.exists) return labels;
    try {
        read_rows(labels);
    } catch (Error& error) {
        section.complain("file", error.add_context(file.string()).what());
    }
    return labels;
}

std::size_t SetLabels::count(std::size_t label) const
{
    return static_cast<std::size_t>(std::ranges::count(of_image, label));
}

std::string shown_name(std::uint32_t image, const StimulusSource& stimuli)
{
    const std::vector<std::string> names = names_of(image, stimuli);
    return names.empty() ? std::string() : names.front();
}

SetLabels labels_of(const LabelTable& table, std::span<const std::uint32_t> images,
                    const StimulusSource& stimuli)
{
    std::map<std::string, std::size_t> known(table.labels.begin(), table.labels.end());
    std::set<std::string> used;
    SetLabels labels;
    for (const std::uint32_t image : images) {
        const std::vector<std::string> called =
            table.by_number ? std::vector{std::to_string(image)} : names_of(image, stimuli);
        std::size_t label = SetLabels::none;
        for (const std::string& name : called) {
            const auto found = known.find(name);
            if (found == known.end()) continue;
            label = found->second;
            used.insert(name);
            break;
        }
        labels.of_image.push_back(label);
        if (label == SetLabels::none) labels.unlabelled.push_back(image);
    }
    labels.ignored = known.size() - used.size();
    return labels;
}

void require_two_labels(const LabelTable& table, const SetLabels& labels)
{
    constexpr std::size_t fewest = 2;
    std::vector<std::string> counts;
    bool is_enough = table.names.size() == 2;
    for (std::size_t label = 0; label < table.names.size(); ++label) {
        is_enough = is_enough && labels.count(label) >= fewest;
        counts.push_back(fmt::format("{} '{}'", labels.count(label), table.names[label]));
    }
    if (is_enough) return;
    throw Error(Error::Kind::data,
                fmt::format("{}: of the {} images of the set {} are labelled {} (two labels are "
                            "compared, and each needs {} images)",
                            table.file.string(), labels.of_image.size(), labels.of_image.size(),
                            fmt::join(counts, ", "), fewest),
                "label by another question, or take [relational_control.image_labels] out");
}

void write_images_to_label(const LabelTable& table, const SetLabels& labels,
                           std::span<const std::uint32_t> images, const StimulusSource& stimuli,
                           const std::filesystem::path& file)
{
    if (is_filled_in(file)) return;
    std::vector<std::int64_t> numbers;
    std::vector<std::string> names, said;
    for (std::size_t at = 0; at < images.size(); ++at) {
        numbers.push_back(images[at]);
        names.push_back(shown_name(images[at], stimuli));
        const std::size_t label = labels.of_image[at];
        said.push_back(label == SetLabels::none ? "" : table.names[label]);
    }
    const bool are_named =
        std::ranges::any_of(names, [](const auto& name) { return !name.empty(); });
    Table filled{{{"item", "", std::move(numbers)}}};
    if (are_named) filled.columns.push_back({"name", "", std::move(names)});
    filled.columns.push_back({"label", "", std::move(said)});
    std::ofstream out(file, std::ios::binary | std::ios::trunc);
    out << csv_text(filled);
    TWINSCREEN_REQUIRE(out.flush(), store, "{}: cannot write this file", file.string());
}

}  // namespace twinscreen
