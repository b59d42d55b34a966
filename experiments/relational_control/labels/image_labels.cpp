#include "experiments/relational_control/labels/image_labels.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
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

void read_rows(LabelTable& labels, SharedReads& reads)
{
    const Table table = read_csv(labels.file, reads);
    const TableColumn& image = column_named(table, {"item", "stimulus"});
    const TableColumn& label = column_named(table, {"label"});
    labels.by_number = !image.is_text();
    labels.names = distinct_labels(table, label);
    const TableColumn* id = labels.by_number ? table.find("id") : nullptr;
    if (id != nullptr && id->is_text()) id = nullptr;
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
        if (!is_new) continue;
        labels.labels.emplace_back(name, static_cast<std::size_t>(at));
        if (id != nullptr) labels.ids.push_back(table.number("id", row));
    }
}

/// What the item table calls an image.
struct ImageNames {
    std::vector<std::string> whole;
    std::vector<std::string> base;  ///< of those with folders, without them
};

ImageNames names_in(const Table& described, std::size_t row)
{
    ImageNames names;
    for (const char* column : {"id", "name", "file"}) {
        const TableColumn* found = described.find(column);
        if (found == nullptr || !found->is_text()) continue;
        names.whole.push_back(described.text(column, row));
        std::string base = std::filesystem::path(names.whole.back()).filename().string();
        if (base != names.whole.back()) names.base.push_back(std::move(base));
    }
    return names;
}

Table description_of(std::uint32_t image, const StimulusSource& stimuli)
{
    return image < stimuli.count() ? stimuli.describe({ItemId{image}, 1}) : Table{};
}

/// The id of an image where ids are numbers, else NaN.
double number_in_item_table(std::uint32_t image, const StimulusSource& stimuli)
{
    const Table described = description_of(image, stimuli);
    const TableColumn* id = described.find("id");
    return id != nullptr && !id->is_text() ? described.number("id", 0)
                                           : std::numeric_limits<double>::quiet_NaN();
}

/// Finds what a label table says of an image. Throws Error(data) where it may mean two things.
class LabelFinder {
public:
    LabelFinder(const LabelTable& table, const StimulusSource& stimuli)
        : table_(table), stimuli_(stimuli)
    {
        for (std::size_t at = 0; at < table.labels.size(); ++at)
            known_.emplace(table.labels[at].first, at);
    }

    std::size_t label_of(std::uint32_t image)
    {
        std::size_t label = SetLabels::none;
        std::string before;
        for (const std::string& name : entries_of(image)) {
            const std::size_t said = table_.labels[known_.at(name)].second;
            TWINSCREEN_REQUIRE(label == SetLabels::none || label == said, data,
                               "{}: image {} is labelled '{}' as '{}' and '{}' as '{}'",
                               table_.file.string(), image, table_.names[label], before,
                               table_.names[said], name);
            label = said;
            before = name;
            used_.insert(name);
        }
        return label;
    }

    std::size_t unused() const { return known_.size() - used_.size(); }

private:
    /// Names in the table that mean the image.
    std::vector<std::string> entries_of(std::uint32_t image)
    {
        std::vector<std::string> entries;
        if (known_.empty()) return entries;
        if (table_.by_number) {
            require_clear_number(image);
            if (const auto name = std::to_string(image); known_.contains(name))
                entries.push_back(name);
            return entries;
        }
        const Table described = description_of(image, stimuli_);
        if (described.rows() == 0) return entries;
        const ImageNames names = names_in(described, 0);
        for (const std::string& name : names.whole)
            if (known_.contains(name)) entries.push_back(name);
        for (const std::string& name : names.base)
            if (known_.contains(name) && is_of_one_image(name)) entries.push_back(name);
        return entries;
    }

    /// Numbers are places in the campaign. Where images have ids that are other numbers, whoever
    /// wrote the table must have known both.
    void require_clear_number(std::uint32_t image) const
    {
        const double id = number_in_item_table(image, stimuli_);
        if (std::isnan(id) || id == static_cast<double>(image)) return;
        if (table_.ids.empty())
            throw Error(Error::Kind::data,
                        fmt::format("{}: numbers of images are their places in the campaign, from "
                                    "0, and the item table has other numbers as ids (image {} has "
                                    "id {})",
                                    table_.file.string(), image, id),
                        "give both, in columns item and id, as images_to_label.csv has them");
        const auto found = known_.find(std::to_string(image));
        if (found == known_.end()) return;
        TWINSCREEN_REQUIRE(table_.ids[found->second] == id, data,
                           "{}: image {} has id {}, and {} in the item table (numbers of images "
                           "are their places in the campaign, from 0)",
                           table_.file.string(), image, table_.ids[found->second], id);
    }

