#include "engine/store/stage_layout.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "engine/base/child_process.hpp"
#include "engine/store/hdf5_handle.hpp"
#include "engine/store/ledger.hpp"
#include "engine/store/packing.hpp"

namespace twinscreen {

namespace {

constexpr std::string_view identity_prefix = "identity.";

std::string pack(const StageLayout& layout)
{
    Packer packer;
    packer.add(static_cast<std::uint64_t>(layout.version));
    packer.add(layout.stage)
        .add(layout.numerics)
        .add(layout.campaign)
        .add(layout.items)
        .add(layout.shard_items)
        .add(std::uint64_t{layout.batch_items});
    packer.add(layout.shards).add(layout.ledger_offset).add(layout.epoch_offset);
    packer.add(layout.mixed_offset).add(layout.sealed_offset).add(layout.description_offset);
    packer.add(layout.identity.size());
    for (const auto& [name, value] : layout.identity) packer.add(name).add(value);
    packer.add(layout.columns.size());
    for (const StoredColumn& column : layout.columns) {
        packer.add(column.name).add(static_cast<std::uint64_t>(column.domain));
        packer.add(static_cast<std::uint64_t>(column.type)).add(column.axes).add(column.unit);
        packer.add(column.rows).add(column.row_bytes).add(column.offset);
    }
    return packer.take();
}

StageLayout unpack(std::string bytes)
{
    Unpacker from(std::move(bytes));
    StageLayout layout;
    layout.version = static_cast<std::int64_t>(from.number());
    layout.stage = from.text();
    layout.numerics = from.text();
    layout.campaign = from.text();
    layout.items = from.number();
    layout.shard_items = from.number();
    layout.batch_items = static_cast<std::uint32_t>(from.number());
    layout.shards = from.number();
    layout.ledger_offset = from.number();
    layout.epoch_offset = from.number();
    layout.mixed_offset = from.number();
    layout.sealed_offset = from.number();
    layout.description_offset = from.number();
    for (std::uint64_t left = from.number(); left > 0; --left) {
        std::string name = from.text();
        layout.identity.emplace_back(std::move(name), from.text());
    }
    for (std::uint64_t left = from.number(); left > 0; --left) {
        StoredColumn column;
        column.name = from.text();
        column.domain = static_cast<Domain>(from.number());
        column.type = static_cast<ElementType>(from.number());
        column.axes = from.text();
        column.unit = from.text();
        column.rows = from.number();
        column.row_bytes = from.number();
        column.offset = from.number();
        layout.columns.push_back(std::move(column));
    }
    return layout;
}

struct FoundDataset {
    std::vector<hsize_t> extents;
    ElementType type = ElementType::u8;
    std::uint64_t offset = 0;
    Hdf5Handle handle;
};

/// Follows no link out of the file, and accepts only what can be read by offset.
FoundDataset find_dataset(hid_t file, const std::string& path)
{
    const auto doing = [&] { return fmt::format("open dataset {}", path); };
    H5L_info_t link;
    hdf5_check(H5Lget_info(file, path.c_str(), &link, H5P_DEFAULT), "H5Lget_info", doing);
    TWINSCREEN_REQUIRE(link.type == H5L_TYPE_HARD, store, "dataset {} is a link elsewhere", path);
    FoundDataset found;
    found.handle = hdf5_own(H5Dopen2(file, path.c_str(), H5P_DEFAULT), H5Dclose, "H5Dopen2", doing);
    const Hdf5Handle creation =
        hdf5_own(H5Dget_create_plist(found.handle.id()), H5Pclose, "H5Dget_create_plist", doing);
    // First of all: the shape of a virtual dataset may depend on other files.
    TWINSCREEN_REQUIRE(
        H5Pget_layout(creation.id()) == H5D_CONTIGUOUS && H5Pget_external_count(creation.id()) == 0,
        store, "dataset {} is not stored in one piece", path);
    const Hdf5Handle space =
        hdf5_own(H5Dget_space(found.handle.id()), H5Sclose, "H5Dget_space", doing);
    const Hdf5Handle type =
        hdf5_own(H5Dget_type(found.handle.id()), H5Tclose, "H5Dget_type", doing);
    const int axes =
        hdf5_check(H5Sget_simple_extent_ndims(space.id()), "H5Sget_simple_extent_ndims", doing);
    found.extents.resize(static_cast<std::size_t>(axes));
    hdf5_check(H5Sget_simple_extent_dims(space.id(), found.extents.data(), nullptr),
               "H5Sget_simple_extent_dims", doing);
    TWINSCREEN_REQUIRE(hdf5_element_type(type.id(), found.type), store,
                       "dataset {} has an element type that no column has", path);
    const haddr_t offset = H5Dget_offset(found.handle.id());
    const bool is_empty =
        std::find(found.extents.begin(), found.extents.end(), hsize_t{0}) != found.extents.end();
    TWINSCREEN_REQUIRE(offset != HADDR_UNDEF || is_empty, store, "dataset {} holds no bytes", path);
    found.offset = offset == HADDR_UNDEF ? 0 : offset;
    return found;
}

std::uint64_t checked_product(const std::string& path, std::uint64_t a, std::uint64_t b)
{
    std::uint64_t product = 0;
    TWINSCREEN_REQUIRE(!__builtin_mul_overflow(a, b, &product), store,
                       "dataset {} has an impossible size", path);
    return product;
}

StoredColumn read_column(hid_t file, Domain domain, const std::string& name, std::int64_t& number)
{
    const std::string path = dataset_path(domain, name);
    const FoundDataset found = find_dataset(file, path);
    StoredColumn column;
    column.name = name;
    column.domain = domain;
    column.type = found.type;
    column.axes = hdf5_read_text_attribute(found.handle.id(), "axes");
    if (H5Aexists(found.handle.id(), "units") > 0)
        column.unit = hdf5_read_text_attribute(found.handle.id(), "units");
    column.offset = found.offset;
    number = hdf5_read_number_attribute(found.handle.id(), "column");
    const std::size_t first = domain == Domain::stage ? 0 : 1;
    TWINSCREEN_REQUIRE(found.extents.size() >= first, store, "dataset {} has no rows", path);
    column.rows = first == 1 ? found.extents[0] : 1;
    column.row_bytes = bytes_of(found.type);
    for (std::size_t axis = first; axis < found.extents.size(); ++axis)
        column.row_bytes = checked_product(path, column.row_bytes, found.extents[axis]);
    checked_product(path, column.row_bytes, column.rows);
    return column;
}

herr_t collect_link(hid_t, const char* name, const H5L_info_t*, void* names)
{
    static_cast<std::vector<std::string>*>(names)->emplace_back(name);
    return 0;
}

std::vector<std::string> names_in(hid_t file, const char* group)
{
    const auto doing = [&] { return fmt::format("list group {}", group); };
    const Hdf5Handle opened =
        hdf5_own(H5Gopen2(file, group, H5P_DEFAULT), H5Gclose, "H5Gopen2", doing);
    std::vector<std::string> names;
    // One pass: asking for one name after the other sorts all of them every time.
    hdf5_check(H5Literate(opened.id(), H5_INDEX_NAME, H5_ITER_INC, nullptr, collect_link, &names),
               "H5Literate", doing);
    return names;
}

std::vector<StoredColumn> read_columns(hid_t file)
{
    std::vector<std::pair<std::int64_t, StoredColumn>> numbered;
    for (const Domain domain : {Domain::item, Domain::shard, Domain::stage}) {
        const std::string group = dataset_path(domain, "");
        for (const std::string& name : names_in(file, group.c_str())) {
            std::int64_t number = 0;
            StoredColumn column = read_column(file, domain, name, number);
            numbered.emplace_back(number, std::move(column));
        }
    }
    std::sort(numbered.begin(), numbered.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<StoredColumn> columns;
    for (auto& [number, column] : numbered) {
        TWINSCREEN_REQUIRE(number == static_cast<std::int64_t>(columns.size()), store,
                           "column '{}' has number {}, expected {}", column.name, number,
                           columns.size());
        columns.push_back(std::move(column));
    }
    return columns;
}

herr_t collect_name(hid_t, const char* name, const H5A_info_t*, void* names)
{
    static_cast<std::vector<std::string>*>(names)->emplace_back(name);
    return 0;
}

Identity read_identity(hid_t root)
{
    std::vector<std::string> names;
    hsize_t at = 0;
    hdf5_check(H5Aiterate2(root, H5_INDEX_NAME, H5_ITER_INC, &at, collect_name, &names),
               "H5Aiterate2", "list the root attributes");
    Identity identity;
    for (const std::string& name : names)
        if (name.compare(0, identity_prefix.size(), identity_prefix) == 0)
            identity.emplace_back(name.substr(identity_prefix.size()),
                                  hdf5_read_text_attribute(root, name));
    return identity;
}

Hdf5Handle open_for_reading(const std::filesystem::path& path)
{
    const Hdf5Handle access = hdf5_serial_access();
    const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.id());
    if (file >= 0) return {file, H5Fclose};
    const std::string reason = hdf5_error_text();
    if (reason.find("truncated") != std::string::npos)
        throw Error(Error::Kind::store, fmt::format("it is truncated ({})", reason));
    throw Error(Error::Kind::store, fmt::format("the HDF5 library refuses it ({})", reason));
}

FoundDataset find_description(hid_t file)
{
    FoundDataset found = find_dataset(file, "/ledger/description_checksum");
    TWINSCREEN_REQUIRE(found.extents.empty() && found.type == ElementType::u64, store,
                       "the checksum of its description has another shape than this build writes");
    return found;
}

/// By two signs, and only where nothing fails, so that damage does not make our file somebody
/// else's.
bool is_ours(hid_t root)
{
    const char* doing = "read the root group";
    return hdf5_check(H5Aexists(root, "format"), "H5Aexists", doing) > 0 &&
           hdf5_check(H5Lexists(root, "ledger", H5P_DEFAULT), "H5Lexists", doing) > 0;
}

/// In the child: the answer is empty for somebody else's file.
std::string examine(const std::filesystem::path& path)
{
    hdf5_prepare();
    const Hdf5Handle file = open_for_reading(path);
    const Hdf5Handle root = hdf5_own(H5Gopen2(file.id(), "/", H5P_DEFAULT), H5Gclose, "H5Gopen2",
                                     "open the root group");
    if (!is_ours(root.id())) return {};
    const std::string format = hdf5_read_text_attribute(root.id(), "format");
    TWINSCREEN_REQUIRE(format == stage_format, store, "it has the format '{}', expected '{}'",
                       format, stage_format);
    StageLayout layout;
    layout.version = hdf5_read_number_attribute(root.id(), "version");
    TWINSCREEN_REQUIRE(layout.version >= 1 && layout.version <= stage_format_version, store,
                       "it was written by format version {}, this build reads versions 1 to {}",
                       layout.version, stage_format_version);
    layout.stage = hdf5_read_text_attribute(root.id(), "stage");
    layout.numerics = hdf5_read_text_attribute(root.id(), "numerics");
    for (const char* part : {"campaign_text", "campaign_overrides"})
        if (H5Aexists(root.id(), part) > 0)
            layout.campaign += hdf5_read_text_attribute(root.id(), part) + "\n";
    layout.identity = read_identity(root.id());
    layout.items = static_cast<std::uint64_t>(hdf5_read_number_attribute(root.id(), "items"));
    layout.shard_items =
        static_cast<std::uint64_t>(hdf5_read_number_attribute(root.id(), "shard_items"));
    if (H5Aexists(root.id(), "batch_items") > 0)
        layout.batch_items =
            static_cast<std::uint32_t>(hdf5_read_number_attribute(root.id(), "batch_items"));
    layout.columns = read_columns(file.id());
    const FoundDataset ledger = find_dataset(file.id(), "/ledger/shards");
    const FoundDataset sealed = find_dataset(file.id(), "/sealed");
    const FoundDataset epoch = find_dataset(file.id(), "/ledger/sealed_epoch");
    const FoundDataset mixed = find_dataset(file.id(), "/ledger/mixed_numerics");
    TWINSCREEN_REQUIRE(ledger.extents.size() == 2 && ledger.extents[0] >= 1 &&
                           ledger.extents[1] == ledger_record_bytes &&
                           ledger.type == ElementType::u8 && sealed.extents.size() == 1 &&
                           sealed.extents[0] == layout.items && sealed.type == ElementType::u8 &&
                           epoch.extents.empty() && epoch.type == ElementType::u64 &&
                           mixed.extents.empty() && mixed.type == ElementType::u8,
                       store, "its ledger has another shape than this build writes");
    layout.shards = ledger.extents[0] - 1;
    layout.ledger_offset = ledger.offset;
    layout.sealed_offset = sealed.offset;
    layout.epoch_offset = epoch.offset;
    layout.mixed_offset = mixed.offset;
    if (layout.version >= 2) layout.description_offset = find_description(file.id()).offset;
    return pack(layout);
}

void require_inside(std::uint64_t file_bytes, const char* what, std::uint64_t offset,
                    std::uint64_t bytes)
{
    TWINSCREEN_REQUIRE(bytes == 0 || (offset <= file_bytes && bytes <= file_bytes - offset), store,
                       "it is truncated ({} bytes of {} at byte {}, the file has {} bytes)", bytes,
                       what, offset, file_bytes);
}

void check_consistency(const StageLayout& layout, std::uint64_t file_bytes)
{
    const auto makes_shards = [&] {
        Plan plan;
        plan.items = layout.items;
        plan.shard_items = layout.shard_items;
        return plan.shards() == layout.shards;
    };
    TWINSCREEN_REQUIRE(
        layout.shard_items > 0 && layout.items < (std::uint64_t{1} << 62) && makes_shards(), store,
        "its {} shards of {} items do not make {} items", layout.shards, layout.shard_items,
        layout.items);
    TWINSCREEN_REQUIRE(layout.shards < file_bytes / ledger_record_bytes, store,
                       "it is truncated (the ledger of {} shards is larger than the file)",
                       layout.shards);
    require_inside(file_bytes, "/ledger/shards", layout.ledger_offset,
                   (layout.shards + 1) * ledger_record_bytes);
    require_inside(file_bytes, "/ledger/sealed_epoch", layout.epoch_offset, sizeof(std::uint64_t));
    require_inside(file_bytes, "/ledger/mixed_numerics", layout.mixed_offset, 1);
    require_inside(file_bytes, "/ledger/description_checksum", layout.description_offset,
                   layout.version >= 2 ? sizeof(std::uint64_t) : 0);
    require_inside(file_bytes, "/sealed", layout.sealed_offset, layout.items);
    for (const StoredColumn& column : layout.columns) {
        const std::uint64_t rows = column.domain == Domain::item    ? layout.items
                                   : column.domain == Domain::shard ? layout.shards
                                                                    : 1;
        TWINSCREEN_REQUIRE(column.rows == rows, store, "column '{}' has {} rows, expected {}",
                           column.name, column.rows, rows);
        require_inside(file_bytes, column.name.c_str(), column.offset,
                       column.rows * column.row_bytes);
    }
}

}  // namespace

std::string dataset_path(Domain domain, const std::string& name)
{
    switch (domain) {
        case Domain::item: return "/columns/" + name;
        case Domain::shard: return "/partials/" + name;
        case Domain::stage: return "/summary/" + name;
    }
    return {};
}

std::string axes_text(const ColumnSpec& column)
{
    std::string text = column.domain == Domain::item    ? "item"
                       : column.domain == Domain::shard ? "shard"
                                                        : "";
    for (const Axis& axis : column.row) {
        if (!text.empty()) text += ", ";
        text += axis.unit.empty() ? axis.name : fmt::format("{} [{}]", axis.name, axis.unit);
    }
    return text;
}

std::optional<StageLayout> read_stage_layout(const std::filesystem::path& file,
                                             std::chrono::milliseconds limit)
{
    const RawFile raw(file, RawFile::Access::read);
    constexpr std::array<unsigned char, 8> signature{0x89, 'H', 'D', 'F', '\r', '\n', 0x1A, '\n'};
    const std::uint64_t file_bytes = raw.size();
    TWINSCREEN_REQUIRE(file_bytes > 0, store, "{} is empty (0 bytes)", file.string());
    std::array<std::byte, signature.size()> start{};
    if (file_bytes >= start.size()) raw.read(0, start);
    TWINSCREEN_REQUIRE(std::memcmp(start.data(), signature.data(), signature.size()) == 0, store,
                       "{} is not an HDF5 file", file.string());
    try {
        std::string answer = run_in_child(file.string(), limit, [&] { return examine(file); });
        if (answer.empty()) return std::nullopt;
        StageLayout layout = unpack(std::move(answer));
        check_consistency(layout, file_bytes);
        return layout;
    } catch (Error& error) {
        const std::string text = error.what();
        if (text.starts_with(file.string())) throw;
        throw Error(Error::Kind::store,
                    text.starts_with("it ") ? fmt::format("{} {}", file.string(), text.substr(3))
                                            : fmt::format("{}: {}", file.string(), text),
                    "Move the file away to start this stage again.");
    }
}

std::optional<std::uint32_t> stored_epoch(const RawFile& file, const StageLayout& layout)
{
    std::uint64_t stored = 0;
    file.read(layout.epoch_offset, std::as_writable_bytes(std::span(&stored, 1)));
    if (layout.version == 1) return static_cast<std::uint32_t>(stored);
    return decode_epoch(stored);
}

}  // namespace twinscreen
