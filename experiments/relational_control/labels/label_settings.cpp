#include "experiments/relational_control/labels/label_settings.hpp"

namespace twinscreen {

ImageLabelSettings read_image_labels(ConfigSection section)
{
    ImageLabelSettings settings;
    settings.pair = section.get_or<std::string>("pair", "");
    if (!section.has("file"))
        section.complain("file", "image_labels.file is missing: the table of images and labels",
                         "file = \"labels.csv\" may be written after a first run, which says what "
                         "images to label");
    settings.file = section.path("file").value_or(std::filesystem::path{});
    for (ConfigSection& one : section.children("parts")) {
        PartRule part{one.require<std::string>("area"), one.require<std::string>("first"),
                      one.require<std::string>("second"),
                      one.require<std::string>("first_prefers")};
        one.reject_unknown_keys();
        for (const PartRule& other : settings.parts)
            if (other.area == part.area)
                one.complain("area", fmt::format("area '{}' is parted twice", part.area));
        settings.parts.push_back(std::move(part));
    }
    section.reject_unknown_keys();
    return settings;
}

}  // namespace twinscreen
