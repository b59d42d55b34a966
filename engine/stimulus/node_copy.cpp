#include "engine/stimulus/node_copy.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <span>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "engine/base/digest.hpp"
#include "engine/base/error.hpp"
#include "engine/base/log.hpp"

namespace twinscreen {

namespace {

namespace fs = std::filesystem;

/// Of the free space; the rest is for others on the node.
constexpr double largest_share = 0.5;

/// Held by one process of the node at a time.
class NodeLock {
public:
    explicit NodeLock(const fs::path& file)
        : descriptor_(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600))
    {
        TWINSCREEN_REQUIRE(descriptor_ >= 0, store, "cannot write {} ({})", file.string(),
                           std::strerror(errno));
        while (::flock(descriptor_, LOCK_EX) != 0)
            if (errno != EINTR) {
                ::close(descriptor_);
                throw Error(Error::Kind::store, fmt::format("cannot lock {} ({})", file.string(),
                                                            std::strerror(errno)));
            }
    }
    ~NodeLock() { ::close(descriptor_); }
    NodeLock(const NodeLock&) = delete;
    NodeLock& operator=(const NodeLock&) = delete;

private:
    int descriptor_;
};

/// Lives as long as a reader of the copy; who has it open reads on after it is removed.
class RemovedAtEnd {
public:
    explicit RemovedAtEnd(fs::path file) : file_(std::move(file)) {}
    ~RemovedAtEnd()
    {
        std::error_code ignored;
        fs::remove(file_, ignored);
    }
    RemovedAtEnd(const RemovedAtEnd&) = delete;
    RemovedAtEnd& operator=(const RemovedAtEnd&) = delete;

private:
    fs::path file_;
};

/// The same for all processes of the user that mean the same state of the same file.
std::string name_of_copy(const fs::path& file, const ReadFile& opened)
{
    Digest digest;
    digest.add(fs::absolute(file).lexically_normal().string()).add(opened.size());
    digest.add(static_cast<std::uint64_t>(fs::last_write_time(file).time_since_epoch().count()));
    return fmt::format("twinscreen-{}-{}", ::getuid(), digest.hex());
}

/// A new file that is gone unless it is renamed.
class UnfinishedFile {
public:
    explicit UnfinishedFile(fs::path file) : file_(std::move(file))
    {
        // What a killed job left: whoever holds the lock is the only one who writes.
        ::unlink(file_.c_str());
        descriptor_ =
            ::open(file_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        require(descriptor_ >= 0);
    }
    ~UnfinishedFile()
    {
        if (descriptor_ < 0) return;
        ::close(descriptor_);
        ::unlink(file_.c_str());
    }
    UnfinishedFile(const UnfinishedFile&) = delete;
    UnfinishedFile& operator=(const UnfinishedFile&) = delete;

    void write(std::span<const std::byte> bytes)
    {
        while (!bytes.empty()) {
            const ssize_t put = ::write(descriptor_, bytes.data(), bytes.size());
            if (put < 0 && errno == EINTR) continue;
            require(put > 0);
            bytes = bytes.subspan(static_cast<std::size_t>(put));
        }
    }
    void finish_as(const fs::path& name)
    {
        require(::fsync(descriptor_) == 0 && ::rename(file_.c_str(), name.c_str()) == 0);
        ::close(std::exchange(descriptor_, -1));
    }

private:
    void require(bool done) const
    {
        TWINSCREEN_REQUIRE(done, store, "cannot write {} ({})", file_.string(),
                           std::strerror(errno));
    }

    fs::path file_;
    int descriptor_ = -1;
};

/// In a folder that all users write to, somebody else's file may bear the name.
void require_mine(const fs::path& copy)
{
    struct stat facts {};
    TWINSCREEN_REQUIRE(::lstat(copy.c_str(), &facts) == 0 && facts.st_uid == ::geteuid(), store,
                       "{} belongs to somebody else", copy.string());
}

void make_copy(const fs::path& file, const ReadFile& opened, const fs::path& copy)
{
    const double free = static_cast<double>(fs::space(copy.parent_path()).available);
    TWINSCREEN_REQUIRE(static_cast<double>(opened.size()) <= largest_share * free, store,
                       "{} has {:.1f} GiB, and {} only {:.1f} GiB free, half of it for others",
                       file.string(), static_cast<double>(opened.size()) / (1U << 30U),
                       copy.parent_path().string(), free / (1U << 30U));
    spdlog::info("copying {} ({:.2f} GiB) to {} of this node", file.string(),
                 static_cast<double>(opened.size()) / (1U << 30U), copy.parent_path().string());
    constexpr std::uint64_t piece_bytes = std::uint64_t{16} << 20U;
    UnfinishedFile unfinished(copy.string() + ".unfinished");
    std::vector<std::byte> piece;
    for (std::uint64_t at = 0; at < opened.size(); at += piece.size()) {
        piece.resize(static_cast<std::size_t>(std::min(piece_bytes, opened.size() - at)));
        opened.read(at, piece);
        unfinished.write(piece);
    }
    unfinished.finish_as(copy);
}

ReadFile copy_of(const fs::path& file, const ReadFile& opened, const NodeCopy& wanted)
{
    fs::create_directories(wanted.folder);
    const fs::path copy = wanted.folder / name_of_copy(file, opened);
    const NodeLock lock(copy.string() + ".lock");
    std::error_code ignored;
    if (fs::file_size(copy, ignored) != opened.size() || ignored) make_copy(file, opened, copy);
    require_mine(copy);
    return ReadFile(copy, Links::refuse)
        .standing_for(file, std::make_shared<const RemovedAtEnd>(copy));
}

}  // namespace

ReadFile open_for_node(const fs::path& file, const NodeCopy& wanted)
{
    ReadFile opened(file);
    if (wanted.folder.empty()) return opened;
    if (opened.size() > wanted.most_bytes) {
        spdlog::warn("{} is read where it is: {} bytes are more than node_copy_gib allows",
                     file.string(), opened.size());
        return opened;
    }
    try {
        return copy_of(file, opened, wanted);
    } catch (const std::exception& problem) {
        spdlog::warn("{} is read where it is: no copy on this node ({})", file.string(),
                     problem.what());
        return opened;
    }
}

}  // namespace twinscreen
