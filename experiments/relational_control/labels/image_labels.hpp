#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/config/section.hpp"
#include "engine/stimulus/source.hpp"

namespace twinscreen {

/// What a person wrote about images: a table with a column `item` (or `stimulus`) and a column
/// `label`. Images are named by their number in the campaign, or by their `id`, `name` or `file` in
/// the item table, of which folders may be left out where no other image has the same name without
/// them; an empty label is none. Where images have numbers as ids, which differ from their numbers
/// in the campaign, a table of numbers has both: `item` and `id`.
struct LabelTable {
    std::filesystem::path file;
    bool exists = false;
    bool by_number = true;                                    ///< else by name
    std::vector<std::string> names;                           ///< the labels, sorted: at most two
    std::vector<std::pair<std::string, std::size_t>> labels;  ///< image, place in `names`
    std::vector<double> ids;  ///< [labels] of their images; empty: the table has no numbers as ids
};

/// A file that does not exist yet is no mistake. Mistakes (no table, a third label, two labels of
/// one image) are complained of at `file`.
LabelTable read_label_table(const std::filesystem::path& file, ConfigSection& section);

/// The labels of a set of images.
struct SetLabels {
    static constexpr std::size_t none = 2;
    std::vector<std::size_t> of_image;      ///< [images] 0, 1 or none
    std::vector<std::uint32_t> unlabelled;  ///< images without a label, in the order of the set
    std::size_t ignored = 0;                ///< labels of images that are not in the set

    std::size_t count(std::size_t label) const;
};

/// The first name of an image in the item table; empty where it has none.
std::string shown_name(std::uint32_t image, const StimulusSource& stimuli);

/// Throws Error(data) where the table may mean two things: two labels of one image, a name of two
/// images, a number that may be another image's id.
SetLabels labels_of(const LabelTable& table, std::span<const std::uint32_t> images,
                    const StimulusSource& stimuli);

/// Throws Error(data) unless two images or more have each label: means over pairs of images.
void require_two_labels(const LabelTable& table, const SetLabels& labels);

/// A table for a person to fill in: the images with the labels that are known. A file with labels
/// that would be lost, because the label table lacks them, is left as it is.
void write_images_to_label(const LabelTable& table, const SetLabels& labels,
                           std::span<const std::uint32_t> images, const StimulusSource& stimuli,
                           const std::filesystem::path& file);

}  // namespace twinscreen
