#include "engine/app/submit/job_script.hpp"

#include <algorithm>
#include <regex>

#include "engine/app/submit/attempt_text.hpp"
#include "engine/base/error.hpp"

namespace twinscreen {
namespace {

/// One word of a shell, whatever is in it.
std::string quoted(const std::string& word)
{
    std::string text{'\''};
    for (const char letter : word) {
        if (letter == '\'')
            text.append("'\\''");
        else
            text.push_back(letter);
    }
    text.push_back('\'');
    return text;
}

/// SLURM sends the warning up to a minute early, never late; the engine stops within ten seconds.
long warning_seconds(long limit) { return std::clamp(limit / 4, 20L, 120L); }

std::string directives(const BatchJob& job)
{
    std::vector<std::string> lines{
        "--job-name=" + job.name,
        fmt::format("--nodes={}", job.nodes),
        fmt::format("--ntasks-per-node={}", job.ranks_per_node),
        fmt::format("--cpus-per-task={}", job.cores_per_rank),
        fmt::format("--mem={}G", job.memory_gib_per_node),
        "--time=" + slurm_time(job.seconds),
        fmt::format("--signal=B:USR1@{}", warning_seconds(job.seconds)),
        "--requeue",
        "--open-mode=append",
        fmt::format("--output={}", (job.out / "slurm" / "job-%j.log").string())};
    if (!job.partition.empty()) lines.push_back("--partition=" + job.partition);
    if (job.gpus_per_node > 0)
        lines.push_back(fmt::format("--gpus-per-node={}", job.gpus_per_node));
    lines.insert(lines.end(), job.further.begin(), job.further.end());
    std::string text;
    for (const std::string& line : lines) text += fmt::format("#SBATCH {}\n", line);
    return text;
}

}  // namespace

std::string job_script(const BatchJob& job)
{
    std::string options;
    for (const std::string& option : job.options) options += quoted(option) + ' ';
    return fmt::format(
        "#!/usr/bin/env bash\n"
        "# Written by `twinscreen submit`; `sbatch` it again whenever the campaign should go on.\n"
        "{}\n"
        "program={}\n"
        "campaign={}\n"
        "out={}\n"
        "options=({})\n"
        "launcher={}\n\n"
        "{}",
        directives(job), quoted(job.program.string()), quoted(job.campaign.string()),
        quoted(job.out.string()), options, quoted(job.launcher), attempt_text);
}

long seconds_of_time(const std::string& text)
{
    static const std::regex form(R"((?:(\d{1,4})-(\d{1,2})(?::(\d{1,2}))?(?::(\d{1,2}))?)|)"
                                 R"((?:(\d{1,6}))|(?:(\d{1,6}):(\d{1,2}))|)"
                                 R"((?:(\d{1,6}):(\d{1,2}):(\d{1,2})))");
    std::smatch found;
    const auto part = [&](std::size_t at) { return found[at].matched ? std::stol(found[at]) : 0L; };
    constexpr long minute = 60, hour = 3600, day = 86400;
    const bool is_time = std::regex_match(text, found, form);
    const long seconds = !is_time ? 0
                                  : part(1) * day + part(2) * hour + part(3) * minute + part(4) +
                                        part(5) * minute + part(6) * minute + part(7) +
                                        part(8) * hour + part(9) * minute + part(10);
    if (seconds < minute)
        throw Error(Error::Kind::config,
                    fmt::format("--time {}: no time of a minute or more", text),
                    "minutes (90), hours (1:30:00) or days (2-12:00:00)");
    return seconds;
}

std::string slurm_time(long seconds)
{
    const long days = seconds / 86400;
    const std::string rest =
        fmt::format("{:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    return days > 0 ? fmt::format("{}-{}", days, rest) : rest;
}

}  // namespace twinscreen
