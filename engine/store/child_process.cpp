#include "engine/store/child_process.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/error.hpp"

namespace twinscreen {

namespace {

constexpr char answer_good = 'G';
constexpr char answer_error = 'E';

/// A hostile file may ask for any amount of memory; the child gets 4 GiB beyond what it shares.
void limit_memory()
{
    constexpr rlim_t headroom = rlim_t{4} << 30;
    std::ifstream statistics("/proc/self/statm");
    rlim_t pages = 0;
    if (!(statistics >> pages)) return;
    const rlim_t bytes = pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + headroom;
    const rlimit memory{bytes, bytes};
    setrlimit(RLIMIT_AS, &memory);
}

void write_all(int descriptor, const std::string& bytes)
{
    for (std::size_t at = 0; at < bytes.size();) {
        const ssize_t put = write(descriptor, bytes.data() + at, bytes.size() - at);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return;
        at += static_cast<std::size_t>(put);
    }
}

std::string answer_of(const std::function<std::string()>& work)
{
    try {
        return answer_good + work();
    } catch (const Error& error) {
        return std::string{answer_error, static_cast<char>(error.kind())} + error.what();
    } catch (const std::exception& error) {
        return std::string{answer_error, static_cast<char>(Error::Kind::store)} + error.what();
    }
}

[[noreturn]] void be_the_child(int descriptor, const std::function<std::string()>& work)
{
    // A child must not outlive its parent: it would keep the parent's folder lock.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (const int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGTERM, SIGINT})
        std::signal(signal, SIG_DFL);
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    limit_memory();
    write_all(descriptor, answer_of(work));
    _exit(0);
}

/// Everything the child writes, or what was missing when the time was over.
bool read_all(int descriptor, std::chrono::steady_clock::time_point end, std::string& bytes)
{
    std::array<char, 65536> piece;
    while (true) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            end - std::chrono::steady_clock::now());
        if (left.count() <= 0) return false;
        pollfd wanted{descriptor, POLLIN, 0};
        const int ready = poll(&wanted, 1, static_cast<int>(left.count()));
        if (ready <= 0) continue;
        const ssize_t got = read(descriptor, piece.data(), piece.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return true;
        bytes.append(piece.data(), static_cast<std::size_t>(got));
    }
}

}  // namespace

std::string run_in_child(const std::string& subject, std::chrono::milliseconds limit,
                         const std::function<std::string()>& work)
{
    std::array<int, 2> ends{};
    TWINSCREEN_REQUIRE(pipe2(ends.data(), O_CLOEXEC) == 0, store, "cannot make a pipe ({})",
                       std::strerror(errno));
    const pid_t child = fork();
    if (child == 0) be_the_child(ends[1], work);
    const int fork_error = errno;
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        throw Error(Error::Kind::store, fmt::format("cannot start a process to examine {} ({})",
                                                    subject, std::strerror(fork_error)));
    }
    std::string bytes;
    const bool finished = read_all(ends[0], std::chrono::steady_clock::now() + limit, bytes);
    close(ends[0]);
    if (!finished) kill(child, SIGKILL);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    TWINSCREEN_REQUIRE(finished, store,
                       "{} is damaged (reading its layout took more than {} s and was given up)",
                       subject, std::chrono::duration<double>(limit).count());
    TWINSCREEN_REQUIRE(!WIFSIGNALED(status) && !bytes.empty(), store,
                       "{} is damaged (reading its layout crashed the HDF5 library: {})", subject,
                       WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "no answer");
    if (bytes.front() == answer_good) return bytes.substr(1);
    TWINSCREEN_REQUIRE(bytes.size() >= 2, store, "{} could not be examined", subject);
    throw Error(static_cast<Error::Kind>(bytes[1]), bytes.substr(2));
}

}  // namespace twinscreen
