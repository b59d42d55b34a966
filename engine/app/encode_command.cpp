#include <iostream>

#include "engine/app/commands.hpp"
#include "engine/base/log.hpp"
#include "engine/run/agreement.hpp"
#include "engine/run/runner.hpp"
#include "engine/schedule/stop_signal.hpp"
#include "engine/stimulus/stimuli.hpp"
#include "experiments/experiments.hpp"

namespace twinscreen {
namespace {

/// A TOML text literal.
std::string quoted(const std::string& text)
{
    std::string result = "\"";
    for (const char letter : text) {
        if (letter == '"' || letter == '\\') result += '\\';
        result += letter;
    }
    return result + "\"";
}

/// The campaign that `encode` stands for; its stimuli are opened from the path as they are.
Campaign campaign_of(const std::filesystem::path& bundle, const std::filesystem::path& images,
                     const std::string& units)
{
    std::string text =
        "[[twins]]\nbundle = " + quoted(std::filesystem::absolute(bundle).string()) + "\n";
    if (!units.empty()) text += "units = " + quoted(units) + "\n";
    text += "[[stimuli]]\npath = " + quoted(std::filesystem::absolute(images).string()) + "\n";
    text += "[screen]\nmeasures = [\"units\"]\n";
    return load_campaign({text, "encode", std::filesystem::current_path(), {}},
                         known_experiments());
}

}  // namespace

int encode_command(const std::filesystem::path& bundle, const std::filesystem::path& images,
                   const std::filesystem::path& out, const std::string& units)
{
    TWINSCREEN_REQUIRE(!std::filesystem::exists(out), store,
                       "{} exists already (remove it, or give another name)", out.string());
    start_log(0);
    install_stop_signals();
    Campaign campaign = campaign_of(bundle, images, units);
    // The store grows beside OUT and takes its name at the end, so OUT is whole or absent.
    const std::filesystem::path work = out.string() + ".partial";
    const auto communicator = make_local_communicator();
    try {
        const RunSummary summary = run_campaign(campaign, work, *communicator, stop_requested());
        if (summary.exit_code != 0) {
            std::cout << "stopped; the same command goes on\n";
            return summary.exit_code;
        }
        for (const std::string& line : summary.lines) std::cout << line << "\n";
    } catch (const AgreedFailure& failure) {
        std::cerr << failure.message << "\n";
        return failure.exit_code;
    }
    std::filesystem::rename(work / "responses.h5", out);
    std::filesystem::remove_all(work);
    std::cout << "responses: " << out.string() << ", dataset /columns/response [item, unit]\n"
              << "open it in Python:\n"
              << python_lines(out) << "\n";
    return 0;
}

}  // namespace twinscreen
