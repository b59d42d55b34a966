#include <algorithm>
#include <cmath>
#include <iostream>

#include <nlohmann/json.hpp>

#include "engine/app/commands.hpp"
#include "engine/app/memory_estimate.hpp"
#include "engine/run/campaign.hpp"
#include "engine/run/progress.hpp"
#include "engine/store/file_system.hpp"
#include "experiments/experiments.hpp"

namespace twinscreen {
namespace {

/// Bytes that one column takes on disk.
double stored_bytes(const ColumnSpec& column, const Plan& plan)
{
    const auto row = static_cast<double>(column.row_bytes());
    switch (column.domain) {
        case Domain::item: return row * static_cast<double>(plan.items);
        case Domain::shard: return row * static_cast<double>(plan.shards());
        case Domain::stage: return row;
    }
    return row;
}

const char* name_of(Domain domain)
{
    switch (domain) {
        case Domain::item: return "columns";
        case Domain::shard: return "partials";
        case Domain::stage: return "summary";
    }
    return "";
}

void print_disk(const std::filesystem::path& folder, double bytes, int ranks)
{
    const FileSystem disk = file_system_of(folder);
    std::cout << fmt::format("  on disk: {} ({}, {} free)\n", folder.string(), disk.name,
                             bytes_text(disk.free_bytes));
    for (const std::string& line : advice_for(disk, folder, bytes, ranks))
        std::cout << "    " << line << "\n";
}

/// "12.3 MMAC"; programs of other people do not say what they compute.
std::string macs_text(double macs)
{
    return std::isnan(macs) ? "MMAC unknown" : fmt::format("{:.1f} MMAC", macs / 1e6);
}

void print_text(const StagePlan& stage, const Campaign& campaign, int ranks,
                const std::filesystem::path& folder)
{
    const Plan& plan = stage.plan;
    std::cout << "stage " << plan.stage;
    if (campaign.stimuli->count() > 0) std::cout << ": " << campaign.stimuli->summary();
    std::cout << "\n";
    std::cout << fmt::format(
        "  {} {} in {} shards of {}, batches of {}; {} rank{}: {:.1f} shards per rank\n",
        count_text(plan.items), stage.items_are, count_text(plan.shards()), plan.shard_items,
        plan.batch_items, ranks, ranks == 1 ? "" : "s", static_cast<double>(plan.shards()) / ranks);
    if (const std::string warning = shards_warning(plan.shards(), ranks); !warning.empty())
        std::cout << "  " << warning << "\n";
    if (campaign.schedule.batch_items > 0 && campaign.schedule.batch_items != plan.batch_items)
        std::cout << fmt::format(
            "  (batches of {} were asked for: the networks take multiples of {})\n",
            campaign.schedule.batch_items, stage.forward->batch_multiple());
    if (campaign.schedule.largest_batch && campaign.schedule.whole_batches)
        std::cout << "  (at most: the run tries out which batches fit, and records their size)\n";
    double macs = 0.0;
    double naive = 0.0;
    const auto passes = stage.forward->summarise();
    if (!passes.empty()) std::cout << "  forward passes of one stimulus:\n";
    for (const auto& pass : passes) {
        std::cout << fmt::format("    {}: input {}, {} network{}, {} readout{}{}, {}\n", pass.twins,
                                 pass.input, pass.networks, pass.networks == 1 ? "" : "s",
                                 pass.readouts, pass.readouts == 1 ? "" : "s",
                                 pass.folded ? " (area means folded into the weights)" : "",
                                 macs_text(pass.macs));
        macs += pass.macs;
        naive += pass.naive_macs;
    }
    if (naive > 0.0)
        std::cout << fmt::format(
            "    together {:.1f} MMAC; every twin alone with all units: {:.1f} MMAC ({:.0f} % "
            "saved "
            "by sharing and folding)\n",
            macs / 1e6, naive / 1e6, 100.0 * (1.0 - macs / naive));
    double total = 0.0;
    std::cout << "  stored:\n";
    for (const ColumnSpec& column : stage.columns) {
        const double bytes = stored_bytes(column, plan);
        total += bytes;
        std::cout << fmt::format("    /{}/{} {} {}: {}\n", name_of(column.domain), column.name,
                                 name_of(column.type), column.row_shape().text(),
                                 bytes_text(bytes));
    }
    std::cout << fmt::format("    together {}\n", bytes_text(total));
    print_disk(folder, total, ranks);
    const MemoryEstimate memory = memory_of(stage, campaign, ranks);
    std::cout << fmt::format(
        "  memory per rank: about {} (libraries and twins {}, inputs {}, one shard {}, writer "
        "{})\n",
        bytes_text(memory.total()), bytes_text(memory.twins), bytes_text(memory.inputs),
        bytes_text(memory.shard), bytes_text(memory.writer));
}

nlohmann::json json_of(const StagePlan& stage, const Campaign& campaign, int ranks)
{
    nlohmann::json columns = nlohmann::json::array();
    for (const ColumnSpec& column : stage.columns)
        columns.push_back({{"name", column.name},
                           {"group", name_of(column.domain)},
                           {"type", std::string(name_of(column.type))},
                           {"row", column.row_shape().text()},
                           {"bytes", stored_bytes(column, stage.plan)}});
    nlohmann::json passes = nlohmann::json::array();
    for (const auto& pass : stage.forward->summarise())
        passes.push_back({{"twins", pass.twins},
                          {"input", pass.input},
                          {"networks", pass.networks},
                          {"readouts", pass.readouts},
                          {"folded", pass.folded},
                          {"macs", pass.macs},
                          {"naive_macs", pass.naive_macs}});
    return {{"stage", stage.plan.stage},
            {"items", stage.plan.items},
            {"shards", stage.plan.shards()},
            {"shard_items", stage.plan.shard_items},
            {"batch_items", stage.plan.batch_items},
            {"threads_per_rank", stage.plan.threads_per_rank},
            {"ranks", ranks},
            {"columns", columns},
            {"passes", passes},
            {"memory_per_rank_bytes", memory_of(stage, campaign, ranks).total()}};
}

}  // namespace

std::string shards_warning(std::uint64_t shards, int ranks)
{
    const auto each = static_cast<double>(shards) / ranks;
    if (each < 1.0)
        return "warning: there are fewer shards than ranks; some will have nothing to do ([run] "
               "shard_items)";
    if (each < 32.0)
        return "warning: below 32 shards per rank the slowest rank holds the others up ([run] "
               "shard_items)";
    return {};
}

int plan_command(const CampaignOptions& options, int ranks, bool json)
{
    Campaign campaign = load_campaign(read_campaign_text(options.file, all_overrides(options)),
                                      known_experiments());
    const StagePlan stage = first_stage(campaign);
    if (json) {
        std::cout << nlohmann::json{{"campaign", campaign.name},
                                    {"experiment", campaign.experiment_name},
                                    {"stages", {json_of(stage, campaign, ranks)}}}
                         .dump(2)
                  << "\n";
    } else {
        print_text(stage, campaign, ranks, store_folder(options, campaign));
        for (const std::string& line : campaign.experiment->outlook(campaign.inputs()))
            std::cout << line << "\n";
    }
    return 0;
}

}  // namespace twinscreen
