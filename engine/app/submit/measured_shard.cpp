#include "engine/app/submit/measured_shard.hpp"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "engine/app/submit/child_program.hpp"
#include "engine/base/error.hpp"
#include "engine/run/progress.hpp"

namespace twinscreen {
namespace {

/// Of the shards that are sealed according to telemetry.
struct Sealed {
    std::set<std::uint64_t> shards;
    std::uint64_t items = 0;
    double seconds = 0.0;
};

void add_event(const nlohmann::json& event, const std::string& stage, Sealed& sealed)
{
    if (event.at("event") != "sealed" || event.at("stage") != stage ||
        !sealed.shards.insert(event.at("shard").get<std::uint64_t>()).second)
        return;
    sealed.items += event.at("items").get<std::uint64_t>();
    sealed.seconds += event.at("compute_s").get<double>() + event.value("wait_fill_s", 0.0) +
                      event.value("wait_write_s", 0.0);
}

Sealed sealed_shards(const std::filesystem::path& telemetry, const std::string& stage)
{
    Sealed sealed;
    std::ifstream lines(telemetry);
    for (std::string line; std::getline(lines, line);) {
        try {
            add_event(nlohmann::json::parse(line), stage, sealed);
        } catch (const nlohmann::json::exception&) {
            continue;  // a torn line, or one of somebody else
        }
    }
    return sealed;
}

class TemporaryFolder {
public:
    TemporaryFolder()
    {
        std::string path = (std::filesystem::temp_directory_path() / "twinscreen-XXXXXX").string();
        TWINSCREEN_REQUIRE(mkdtemp(path.data()) != nullptr, store,
                           "no temporary folder can be made in {}",
                           std::filesystem::temp_directory_path().string());
        path_ = path;
    }
    ~TemporaryFolder()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

std::string text_of(const std::filesystem::path& file)
{
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
}

}  // namespace

std::optional<MeasuredShards> shards_in_store(const std::filesystem::path& folder, const Plan& plan)
{
    const std::filesystem::path telemetry = folder / "telemetry.jsonl";
    const Sealed sealed = sealed_shards(telemetry, plan.stage);
    if (sealed.items == 0) return std::nullopt;
    return MeasuredShards{
        sealed.seconds / static_cast<double>(sealed.items),
        plan.items - std::min(plan.items, sealed.items), 0.0,
        fmt::format("{} shards in {}", count_text(sealed.shards.size()), telemetry.string())};
}

MeasuredShards measure_first_shard(const std::vector<std::string>& run_words, const Plan& plan,
                                   const std::string& items_are, double most_seconds)
{
    const TemporaryFolder folder;
    const std::filesystem::path store = folder.path() / "store", log = folder.path() / "log";
    std::vector<std::string> words = run_words;
    const std::uint64_t items = std::min(plan.items, plan.shard_items);
    for (const std::string& word :
         {std::string("--limit"), std::to_string(items), std::string("--out"), store.string()})
        words.push_back(word);
    ChildProgram program(words, log);
    const auto start = std::chrono::steady_clock::now();
    const std::chrono::duration<double> limit(most_seconds);
    Sealed sealed;
    // Later stages may refuse so few items: the first one is all that is wanted.
    while (sealed.items == 0 && !program.ended() &&
           std::chrono::steady_clock::now() - start < limit) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        sealed = sealed_shards(store / "telemetry.jsonl", plan.stage);
    }
    program.stop();
    const ChildProgram::End end = program.wait();
    sealed = sealed_shards(store / "telemetry.jsonl", plan.stage);
    if (sealed.items == 0 && std::chrono::steady_clock::now() - start >= limit)
        throw Error(Error::Kind::data,
                    fmt::format("the first shard ({} {}) takes more than {} here",
                                count_text(items), items_are, duration_text(most_seconds)),
                    "--no-measure submits without an estimate of the time");
    TWINSCREEN_REQUIRE(sealed.items > 0, data, "the first shard ended with exit code {}:\n{}",
                       end.exit_code, text_of(log));
    return {sealed.seconds / static_cast<double>(sealed.items), plan.items, end.memory_bytes,
            fmt::format("{} {} just now on this machine", count_text(sealed.items), items_are)};
}

}  // namespace twinscreen
