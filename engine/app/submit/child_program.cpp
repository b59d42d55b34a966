#include "engine/app/submit/child_program.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <sys/resource.h>
#include <sys/wait.h>

#include <spawn.h>

#include "engine/base/error.hpp"

extern char** environ;

namespace twinscreen {
namespace {

struct SpawnActions {
    posix_spawn_file_actions_t actions{};
    SpawnActions() { posix_spawn_file_actions_init(&actions); }
    ~SpawnActions() { posix_spawn_file_actions_destroy(&actions); }
    SpawnActions(const SpawnActions&) = delete;
    SpawnActions& operator=(const SpawnActions&) = delete;
};

pid_t spawn(const std::vector<std::string>& words, SpawnActions& files)
{
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    posix_spawn_file_actions_addopen(&files.actions, 0, "/dev/null", O_RDONLY, 0);
    pid_t pid = -1;
    const int failure =
        posix_spawnp(&pid, arguments[0], &files.actions, nullptr, arguments.data(), environ);
    TWINSCREEN_REQUIRE(failure == 0, device, "{} cannot be started ({})", words[0],
                       std::strerror(failure));
    return pid;
}

}  // namespace

ChildProgram::ChildProgram(const std::vector<std::string>& words, const std::filesystem::path& log)
{
    SpawnActions files;
    posix_spawn_file_actions_addopen(&files.actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                     0644);
    posix_spawn_file_actions_adddup2(&files.actions, 1, 2);
    pid_ = spawn(words, files);
}

ChildProgram::~ChildProgram()
{
    if (end_) return;
    kill(pid_, SIGKILL);
    wait();
}

ChildProgram::End ChildProgram::end_of(int options)
{
    int status = 0;
    rusage used{};
    pid_t found = 0;
    do {
        found = wait4(pid_, &status, options, &used);
    } while (found < 0 && errno == EINTR);
    if (found != pid_) return {};
    constexpr double kibibyte = 1024.0;
    end_ = End{WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
               kibibyte * static_cast<double>(used.ru_maxrss)};
    return *end_;
}

std::optional<ChildProgram::End> ChildProgram::ended()
{
    if (!end_) end_of(WNOHANG);
    return end_;
}

void ChildProgram::stop() const
{
    if (!end_) kill(pid_, SIGTERM);
}

ChildProgram::End ChildProgram::wait() { return end_ ? *end_ : end_of(0); }

ProgramOutput run_program(const std::vector<std::string>& words)
{
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> output(std::tmpfile(), std::fclose);
    TWINSCREEN_REQUIRE(output != nullptr, device, "no temporary file can be made ({})",
                       std::strerror(errno));
    SpawnActions files;
    posix_spawn_file_actions_adddup2(&files.actions, fileno(output.get()), 1);
    posix_spawn_file_actions_adddup2(&files.actions, 1, 2);
    pid_t pid = -1;
    try {
        pid = spawn(words, files);
    } catch (const Error& error) {
        return {127, error.what()};
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    ProgramOutput result{WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), {}};
    std::rewind(output.get());
    std::array<char, 4096> part{};
    for (std::size_t got = 0; (got = std::fread(part.data(), 1, part.size(), output.get())) > 0;)
        result.text.append(part.data(), got);
    return result;
}

}  // namespace twinscreen
