// A library to preload: system calls on one file fail, as on a disk that is full, broken or has
// become read-only. Set by harness.failing_io in tests/integration.
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <dlfcn.h>

namespace {

std::string setting(const char* name)
{
    const char* value = std::getenv(name);
    return value != nullptr ? value : "";
}

struct Wanted {
    std::string call = setting("FAILING_IO_CALL");  // "write", "read" or "flush"
    std::string file = setting("FAILING_IO_FILE");  // part of the path
    long spared = std::strtol(setting("FAILING_IO_SPARED").c_str(), nullptr, 10);
    int reason = static_cast<int>(std::strtol(setting("FAILING_IO_REASON").c_str(), nullptr, 10));
    bool is_here = setting("FAILING_IO_RANK") == setting("OMPI_COMM_WORLD_RANK");
};

bool fails(const char* call, int descriptor)
{
    static const Wanted wanted;
    static std::atomic<long> calls{0};
    if (!wanted.is_here || wanted.call != call) return false;
    char path[4096];
    const std::string link = "/proc/self/fd/" + std::to_string(descriptor);
    const ssize_t length = readlink(link.c_str(), path, sizeof(path) - 1);
    if (length < 0) return false;
    path[length] = '\0';
    if (std::strstr(path, wanted.file.c_str()) == nullptr) return false;
    if (calls++ < wanted.spared) return false;
    errno = wanted.reason;
    return true;
}

template <class Function>
Function* real(const char* name)
{
    return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

ssize_t write(int file, const void* bytes, size_t count)
{
    return fails("write", file) ? -1 : real<decltype(write)>("write")(file, bytes, count);
}

ssize_t pwrite(int file, const void* bytes, size_t count, off_t at)
{
    return fails("write", file) ? -1 : real<decltype(pwrite)>("pwrite")(file, bytes, count, at);
}

ssize_t pwrite64(int file, const void* bytes, size_t count, off64_t at)
{
    return fails("write", file) ? -1 : real<decltype(pwrite64)>("pwrite64")(file, bytes, count, at);
}

ssize_t writev(int file, const iovec* pieces, int count)
{
    return fails("write", file) ? -1 : real<decltype(writev)>("writev")(file, pieces, count);
}

ssize_t pwritev(int file, const iovec* pieces, int count, off_t at)
{
    return fails("write", file) ? -1 : real<decltype(pwritev)>("pwritev")(file, pieces, count, at);
}

ssize_t read(int file, void* bytes, size_t count)
{
    return fails("read", file) ? -1 : real<decltype(read)>("read")(file, bytes, count);
}

ssize_t pread(int file, void* bytes, size_t count, off_t at)
{
    return fails("read", file) ? -1 : real<decltype(pread)>("pread")(file, bytes, count, at);
}

ssize_t pread64(int file, void* bytes, size_t count, off64_t at)
{
    return fails("read", file) ? -1 : real<decltype(pread64)>("pread64")(file, bytes, count, at);
}

int fsync(int file) { return fails("flush", file) ? -1 : real<decltype(fsync)>("fsync")(file); }

int fdatasync(int file)
{
    return fails("flush", file) ? -1 : real<decltype(fdatasync)>("fdatasync")(file);
}
}
