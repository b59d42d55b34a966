#include "engine/store/stage_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <set>

#include "engine/base/failpoint.hpp"
#include "engine/store/description.hpp"
#include "engine/store/dimension_scales.hpp"
#include "engine/store/hdf5_handle.hpp"
#include "engine/store/ledger.hpp"
#include "engine/store/raw_file.hpp"
#include "engine/store/stage_layout.hpp"

namespace twinscreen {

namespace fs = std::filesystem;

namespace {

/// Items described at a time, so that memory stays bounded for any number of items.
constexpr std::uint64_t described_at_once = 65536;
/// Datasets from this size on start at a multiple of `alignment_bytes`.
constexpr hsize_t aligned_from_bytes = hsize_t{1} << 20;
constexpr hsize_t alignment_bytes = 4096;

constexpr const char* record_fields =
    "state u32 (1: sealed), epoch u32, shard u64, checksum u64 (XXH3-64), rank i32, attempt u32, "
    "compute_s f32, write_s f32, 16 zero bytes, XXH3-64 of the 56 bytes before; little-endian; "
    "the last record is that of the stage summary";

constexpr const char* epoch_text =
    "low 32 bits: number of the last checkpoint flushed by all ranks; high 32 bits: its check";
constexpr const char* mixed_text =
    "not 0: continued with another instruction set or library version";
constexpr const char* description_text =
    "XXH3-64 over the XXH3-64 of the stretches of this file between what runs change: columns, "
    "partials, summary, sealed and the members of this group";

/// One dataset to make: path, stored type, named axes.
struct DatasetRequest {
    std::string path;
    hid_t type = H5I_INVALID_HID;
    std::vector<Axis> axes;
    bool is_text = false;
};

class StageFileWriter {
public:
    explicit StageFileWriter(const fs::path& file)
    {
        const auto doing = [&] { return fmt::format("create {}", file.string()); };
        const Hdf5Handle access = hdf5_serial_access();
        hdf5_check(H5Pset_alignment(access.id(), aligned_from_bytes, alignment_bytes),
                   "H5Pset_alignment", doing);
        const Hdf5Handle creation =
            hdf5_own(H5Pcreate(H5P_FILE_CREATE), H5Pclose, "H5Pcreate", doing);
        keep_order_not_times(creation.id());
        file_ = hdf5_own(H5Fcreate(file.c_str(), H5F_ACC_TRUNC, creation.id(), access.id()),
                         H5Fclose, "H5Fcreate", doing);
        scales_.emplace(file_.id());
    }

    hid_t file() const noexcept { return file_.id(); }

    Hdf5Handle make_group(const std::string& path) const
    {
        const auto doing = [&] { return fmt::format("create group {}", path); };
        const Hdf5Handle creation =
            hdf5_own(H5Pcreate(H5P_GROUP_CREATE), H5Pclose, "H5Pcreate", doing);
        keep_order_not_times(creation.id());
        return hdf5_own(
            H5Gcreate2(file_.id(), path.c_str(), H5P_DEFAULT, creation.id(), H5P_DEFAULT), H5Gclose,
            "H5Gcreate2", doing);
    }

    Hdf5Handle make_dataset(const DatasetRequest& wanted)
    {
        const auto doing = [&] { return fmt::format("create dataset {}", wanted.path); };
        std::vector<hsize_t> extents;
        for (const Axis& axis : wanted.axes) extents.push_back(static_cast<hsize_t>(axis.extent));
        const Hdf5Handle space = extents.empty()
                                     ? hdf5_own(H5Screate(H5S_SCALAR), H5Sclose, "H5Screate", doing)
                                     : hdf5_own(H5Screate_simple(static_cast<int>(extents.size()),
                                                                 extents.data(), nullptr),
                                                H5Sclose, "H5Screate_simple", doing);
        const Hdf5Handle creation =
            hdf5_own(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "H5Pcreate", doing);
        hdf5_check(H5Pset_obj_track_times(creation.id(), false), "H5Pset_obj_track_times", doing);
        hdf5_check(H5Pset_layout(creation.id(), H5D_CONTIGUOUS), "H5Pset_layout", doing);
        hdf5_check(H5Pset_alloc_time(creation.id(), H5D_ALLOC_TIME_EARLY), "H5Pset_alloc_time",
                   doing);
        // References to texts must be valid from the start; everything else stays unwritten.
        if (!wanted.is_text)
            hdf5_check(H5Pset_fill_time(creation.id(), H5D_FILL_TIME_NEVER), "H5Pset_fill_time",
                       doing);
        Hdf5Handle dataset =
            hdf5_own(H5Dcreate2(file_.id(), wanted.path.c_str(), wanted.type, space.id(),
                                H5P_DEFAULT, creation.id(), H5P_DEFAULT),
                     H5Dclose, "H5Dcreate2", doing);
        scales_->attach(dataset.id(), wanted.path, wanted.axes);
        return dataset;
    }

