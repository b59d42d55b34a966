#include <iostream>

#include "engine/app/commands.hpp"
#include "engine/run/campaign.hpp"
#include "engine/run/progress.hpp"
#include "engine/twin/bundle.hpp"
#include "experiments/experiments.hpp"

namespace twinscreen {

std::vector<std::string> all_overrides(const CampaignOptions& options)
{
    std::vector<std::string> overrides = options.overrides;
    if (options.limit > 0) overrides.push_back(fmt::format("run.limit={}", options.limit));
    return overrides;
}

namespace {

int check_folder(const std::filesystem::path& folder, const std::vector<std::string>& trusted)
{
    const std::vector<std::string> found = check_bundle(folder, trusted);
    std::cout << folder.string() << ": no mistakes\n";
    for (const std::string& sentence : found) std::cout << "  " << sentence << "\n";
    return 0;
}

}  // namespace

int check_command(const CampaignOptions& options)
{
    if (std::filesystem::is_directory(options.file))
        return check_folder(options.file, options.trusted);
    TWINSCREEN_REQUIRE(options.trusted.empty(), config,
                       "--trusted-sha256 is for the folder of a bundle; a campaign lists what it "
                       "trusts as trusted_sha256 in its [[twins]]");
    Campaign campaign = load_campaign(read_campaign_text(options.file, all_overrides(options)),
                                      known_experiments());
    const StagePlan stage = first_stage(campaign);
    std::cout << options.file.string() << ": no mistakes; " << campaign.experiment_name << " of "
              << (campaign.stimuli->count() > 0
                      ? campaign.stimuli->summary()
                      : fmt::format("{} {}", count_text(stage.plan.items), stage.items_are));
    if (!campaign.twins.empty())
        std::cout << " by " << campaign.twins.size() << " twin"
                  << (campaign.twins.size() == 1 ? "" : "s");
    std::cout << "\n";
    return 0;
}

}  // namespace twinscreen
