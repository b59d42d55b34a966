#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace twinscreen {

/// A file that is read at offsets, from any thread.
class ReadFile {
public:
    /// Throws Error(data) if the path is no readable, ordinary file.
    explicit ReadFile(const std::filesystem::path& path);
    ~ReadFile();
    ReadFile(ReadFile&& other) noexcept;
    ReadFile& operator=(ReadFile&&) = delete;
    ReadFile(const ReadFile&) = delete;
    ReadFile& operator=(const ReadFile&) = delete;

    const std::filesystem::path& path() const noexcept { return path_; }
    std::uint64_t size() const noexcept { return size_; }
    /// Fills `bytes` from `offset`. Independent, thread-safe. Throws Error(data) if the file ends
    /// before.
    void read(std::uint64_t offset, std::span<std::byte> bytes) const;

private:
    std::filesystem::path path_;
    int descriptor_ = -1;
    std::uint64_t size_ = 0;
};

/// All bytes of a file of at most 1 GiB, into `bytes`.
void read_whole(const std::filesystem::path& path, std::vector<std::byte>& bytes);

/// Most bytes that one encoded image may have.
inline constexpr std::uint64_t most_image_bytes = std::uint64_t{1} << 30U;

}  // namespace twinscreen
