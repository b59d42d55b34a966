#include "engine/store/folder_lock.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <string>
#include <sys/file.h>
#include <unistd.h>

#include "engine/base/error.hpp"
#include "engine/base/log.hpp"
#include "engine/comm/communicator.hpp"

namespace twinscreen {

namespace fs = std::filesystem;

namespace {

std::string now()
{
    const std::time_t seconds = std::time(nullptr);
    std::tm local{};
    localtime_r(&seconds, &local);
    std::array<char, 32> text{};
    std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &local);
    return text.data();
}

/// "host h, pid p, since ...", as the holder wrote it.
std::string holder(int descriptor)
{
    std::array<char, 512> text{};
    const ssize_t got = pread(descriptor, text.data(), text.size() - 1, 0);
    std::string line(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
    line = line.substr(0, line.find('\n'));
    return line.empty() ? "it has not said who it is" : line;
}

}  // namespace

FolderLock::FolderLock(const fs::path& folder)
{
    std::error_code failure;
    fs::create_directories(folder, failure);
    TWINSCREEN_REQUIRE(!failure, store, "cannot make the folder {} ({})", folder.string(),
                       failure.message());
    // Never through a link, which might lead to somebody's file: its text is replaced below.
    descriptor_ = open((folder / ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0664);
    if (descriptor_ < 0)
        throw Error(Error::Kind::store,
                    fmt::format("cannot write in {} ({})", folder.string(), std::strerror(errno)),
                    "Choose another output folder with --out.");
    if (flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
        const int reason = errno;
        const std::string who = holder(descriptor_);
        if (reason == EWOULDBLOCK) {
            close(descriptor_);
            throw Error(Error::Kind::store,
                        fmt::format("{} is in use by another job ({})", folder.string(), who),
                        "Wait for it, stop it, or choose another output folder with --out.");
        }
        spdlog::warn("{} is not locked (the file system says: {}); start no second job there",
                     folder.string(), std::strerror(reason));
        return;
    }
    const std::string line =
        fmt::format("host {}, pid {}, since {}\n", host_name(), getpid(), now());
    // The lock is what counts; who holds it is a courtesy to the reader of the message.
    if (ftruncate(descriptor_, 0) != 0 ||
        pwrite(descriptor_, line.data(), line.size(), 0) != static_cast<ssize_t>(line.size()))
        spdlog::warn("could not write into {} ({})", (folder / ".lock").string(),
                     std::strerror(errno));
}

FolderLock::~FolderLock() { close(descriptor_); }

}  // namespace twinscreen
