#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace twinscreen {

/// What the command line says, for the commands that read a campaign.
struct CampaignOptions {
    std::filesystem::path file;
    std::vector<std::string> overrides;  ///< --set key=value
    std::uint64_t limit = 0;             ///< --limit N, 0: none
    std::filesystem::path out;           ///< --out DIR, empty: as the campaign says
    std::vector<std::string> trusted;    ///< --trusted-sha256 HEX, where `file` is a bundle
};

/// What the command line of `encode` says.
struct EncodeOptions {
    std::filesystem::path bundle;
    std::filesystem::path images;
    std::filesystem::path out;
    std::string units;                   ///< a filter over the unit table
    std::vector<std::string> overrides;  ///< --set key=value
};

/// What the command line of `submit` says, beside the campaign.
struct SubmitOptions {
    int nodes = 1;
    int ranks_per_node = 0;  ///< 0: one for each GPU, else as many as have cores
    int gpus_per_node = 0;
    std::string time;  ///< as SLURM writes it; empty: from a measured shard
    std::string partition;
    std::string launcher = "auto";
    std::vector<std::string> further;  ///< words for sbatch
    bool measure = true;
    bool dry_run = false;
};

struct Campaign;

/// All commands give the exit code of the process; Error is caught in main.
int init_command(const std::string& experiment, const std::filesystem::path& file, bool overwrite);
int check_command(const CampaignOptions& options);
int plan_command(const CampaignOptions& options, int ranks, bool json);
/// Collective over the processes of the launcher.
int run_command(const CampaignOptions& options);
int submit_command(const CampaignOptions& options, const SubmitOptions& asked);
int encode_command(const EncodeOptions& options);
int verify_command(const std::filesystem::path& folder, bool json, bool reopen);
/// trusted  SHA-256 digests of programs that may run
int list_command(const std::filesystem::path& bundle, const std::vector<std::string>& trusted,
                 bool taps, bool json);
/// Which converter makes a bundle of what, with an example of each.
const char* import_examples();
int import_command();
int convert_command(const std::string& array, const std::filesystem::path& out);

/// --limit as an override, so that it is checked and recorded like any other.
std::vector<std::string> all_overrides(const CampaignOptions& options);
/// What is wrong with so many shards for so many ranks; empty: nothing.
std::string shards_warning(std::uint64_t shards, int ranks);
/// Where `run` puts the store.
std::filesystem::path store_folder(const CampaignOptions& options, const Campaign& campaign);
/// Two lines of Python that open a store.
std::string python_lines(const std::filesystem::path& file);

}  // namespace twinscreen