    /// Makes the datasets of a table of `rows` rows from its first piece; see `write_rows`.
    void make_table(const std::string& group, const Axis& axis, const Table& piece)
    {
        for (const TableColumn& column : piece.columns) {
            const bool is_text = column.is_text();
            const Hdf5Handle type =
                is_text ? hdf5_text_type()
                        : hdf5_type(std::holds_alternative<std::vector<double>>(column.values)
                                        ? ElementType::f64
                                        : ElementType::i64);
            const Hdf5Handle dataset =
                make_dataset({group + "/" + column.name, type.id(), {axis}, is_text});
            if (!column.unit.empty()) hdf5_write_text_attribute(dataset.id(), "units", column.unit);
        }
    }

    void write_rows(const std::string& group, std::uint64_t first, const Table& piece) const
    {
        for (const TableColumn& column : piece.columns)
            write_cells(group + "/" + column.name, first, column);
    }

    /// Writes what was collected, and closes; the file is then complete for the library.
    void finish()
    {
        scales_->finish();
        hdf5_check(H5Fflush(file_.id(), H5F_SCOPE_GLOBAL), "H5Fflush", "flush a new stage file");
        hdf5_check(file_.close(), "H5Fclose", "close a new stage file");
    }

private:
    /// Members are listed in the order made; times would make equal files differ.
    static void keep_order_not_times(hid_t creation)
    {
        const char* doing = "prepare a group";
        hdf5_check(H5Pset_obj_track_times(creation, false), "H5Pset_obj_track_times", doing);
        hdf5_check(
            H5Pset_link_creation_order(creation, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED),
            "H5Pset_link_creation_order", doing);
    }

    void write_cells(const std::string& path, std::uint64_t first, const TableColumn& column) const
    {
        const auto doing = [&] { return fmt::format("write {}", path); };
        const hsize_t start = first;
        const hsize_t count = column.size();
        if (count == 0) return;
        const Hdf5Handle dataset =
            hdf5_own(H5Dopen2(file_.id(), path.c_str(), H5P_DEFAULT), H5Dclose, "H5Dopen2", doing);
        const Hdf5Handle type = hdf5_own(H5Dget_type(dataset.id()), H5Tclose, "H5Dget_type", doing);
        const Hdf5Handle there =
            hdf5_own(H5Dget_space(dataset.id()), H5Sclose, "H5Dget_space", doing);
        const Hdf5Handle here =
            hdf5_own(H5Screate_simple(1, &count, nullptr), H5Sclose, "H5Screate_simple", doing);
        hdf5_check(
            H5Sselect_hyperslab(there.id(), H5S_SELECT_SET, &start, nullptr, &count, nullptr),
            "H5Sselect_hyperslab", doing);
        const auto write = [&](const void* cells) {
            hdf5_check(H5Dwrite(dataset.id(), type.id(), here.id(), there.id(), H5P_DEFAULT, cells),
                       "H5Dwrite", doing);
        };
        if (const auto* texts = std::get_if<std::vector<std::string>>(&column.values)) {
            std::vector<const char*> pointers;
            pointers.reserve(texts->size());
            for (const std::string& text : *texts) pointers.push_back(text.c_str());
            write(pointers.data());
        } else if (const auto* numbers = std::get_if<std::vector<double>>(&column.values)) {
            write(numbers->data());
        } else {
            write(std::get<std::vector<std::int64_t>>(column.values).data());
        }
    }

