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
            {"bad_description", stage.bad_description},
            {"bad_checkpoint", stage.bad_checkpoint},
            {"bad_mixed_mark", stage.bad_mixed_mark},
            {"format_version", stage.format_version},
            {"content_hash", stage.content_hash}};
}

bool is_damaged(const StoreVerdict& verdict)
{
    return std::any_of(verdict.stages.begin(), verdict.stages.end(),
                       [](const auto& stage) { return is_damaged(stage); });
}

bool has_bad_description(const StoreVerdict& verdict)
{
    return std::any_of(verdict.stages.begin(), verdict.stages.end(),
                       [](const auto& stage) { return stage.bad_description; });
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
        if (stage.bad_checkpoint)
            std::cout << "  the number of the last checkpoint is damaged: the next run verifies "
                         "every shard\n";
        if (stage.bad_mixed_mark) std::cout << "  the mark of mixed numerics is damaged\n";
        if (stage.bad_description)
            std::cout << "  attributes, tables or structure are not what they were when the file "
                         "was created\n";
        if (stage.format_version == 1)
            std::cout << "  format version 1: attributes and tables have no checksum\n";
    }
    if (has_bad_description(verdict))
        std::cout << "no content hash: the store is damaged, and attributes, tables and structure "
                     "cannot be computed again. Move the file away, and the same run command "
                     "starts anew\n";
    else if (is_damaged(verdict))
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
    if (!reopen || has_bad_description(verdict)) return Error(Error::Kind::store, "").exit_code();
    const std::uint64_t reopened = reopen_damaged(folder, verdict);
    std::cerr << fmt::format("reopened {} shards; run the campaign again to compute them\n",
                             reopened);
    return 0;
}

}  // namespace twinscreen
