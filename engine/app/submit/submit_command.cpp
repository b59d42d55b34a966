#include <algorithm>
#include <cmath>
#include <fstream>
#include <iostream>
#include <sstream>
#include <unistd.h>

#include "engine/app/commands.hpp"
#include "engine/app/memory_estimate.hpp"
#include "engine/app/submit/child_program.hpp"
#include "engine/app/submit/job_script.hpp"
#include "engine/app/submit/measured_shard.hpp"
#include "engine/run/campaign.hpp"
#include "engine/run/progress.hpp"
#include "engine/store/file_system.hpp"
#include "experiments/experiments.hpp"

namespace twinscreen {
namespace {

constexpr double most_seconds_of_a_shard = 600.0;
/// Other nodes are slower than this one, and later stages take time, too.
constexpr double time_margin = 1.5, memory_margin = 1.25;
constexpr long least_seconds = 1800;

/// The smallest node that a partition may give.
struct NodeSize {
    int cores = 1;
    std::string source;
};

NodeSize size_of_nodes(const std::string& partition)
{
    std::vector<std::string> words{"sinfo", "--noheader", "--format=%c"};
    if (!partition.empty()) words.push_back("--partition=" + partition);
    const ProgramOutput answer = run_program(words);
    std::istringstream lines(answer.text);
    NodeSize size{0, "smallest node of the partition"};
    for (int cores = 0; answer.exit_code == 0 && lines >> cores; lines.ignore(16, '\n'))
        size.cores = size.cores == 0 ? cores : std::min(size.cores, cores);
    if (size.cores > 0) return size;
    return {static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)), "this machine: sinfo tells nothing"};
}

/// The campaign as the job will find it, wherever it was submitted.
std::vector<std::string> run_options(const CampaignOptions& options)
{
    std::vector<std::string> words;
    for (const std::string& line : all_overrides(options)) {
        words.emplace_back("--set");
        words.push_back(line);
    }
    return words;
}

MeasuredShards measured(const BatchJob& job, const StagePlan& stage)
{
    if (auto known = shards_in_store(job.out, stage.plan)) return *known;
    std::vector<std::string> words{job.program.string(), "run", job.campaign.string()};
    words.insert(words.end(), job.options.begin(), job.options.end());
    std::cerr << "measuring one shard here ...\n";
    return measure_first_shard(words, stage.plan, stage.items_are, most_seconds_of_a_shard);
}

int gib_above(double bytes)
{
    return std::max(1, static_cast<int>(std::ceil(bytes / static_cast<double>(1U << 30U))));
}

double seconds_expected(const MeasuredShards& shards, const BatchJob& job)
{
    return shards.seconds_per_item * static_cast<double>(shards.items_left) / job.ranks();
}

/// In steps of ten minutes.
long time_with_margin(const MeasuredShards& shards, const BatchJob& job)
{
    constexpr double step = 600.0;
    const double seconds = time_margin * seconds_expected(shards, job);
    return std::max(least_seconds, std::lround(std::ceil(seconds / step) * step));
}

void say_what_is_asked_for(const BatchJob& job, const StagePlan& stage,
                           const std::optional<MeasuredShards>& shards, double memory_of_rank,
                           bool has_later_stages)
{
    const double each = static_cast<double>(stage.plan.shards()) / job.ranks();
    std::cerr << fmt::format(
        "job        {} node{} x {} rank{}; stage {}: {} {} in {} shards, {:.1f} for each rank\n",
        job.nodes, job.nodes == 1 ? "" : "s", job.ranks_per_node,
        job.ranks_per_node == 1 ? "" : "s", stage.plan.stage, count_text(stage.plan.items),
        stage.items_are, count_text(stage.plan.shards()), each);
    if (const std::string warning = shards_warning(stage.plan.shards(), job.ranks());
        !warning.empty())
        std::cerr << "           " << warning << "\n";
    if (shards)
        std::cerr << fmt::format(
            "time       {} for {} {} at {:.3g} s each (measured: {}){}; asked for {}\n",
            duration_text(seconds_expected(*shards, job)), count_text(shards->items_left),
            stage.items_are, shards->seconds_per_item, shards->source,
            has_later_stages ? ", and later stages" : "", slurm_time(job.seconds));
    else
        std::cerr << fmt::format("time       not measured; asked for {}\n",
                                 slurm_time(job.seconds));
    const FileSystem disk = file_system_of(job.out);
    if (job.nodes > 1 && !disk.is_shared)
        std::cerr << fmt::format(
            "disk       warning: {} lies on {}, which other nodes do not see\n", job.out.string(),
            disk.name);
    std::cerr << fmt::format("memory     {} for a rank; asked for {} GiB for a node\n",
                             bytes_text(memory_of_rank), job.memory_gib_per_node);
}

