#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace twinscreen {

/// What to do when a file's own name is a symbolic link (links to its folders are always followed).
enum class Links { follow, refuse };

/// A file that is opened once and read at offsets, from any thread: whatever happens to its name
/// meanwhile, all bytes come from the same file.
class ReadFile {
public:
    /// Throws Error(data) if the path is no readable, ordinary file, or a link that is refused.
    explicit ReadFile(const std::filesystem::path& path, Links links = Links::follow);
    ~ReadFile();
    ReadFile(ReadFile&& other) noexcept;
    ReadFile& operator=(ReadFile&&) = delete;
    ReadFile(const ReadFile&) = delete;
    ReadFile& operator=(const ReadFile&) = delete;

    /// The same content under the name of another file, which it is a copy of; `kept` lives as long
    /// as the result.
    ReadFile standing_for(std::filesystem::path original, std::shared_ptr<const void> kept) &&;

    const std::filesystem::path& path() const noexcept { return path_; }
    std::uint64_t size() const noexcept { return size_; }
    /// For libraries that open files themselves: the same file, however its name has changed.
    std::filesystem::path same_file() const;
    /// Fills `bytes` from `offset`. Independent, thread-safe. Throws Error(data) if the file ends
    /// before.
    void read(std::uint64_t offset, std::span<std::byte> bytes) const;

private:
    std::filesystem::path path_;
    int descriptor_ = -1;
    std::uint64_t size_ = 0;
    std::shared_ptr<const void> kept_;
};

/// All of a file of at most `most` bytes. Throws Error(data) before anything is read if it has
/// more.
std::string read_text(const ReadFile& file, std::uint64_t most);

}  // namespace twinscreen
