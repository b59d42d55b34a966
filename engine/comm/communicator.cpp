#include "engine/comm/communicator.hpp"

#include <array>
#include <cstdint>
#include <cstdlib>
#include <unistd.h>

namespace twinscreen {

namespace {

/// The value of an environment variable as a number, 0 where it is missing or no number.
long environment_number(const char* name)
{
    const char* text = std::getenv(name);
    return text == nullptr ? 0 : std::strtol(text, nullptr, 10);
}

bool is_set(const char* name) { return std::getenv(name) != nullptr; }

}  // namespace

std::string host_name()
{
    std::array<char, 256> name{};
    if (gethostname(name.data(), name.size() - 1) != 0) return "an unnamed host";
    return name.data();
}

std::string broadcast_text(Communicator& communicator, std::string text, int root)
{
    std::uint64_t length = text.size();
    communicator.broadcast(std::as_writable_bytes(std::span(&length, 1)), root);
    text.resize(length);
    communicator.broadcast(std::as_writable_bytes(std::span(text)), root);
    return text;
}

bool started_by_mpi_launcher()
{
    if (is_set("OMPI_COMM_WORLD_SIZE")) return true;
    const bool has_process_manager =
        is_set("PMI_SIZE") || is_set("PMI_RANK") || is_set("PMIX_RANK") || is_set("PMIX_NAMESPACE");
    if (!has_process_manager) return false;
    // An interactive step of one task (srun --pty bash) carries the variables of its process
    // manager too; a program started there by hand is a plain process.
    if (!is_set("SLURM_STEP_NUM_TASKS")) return true;
    return environment_number("SLURM_STEP_NUM_TASKS") > 1 || environment_number("PMI_SIZE") > 1;
}

}  // namespace twinscreen
