#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

namespace twinscreen {

/// A range of a file as read-only memory. The system reads what is looked at, keeps it once for all
/// processes of a machine, and drops it when it needs the room.
class MappedBytes {
public:
    /// Throws Error(store) that names the file; also where it is shorter than offset + bytes.
    MappedBytes(const std::filesystem::path& file, std::uint64_t offset, std::size_t bytes);
    ~MappedBytes();
    MappedBytes(MappedBytes&& other) noexcept;
    MappedBytes& operator=(MappedBytes&&) = delete;
    MappedBytes(const MappedBytes&) = delete;
    MappedBytes& operator=(const MappedBytes&) = delete;

    std::span<const std::byte> bytes() const noexcept { return bytes_; }

private:
    void* pages_ = nullptr;
    std::size_t mapped_ = 0;
    std::span<const std::byte> bytes_;
};

}  // namespace twinscreen