std::filesystem::path write_script(const BatchJob& job)
{
    const std::filesystem::path file = job.out / "slurm" / "job.sh";
    std::error_code failure;
    std::filesystem::create_directories(file.parent_path(), failure);
    std::ofstream stream(file, std::ios::binary);
    stream << job_script(job);
    stream.close();
    TWINSCREEN_REQUIRE(stream.good(), store, "{}: cannot be written", file.string());
    return file;
}

int hand_over(const std::filesystem::path& script)
{
    const ProgramOutput answer = run_program({"sbatch", "--parsable", script.string()});
    TWINSCREEN_REQUIRE(answer.exit_code == 0, device, "sbatch refused {} (exit code {}):\n{}",
                       script.string(), answer.exit_code, answer.text);
    const std::string number = answer.text.substr(0, answer.text.find_first_of(";\n"));
    std::cout << fmt::format(
        "submitted job {}\n"
        "  how it goes   squeue --jobs={}; a log of each attempt: {}/job-{}-attempt-*.log\n"
        "  stop it       scancel --batch --signal=USR1 {} (in order, and it is run again), scancel "
        "{}\n"
        "  go on later   sbatch {}\n",
        number, number, script.parent_path().string(), number, number, number, script.string());
    return 0;
}

/// Everything but time and memory.
BatchJob job_of(const CampaignOptions& options, const SubmitOptions& asked,
                const Campaign& campaign, const StagePlan& stage)
{
    BatchJob job;
    job.name = campaign.name;
    job.nodes = asked.nodes;
    job.gpus_per_node = asked.gpus_per_node;
    job.cores_per_rank = static_cast<int>(stage.plan.threads_per_rank);
    job.partition = asked.partition;
    job.further = asked.further;
    job.launcher = asked.launcher;
    job.program = std::filesystem::read_symlink("/proc/self/exe");
    job.campaign = std::filesystem::absolute(options.file);
    job.out = std::filesystem::absolute(store_folder(options, campaign));
    job.options = run_options(options);
    job.ranks_per_node = asked.ranks_per_node > 0 ? asked.ranks_per_node : asked.gpus_per_node;
    if (job.gpus_per_node > 0 && job.ranks_per_node > job.gpus_per_node)
        throw Error(Error::Kind::config,
                    fmt::format("--ranks-per-node {} are more than --gpus-per-node {}",
                                job.ranks_per_node, job.gpus_per_node),
                    "one rank drives one GPU");
    if (job.ranks_per_node > 0) return job;
    const NodeSize node = size_of_nodes(asked.partition);
    job.ranks_per_node = std::max(1, node.cores / job.cores_per_rank);
    std::cerr << fmt::format("ranks      {} for a node: {} cores ({}), {} for each rank\n",
                             job.ranks_per_node, node.cores, node.source, job.cores_per_rank);
    return job;
}

}  // namespace

int submit_command(const CampaignOptions& options, const SubmitOptions& asked)
{
    Campaign campaign = load_campaign(read_campaign_text(options.file, all_overrides(options)),
                                      known_experiments());
    const StagePlan stage = first_stage(campaign);
    BatchJob job = job_of(options, asked, campaign, stage);
    if (!asked.time.empty()) job.seconds = seconds_of_time(asked.time);
    if (asked.time.empty() && !asked.measure)
        throw Error(Error::Kind::config, "--no-measure leaves the time open",
                    "--time 4:00:00 asks for four hours");
    std::optional<MeasuredShards> shards;
    if (asked.measure) shards = measured(job, stage);
    if (asked.time.empty()) job.seconds = time_with_margin(*shards, job);
    double memory = memory_of(stage, campaign, job.ranks_per_node).total();
    if (shards) memory = std::max(memory, shards->memory_bytes);
    job.memory_gib_per_node = gib_above(memory_margin * memory * job.ranks_per_node);
    say_what_is_asked_for(job, stage, shards, memory,
                          !campaign.experiment->outlook(campaign.inputs()).empty());
    if (asked.dry_run) {
        std::cout << job_script(job);
        return 0;
    }
    return hand_over(write_script(job));
}

}  // namespace twinscreen
