#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace twinscreen {

/// A program that runs beside this one; ended by the destructor if it still runs.
class ChildProgram {
public:
    struct End {
        int exit_code = 0;          ///< 128 + signal, as shells count
        double memory_bytes = 0.0;  ///< the most that was resident
    };
    /// log  takes what it prints; words[0] is looked for in PATH. Throws Error(device) where it
    ///      cannot be started.
    ChildProgram(const std::vector<std::string>& words, const std::filesystem::path& log);
    ~ChildProgram();
    ChildProgram(const ChildProgram&) = delete;
    ChildProgram& operator=(const ChildProgram&) = delete;

    std::optional<End> ended();
    void stop() const;
    End wait();

private:
    End end_of(int options);

    pid_t pid_ = -1;
    std::optional<End> end_;
};

struct ProgramOutput {
    int exit_code = 0;
    std::string text;  ///< standard output and errors
};

/// Runs a program to its end. Exit code 127 where there is none of this name.
ProgramOutput run_program(const std::vector<std::string>& words);

}  // namespace twinscreen
