#include <iostream>

#include "engine/app/commands.hpp"
#include "engine/base/log.hpp"
#include "engine/config/toml_text.hpp"
#include "engine/run/agreement.hpp"
#include "engine/run/runner.hpp"
#include "engine/schedule/stop_signal.hpp"
#include "engine/stimulus/stimuli.hpp"
#include "experiments/experiments.hpp"

namespace twinscreen {
namespace {

/// The campaign that `encode` stands for; its stimuli are opened from the path as they are.
Campaign campaign_of(const EncodeOptions& options)
{
    const auto absolute = [](const std::filesystem::path& path) {
        return toml_text(std::filesystem::absolute(path).string());
    };
    std::string text = "[[twins]]\nbundle = " + absolute(options.bundle) + "\n";
    if (!options.units.empty()) text += "units = " + toml_text(options.units) + "\n";
    text += "[[stimuli]]\npath = " + absolute(options.images) + "\n";
    text += "[screen]\nmeasures = [\"units\"]\n";
    const auto here = std::filesystem::current_path();
    return load_campaign({text, "encode (as a campaign)", here, options.overrides},
                         known_experiments());
}

}  // namespace

int encode_command(const EncodeOptions& options)
{
    const std::filesystem::path& out = options.out;
    TWINSCREEN_REQUIRE(!std::filesystem::exists(out), store,
                       "{} exists already (remove it, or give another name)", out.string());
    start_log(0);
    install_stop_signals();
    Campaign campaign = campaign_of(options);
    // The store grows beside OUT and takes its name at the end, so OUT is whole or absent. After a
    // failure it is of no use: the next call may well have other images or settings.
    const std::filesystem::path work = out.string() + ".partial";
    std::filesystem::remove_all(work);
    const auto communicator = make_local_communicator();
    RunSummary summary;
    try {
        summary = run_campaign(campaign, work, *communicator, stop_requested());
    } catch (const AgreedFailure& failure) {
        std::filesystem::remove_all(work);
        std::cerr << failure.message << "\n";
        return failure.exit_code;
    } catch (...) {
        std::filesystem::remove_all(work);
        throw;
    }
    if (summary.exit_code != 0) {
        std::filesystem::remove_all(work);
        std::cout << "stopped; nothing was written\n";
        return summary.exit_code;
    }
    for (const std::string& line : summary.lines) std::cout << line << "\n";
    std::filesystem::rename(work / "responses.h5", out);
    std::filesystem::remove_all(work);
    std::cout << "responses: " << out.string() << ", dataset /columns/response [item, unit]\n"
              << "open it in Python:\n"
              << python_lines(out) << "\n";
    return 0;
}

}  // namespace twinscreen
