#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace twinscreen::fuzz {

/// A folder of its own under ${TMPDIR}, removed at the end, for readers that want real files.
class InputFolder {
public:
    InputFolder();
    ~InputFolder();
    InputFolder(const InputFolder&) = delete;
    InputFolder& operator=(const InputFolder&) = delete;
    const std::filesystem::path& path() const noexcept { return path_; }
    /// Writes one file and returns its path. Replaces a file of the same name.
    std::filesystem::path write(const std::string& name, std::span<const std::byte> bytes) const;

private:
    std::filesystem::path path_;
};

/// tests/fuzz/workplace: a folder with a twin bundle, images, an array and labels.
std::filesystem::path workplace();

inline std::span<const std::byte> input(const std::uint8_t* data, std::size_t size)
{
    return std::as_bytes(std::span(data, size));
}

}  // namespace twinscreen::fuzz
