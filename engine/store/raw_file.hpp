#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace twinscreen {

/// Bytes of a file at known offsets, beside the HDF5 library. Reads are independent of each other
/// and of any thread.
class RawFile {
public:
    enum class Access { read, read_write, create };  ///< create: a new file, never through a link

    /// Throws Error(store) that names the file and the system's reason.
    RawFile(std::filesystem::path file, Access access);
    ~RawFile();
    RawFile(const RawFile&) = delete;
    RawFile& operator=(const RawFile&) = delete;

    const std::filesystem::path& path() const noexcept { return path_; }
    std::uint64_t size() const;
    /// Throws Error(store) where its path no longer leads to this file: what is written is lost.
    void require_still_there() const;
    /// Fills `bytes` from `offset`; throws Error(store) when the file ends before.
    void read(std::uint64_t offset, std::span<std::byte> bytes) const;
    /// Throws Error(store), with its own sentence for a full disk.
    void write(std::uint64_t offset, std::span<const std::byte> bytes) const;
    /// Until everything that this machine wrote to the file is on the disk.
    void flush() const;
    /// Asks the system to bring what was written to the disk, and does not wait; a later `flush`
    /// has less to wait for, and tells of errors.
    void start_flush() const noexcept;
    /// XXH3-64 of a range, read piece by piece.
    std::uint64_t checksum(std::uint64_t offset, std::uint64_t bytes) const;

private:
    std::filesystem::path path_;
    int descriptor_ = -1;
};

/// Until the entries (names) of a folder are on the disk.
void flush_folder(const std::filesystem::path& folder);

}  // namespace twinscreen
