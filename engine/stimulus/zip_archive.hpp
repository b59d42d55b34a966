#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

struct zip;

namespace twinscreen {

/// The images inside a zip archive, sorted bytewise by name.
class ZipArchive {
public:
    struct Entry {
        std::string name;
        std::uint64_t bytes = 0;     ///< unpacked, as declared
        std::uint64_t index = 0;     ///< within the archive
        std::uint32_t checksum = 0;  ///< CRC-32 of the unpacked bytes, from the central directory
    };

    /// Throws Error(data) if the file is no zip archive.
    explicit ZipArchive(const std::filesystem::path& path);
    ~ZipArchive();
    ZipArchive(const ZipArchive&) = delete;
    ZipArchive& operator=(const ZipArchive&) = delete;

    const std::vector<Entry>& images() const noexcept { return images_; }
    /// Unpacks one entry and checks its checksum. Independent, thread-safe: each thread that reads
    /// at the same time has a handle of its own. Throws Error(data).
    void read(const Entry& entry, std::vector<std::byte>& bytes) const;

private:
    struct Close {
        void operator()(zip* handle) const noexcept;
    };
    using Handle = std::unique_ptr<zip, Close>;
    Handle open() const;
    Handle borrow() const;
    void give_back(Handle handle) const;

    std::filesystem::path path_;
    std::vector<Entry> images_;
    mutable std::mutex mutex_;
    mutable std::vector<Handle> idle_;
};

}  // namespace twinscreen
