#include "engine/store/verify.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "engine/base/digest.hpp"
#include "engine/store/description.hpp"
#include "engine/store/folder_lock.hpp"
#include "engine/store/ledger.hpp"
#include "engine/store/raw_file.hpp"
#include "engine/store/stage_content.hpp"
#include "engine/store/stage_layout.hpp"

namespace twinscreen {

namespace fs = std::filesystem;

namespace {

class StageCheck {
public:
    StageCheck(const fs::path& file, const StageLayout& layout)
        : layout_(layout), plan_(plan_of(layout)), raw_(file, RawFile::Access::read)
    {
        verdict_.stage = layout.stage;
        verdict_.file = file;
        verdict_.shards = layout.shards;
        verdict_.format_version = layout.version;
    }

    StageVerdict run()
    {
        Digest content = start_content(layout_);
        verdict_.bad_description = !description_is_sound(raw_, layout_);
        verdict_.bad_checkpoint = !stored_epoch(raw_, layout_).has_value();
        verdict_.bad_mixed_mark = !mixed_mark_is_sound();
        for (std::uint64_t shard = 0; shard < layout_.shards; ++shard)
            content.add(check_shard(plan_.shard(ShardId{shard})));
        content.add(check_summary());
        if (verdict_.complete) verdict_.content_hash = content.hex();
        return std::move(verdict_);
    }

private:
    bool mixed_mark_is_sound() const
    {
        std::array<std::byte, 1> mark{};
        raw_.read(layout_.mixed_offset, mark);
        return layout_.version == 1 || mark[0] == std::byte{0} ||
               mark[0] == std::byte{mixed_numerics_mark};
    }

    bool rows_are_marked(const ItemRange& items) const
    {
        constexpr std::uint64_t at_once = 65536;
        std::vector<std::byte> marks;
        for (std::uint64_t done = 0; done < items.count; done += marks.size()) {
            marks.resize(static_cast<std::size_t>(std::min(at_once, items.count - done)));
            raw_.read(layout_.sealed_offset + index_of(items.first) + done, marks);
            if (std::any_of(marks.begin(), marks.end(),
                            [](std::byte mark) { return mark != std::byte{1}; }))
                return false;
        }
        return true;
    }

    std::uint64_t check_shard(const Shard& shard)
    {
        const LedgerBytes bytes = read_record_bytes(raw_, layout_, index_of(shard.id));
        const auto record = decode(bytes, index_of(shard.id));
        if (!record) {
            if (!is_blank(bytes)) verdict_.bad_shards.push_back(index_of(shard.id));
            return 0;
        }
        if (!record->sealed) return 0;
        ++verdict_.sealed;
        const std::uint64_t checksum = shard_checksum(raw_, layout_, shard);
        if (checksum != record->checksum || !rows_are_marked(shard.items))
            verdict_.bad_shards.push_back(index_of(shard.id));
        return checksum;
    }

    std::uint64_t check_summary()
    {
        const LedgerBytes bytes = read_record_bytes(raw_, layout_, layout_.shards);
        const auto record = decode(bytes, layout_.shards);
        if (!record || !record->sealed) {
            verdict_.bad_summary = !record && !is_blank(bytes);
            return 0;
        }
        const std::uint64_t checksum = summary_checksum(raw_, layout_);
        verdict_.bad_summary = checksum != record->checksum;
        verdict_.complete = verdict_.sealed == verdict_.shards;
        return checksum;
    }

    const StageLayout& layout_;
    Plan plan_;
    RawFile raw_;
    StageVerdict verdict_;
};

std::vector<fs::path> candidates(const fs::path& folder)
{
    std::error_code failure;
    std::vector<fs::path> files;
    for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end;
         entry.increment(failure))
        if (entry->path().extension() == ".h5" && entry->is_regular_file(failure))
            files.push_back(entry->path());
    TWINSCREEN_REQUIRE(!failure, store, "cannot read the folder {} ({})", folder.string(),
                       failure.message());
    std::sort(files.begin(), files.end());
    return files;
}

}  // namespace

bool is_damaged(const StageVerdict& stage) noexcept
{
    return !stage.bad_shards.empty() || stage.bad_summary || stage.bad_description ||
           stage.bad_checkpoint || stage.bad_mixed_mark;
}

StageVerdict verify_stage(const fs::path& file, const StageLayout& layout)
{
    return StageCheck(file, layout).run();
}

StoreVerdict verify_store(const fs::path& folder)
{
    StoreVerdict verdict;
    for (const fs::path& file : candidates(folder))
        if (const auto layout = read_stage_layout(file))
            verdict.stages.push_back(verify_stage(file, *layout));
    TWINSCREEN_REQUIRE(!verdict.stages.empty(), store,
                       "{} holds no results (no .h5 file in it was written by twinscreen run)",
                       folder.string());
    Digest content;
    for (const StageVerdict& stage : verdict.stages) {
        if (stage.content_hash.empty()) return verdict;
        content.add(stage.content_hash);
    }
    verdict.content_hash = content.hex();
    return verdict;
}

std::uint64_t reopen_damaged(const fs::path& folder, const StoreVerdict& verdict)
{
    const FolderLock lock(folder);
    constexpr LedgerBytes blank{};
    std::uint64_t reopened = 0;
    for (const StageVerdict& stage : verdict.stages) {
        if (!is_damaged(stage) || stage.bad_description) continue;
        const auto layout = read_stage_layout(stage.file);
        TWINSCREEN_REQUIRE(layout.has_value(), store, "{} has changed meanwhile",
                           stage.file.string());
        const RawFile raw(stage.file, RawFile::Access::read_write);
        if (stage.bad_mixed_mark)
            raw.write(layout->mixed_offset, std::array{std::byte{mixed_numerics_mark}});
        // The summary was combined from the damaged shards too.
        std::vector<std::uint64_t> records = stage.bad_shards;
        records.push_back(stage.shards);
        for (const std::uint64_t record : records)
            raw.write(layout->ledger_offset + record * ledger_record_bytes, blank);
        raw.flush();
        reopened += stage.bad_shards.size();
    }
    return reopened;
}

}  // namespace twinscreen
