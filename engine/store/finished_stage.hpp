#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "engine/base/table.hpp"
#include "engine/store/raw_file.hpp"
#include "engine/store/stage_layout.hpp"

namespace twinscreen {

/// A finished stage of another campaign, as input of this one. What is read is checked against the
/// checksums of the store, shard by shard, when a shard is first looked at. For one thread.
class FinishedStage {
public:
    /// store  a folder of results, or one of its stage files
    /// stage  the name of the stage, where a folder is given
    /// Throws Error(store) for what is no store, not finished, or damaged so far as its description
    /// and its ledger tell; the file may be hostile.
    FinishedStage(const std::filesystem::path& store, const std::string& stage);

    const std::filesystem::path& file() const noexcept { return file_.path(); }
    const StageLayout& layout() const noexcept { return layout_; }
    /// What `twinscreen verify` prints for the stage, by its ledger: the shards are not read.
    const std::string& content_hash() const noexcept { return content_hash_; }
    /// An item column. Throws Error(store) that names those there are.
    const StoredColumn& item_column(const std::string& name) const;
    /// A table of the stage ("units").
    Table table(const std::string& group) const;
    /// Rows of an item column. Throws Error(store) where a shard they are of is damaged.
    void read(const StoredColumn& column, std::uint64_t first, std::uint64_t rows,
              std::span<std::byte> bytes);

private:
    void require_sound(const Shard& shard);

    RawFile file_;
    StageLayout layout_;
    Plan plan_;
    std::string content_hash_;
    std::vector<std::uint64_t> checksums_;  // [shards] by the ledger
    std::vector<bool> is_sound_;            // [shards] read and compared
};

}  // namespace twinscreen
