#include "engine/stimulus/read_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "engine/base/error.hpp"

namespace twinscreen {

ReadFile::ReadFile(const std::filesystem::path& path) : path_(path)
{
    // Without O_NONBLOCK, opening a named pipe would wait for ever.
    descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    TWINSCREEN_REQUIRE(descriptor_ >= 0, data, "cannot open {} ({}). Check the path and its rights",
                       path.string(), std::strerror(errno));
    struct stat facts {};
    const bool known = ::fstat(descriptor_, &facts) == 0;
    if (!known || !S_ISREG(facts.st_mode)) {
        ::close(descriptor_);
        throw Error(Error::Kind::data, fmt::format("{} is not an ordinary file", path.string()));
    }
    size_ = static_cast<std::uint64_t>(facts.st_size);
}

ReadFile::~ReadFile()
{
    if (descriptor_ >= 0) ::close(descriptor_);
}

ReadFile::ReadFile(ReadFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_)
{
}

void ReadFile::read(std::uint64_t offset, std::span<std::byte> bytes) const
{
    while (!bytes.empty()) {
        const ssize_t got =
            ::pread(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR) continue;
        TWINSCREEN_REQUIRE(got >= 0, data, "cannot read {} bytes at {} of {} ({})", bytes.size(),
                           offset, path_.string(), std::strerror(errno));
        TWINSCREEN_REQUIRE(got > 0, data,
                           "{} ends at byte {} ({} more were expected). The file is truncated: "
                           "copy it again",
                           path_.string(), offset, bytes.size());
        bytes = bytes.subspan(static_cast<std::size_t>(got));
        offset += static_cast<std::uint64_t>(got);
    }
}

void read_whole(const std::filesystem::path& path, std::vector<std::byte>& bytes)
{
    const ReadFile file(path);
    TWINSCREEN_REQUIRE(file.size() <= most_image_bytes, data,
                       "{} has {} bytes (at most {} are read as one image)", path.string(),
                       file.size(), most_image_bytes);
    bytes.resize(static_cast<std::size_t>(file.size()));
    file.read(0, bytes);
}

}  // namespace twinscreen
