#include "engine/store/description.hpp"

#include <algorithm>
#include <span>
#include <vector>

#include "engine/store/ledger.hpp"

namespace twinscreen {

namespace {

struct Part {
    std::uint64_t offset = 0;
    std::uint64_t bytes = 0;
};

/// HDF5 notes at the start of a file (superblock version 2) that it is open for writing, and after
/// a kill the note stays. It lies under a checksum of HDF5's own, which the library compares
/// whenever it opens the file.
constexpr Part open_for_writing{11, 1};
constexpr Part superblock_checksum{44, 4};

/// What runs change, and the checksum itself; in the order of the file.
std::vector<Part> changing_parts(const StageLayout& layout)
{
    std::vector<Part> parts{open_for_writing,
                            superblock_checksum,
                            {layout.ledger_offset, (layout.shards + 1) * ledger_record_bytes},
                            {layout.sealed_offset, layout.items},
                            {layout.epoch_offset, sizeof(std::uint64_t)},
                            {layout.mixed_offset, 1},
                            {layout.description_offset, sizeof(std::uint64_t)}};
    for (const StoredColumn& column : layout.columns)
        parts.push_back({column.offset, column.rows * column.row_bytes});
    std::erase_if(parts, [](const Part& part) { return part.bytes == 0; });
    std::sort(parts.begin(), parts.end(),
              [](const Part& a, const Part& b) { return a.offset < b.offset; });
    return parts;
}

std::uint64_t checksum_of_description(const RawFile& file, const StageLayout& layout)
{
    std::vector<std::uint64_t> checksums;
    std::uint64_t at = 0;
    for (const Part& part : changing_parts(layout)) {
        TWINSCREEN_REQUIRE(part.offset >= at, store, "{} is damaged (its datasets overlap)",
                           file.path().string());
        checksums.push_back(file.checksum(at, part.offset - at));
        at = part.offset + part.bytes;
    }
    checksums.push_back(file.checksum(at, file.size() - at));
    return combined_checksum(checksums);
}

}  // namespace

void seal_description(const std::filesystem::path& file)
{
    const StageLayout layout = read_stage_layout(file).value();
    const RawFile raw(file, RawFile::Access::read_write);
    const std::uint64_t checksum = checksum_of_description(raw, layout);
    raw.write(layout.description_offset, std::as_bytes(std::span(&checksum, 1)));
}

bool description_is_sound(const RawFile& file, const StageLayout& layout)
{
    if (layout.version == 1) return true;
    std::uint64_t stored = 0;
    file.read(layout.description_offset, std::as_writable_bytes(std::span(&stored, 1)));
    return stored == checksum_of_description(file, layout);
}

}  // namespace twinscreen
