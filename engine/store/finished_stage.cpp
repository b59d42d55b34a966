#include "engine/store/finished_stage.hpp"

#include <fmt/ranges.h>

#include "engine/store/description.hpp"
#include "engine/store/stage_content.hpp"
#include "engine/store/stored_table.hpp"

namespace twinscreen {

namespace fs = std::filesystem;

namespace {

fs::path stage_file_of(const fs::path& store, const std::string& stage)
{
    if (!fs::is_directory(store)) return store;
    fs::path file = store / (stage + ".h5");
    TWINSCREEN_REQUIRE(fs::exists(file), store, "{} has no {}: no store with a stage '{}'",
                       store.string(), file.filename().string(), stage);
    return file;
}

StageLayout layout_of(const fs::path& file)
{
    auto layout = read_stage_layout(file);
    TWINSCREEN_REQUIRE(layout.has_value(), store, "{} was not written by twinscreen run",
                       file.string());
    return std::move(*layout);
}

}  // namespace

FinishedStage::FinishedStage(const fs::path& store, const std::string& stage)
    : file_(stage_file_of(store, stage), RawFile::Access::read),
      layout_(layout_of(file_.path())),
      plan_(plan_of(layout_)),
      is_sound_(layout_.shards, false)
{
    TWINSCREEN_REQUIRE(description_is_sound(file_, layout_), store,
                       "{}: attributes, tables or structure are not what they were when the file "
                       "was created",
                       file_.path().string());
    Digest content = start_content(layout_);
    std::uint64_t open = 0;
    for (std::uint64_t record = 0; record <= layout_.shards; ++record) {
        const auto entry = decode(read_record_bytes(file_, layout_, record), record);
        if (!entry || !entry->sealed) ++open;
        checksums_.push_back(entry ? entry->checksum : 0);
        content.add(checksums_.back());
    }
    TWINSCREEN_REQUIRE(open == 0, store,
                       "{} is not finished: {} of {} shards and the summary are open",
                       file_.path().string(), open, layout_.shards + 1);
    content_hash_ = content.hex();
}

const StoredColumn& FinishedStage::item_column(const std::string& name) const
{
    std::vector<std::string> known;
    for (const StoredColumn& column : layout_.columns) {
        if (column.domain != Domain::item) continue;
        if (column.name == name) return column;
        known.push_back(column.name);
    }
    throw Error(Error::Kind::store,
                fmt::format("{} has no column '{}' of items (it has: {})", file_.path().string(),
                            name, fmt::join(known, ", ")));
}

Table FinishedStage::table(const std::string& group) const
{
    return read_stored_table(file_.path(), group);
}

void FinishedStage::read(const StoredColumn& column, std::uint64_t first, std::uint64_t rows,
                         std::span<std::byte> bytes)
{
    if (rows == 0) return;
    for (std::uint64_t shard = first / layout_.shard_items;
         shard <= (first + rows - 1) / layout_.shard_items; ++shard)
        if (!is_sound_[shard]) require_sound(plan_.shard(ShardId{shard}));
    file_.read(column.offset + first * column.row_bytes, bytes);
}

void FinishedStage::require_sound(const Shard& shard)
{
    const std::uint64_t at = index_of(shard.id);
    TWINSCREEN_REQUIRE(shard_checksum(file_, layout_, shard) == checksums_[at], store,
                       "{}: shard {} is damaged (twinscreen verify says what else is; with "
                       "--reopen, and then the run of that campaign, it is computed again)",
                       file_.path().string(), at);
    is_sound_[at] = true;
}

}  // namespace twinscreen
