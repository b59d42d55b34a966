#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/read_file.hpp"

namespace twinscreen {

/// As much as there is memory for.
inline constexpr std::uint64_t any_size = std::numeric_limits<std::uint64_t>::max();

using SharedBytes = std::shared_ptr<const std::vector<std::byte>>;

std::string_view text_of(const SharedBytes& bytes);

/// A file that was read whole.
struct FileContent {
    std::filesystem::path path;
    SharedBytes bytes;

    std::string_view text() const { return text_of(bytes); }
};

/// All of a file of at most `most` bytes. Throws Error(data) before anything is read if it has
/// more, or more than there is memory for.
FileContent read_whole(const ReadFile& file, std::uint64_t most);

/// What the ranks of a job want to know of the file system before they run. One rank asks the disk
/// and keeps the answers; the others are given those and read nothing: a thousand ranks open a file
/// of weights once, and all compute with the same bytes. Paths have to be the same on all hosts.
///
/// Not thread-safe.
class SharedReads {
public:
    using Answers = std::map<std::string, SharedBytes>;

    /// From now on answers are kept; before, the disk is asked and its answer forgotten.
    void keep() noexcept { mode_ = Mode::keep; }
    /// From now on nothing is asked: a question that is not among the answers is an Error(data).
    void give(Answers answers);
    /// The files are going to be read in a run: stimuli may be copied to the node's own disk.
    void allow_node_copies() noexcept { may_copy_to_node_ = true; }
    bool may_copy_to_node() const noexcept { return may_copy_to_node_; }

    /// The content of a file. Throws as `ReadFile` and `read_whole` do, and where this host has a
    /// file of another size than the one that was read.
    FileContent file(const std::filesystem::path& path, std::uint64_t most,
                     Links links = Links::follow);
    /// What `look` finds out about the path; `question` says what that is.
    SharedBytes answer(const std::string& question, const std::filesystem::path& path,
                       const std::function<SharedBytes()>& look);
    const Answers& answers() const noexcept { return answers_; }

private:
    enum class Mode { ask, keep, given };
    Mode mode_ = Mode::ask;
    bool may_copy_to_node_ = false;
    Answers answers_;
};

}  // namespace twinscreen
