#include "engine/stimulus/child_process.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/base/error.hpp"

namespace twinscreen {
namespace {

// First byte of a child's message.
constexpr char succeeded = '+';
constexpr char failed = '-';

[[noreturn]] void run_child(int out, const std::function<std::string()>& work)
{
    for (const int number : {SIGTERM, SIGINT, SIGUSR1, SIGALRM}) ::signal(number, SIG_DFL);
    std::string message;
    try {
        message = succeeded + work();
    } catch (const std::exception& error) {
        message = failed + std::string(error.what());
    }
    std::size_t done = 0;
    while (done < message.size()) {
        const ssize_t written = ::write(out, message.data() + done, message.size() - done);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) break;
        done += static_cast<std::size_t>(written);
    }
    // No destructors, no exit handlers: they belong to the parent.
    ::_exit(done == message.size() ? 0 : 1);
}

/// Reads to the end; false if the time was up before.
bool read_message(int in, std::optional<std::chrono::seconds> limit, std::string& message)
{
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + limit.value_or(std::chrono::seconds(0));
    std::array<char, 4096> buffer;
    while (true) {
        int patience_ms = -1;
        if (limit) {
            const auto left =
                std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
            patience_ms = static_cast<int>(std::max<std::int64_t>(left.count(), 0));
        }
        pollfd waiting{in, POLLIN, 0};
        const int ready = ::poll(&waiting, 1, patience_ms);
        if (ready < 0 && errno == EINTR) continue;
        if (ready == 0) return false;
        const ssize_t got = ::read(in, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return true;
        message.append(buffer.data(), static_cast<std::size_t>(got));
    }
}

}  // namespace

std::string run_in_child(const std::string& what, std::optional<std::chrono::seconds> limit,
                         const std::function<std::string()>& work)
{
    std::array<int, 2> ends{};
    TWINSCREEN_REQUIRE(::pipe(ends.data()) == 0, internal, "{}: no pipe to a child process ({})",
                       what, std::strerror(errno));
    const pid_t child = ::fork();
    if (child == 0) {
        ::close(ends[0]);
        run_child(ends[1], work);
    }
    ::close(ends[1]);
    if (child < 0) {
        ::close(ends[0]);
        throw Error(Error::Kind::internal,
                    fmt::format("{}: no child process ({})", what, std::strerror(errno)));
    }
    std::string message;
    const bool in_time = read_message(ends[0], limit, message);
    ::close(ends[0]);
    if (!in_time) ::kill(child, SIGKILL);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    TWINSCREEN_REQUIRE(in_time, data, "{} took longer than {} s and was given up", what,
                       limit ? limit->count() : 0);
    TWINSCREEN_REQUIRE(!WIFSIGNALED(status), data,
                       "{} crashed with signal {} (the file is damaged in a way that the library "
                       "does not survive)",
                       what, WTERMSIG(status));
    TWINSCREEN_REQUIRE(!message.empty(), data, "{} ended without an answer", what);
    if (message.front() == failed) throw Error(Error::Kind::data, message.substr(1));
    return message.substr(1);
}

}  // namespace twinscreen
