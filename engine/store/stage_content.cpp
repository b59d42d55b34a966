#include "engine/store/stage_content.hpp"

namespace twinscreen {

Digest start_content(const StageLayout& layout)
{
    Digest content;
    content.add(layout.stage).add(layout.items).add(layout.shard_items);
    for (const StoredColumn& column : layout.columns)
        content.add(column.name)
            .add(static_cast<std::uint64_t>(column.domain))
            .add(name_of(column.type))
            .add(column.axes)
            .add(column.unit)
            .add(column.row_bytes);
    return content;
}

Plan plan_of(const StageLayout& layout)
{
    return {layout.stage, layout.items, layout.shard_items, 1, 1, 1, {}};
}

std::uint64_t shard_checksum(const RawFile& file, const StageLayout& layout, const Shard& shard)
{
    std::vector<std::uint64_t> columns;
    for (const StoredColumn& column : layout.columns) {
        if (column.domain == Domain::stage) continue;
        const bool by_item = column.domain == Domain::item;
        const std::uint64_t first = by_item ? index_of(shard.items.first) : index_of(shard.id);
        const std::uint64_t rows = by_item ? shard.items.count : 1;
        columns.push_back(
            file.checksum(column.offset + first * column.row_bytes, rows * column.row_bytes));
    }
    return combined_checksum(columns);
}

std::uint64_t summary_checksum(const RawFile& file, const StageLayout& layout)
{
    std::vector<std::uint64_t> columns;
    for (const StoredColumn& column : layout.columns)
        if (column.domain == Domain::stage)
            columns.push_back(file.checksum(column.offset, column.row_bytes));
    return combined_checksum(columns);
}

LedgerBytes read_record_bytes(const RawFile& file, const StageLayout& layout, std::uint64_t record)
{
    LedgerBytes bytes{};
    file.read(layout.ledger_offset + record * ledger_record_bytes, bytes);
    return bytes;
}

}  // namespace twinscreen
