#include "engine/store/stored_table.hpp"

#include "engine/base/child_process.hpp"
#include "engine/store/hdf5_handle.hpp"
#include "engine/store/packing.hpp"

namespace twinscreen {
namespace {

/// Index of the alternative in TableColumn::values.
enum class Cells : std::uint64_t { numbers = 0, integers = 1, texts = 2 };

herr_t collect_link(hid_t, const char* name, const H5L_info_t* link, void* names)
{
    if (link->type != H5L_TYPE_HARD) return -1;
    static_cast<std::vector<std::string>*>(names)->emplace_back(name);
    return 0;
}

template <class T>
std::vector<T> read_numbers(hid_t dataset, hid_t type, std::size_t rows)
{
    std::vector<T> cells(rows);
    if (rows > 0)
        hdf5_check(H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, cells.data()), "H5Dread",
                   "read a column of numbers");
    return cells;
}

void pack_texts(hid_t dataset, hid_t space, std::size_t rows, Packer& packer)
{
    const Hdf5Handle text = hdf5_text_type();
    std::vector<char*> pointers(rows, nullptr);
    if (rows > 0)
        hdf5_check(H5Dread(dataset, text.id(), H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data()),
                   "H5Dread", "read a column of texts");
    for (const char* cell : pointers) packer.add(std::string(cell != nullptr ? cell : ""));
    H5Dvlen_reclaim(text.id(), space, H5P_DEFAULT, pointers.data());
}

void pack_column(hid_t group, const std::string& name, Packer& packer)
{
    const auto doing = [&] { return fmt::format("read column '{}'", name); };
    const Hdf5Handle dataset =
        hdf5_own(H5Dopen2(group, name.c_str(), H5P_DEFAULT), H5Dclose, "H5Dopen2", doing);
    const Hdf5Handle creation =
        hdf5_own(H5Dget_create_plist(dataset.id()), H5Pclose, "H5Dget_create_plist", doing);
    const Hdf5Handle space = hdf5_own(H5Dget_space(dataset.id()), H5Sclose, "H5Dget_space", doing);
    const Hdf5Handle type = hdf5_own(H5Dget_type(dataset.id()), H5Tclose, "H5Dget_type", doing);
    TWINSCREEN_REQUIRE(H5Pget_layout(creation.id()) == H5D_CONTIGUOUS &&
                           H5Pget_external_count(creation.id()) == 0 &&
                           H5Sget_simple_extent_ndims(space.id()) == 1,
                       store, "column '{}' is not stored in one piece", name);
    const auto rows = static_cast<std::size_t>(H5Sget_simple_extent_npoints(space.id()));
    packer.add(name).add(H5Aexists(dataset.id(), "units") > 0
                             ? hdf5_read_text_attribute(dataset.id(), "units")
                             : std::string());
    ElementType element = ElementType::u8;
    const bool is_text = H5Tis_variable_str(type.id()) > 0;
    TWINSCREEN_REQUIRE(is_text || (hdf5_element_type(type.id(), element) &&
                                   (element == ElementType::f64 || element == ElementType::i64)),
                       store, "column '{}' is neither of texts nor of 64-bit numbers", name);
    const Cells cells = is_text                       ? Cells::texts
                        : element == ElementType::f64 ? Cells::numbers
                                                      : Cells::integers;
    packer.add(static_cast<std::uint64_t>(cells)).add(rows);
    if (cells == Cells::texts) pack_texts(dataset.id(), space.id(), rows, packer);
    if (cells == Cells::numbers)
        for (const double cell : read_numbers<double>(dataset.id(), H5T_NATIVE_DOUBLE, rows))
            packer.add_number(cell);
    if (cells == Cells::integers)
        for (const std::int64_t cell :
             read_numbers<std::int64_t>(dataset.id(), H5T_NATIVE_INT64, rows))
            packer.add_number(cell);
}

/// In the child.
std::string pack_table(const std::filesystem::path& path, const std::string& name)
{
    hdf5_prepare();
    const Hdf5Handle access = hdf5_serial_access();
    const auto doing = [&] { return fmt::format("read the table /{}", name); };
    const Hdf5Handle file =
        hdf5_own(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.id()), H5Fclose, "H5Fopen", doing);
    TWINSCREEN_REQUIRE(H5Lexists(file.id(), name.c_str(), H5P_DEFAULT) > 0, store,
                       "it has no table /{}", name);
    const Hdf5Handle group =
        hdf5_own(H5Gopen2(file.id(), name.c_str(), H5P_DEFAULT), H5Gclose, "H5Gopen2", doing);
    std::vector<std::string> names;
    hdf5_check(
        H5Literate(group.id(), H5_INDEX_CRT_ORDER, H5_ITER_INC, nullptr, collect_link, &names),
        "H5Literate", doing);
    Packer packer;
    packer.add(names.size());
    for (const std::string& column : names) pack_column(group.id(), column, packer);
    return packer.take();
}

template <class T, class Next>
std::vector<T> take(std::uint64_t rows, Next&& next)
{
    std::vector<T> cells;
    for (std::uint64_t row = 0; row < rows; ++row) cells.push_back(next());
    return cells;
}

Table unpack_table(std::string bytes)
{
    Unpacker from(std::move(bytes));
    Table table;
    for (std::uint64_t left = from.number(); left > 0; --left) {
        TableColumn column;
        column.name = from.text();
        column.unit = from.text();
        const auto cells = static_cast<Cells>(from.number());
        const std::uint64_t rows = from.number();
        if (cells == Cells::texts)
            column.values = take<std::string>(rows, [&] { return from.text(); });
        if (cells == Cells::numbers)
            column.values = take<double>(rows, [&] { return from.number_as<double>(); });
        if (cells == Cells::integers)
            column.values =
                take<std::int64_t>(rows, [&] { return from.number_as<std::int64_t>(); });
        TWINSCREEN_REQUIRE(table.columns.empty() || rows == table.rows(), store,
                           "column '{}' has {} rows, '{}' has {}", column.name, rows,
                           table.columns.front().name, table.rows());
        table.columns.push_back(std::move(column));
    }
    return table;
}

}  // namespace

Table read_stored_table(const std::filesystem::path& file, const std::string& group,
                        std::chrono::milliseconds limit)
{
    try {
        return unpack_table(
            run_in_child(file.string(), limit, [&] { return pack_table(file, group); }));
    } catch (const Error& error) {
        const std::string text = error.what();
        if (text.starts_with(file.string())) throw;
        throw Error(Error::Kind::store, fmt::format("{}: {}", file.string(), text));
    }
}

}  // namespace twinscreen
