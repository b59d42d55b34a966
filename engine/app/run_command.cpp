#include <algorithm>
#include <cstdio>
#include <iostream>
#include <vector>

#include "engine/app/commands.hpp"
#include "engine/base/log.hpp"
#include "engine/run/agreement.hpp"
#include "engine/run/campaign.hpp"
#include "engine/run/runner.hpp"
#include "engine/schedule/stop_signal.hpp"
#include "engine/store/sink.hpp"
#include "engine/twin/torch_device.hpp"
#include "experiments/experiments.hpp"

namespace twinscreen {

std::string python_lines(const std::filesystem::path& file)
{
    return fmt::format("  import xarray\n  store = xarray.open_datatree(\"{}\")", file.string());
}

std::filesystem::path store_folder(const CampaignOptions& options, const Campaign& campaign)
{
    if (!options.out.empty()) return options.out;
    const std::filesystem::path named = campaign.out.empty()
                                            ? std::filesystem::path("results") / campaign.name
                                            : campaign.out.lexically_normal();
    // A smoke run is another campaign: it must not stand in the way of the whole one.
    if (options.limit == 0) return named;
    return fmt::format("{}-limit{}", named.string(), options.limit);
}

namespace {

void print_summary(const RunSummary& summary, const std::filesystem::path& folder)
{
    std::cout << "\n";
    for (const std::string& line : summary.lines) std::cout << line << "\n";
    if (summary.exit_code == exit_resumable) {
        std::cout << "stopped; what is sealed is kept in " << folder.string()
                  << ", the same command goes on\n";
        return;
    }
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        if (entry.path().extension() == ".h5") files.push_back(entry.path());
    const auto place_of = [&](const std::filesystem::path& file) {
        return std::ranges::find(summary.stages, file.stem().string());
    };
    std::erase_if(files, [&](const auto& file) { return place_of(file) == summary.stages.end(); });
    std::ranges::sort(files, {}, place_of);
    std::cout << "store: " << folder.string();
    if (files.size() > 1) {
        std::cout << ", a file for each stage:";
        for (const auto& file : files) std::cout << " " << file.stem().string();
    }
    std::cout << "\n";
    if (!files.empty()) std::cout << "open it in Python:\n" << python_lines(files.back()) << "\n";
    std::cout.flush();
}

/// The files are read by rank 0, which therefore loads first.
void load_on_all_ranks(Communicator& communicator, CampaignText& text, bool is_smoke_run,
                       Campaign& campaign)
{
    // A smoke run reads few stimuli, often on a login node.
    if (!is_smoke_run) text.reads->allow_node_copies();
    if (communicator.size() > 1) text.reads->keep();
    on_rank_0(communicator, [&] { campaign = load_campaign(text, known_experiments()); });
    share(communicator, *text.reads);
    agree(communicator, [&] {
        if (communicator.rank() > 0) campaign = load_campaign(text, known_experiments());
    });
    *text.reads = SharedReads();
}

int run_on(Communicator& communicator, const CampaignOptions& options)
{
    const auto folder_of_file = std::filesystem::absolute(options.file).parent_path();
    CampaignText text{"", options.file.string(), folder_of_file, all_overrides(options)};
    on_rank_0(communicator, [&] { text = read_campaign_text(options.file, text.overrides); });
    text.text = broadcast_text(communicator, text.text);
    open_gpu_library();
    Campaign campaign;
    load_on_all_ranks(communicator, text, options.limit > 0, campaign);
    const std::filesystem::path folder = store_folder(options, campaign);
    const RunSummary summary = run_campaign(campaign, folder, communicator, stop_requested());
    if (communicator.rank() == 0) print_summary(summary, folder);
    return summary.exit_code;
}

}  // namespace

int run_command(const CampaignOptions& options)
{
    prepare_stores();
    const auto communicator =
        started_by_mpi_launcher() ? make_mpi_communicator() : make_local_communicator();
    start_log(communicator->rank());
    install_stop_signals();
    try {
        return run_on(*communicator, options);
    } catch (const AgreedFailure& failure) {
        if (!failure.message.empty()) std::fprintf(stderr, "%s\n", failure.message.c_str());
        return failure.exit_code;
    } catch (const std::exception& exception) {
        const Error error = as_error(exception);
        // The other ranks do not know: nobody may wait for them in a collective call.
        std::fprintf(stderr, "%s\n", error.what());
        communicator->abort(error.exit_code());
    }
    return 70;  // not reached: abort does not return
}

}  // namespace twinscreen