    Hdf5Handle file_;
    std::optional<DimensionScales> scales_;
};

Axis item_axis(const Plan& plan) { return {"item", static_cast<std::int64_t>(plan.items), ""}; }
Axis shard_axis(const Plan& plan)
{
    return {"shard", static_cast<std::int64_t>(plan.shards()), ""};
}

std::vector<Axis> axes_of(const ColumnSpec& column, const Plan& plan)
{
    std::vector<Axis> axes;
    if (column.domain == Domain::item) axes.push_back(item_axis(plan));
    if (column.domain == Domain::shard) axes.push_back(shard_axis(plan));
    axes.insert(axes.end(), column.row.begin(), column.row.end());
    return axes;
}

void write_root(const StageFileWriter& writer, const StoreOptions& options, const Plan& plan)
{
    const Hdf5Handle root = hdf5_own(H5Gopen2(writer.file(), "/", H5P_DEFAULT), H5Gclose,
                                     "H5Gopen2", "open the root group");
    const auto text = [&](const std::string& name, const std::string& value) {
        TWINSCREEN_REQUIRE(H5Aexists(root.id(), name.c_str()) == 0, internal,
                           "the store has two attributes named '{}'", name);
        hdf5_write_text_attribute(root.id(), name, value);
    };
    text("format", stage_format);
    hdf5_write_number_attribute(root.id(), "version", stage_format_version);
    text("stage", plan.stage);
    hdf5_write_number_attribute(root.id(), "items", static_cast<std::int64_t>(plan.items));
    hdf5_write_number_attribute(root.id(), "shard_items",
                                static_cast<std::int64_t>(plan.shard_items));
    hdf5_write_number_attribute(root.id(), "batch_items", std::int64_t{plan.batch_items});
    text("numerics", options.numerics);
    for (const auto& [name, value] : options.identity) text("identity." + name, value);
    for (const auto& [name, value] : options.provenance) text(name, value);
}

void make_ledger(StageFileWriter& writer, const Plan& plan)
{
    const Hdf5Handle group = writer.make_group("/ledger");
    const Hdf5Handle u8 = hdf5_type(ElementType::u8);
    const Hdf5Handle u64 = hdf5_type(ElementType::u64);
    const Axis records{"ledger_record", static_cast<std::int64_t>(plan.shards() + 1), ""};
    const Axis bytes{"ledger_byte", static_cast<std::int64_t>(ledger_record_bytes), ""};
    const Hdf5Handle shards =
        writer.make_dataset({"/ledger/shards", u8.id(), {records, bytes}, false});
    hdf5_write_text_attribute(shards.id(), "long_name", "one record per shard, and the summary's");
    hdf5_write_text_attribute(shards.id(), "fields", record_fields);
    const Hdf5Handle epoch = writer.make_dataset({"/ledger/sealed_epoch", u64.id(), {}, false});
    hdf5_write_text_attribute(epoch.id(), "long_name", epoch_text);
    const Hdf5Handle mixed = writer.make_dataset({"/ledger/mixed_numerics", u8.id(), {}, false});
    hdf5_write_text_attribute(mixed.id(), "long_name", mixed_text);
    const std::uint64_t no_checkpoint = encode_epoch(0);
    const std::uint8_t not_mixed = 0;
    const auto doing = "write the ledger";
    hdf5_check(H5Dwrite(epoch.id(), u64.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, &no_checkpoint),
               "H5Dwrite", doing);
    hdf5_check(H5Dwrite(mixed.id(), u8.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, &not_mixed), "H5Dwrite",
               doing);
    const Hdf5Handle description =
        writer.make_dataset({"/ledger/description_checksum", u64.id(), {}, false});
    hdf5_write_text_attribute(description.id(), "long_name", description_text);
    const Hdf5Handle sealed = writer.make_dataset({"/sealed", u8.id(), {item_axis(plan)}, false});
    hdf5_write_text_attribute(sealed.id(), "long_name", "1: the row holds results");
}

void make_columns(StageFileWriter& writer, const Plan& plan, const std::vector<ColumnSpec>& columns)
{
    for (const Domain domain : {Domain::item, Domain::shard, Domain::stage}) {
        std::string group = dataset_path(domain, "");
        group.pop_back();
        writer.make_group(group);
    }
    for (std::size_t number = 0; number < columns.size(); ++number) {
        const ColumnSpec& column = columns[number];
        const Hdf5Handle type = hdf5_type(column.type);
        const Hdf5Handle dataset = writer.make_dataset(
            {dataset_path(column.domain, column.name), type.id(), axes_of(column, plan), false});
        hdf5_write_number_attribute(dataset.id(), "column", static_cast<std::int64_t>(number));
        hdf5_write_text_attribute(dataset.id(), "axes", axes_text(column));
        if (!column.unit.empty()) hdf5_write_text_attribute(dataset.id(), "units", column.unit);
        if (!column.description.empty())
            hdf5_write_text_attribute(dataset.id(), "long_name", column.description);
    }
}

void check_piece(const Table& piece, const Table& first, std::uint64_t count)
{
    bool same = piece.columns.size() == first.columns.size();
    for (std::size_t i = 0; same && i < piece.columns.size(); ++i)
        same = piece.columns[i].name == first.columns[i].name &&
               piece.columns[i].values.index() == first.columns[i].values.index() &&
               piece.columns[i].size() == count;
    TWINSCREEN_REQUIRE(same, internal, "the description of {} items has other columns or rows",
                       count);
}

void describe_items(StageFileWriter& writer, const StageTables& tables, const Plan& plan)
{
    const Hdf5Handle group = writer.make_group("/items");
    if (!tables.items_as_function.empty()) {
        hdf5_write_text_attribute(group.id(), "function", tables.items_as_function);
        return;
    }
    if (!tables.describe_items) return;
    Table first_piece;
    for (std::uint64_t first = 0; first < plan.items; first += described_at_once) {
        const std::uint64_t count = std::min(described_at_once, plan.items - first);
        Table piece = tables.describe_items({ItemId{first}, count});
        if (first == 0) {
            writer.make_table("/items", item_axis(plan), piece);
            first_piece = piece.select({});
        }
        check_piece(piece, first_piece, count);
        writer.write_rows("/items", first, piece);
    }
}

void describe_axes(StageFileWriter& writer, const StageTables& tables)
{
    for (const StageTables::AxisTable& axis : tables.axes) {
        writer.make_group("/" + axis.group);
        writer.make_table("/" + axis.group,
                          {axis.axis, static_cast<std::int64_t>(axis.table.rows()), ""},
                          axis.table);
        writer.write_rows("/" + axis.group, 0, axis.table);
    }
}

/// The library has no code for it, only the system's text.
bool is_out_of_room(const Error& error)
{
    const std::string text = error.what();
    for (const int reason : {ENOSPC, EDQUOT, EFBIG})
        if (text.find(std::strerror(reason)) != std::string::npos) return true;
    return false;
}

void discard(const fs::path& file)
{
    std::error_code ignored;
    fs::remove(file, ignored);
}

void check_name(const std::string& what, const std::string& name)
{
    TWINSCREEN_REQUIRE(!name.empty() && name != "." && name.find('/') == std::string::npos,
                       internal, "{} cannot be named '{}' in a store", what, name);
}

}  // namespace

void check_columns(const std::vector<ColumnSpec>& columns, const StageTables& tables)
{
    static const std::set<std::string> taken{"columns",  "items",  "ledger",
                                             "partials", "sealed", "summary"};
    std::set<std::string> groups = taken;
    for (const StageTables::AxisTable& axis : tables.axes) {
        check_name("a table", axis.group);
        check_name("an axis", axis.axis);
        TWINSCREEN_REQUIRE(groups.insert(axis.group).second, internal,
                           "the store has two groups named '{}'", axis.group);
    }
    std::set<std::pair<Domain, std::string>> names;
    for (const ColumnSpec& column : columns) {
        check_name("a column", column.name);
        column.row_shape();
        TWINSCREEN_REQUIRE(names.emplace(column.domain, column.name).second, internal,
                           "the stage has two columns named '{}'", column.name);
        for (const Axis& axis : column.row) {
            check_name("an axis", axis.name);
            TWINSCREEN_REQUIRE(groups.count(axis.name) == 0, internal,
                               "axis '{}' of column '{}' has the name of a group", axis.name,
                               column.name);
            TWINSCREEN_REQUIRE(axis.extent >= 0, internal, "axis '{}' of column '{}' has extent {}",
                               axis.name, column.name, axis.extent);
        }
    }
}

void create_stage_file(const StoreOptions& options, const Plan& plan,
                       const std::vector<ColumnSpec>& columns, const StageTables& tables)
{
    hdf5_prepare();
    const fs::path temporary =
        options.file.parent_path() / fmt::format(".{}.creating", options.file.filename().string());
    try {
        TWINSCREEN_FAILPOINT("create: before the file");
        StageFileWriter writer(temporary);
        write_root(writer, options, plan);
        TWINSCREEN_FAILPOINT("create: root written");
        make_ledger(writer, plan);
        TWINSCREEN_FAILPOINT("create: ledger made");
        make_columns(writer, plan, columns);
        TWINSCREEN_FAILPOINT("create: columns made");
        describe_items(writer, tables, plan);
        TWINSCREEN_FAILPOINT("create: items described");
        describe_axes(writer, tables);
        TWINSCREEN_FAILPOINT("create: axes described");
        writer.finish();
        TWINSCREEN_FAILPOINT("create: file closed");
        seal_description(temporary);
        TWINSCREEN_FAILPOINT("create: description sealed");
        RawFile(temporary, RawFile::Access::read_write).flush();
        TWINSCREEN_FAILPOINT("create: file flushed");
        fs::rename(temporary, options.file);
        TWINSCREEN_FAILPOINT("create: file renamed");
        flush_folder(options.file.parent_path());
        TWINSCREEN_FAILPOINT("create: folder flushed");
    } catch (const fs::filesystem_error& error) {
        throw Error(Error::Kind::store, fmt::format("could not create {} ({})",
                                                    options.file.string(), error.code().message()));
    } catch (const Error& error) {
        discard(temporary);
        if (is_out_of_room(error))
            throw Error(Error::Kind::store,
                        fmt::format("no room left for {}", options.file.string()),
                        "Make room and start the same command again.");
        throw;
    } catch (...) {
        discard(temporary);
        throw;
    }
}

}  // namespace twinscreen
