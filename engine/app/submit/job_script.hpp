#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace twinscreen {

/// What a batch job asks SLURM for, and what it runs.
struct BatchJob {
    std::string name;
    int nodes = 1;
    int ranks_per_node = 1;
    int gpus_per_node = 0;
    int cores_per_rank = 1;
    int memory_gib_per_node = 0;
    long seconds = 0;                  ///< time limit
    std::string partition;             ///< empty: the site's default
    std::vector<std::string> further;  ///< words for #SBATCH: "--account=brains"
    std::string launcher = "auto";
    std::filesystem::path program, campaign, out;  ///< absolute
    std::vector<std::string> options;              ///< for `run`

    int ranks() const { return nodes * ranks_per_node; }
};

/// A job script that needs no other file.
std::string job_script(const BatchJob& job);

/// Seconds of a time as SLURM writes it: "90" and "90:00" (minutes), "1:30:00", "2-12"
/// (days-hours), "2-12:00:00". Throws Error(config) otherwise, or for less than a minute.
long seconds_of_time(const std::string& text);
/// "2-12:00:00".
std::string slurm_time(long seconds);

}  // namespace twinscreen
