#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "engine/base/shared_reads.hpp"
#include "engine/stimulus/source.hpp"

namespace twinscreen {

/// Part of a source, with the columns of a label table beside its own.
struct SourceView {
    std::uint64_t first = 0;
    std::uint64_t count = 0;
    std::uint32_t set = 0;         ///< number of the set, for messages
    std::filesystem::path labels;  ///< empty: none
};

/// Rows of the label table belong to items by their column "file" or "name" where it has one
/// (the image's path or last path component), else row by row, counted before the cut to
/// first ... first + count - 1. Throws Error(data).
std::unique_ptr<StimulusSource> make_source_view(std::unique_ptr<StimulusSource> whole,
                                                 const SourceView& view, SharedReads& reads);

}  // namespace twinscreen
