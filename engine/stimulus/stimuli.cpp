#include "engine/stimulus/stimuli.hpp"

#include <algorithm>

#include "engine/stimulus/array_source.hpp"
#include "engine/stimulus/decode.hpp"
#include "engine/stimulus/hdf5_dataset.hpp"
#include "engine/stimulus/image_source.hpp"
#include "engine/stimulus/node_copy.hpp"
#include "engine/stimulus/source_view.hpp"
#include "engine/stimulus/synthetic.hpp"

namespace twinscreen {
namespace {

namespace fs = std::filesystem;

using Source = std::unique_ptr<StimulusSource>;

struct SyntheticKind {
    const char* key;
    SyntheticFactory* make;
};

constexpr SyntheticKind synthetic_kinds[] = {
    {"gratings", make_gratings},
    {"gabors", make_gabors},
    {"plaids", make_plaids},
    {"annuli", make_annuli},
    {"sparse_noise", make_sparse_noise},
    {"white_noise", make_white_noise},
    {"pink_noise", make_pink_noise},
    {"dead_leaves", make_dead_leaves},
    {"crops", make_crops},
};

/// Reads layout, range and prepared of an array.
ArrayOptions read_array_options(ConfigSection& section)
{
    ArrayOptions options;
    if (section.has("layout")) {
        const std::string layout = section.one_of("layout", "nhwc", {"nhw", "nhwc", "nchw"});
        options.layout = layout == "nhw"    ? ArrayLayout::nhw
                         : layout == "nhwc" ? ArrayLayout::nhwc
                                            : ArrayLayout::nchw;
    }
    options.prepared = section.get_or<bool>("prepared", false);
    if (section.has("range")) {
        const auto range = section.require<std::vector<double>>("range");
        if (range.size() == 2) {
            options.range_low = range[0];
            options.range_high = range[1];
        } else if (!section.has_mistakes()) {
            section.complain("range",
                             fmt::format("range has {} numbers (2: the values of black and white)",
                                         range.size()));
        }
    }
    return options;
}

/// `node_copy` and its bound.
NodeCopy read_node_copy(ConfigSection& section)
{
    NodeCopy copy;
    // Only a run asks for the folder: ${TMPDIR} may be known in jobs alone.
    if (section.has("node_copy") && section.reads().may_copy_to_node())
        copy.folder = section.path("node_copy").value_or(fs::path{});
    copy.most_bytes = static_cast<std::uint64_t>(
        section.get_or<double>("node_copy_gib", 32.0, "GiB", in_range(0.001, 65536.0)) *
        (1U << 30U));
    return copy;
}

Source open_npy(ReadFile file, const ArrayOptions& options)
{
    const std::string display = file.path().string();
    ArrayHeader header = read_npy_header(file);
    return make_array_source(std::move(file), std::move(header), display, options);
}

Source open_hdf5(ReadFile file, const std::string& dataset, const ArrayOptions& options)
{
    const std::string path = file.path().string();
    ArrayHeader header = locate_hdf5_dataset(file, dataset);
    return make_array_source(std::move(file), std::move(header), path + ":" + dataset, options);
}

Source open_hdf5_path(const std::string& text, const ArrayOptions& options, const NodeCopy& copy)
{
    std::string file;
    std::string dataset;
    if (!split_hdf5_path(text, file, dataset))
        throw Error(Error::Kind::data, fmt::format("'{}' names no dataset", text),
                    "write file and dataset: hdf5 = \"images.h5:/images\"");
    return open_hdf5(open_for_node(file, copy), dataset, options);
}

Source make_folder(ConfigSection& section, std::uint64_t, std::uint32_t)
{
    const fs::path path = section.require_existing_path("folder");
    const bool recursive = section.get_or<bool>("recursive", false);
    if (section.has_mistakes()) return nullptr;
    return make_image_source(collect_folder(path, recursive, section.reads()));
}

Source make_list(ConfigSection& section, std::uint64_t, std::uint32_t)
{
    const fs::path path = section.require_existing_path("list");
    return section.has_mistakes() ? nullptr
                                  : make_image_source(collect_list(path, section.reads()));
}

Source make_zip(ConfigSection& section, std::uint64_t, std::uint32_t)
{
    const fs::path path = section.require_existing_path("zip");
    const NodeCopy copy = read_node_copy(section);
    return section.has_mistakes() ? nullptr
                                  : make_image_source(collect_zip(open_for_node(path, copy)));
}

Source make_npy(ConfigSection& section, std::uint64_t, std::uint32_t)
{
    const fs::path path = section.require_existing_path("npy");
    const ArrayOptions options = read_array_options(section);
    const NodeCopy copy = read_node_copy(section);
    return section.has_mistakes() ? nullptr : open_npy(open_for_node(path, copy), options);
}

Source make_hdf5(ConfigSection& section, std::uint64_t, std::uint32_t)
{
    const auto path = section.path("hdf5");
    const ArrayOptions options = read_array_options(section);
    const NodeCopy copy = read_node_copy(section);
    if (section.has_mistakes() || !path) return nullptr;
    return open_hdf5_path(path->string(), options, copy);
}

constexpr SyntheticKind file_kinds[] = {
    {"folder", make_folder}, {"list", make_list}, {"zip", make_zip},
    {"npy", make_npy},       {"hdf5", make_hdf5},
};

std::string known_keys()
{
    std::string text;
    for (const StimulusKind& kind : stimulus_kinds()) text += (text.empty() ? "" : ", ") + kind.key;
    return text;
}

/// The one key that says what the set is; empty after a complaint.
std::string kind_of(ConfigSection& section)
{
    std::string found;
    for (const StimulusKind& kind : stimulus_kinds()) {
        if (!section.has(kind.key)) continue;
        if (!found.empty()) {
            section.complain(kind.key,
                             fmt::format("a set of stimuli is one thing: '{}' and '{}' stand "
                                         "together",
                                         found, kind.key),
                             "write a [[stimuli]] table for each");
            return {};
        }
        found = kind.key;
    }
    if (!found.empty()) return found;
    std::string hint = "one of " + known_keys();
    for (const std::string& key : section.keys()) {
        std::vector<std::string> known;
        for (const StimulusKind& kind : stimulus_kinds()) known.push_back(kind.key);
        if (const auto near = nearest_word(key, known)) {
            hint = fmt::format("did you mean '{}'?", *near);
            section.complain(key, fmt::format("'{}' is no kind of stimuli", key), hint);
            return {};
        }
    }
    section.complain({}, fmt::format("{} does not say what the stimuli are", section.name()), hint);
    return {};
}

Source make_whole(ConfigSection& section, const std::string& kind, std::uint64_t seed,
                  std::uint32_t set)
{
    for (const SyntheticKind& known : file_kinds)
        if (known.key == kind) return known.make(section, seed, set);
    for (const SyntheticKind& known : synthetic_kinds) {
        if (known.key != kind) continue;
        ConfigSection child = section.child(kind);
        return known.make(child, seed, set);
    }
    return nullptr;
}

/// The part that `first` and `count` name, with labels.
Source cut_and_label(ConfigSection& section, Source whole, std::uint32_t set)
{
    constexpr std::int64_t most = std::int64_t{1} << 48U;
    SourceView view;
    view.set = set;
    view.first = static_cast<std::uint64_t>(
        section.get_or<std::int64_t>("first", 0, {}, in_range<std::int64_t>(0, most)));
    const std::uint64_t total = whole == nullptr ? endless : whole->count();
    const bool must_count = whole != nullptr && total == endless;
    const std::int64_t wanted =
        must_count ? section.require<std::int64_t>("count", {}, in_range<std::int64_t>(1, most))
                   : section.get_or<std::int64_t>("count", 0, {}, in_range<std::int64_t>(1, most));
    if (section.has("labels")) view.labels = section.require_existing_path("labels");
    if (whole == nullptr || section.has_mistakes()) return nullptr;
    view.count = section.has("count") ? static_cast<std::uint64_t>(wanted)
                                      : total - std::min(view.first, total);
    if (view.first >= total || view.count > total - view.first) {
        section.complain(section.has("count") ? "count" : "first",
                         fmt::format("first = {} and count = {} reach beyond the {} stimuli ({})",
                                     view.first, view.count, total, whole->summary()));
        return nullptr;
    }
    return make_source_view(std::move(whole), view, section.reads());
}

}  // namespace

std::unique_ptr<StimulusSource> make_stimulus_source(ConfigSection& section, std::uint64_t seed,
                                                     std::uint32_t set)
{
    const std::string kind = kind_of(section);
    std::unique_ptr<StimulusSource> source;
    try {
        if (!kind.empty()) source = make_whole(section, kind, seed, set);
    } catch (const Error& error) {
        section.complain(kind, error.what());
    }
    try {
        source = cut_and_label(section, std::move(source), set);
    } catch (const Error& error) {
        section.complain("labels", error.what());
        source = nullptr;
    }
    if (!kind.empty()) section.reject_unknown_keys();
    return section.has_mistakes() ? nullptr : std::move(source);
}

std::unique_ptr<StimulusSource> open_stimuli(const std::filesystem::path& path, SharedReads& reads)
{
    std::string file;
    std::string dataset;
    if (split_hdf5_path(path.string(), file, dataset))
        return open_hdf5(ReadFile(file), dataset, {});
    if (fs::is_directory(path)) return make_image_source(collect_folder(path, false, reads));
    TWINSCREEN_REQUIRE(fs::exists(path), data, "{} does not exist", path.string());
    const std::string extension = path.extension().string();
    if (extension == ".zip") return make_image_source(collect_zip(ReadFile(path)));
    if (extension == ".npy") return open_npy(ReadFile(path), {});
    if (has_image_extension(path.string())) return make_image_source(collect_file(path));
    throw Error(
        Error::Kind::data,
        fmt::format("{} is none of the things that hold stimuli (by its name)", path.string()),
        "give a folder, a .zip, a .npy, FILE.h5:/DATASET, a .png or a .jpg");
}

const std::vector<StimulusKind>& stimulus_kinds()
{
    static const std::vector<StimulusKind> kinds{
        {"folder", "PNG and JPEG files of a folder, by name (recursive = true: and below)"},
        {"list", "a text file with one image path a line"},
        {"zip", "PNG and JPEG files inside a zip archive, by name"},
        {"npy", "a numpy array of pictures (layout, range, prepared)"},
        {"hdf5", "an uncompressed HDF5 dataset, \"file.h5:/dataset\" (layout, range, prepared)"},
        {"gratings", "orientation x spatial_frequency x phase x contrast x position x size"},
        {"gabors",
         "orientation x spatial_frequency x phase x contrast x position x sigma x aspect"},
        {"plaids",
         "two gratings: orientation x angle x spatial_frequency x phase x contrast x position"},
        {"annuli", "rings and disks: inner_radius x outer_radius x contrast x position"},
        {"sparse_noise", "light and dark squares at random places (squares, size, polarity)"},
        {"white_noise", "independent checks, gaussian or binary (size, contrast)"},
        {"pink_noise", "Gaussian field with amplitude 1 / f^alpha (alpha, contrast)"},
        {"dead_leaves", "overlapping disks, radii r^-3 (smallest_radius, largest_radius)"},
        {"crops", "random crops of the photographs of a folder or zip"},
    };
    return kinds;
}

}  // namespace twinscreen
