#include "engine/run/shard_scratch.hpp"

#include <algorithm>
#include <array>
#include <unistd.h>

#include "engine/base/digest.hpp"
#include "engine/base/failpoint.hpp"
#include "engine/base/log.hpp"
#include "engine/run/input_reader.hpp"
#include "engine/store/raw_file.hpp"

namespace twinscreen {
namespace {

namespace fs = std::filesystem;

constexpr const char* ending = ".state";
constexpr const char* unfinished_ending = ".partial";

/// Stands before the state in its file.
struct Header {
    std::array<char, 8> magic{'t', 'w', 's', 't', 'a', 't', 'e', '\n'};
    std::uint64_t version = 1;
    std::array<char, 32> owner{};  ///< digest of the stage's owner and the shard's number
    std::uint64_t bytes = 0;       ///< of the state
    std::uint64_t checksum = 0;    ///< XXH3-64 of the state
};
static_assert(sizeof(Header) == 64);

Header header_of(const std::string& owner, std::span<const std::byte> state)
{
    Header header;
    std::copy_n(owner.begin(), header.owner.size(), header.owner.begin());
    header.bytes = state.size();
    header.checksum = checksum_of(state);
    return header;
}

/// Throws Error(store) that says why there is no state of this owner.
std::vector<std::byte> read_state(const fs::path& path, const std::string& owner)
{
    const RawFile file(path, RawFile::Access::read);
    const std::uint64_t size = file.size();
    const Header ours = header_of(owner, {});
    Header found;
    TWINSCREEN_REQUIRE(size >= sizeof(found) && size <= sizeof(found) + ShardScratch::largest_state,
                       store, "it has {} bytes", size);
    file.read(0, std::as_writable_bytes(std::span(&found, 1)));
    TWINSCREEN_REQUIRE(found.magic == ours.magic && found.version == ours.version, store,
                       "it is no saved state that this program knows");
    TWINSCREEN_REQUIRE(found.owner == ours.owner, store,
                       "it was saved by another campaign, program version or kind of machine, or "
                       "for another shard");
    TWINSCREEN_REQUIRE(found.bytes == size - sizeof(found), store, "it has {} bytes instead of {}",
                       size - sizeof(found), found.bytes);
    std::vector<std::byte> state(found.bytes);
    file.read(sizeof(found), state);
    TWINSCREEN_REQUIRE(checksum_of(state) == found.checksum, store,
                       "it does not match its checksum");
    return state;
}

/// All of the new file, or all of the old one, whenever the machine dies.
void write_state(const fs::path& path, const std::string& owner, std::span<const std::byte> state)
{
    const fs::path unfinished = path.string() + unfinished_ending;
    try {
        fs::create_directories(path.parent_path());
        fs::remove(unfinished);
        const RawFile file(unfinished, RawFile::Access::create);
        const Header header = header_of(owner, state);
        file.write(0, std::as_bytes(std::span(&header, 1)));
        file.write(sizeof(header), state);
        TWINSCREEN_FAILPOINT("scratch: state written");
        file.flush();
        TWINSCREEN_FAILPOINT("scratch: state flushed");
        fs::rename(unfinished, path);
        TWINSCREEN_FAILPOINT("scratch: state renamed");
    } catch (const std::exception&) {
        std::error_code ignored;
        fs::remove(unfinished, ignored);
        throw;
    }
    flush_folder(path.parent_path());
}

/// "118.state" or "118.state.partial"
bool is_ours(const fs::path& file)
{
    const std::string name = file.filename().string();
    const std::size_t digits = std::min(name.find_first_not_of("0123456789"), name.size());
    const std::string rest = name.substr(digits);
    return digits > 0 && (rest == ending || rest == std::string(ending) + unfinished_ending);
}

}  // namespace

fs::path StageScratch::file_of(ShardId shard) const
{
    return folder / (std::to_string(index_of(shard)) + ending);
}

ShardScratch::ShardScratch(StageScratch& stage, ShardId shard)
    : stage_(stage),
      shard_(index_of(shard)),
      file_(stage.file_of(shard)),
      owner_(Digest{}.add(stage.owner).add(shard_).hex()),
      saved_(stage.now())
{
}

std::vector<std::byte> ShardScratch::load()
{
    std::error_code ignored;
    has_file_ = fs::exists(fs::symlink_status(file_, ignored));
    if (!has_file_) return {};
    try {
        return read_state(file_, owner_);
    } catch (const std::exception& error) {
        spdlog::warn("{}: this state of shard {} is not used ({}); the shard begins anew",
                     file_.string(), shard_, error.what());
        return {};
    }
}

void ShardScratch::save_if_due(const State& state)
{
    const bool must_stop = stage_.stop != nullptr && stage_.stop->load();
    const std::chrono::duration<double> since_saved = stage_.now() - saved_;
    if (!must_stop && since_saved.count() < stage_.seconds) return;
    save(state());
    if (must_stop) throw StopRequested{};
    saved_ = stage_.now();
}

void ShardScratch::save(std::span<const std::byte> state)
{
    try {
        TWINSCREEN_REQUIRE(state.size() <= largest_state, store,
                           "a state of {} bytes is too large (at most {})", state.size(),
                           largest_state);
        has_file_ = true;
        write_state(file_, owner_, state);
    } catch (const std::exception& error) {
        if (std::exchange(stage_.has_warned, true)) return;
        const std::string text = error.what();
        spdlog::warn(
            "{}: the state of shard {} could not be saved ({}); the run goes on, and what "
            "was not saved is computed again if it is interrupted",
            file_.string(), shard_, text.substr(0, text.find('\n')));
    }
}

void remove_scratch(const fs::path& stage_folder) noexcept
try {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(stage_folder))
        if (is_ours(entry.path())) files.push_back(entry.path());
    std::error_code ignored;
    for (const fs::path& file : files) fs::remove(file, ignored);
    TWINSCREEN_FAILPOINT("scratch: folder emptied");
    // A folder that holds something else stays, and so does a link that somebody made.
    if (rmdir(stage_folder.c_str()) == 0) rmdir(stage_folder.parent_path().c_str());
} catch (const std::exception&) {
    // There is none, or nobody may read it.
}

}  // namespace twinscreen
