#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/store/raw_file.hpp"
#include "engine/store/sink.hpp"

namespace twinscreen {

/// Root attribute "format" of every stage file.
inline constexpr const char* stage_format = "twinscreen stage";
/// Root attribute "version". Version 1 had no checksum of the description and no check in the
/// number of the last checkpoint; such files are still read and continued.
inline constexpr std::int64_t stage_format_version = 2;

/// One result dataset as stored.
struct StoredColumn {
    std::string name;
    Domain domain = Domain::item;
    ElementType type = ElementType::f32;
    std::string axes;  ///< "item, unit, time [s]"
    std::string unit;
    std::uint64_t rows = 0;       ///< items, shards, or 1
    std::uint64_t row_bytes = 0;  ///< size of one row
    std::uint64_t offset = 0;     ///< of its first byte in the file
};

/// What one has to know about a stage file to check and continue it without the HDF5 library.
struct StageLayout {
    std::int64_t version = stage_format_version;
    std::string stage;
    Identity identity;
    std::string numerics;
    std::string campaign;  ///< text and overrides of the campaign that made the file; may be empty
    std::uint64_t items = 0;
    std::uint64_t shard_items = 1;
    std::uint32_t batch_items = 0;  ///< 0 in stores from before it was recorded
    std::uint64_t shards = 0;
    std::vector<StoredColumn> columns;     ///< in column order
    std::uint64_t ledger_offset = 0;       ///< [shards + 1] records
    std::uint64_t epoch_offset = 0;        ///< u64, see encode_epoch
    std::uint64_t mixed_offset = 0;        ///< u8, not 0 after a run on other numerics
    std::uint64_t sealed_offset = 0;       ///< u8 [items]
    std::uint64_t description_offset = 0;  ///< u64, from version 2 on
};

/// The HDF5 path of a column's dataset: /columns/<name>, /partials/<name> or /summary/<name>.
std::string dataset_path(Domain domain, const std::string& name);
/// "item, unit, time [s]"
std::string axes_text(const ColumnSpec& column);

/// Reads the layout of a stage file in a child process, so that a damaged or hostile file can
/// neither crash nor hang this one, and checks that every offset lies inside the file. Nothing when
/// it is a sound HDF5 file, but not one of ours. Throws Error(store) that says what is wrong.
std::optional<StageLayout> read_stage_layout(
    const std::filesystem::path& file,
    std::chrono::milliseconds limit = std::chrono::milliseconds{60'000});

/// The number of the last checkpoint; nothing where it is damaged. Format version 1 had no check.
std::optional<std::uint32_t> stored_epoch(const RawFile& file, const StageLayout& layout);

}  // namespace twinscreen
