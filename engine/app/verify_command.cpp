#include <algorithm>
#include <iostream>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "engine/app/commands.hpp"
#include "engine/base/error.hpp"
#include "engine/run/progress.hpp"
#include "engine/store/verify.hpp"

namespace twinscreen {
namespace {

nlohmann::json json_of(const StageVerdict& stage)
{
    return {{"stage", stage.stage},
            {"file", stage.file.string()},
            {"shards", stage.shards},
            {"sealed", stage.sealed},
            {"complete", stage.complete},
            {"bad_shards", stage.bad_shards},
            {"bad_summary", stage.bad_summary},
            {"content_hash", stage.content_hash}};
}

bool is_damaged(const StoreVerdict& verdict)
{
    return std::any_of(verdict.stages.begin(), verdict.stages.end(), [](const auto& stage) {
        return !stage.bad_shards.empty() || stage.bad_summary;
    });
}

void print_json(const StoreVerdict& verdict)
{
    nlohmann::json stages = nlohmann::json::array();
    nlohmann::json bad = nlohmann::json::array();
    std::uint64_t shards = 0;
    std::uint64_t sealed = 0;
    for (const StageVerdict& stage : verdict.stages) {
        stages.push_back(json_of(stage));
        shards += stage.shards;
        sealed += stage.sealed;
        for (const std::uint64_t shard : stage.bad_shards) bad.push_back(shard);
    }
    std::cout << nlohmann::json{{"content_hash", verdict.content_hash},
                                {"shards", shards},
                                {"sealed", sealed},
                                {"bad_shards", bad},
                                {"complete", !verdict.content_hash.empty()},
                                {"stages", stages}}
                     .dump(2)
              << "\n";
}

void print_text(const StoreVerdict& verdict)
{
    for (const StageVerdict& stage : verdict.stages) {
        std::cout << stage.file.string() << ": " << count_text(stage.sealed) << " of "
                  << count_text(stage.shards) << " shards sealed"
                  << (stage.complete ? ", complete" : "") << "\n";
        if (!stage.bad_shards.empty())
            std::cout << fmt::format("  damaged shards: {}\n", fmt::join(stage.bad_shards, ", "));
        if (stage.bad_summary) std::cout << "  the summary is damaged\n";
    }
    if (is_damaged(verdict))
        std::cout << "no content hash: the store is damaged. twinscreen verify DIR --reopen, then "
                     "the same run command, compute the damaged shards again\n";
    else if (verdict.content_hash.empty())
        std::cout << "no content hash: the store is not complete\n";
    else
        std::cout << "content hash: " << verdict.content_hash << "\n";
}

}  // namespace

int verify_command(const std::filesystem::path& folder, bool json, bool reopen)
{
    StoreVerdict verdict = verify_store(folder);
    const bool damaged = is_damaged(verdict);
    if (damaged) verdict.content_hash.clear();
    if (json)
        print_json(verdict);
    else
        print_text(verdict);
    if (!damaged) return 0;
    if (!reopen) return Error(Error::Kind::store, "").exit_code();
    const std::uint64_t reopened = reopen_damaged(folder, verdict);
    std::cerr << fmt::format("reopened {} shards; run the campaign again to compute them\n",
                             reopened);
    return 0;
}

}  // namespace twinscreen
