#include "engine/base/child_process.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <fstream>
#include <new>
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
constexpr rlim_t headroom_gib = 4;
/// ... and may make a child say anything; what a sound file needs is far below.
constexpr std::size_t longest_answer = std::size_t{64} << 20;

void limit_memory()
{
    std::ifstream statistics("/proc/self/statm");
    rlim_t pages = 0;
    if (!(statistics >> pages)) return;
    const rlim_t bytes = pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + (headroom_gib << 30);
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

std::string failed(Error::Kind kind, const std::string& text)
{
    return std::string{answer_error, static_cast<char>(kind)} + text;
}

std::string answer_of(const std::string& subject, const std::function<std::string()>& work,
                      Error::Kind damage)
{
    try {
        return answer_good + work();
    } catch (const Error& error) {
        return failed(error.kind(), error.what());
    } catch (const std::bad_alloc&) {
        return failed(damage, fmt::format("{} is damaged (reading it needs more than {} GiB of "
                                          "memory)",
                                          subject, headroom_gib));
    } catch (const std::exception& error) {
        return failed(damage, fmt::format("{} cannot be read ({})", subject, error.what()));
    }
}

[[noreturn]] void be_the_child(int descriptor, const std::string& subject,
                               const std::function<std::string()>& work, Error::Kind damage)
{
    // A child must not outlive its parent: it would keep the parent's folder lock.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (const int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGTERM, SIGINT, SIGALRM})
        std::signal(signal, SIG_DFL);
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    limit_memory();
    write_all(descriptor, answer_of(subject, work, damage));
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

/// Everything the child writes; false if `end` came first, or the child does not stop talking.
bool read_all(int descriptor, Clock::time_point end, std::string& bytes)
{
    std::array<char, 65536> piece;
    while (bytes.size() <= longest_answer) {
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
    return false;
}

/// Why a child did not answer; nothing if it did.
std::string silence_reason(bool finished, const std::string& bytes, int status,
                           std::optional<std::chrono::milliseconds> limit)
{
    if (bytes.size() > longest_answer) return "it describes itself without end";
    if (!finished)
        return fmt::format("reading it took more than {} s and was given up",
                           std::chrono::duration<double>(*limit).count());
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        return "reading it came to a standstill and was given up";
    if (WIFSIGNALED(status))
        return fmt::format("reading it crashed the library: {}", strsignal(WTERMSIG(status)));
    return bytes.empty() ? "reading it crashed the library: no answer" : "";
}

}  // namespace

std::string run_in_child(const std::string& subject, std::optional<std::chrono::milliseconds> limit,
                         const std::function<std::string()>& work, Error::Kind damage)
{
    std::array<int, 2> ends{};
    TWINSCREEN_REQUIRE(pipe2(ends.data(), O_CLOEXEC) == 0, internal, "cannot make a pipe ({})",
                       std::strerror(errno));
    const pid_t child = fork();
    if (child == 0) be_the_child(ends[1], subject, work, damage);
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
    // Its end is the fault of the file that it read.
    const std::string silent = silence_reason(finished, bytes, status, limit);
    if (!silent.empty()) throw Error(damage, fmt::format("{} is damaged ({})", subject, silent));
    if (bytes.front() == answer_good) return bytes.substr(1);
    TWINSCREEN_REQUIRE(bytes.size() >= 2, internal, "{} could not be examined", subject);
    throw Error(static_cast<Error::Kind>(bytes[1]), bytes.substr(2));
}

}  // namespace twinscreen
