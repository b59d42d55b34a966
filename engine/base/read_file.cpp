#include "engine/base/read_file.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "engine/base/error.hpp"
#include "engine/base/shared_reads.hpp"

namespace twinscreen {

ReadFile::ReadFile(const std::filesystem::path& path, Links links) : path_(path)
{
    // Without O_NONBLOCK, opening a named pipe would wait for ever.
    const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
    descriptor_ = ::open(path.c_str(), links == Links::refuse ? flags | O_NOFOLLOW : flags);
    TWINSCREEN_REQUIRE(descriptor_ >= 0 || links == Links::follow || errno != ELOOP, data,
                       "{} is a symbolic link (a bundle holds its own files: who may change the "
                       "target of a link could change the twin). Put a copy of the file there",
                       path.string());
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
      size_(other.size_),
      kept_(std::move(other.kept_))
{
}

ReadFile ReadFile::standing_for(std::filesystem::path original, std::shared_ptr<const void> kept) &&
{
    ReadFile result = std::move(*this);
    result.path_ = std::move(original);
    result.kept_ = std::move(kept);
    return result;
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

std::filesystem::path ReadFile::same_file() const
{
    return fmt::format("/proc/self/fd/{}", descriptor_);
}

std::string read_text(const ReadFile& file, std::uint64_t most)
{
    return std::string(read_whole(file, most).text());
}

}  // namespace twinscreen
