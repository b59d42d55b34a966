#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/config/section.hpp"
#include "engine/stimulus/source.hpp"

namespace twinscreen {

/// A source from one `[[stimuli]]` table. Mistakes are complained of in the section; then the
/// result is null. `seed` is the campaign's, `set` the number of this table (part of the addresses
/// of random draws, so two equal noise sets of one campaign differ).
std::unique_ptr<StimulusSource> make_stimulus_source(ConfigSection& section, std::uint64_t seed,
                                                     std::uint32_t set);

/// One set after the other; adds the item columns "set" (number of the set) and, where columns
/// exist in some sets only, NaN or empty texts in the others.
std::unique_ptr<StimulusSource> concatenate(std::vector<std::unique_ptr<StimulusSource>> sets);

/// The same pictures without colour: what twins of animals or networks with and without colour can
/// be compared on. A network of three channels sees the grey picture in each.
std::unique_ptr<StimulusSource> in_grey(std::unique_ptr<StimulusSource> source);

/// The same pictures with 255 * sqrt(level / 255) in place of every level 0..255: 8-bit levels are
/// truncated, others keep their fraction. So are the synthetic images of the Natural Scenes Dataset
/// shown to models (Gifford, Jastrzebowska, Singer & Cichy 2024).
std::unique_ptr<StimulusSource> in_square_root(std::unique_ptr<StimulusSource> source);

/// Synthetic pictures that are drawn once, at the size of this canvas, and then shown to every twin
/// as a file would be: all twins see the same picture, whatever their own canvas.
std::unique_ptr<StimulusSource> on_canvas(std::unique_ptr<StimulusSource> source,
                                          const InputTransform& canvas);

/// The source of a campaign whose responses come from files: none, of identity "none".
std::unique_ptr<StimulusSource> no_stimuli();

/// A source from one path: folder, zip, .npy, .h5:/dataset or one image.
std::unique_ptr<StimulusSource> open_stimuli(const std::filesystem::path& path, SharedReads& reads);

/// The keys of `[[stimuli]]` with one line each, for `list` and `help`.
struct StimulusKind {
    std::string key;      ///< "folder", "zip", "gratings"
    std::string summary;  ///< "PNG and JPEG files of a folder, by name"
};
const std::vector<StimulusKind>& stimulus_kinds();

}  // namespace twinscreen
