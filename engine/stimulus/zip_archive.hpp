#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/base/read_file.hpp"

struct zip;

namespace twinscreen {

namespace detail {
/// Throws Error(data) for archives of too many entries.
void require_zip_entries(std::uint64_t count);
/// Throws Error(data) for a name that is too long, or a path that is not below the archive.
void require_inner_name(const std::string& name);
/// Throws Error(data) for an entry that cannot have the size it claims. Sizes in bytes.
void require_unpacked_size(std::uint64_t unpacked, std::uint64_t packed);
}  // namespace detail

/// The images inside a zip archive, sorted bytewise by name.
class ZipArchive {
public:
    struct Entry {
        std::string name;
        std::uint64_t bytes = 0;     ///< unpacked, as declared
        std::uint64_t index = 0;     ///< within the archive
        std::uint32_t checksum = 0;  ///< CRC-32 of the unpacked bytes, from the central directory
    };

    /// Throws Error(data) if the file is no zip archive, or beyond the limits of
    /// engine/stimulus/limits.hpp: entries, length of a name, unpacked size of an image.
    explicit ZipArchive(ReadFile file);
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
    void list_images(zip& handle);
    Handle borrow() const;
    void give_back(Handle handle) const;

    ReadFile file_;  // every handle opens this file, whatever gets its name later
    std::vector<Entry> images_;
    mutable std::mutex mutex_;
    mutable std::vector<Handle> idle_;
};

}  // namespace twinscreen
