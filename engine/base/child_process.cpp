#include "engine/base/child_process.hpp"

#include <algorithm>
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

using Clock = std::chrono::steady_clock;
constexpr Clock::time_point without_end = Clock::time_point::max();

/// Time until `end` for poll [ms]; -1, which waits for ever, without an end.
int patience_ms(Clock::time_point end)
{
    if (end == without_end) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now()).count();
    return static_cast<int>(std::max<std::int64_t>(left, 0));
}

/// Everything the child writes; false if `end` came first.
bool read_all(int descriptor, Clock::time_point end, std::string& bytes)
{
    std::array<char, 65536> piece;
    while (true) {
        const int patience = patience_ms(end);
        if (patience == 0) return false;
        pollfd wanted{descriptor, POLLIN, 0};
        const int ready = poll(&wanted, 1, patience);
        if (ready <= 0) continue;
        const ssize_t got = read(descriptor, piece.data(), piece.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return true;
        bytes.append(piece.data(), static_cast<std::size_t>(got));
    }
}

/// What a child that did not answer gives: its end is the fault of the file that it read.
void require_answer(const std::string& subject, bool finished,
                    std::optional<std::chrono::milliseconds> limit, int status, bool is_empty,
                    Error::Kind damage)
{
    if (!finished)
        throw Error(damage, fmt::format("{} is damaged (reading it took more than {} s and was "
                                        "given up)",
                                        subject, std::chrono::duration<double>(*limit).count()));
    if (WIFSIGNALED(status) || is_empty)
        throw Error(damage,
                    fmt::format("{} is damaged (reading it crashed the library: {})", subject,
                                WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "no answer"));
}

}  // namespace

std::string run_in_child(const std::string& subject, std::optional<std::chrono::milliseconds> limit,
                         const std::function<std::string()>& work, Error::Kind damage)
{
    std::array<int, 2> ends{};
    TWINSCREEN_REQUIRE(pipe2(ends.data(), O_CLOEXEC) == 0, internal, "cannot make a pipe ({})",
                       std::strerror(errno));
    const pid_t child = fork();
    if (child == 0) be_the_child(ends[1], work);
    const int fork_error = errno;
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        throw Error(Error::Kind::internal, fmt::format("cannot start a process to examine {} ({})",
                                                       subject, std::strerror(fork_error)));
    }
    std::string bytes;
    const Clock::time_point end = limit ? Clock::now() + *limit : without_end;
    const bool finished = read_all(ends[0], end, bytes);
    close(ends[0]);
    if (!finished) kill(child, SIGKILL);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    require_answer(subject, finished, limit, status, bytes.empty(), damage);
    if (bytes.front() == answer_good) return bytes.substr(1);
    TWINSCREEN_REQUIRE(bytes.size() >= 2, internal, "{} could not be examined", subject);
    throw Error(static_cast<Error::Kind>(bytes[1]), bytes.substr(2));
}

}  // namespace twinscreen
