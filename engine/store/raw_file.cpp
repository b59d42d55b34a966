#include "engine/store/raw_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <xxhash.h>

#include "engine/base/error.hpp"

namespace twinscreen {

namespace {

[[noreturn]] void fail(const std::filesystem::path& file, const char* doing, int reason)
{
    throw Error(Error::Kind::store,
                fmt::format("could not {} {} ({})", doing, file.string(), std::strerror(reason)));
}

/// Bytes that an ordinary user can still write beside this file.
std::string free_room(const std::filesystem::path& file)
{
    struct statvfs about {};
    if (statvfs(file.c_str(), &about) != 0) return "an unknown number of";
    return fmt::format("{}", static_cast<std::uint64_t>(about.f_bavail) * about.f_frsize);
}

[[noreturn]] void fail_to_write(const std::filesystem::path& file, std::size_t wanted, int reason)
{
    const std::string hint = "Make room and start the same command again: sealed shards are kept.";
    if (reason == ENOSPC || reason == EDQUOT)
        throw Error(
            Error::Kind::store,
            fmt::format("no room left for {} ({} bytes wanted, {} bytes free{})", file.string(),
                        wanted, free_room(file), reason == EDQUOT ? ", quota exceeded" : ""),
            hint);
    if (reason == EFBIG)
        throw Error(Error::Kind::store,
                    fmt::format("no room left for {} ({} bytes wanted, the limit on the size of "
                                "a file is reached)",
                                file.string(), wanted),
                    hint);
    fail(file, "write to", reason);
}

int flags_of(RawFile::Access access)
{
    switch (access) {
        case RawFile::Access::read: return O_RDONLY;
        case RawFile::Access::read_write: return O_RDWR;
        case RawFile::Access::create: return O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW;
    }
    return O_RDONLY;
}

}  // namespace

RawFile::RawFile(std::filesystem::path file, Access access) : path_(std::move(file))
{
    // Without O_NONBLOCK, opening a named pipe would wait for ever.
    descriptor_ = open(path_.c_str(), flags_of(access) | O_CLOEXEC | O_NONBLOCK, 0664);
    if (descriptor_ < 0) fail(path_, access == Access::create ? "create" : "open", errno);
    struct stat about {};
    if (fstat(descriptor_, &about) == 0 && S_ISREG(about.st_mode)) return;
    ::close(descriptor_);
    throw Error(Error::Kind::store, fmt::format("{} is not an ordinary file", path_.string()));
}

RawFile::~RawFile() { ::close(descriptor_); }

std::uint64_t RawFile::size() const
{
    struct stat about {};
    if (fstat(descriptor_, &about) != 0) fail(path_, "examine", errno);
    return static_cast<std::uint64_t>(about.st_size);
}

void RawFile::require_still_there() const
{
    struct stat ours {};
    struct stat named {};
    const bool is_there = fstat(descriptor_, &ours) == 0 && stat(path_.c_str(), &named) == 0 &&
                          ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
    TWINSCREEN_REQUIRE(is_there, store,
                       "{} was deleted, moved or replaced while the job was running: what was "
                       "computed since then has no place. Start the same command again",
                       path_.string());
}

void RawFile::read(std::uint64_t offset, std::span<std::byte> bytes) const
{
    while (!bytes.empty()) {
        const ssize_t got =
            pread(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) fail(path_, "read", errno);
        TWINSCREEN_REQUIRE(got > 0, store, "{} is truncated ({} bytes are missing at byte {})",
                           path_.string(), bytes.size(), offset);
        bytes = bytes.subspan(static_cast<std::size_t>(got));
        offset += static_cast<std::uint64_t>(got);
    }
}

void RawFile::write(std::uint64_t offset, std::span<const std::byte> bytes) const
{
    while (!bytes.empty()) {
        const ssize_t put =
            pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) fail_to_write(path_, bytes.size(), errno);
        bytes = bytes.subspan(static_cast<std::size_t>(put));
        offset += static_cast<std::uint64_t>(put);
    }
}

void RawFile::flush() const
{
    // Delayed allocation: a full disk may show up only here.
    if (fsync(descriptor_) == 0) return;
    if (errno == ENOSPC || errno == EDQUOT) fail_to_write(path_, 0, errno);
    fail(path_, "flush", errno);
}

void RawFile::start_flush() const noexcept
{
    sync_file_range(descriptor_, 0, 0, SYNC_FILE_RANGE_WRITE);  // 0, 0: the whole file
}

std::uint64_t RawFile::checksum(std::uint64_t offset, std::uint64_t bytes) const
{
    constexpr std::uint64_t piece_bytes = std::uint64_t{4} << 20;
    struct Free {
        void operator()(XXH3_state_t* state) const noexcept { XXH3_freeState(state); }
    };
    const std::unique_ptr<XXH3_state_t, Free> state(XXH3_createState());
    XXH3_64bits_reset(state.get());
    std::vector<std::byte> buffer(static_cast<std::size_t>(std::min(bytes, piece_bytes)));
    while (bytes > 0) {
        const std::span piece(buffer.data(),
                              static_cast<std::size_t>(std::min(bytes, piece_bytes)));
        read(offset, piece);
        XXH3_64bits_update(state.get(), piece.data(), piece.size());
        offset += piece.size();
        bytes -= piece.size();
    }
    return XXH3_64bits_digest(state.get());
}

void flush_folder(const std::filesystem::path& folder)
{
    const std::filesystem::path named = folder.empty() ? "." : folder;
    const int descriptor = open(named.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) fail(named, "open", errno);
    const int failed = fsync(descriptor);
    const int reason = errno;
    ::close(descriptor);
    // Some network file systems do not flush folders; then there is nothing to wait for.
    if (failed != 0 && reason != EINVAL && reason != ENOTSUP) fail(named, "flush", reason);
}

}  // namespace twinscreen