    /// Whether a name without folders means one image; a name that another image has as it stands
    /// is that image's.
    bool is_of_one_image(const std::string& name)
    {
        if (bearers_.empty()) find_bearers();
        const std::vector<std::uint32_t>& images = bearers_[name];
        if (images.size() < 2) return !images.empty();
        throw Error(
            Error::Kind::data,
            fmt::format("{}: '{}' may be image {} ({}) or image {} ({})", table_.file.string(),
                        name, images[0], shown_name(images[0], stimuli_), images[1],
                        shown_name(images[1], stimuli_)),
            "write names with their folders");
    }

    /// Of every name in the table, the images that have it behind a folder; none where an image has
    /// it without one.
    void find_bearers()
    {
        constexpr std::uint64_t most_rows = 4096;
        std::set<std::string> taken;
        for (std::uint64_t first = 0; first < stimuli_.count(); first += most_rows) {
            const Table described =
                stimuli_.describe({ItemId{first}, std::min(most_rows, stimuli_.count() - first)});
            for (std::size_t row = 0; row < described.rows(); ++row) {
                const ImageNames names = names_in(described, row);
                taken.insert(names.whole.begin(), names.whole.end());
                add_bearer(names, static_cast<std::uint32_t>(first + row));
            }
        }
        for (auto& [name, images] : bearers_)
            if (taken.contains(name)) images.clear();
    }

    void add_bearer(const ImageNames& names, std::uint32_t image)
    {
        for (const std::string& name : names.base) {
            if (!known_.contains(name)) continue;
            std::vector<std::uint32_t>& images = bearers_[name];
            if (images.empty() || images.back() != image) images.push_back(image);
        }
    }

    const LabelTable& table_;
    const StimulusSource& stimuli_;
    std::map<std::string, std::size_t> known_;  ///< places in the table
    std::set<std::string> used_;
    std::map<std::string, std::vector<std::uint32_t>> bearers_;  ///< once they are asked for
};

/// Whether a label in the file would be lost if it were written anew: it is the label table
/// itself, it says of an image what the label table does not, or it is no such table.
bool holds_other_labels(const std::filesystem::path& file, const LabelTable& table,
                        const StimulusSource& stimuli)
{
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored)) return false;
    if (std::filesystem::equivalent(file, table.file, ignored)) return true;
    try {
        const Table written = read_csv(file);
        const TableColumn& image = column_named(written, {"item"});
        const TableColumn& label = column_named(written, {"label"});
        LabelFinder finder(table, stimuli);
        for (std::size_t row = 0; row < written.rows(); ++row) {
            const std::string said = text_of(written, label, row);
            if (said.empty()) continue;
            const double number = image.is_text() ? -1.0 : written.number("item", row);
            if (!(number >= 0.0 && number <= std::numeric_limits<std::uint32_t>::max()))
                return true;
            const std::size_t known = finder.label_of(static_cast<std::uint32_t>(number));
            if (known == SetLabels::none || table.names[known] != said) return true;
        }
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
        read_rows(labels, section.reads());
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
    const Table described = description_of(image, stimuli);
    if (described.rows() == 0) return {};
    const ImageNames names = names_in(described, 0);
    return names.whole.empty() ? std::string() : names.whole.front();
}

SetLabels labels_of(const LabelTable& table, std::span<const std::uint32_t> images,
                    const StimulusSource& stimuli)
{
    LabelFinder finder(table, stimuli);
    SetLabels labels;
    for (const std::uint32_t image : images) {
        labels.of_image.push_back(finder.label_of(image));
        if (labels.of_image.back() == SetLabels::none) labels.unlabelled.push_back(image);
    }
    labels.ignored = finder.unused();
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
    if (holds_other_labels(file, table, stimuli)) return;
    std::vector<std::int64_t> numbers;
    std::vector<double> ids;
    std::vector<std::string> names, said;
    for (std::size_t at = 0; at < images.size(); ++at) {
        numbers.push_back(images[at]);
        ids.push_back(number_in_item_table(images[at], stimuli));
        names.push_back(shown_name(images[at], stimuli));
        const std::size_t label = labels.of_image[at];
        said.push_back(label == SetLabels::none ? "" : table.names[label]);
    }
    const bool are_named =
        std::ranges::any_of(names, [](const auto& name) { return !name.empty(); });
    Table filled{{{"item", "", std::move(numbers)}}};
    if (std::ranges::any_of(ids, [](double id) { return !std::isnan(id); }))
        filled.columns.push_back({"id", "", std::move(ids)});
    if (are_named) filled.columns.push_back({"name", "", std::move(names)});
    filled.columns.push_back({"label", "", std::move(said)});
    std::ofstream out(file, std::ios::binary | std::ios::trunc);
    out << csv_text(filled);
    TWINSCREEN_REQUIRE(out.flush(), store, "{}: cannot write this file", file.string());
}

}  // namespace twinscreen
