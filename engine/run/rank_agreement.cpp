#include "engine/run/rank_agreement.hpp"

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <thread>
#include <unistd.h>

#include <elf.h>
#include <link.h>
#include <nlohmann/json.hpp>

#include "engine/run/agreement.hpp"
#include "engine/run/telemetry.hpp"
#include "engine/twin/bundle.hpp"

namespace twinscreen {
namespace {

/// Clocks of one cluster are within milliseconds; hours apart, dates in the store mean nothing.
constexpr double most_clock_difference_s = 600.0;

std::string hex_of(const unsigned char* bytes, std::size_t count)
{
    std::string text;
    for (std::size_t at = 0; at < count; ++at) text += fmt::format("{:02x}", bytes[at]);
    return text;
}

/// Called for the executable first, which is all that is asked for.
int find_build_id(dl_phdr_info* object, std::size_t, void* text)
{
    constexpr std::size_t word = 4;
    for (int at = 0; at < object->dlpi_phnum; ++at) {
        const auto& part = object->dlpi_phdr[at];
        if (part.p_type != PT_NOTE) continue;
        const auto* note = reinterpret_cast<const unsigned char*>(object->dlpi_addr + part.p_vaddr);
        const auto* end = note + part.p_memsz;
        while (note + sizeof(ElfW(Nhdr)) <= end) {
            const auto* head = reinterpret_cast<const ElfW(Nhdr)*>(note);
            const std::size_t name = (head->n_namesz + word - 1) / word * word;
            const auto* contents = note + sizeof(ElfW(Nhdr)) + name;
            if (head->n_type == NT_GNU_BUILD_ID)
                *static_cast<std::string*>(text) = hex_of(contents, head->n_descsz);
            note = contents + (head->n_descsz + word - 1) / word * word;
        }
    }
    return 1;
}

std::string build_of_this_program()
{
    std::string id;
    dl_iterate_phdr(find_build_id, &id);
    return id.empty() ? std::string("unknown") : id.substr(0, 12);
}

std::string text_of(const RankFacts& facts)
{
    return nlohmann::json{facts.host,    facts.build,        facts.numerics, facts.twins,
                          facts.stimuli, facts.thread_limit, facts.clock_s}
        .dump();
}

RankFacts facts_of(const std::string& text)
{
    const auto json = nlohmann::json::parse(text);
    return {json[0].get<std::string>(), json[1].get<std::string>(), json[2].get<std::string>(),
            json[3].get<std::string>(), json[4].get<std::string>(), json[5].get<std::string>(),
            json[6].get<double>()};
}

void require_same_files(const RankFacts& mine, const RankFacts& theirs)
{
    const char* advice = "Name files that all nodes share, or copy them again";
    if (mine.twins != theirs.twins)
        throw Error(Error::Kind::data,
                    fmt::format("{} has other twin files than {}: {}; there {}", mine.host,
                                theirs.host, mine.twins, theirs.twins),
                    advice);
    if (mine.stimuli != theirs.stimuli)
        throw Error(Error::Kind::data,
                    fmt::format("{} has other stimuli than {}: {}; there {}", mine.host,
                                theirs.host, mine.stimuli, theirs.stimuli),
                    advice);
}

class FolderProbe {
public:
    explicit FolderProbe(const std::filesystem::path& folder)
    {
        std::error_code failure;
        existed_ = std::filesystem::exists(folder, failure);
        std::filesystem::create_directories(folder, failure);
        TWINSCREEN_REQUIRE(!failure && std::filesystem::is_directory(folder), store,
                           "{}: cannot make this folder ({})", folder.string(), failure.message());
        folder_ = folder;
        file_ = folder / fmt::format(".seen-by-all-{}-{}", host_name(), getpid());
        const int descriptor = open(file_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (descriptor < 0)
            throw Error(
                Error::Kind::store,
                fmt::format("cannot write in {} ({})", folder.string(), std::strerror(errno)),
                "Choose another output folder with --out.");
        close(descriptor);
    }
    ~FolderProbe()
    {
        std::error_code ignored;
        std::filesystem::remove(file_, ignored);
        if (!keep_ && !existed_) std::filesystem::remove(folder_, ignored);
    }
    FolderProbe(const FolderProbe&) = delete;
    FolderProbe& operator=(const FolderProbe&) = delete;
    std::string name() const { return file_.filename().string(); }
    void keep_folder() { keep_ = true; }

private:
    std::filesystem::path folder_, file_;
    bool existed_ = false;
    bool keep_ = false;
};

/// Network file systems may show a new file some seconds late.
bool appears(const std::filesystem::path& file)
{
    constexpr int tries = 50;
    for (int left = tries; left > 0; --left) {
        std::error_code ignored;
        if (std::filesystem::exists(file, ignored)) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return false;
}

}  // namespace

RankFacts facts_of_this_rank(const Campaign& campaign)
{
    RankFacts facts;
    facts.host = host_name();
    facts.build = build_of_this_program();
    facts.numerics = numerics_fingerprint();
    if (campaign.executor && campaign.executor->wants_whole_batches())
        facts.numerics += " device " + campaign.executor->name();
    for (const Twin& twin : campaign.twins)
        facts.twins += fmt::format("{}{} {}", facts.twins.empty() ? "" : ", ", twin.spec.name,
                                   twin.spec.digest);
    facts.stimuli = stimuli_identity(*campaign.stimuli);
    const char* limit = std::getenv("OMP_THREAD_LIMIT");
    facts.thread_limit = limit == nullptr ? "" : limit;
    facts.clock_s = seconds_since_1970();
    return facts;
}

void require_same(const RankFacts& mine, const RankFacts& theirs, bool may_differ)
{
    if (mine.numerics != theirs.numerics && !may_differ)
        throw Error(Error::Kind::device,
                    fmt::format("{} computes with '{}', {} with '{}': results would depend on "
                                "which rank did what",
                                mine.host, mine.numerics, theirs.host, theirs.numerics),
                    "Use nodes of one kind, or set [run] numerics = \"mixed\"");
    if (mine.build != theirs.build && !may_differ)
        throw Error(Error::Kind::device,
                    fmt::format("{} runs another build of twinscreen than {} ({} and {})",
                                mine.host, theirs.host, mine.build, theirs.build),
                    "Start the same executable on all nodes, or set [run] numerics = \"mixed\"");
    require_same_files(mine, theirs);
    const auto limit = [](const RankFacts& facts) {
        return facts.thread_limit.empty() ? std::string("no OMP_THREAD_LIMIT")
                                          : "OMP_THREAD_LIMIT=" + facts.thread_limit;
    };
    TWINSCREEN_REQUIRE(mine.thread_limit == theirs.thread_limit, device,
                       "{} has {}, {} has {}: they would compute with different numbers of threads",
                       mine.host, limit(mine), theirs.host, limit(theirs));
    const double apart = mine.clock_s - theirs.clock_s;
    TWINSCREEN_REQUIRE(std::abs(apart) < most_clock_difference_s, device,
                       "the clock of {} is {:.0f} minutes {} that of {}: set it right first",
                       mine.host, std::abs(apart) / 60.0, apart > 0.0 ? "ahead of" : "behind",
                       theirs.host);
}

void compare_ranks(Communicator& communicator, const Campaign& campaign, const RankFacts& mine)
{
    const RankFacts theirs = facts_of(broadcast_text(communicator, text_of(mine)));
    agree(communicator, [&] { require_same(mine, theirs, campaign.run.mixed_numerics); });
}

void make_shared_folder(Communicator& communicator, const std::filesystem::path& folder)
{
    std::unique_ptr<FolderProbe> probe;
    on_rank_0(communicator, [&] { probe = std::make_unique<FolderProbe>(folder); });
    const std::string name = broadcast_text(communicator, probe ? probe->name() : "");
    agree(communicator, [&] {
        TWINSCREEN_REQUIRE(appears(folder / name), store,
                           "{} does not see what is written in {}: the output folder has to be on "
                           "a file system that all nodes share",
                           host_name(), folder.string());
    });
    if (probe) probe->keep_folder();
}

}  // namespace twinscreen
