#include "engine/store/hdf5_handle.hpp"

#include <array>
#include <vector>

namespace twinscreen {

namespace {

herr_t collect(unsigned, const H5E_error2_t* entry, void* data)
{
    auto& causes = *static_cast<std::vector<std::string>*>(data);
    if (entry->desc == nullptr || entry->desc[0] == '\0') return 0;
    causes.emplace_back(entry->desc);
    return 0;
}

#if H5_VERSION_GE(1, 12, 1) || (H5_VERSION_GE(1, 10, 7) && !H5_VERSION_GE(1, 11, 0))
void turn_locking_off(hid_t access)
{
    hdf5_check(H5Pset_file_locking(access, false, true), "H5Pset_file_locking",
               "prepare file access");
}
#else
void turn_locking_off(hid_t) {}
#endif

struct FloatLayout {
    std::size_t bytes, sign, exponent_at, exponent_bits, mantissa_at, mantissa_bits, bias;
    bool operator==(const FloatLayout&) const = default;
};

constexpr FloatLayout half_layout{2, 15, 10, 5, 0, 10, 15};
constexpr FloatLayout bfloat_layout{2, 15, 7, 8, 0, 7, 127};
constexpr FloatLayout single_layout{4, 31, 23, 8, 0, 23, 127};
constexpr FloatLayout double_layout{8, 63, 52, 11, 0, 52, 1023};

Hdf5Handle copy_of(hid_t type)
{
    return hdf5_own(H5Tcopy(type), H5Tclose, "H5Tcopy", "make a data type");
}

Hdf5Handle float_type(const FloatLayout& layout)
{
    Hdf5Handle type = copy_of(H5T_IEEE_F32LE);
    hdf5_check(H5Tset_fields(type.id(), layout.sign, layout.exponent_at, layout.exponent_bits,
                             layout.mantissa_at, layout.mantissa_bits),
               "H5Tset_fields", "make a 16-bit type");
    hdf5_check(H5Tset_size(type.id(), layout.bytes), "H5Tset_size", "make a 16-bit type");
    hdf5_check(H5Tset_ebias(type.id(), layout.bias), "H5Tset_ebias", "make a 16-bit type");
    return type;
}

Hdf5Handle attribute_of(hid_t object, const std::string& name)
{
    return hdf5_own(H5Aopen(object, name.c_str(), H5P_DEFAULT), H5Aclose, "H5Aopen",
                    [&] { return fmt::format("open attribute '{}'", name); });
}

void write_attribute(hid_t object, const std::string& name, hid_t type, const void* value)
{
    const auto doing = [&] { return fmt::format("write attribute '{}'", name); };
    const Hdf5Handle space = hdf5_own(H5Screate(H5S_SCALAR), H5Sclose, "H5Screate", doing);
    const Hdf5Handle attribute =
        hdf5_own(H5Acreate2(object, name.c_str(), type, space.id(), H5P_DEFAULT, H5P_DEFAULT),
                 H5Aclose, "H5Acreate2", doing);
    hdf5_check(H5Awrite(attribute.id(), type, value), "H5Awrite", doing);
}

}  // namespace

void hdf5_start() noexcept
{
    // After a failed write (a full disk) the library's own clean-up at exit crashes; we close what
    // we open.
    H5dont_atexit();
    H5open();
}

void hdf5_prepare() noexcept
{
    hdf5_start();
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    H5PLset_loading_state(0);
    H5Lunregister(H5L_TYPE_EXTERNAL);
}

std::string hdf5_error_text()
{
    std::vector<std::string> causes;
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, collect, &causes);
    H5Eclear2(H5E_DEFAULT);
    constexpr std::size_t told = 3;
    std::string text;
    for (std::size_t i = 0; i < causes.size() && i < told; ++i)
        text += (i > 0 ? "; " : "") + causes[i];
    return text.empty() ? "no reason given" : text;
}

void hdf5_fail(std::string_view call, std::string_view doing)
{
    throw Error(Error::Kind::store,
                fmt::format("could not {} ({}: {})", doing, call, hdf5_error_text()));
}

Hdf5Handle hdf5_serial_access()
{
    Hdf5Handle access =
        hdf5_own(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "H5Pcreate", "prepare file access");
    hdf5_check(H5Pset_libver_bounds(access.id(), H5F_LIBVER_V18, H5F_LIBVER_V18),
               "H5Pset_libver_bounds", "prepare file access");
    hdf5_check(H5Pset_sieve_buf_size(access.id(), 0), "H5Pset_sieve_buf_size",
               "prepare file access");
    turn_locking_off(access.id());
    return access;
}

Hdf5Handle hdf5_type(ElementType type)
{
    switch (type) {
        case ElementType::u8: return copy_of(H5T_STD_U8LE);
        case ElementType::i32: return copy_of(H5T_STD_I32LE);
        case ElementType::i64: return copy_of(H5T_STD_I64LE);
        case ElementType::u64: return copy_of(H5T_STD_U64LE);
        case ElementType::f16: return float_type(half_layout);
        case ElementType::bf16: return float_type(bfloat_layout);
        case ElementType::f32: return copy_of(H5T_IEEE_F32LE);
        case ElementType::f64: return copy_of(H5T_IEEE_F64LE);
    }
    throw Error(Error::Kind::internal, "a column has an unknown element type");
}

bool hdf5_element_type(hid_t type, ElementType& found)
{
    const std::size_t bytes = H5Tget_size(type);
    if (bytes > 1 && H5Tget_order(type) != H5T_ORDER_LE) return false;
    if (H5Tget_class(type) == H5T_INTEGER) {
        const bool is_signed = H5Tget_sign(type) == H5T_SGN_2;
        if (bytes == 1 && !is_signed)
            found = ElementType::u8;
        else if (bytes == 4 && is_signed)
            found = ElementType::i32;
        else if (bytes == 8)
            found = is_signed ? ElementType::i64 : ElementType::u64;
        else
            return false;
        return true;
    }
    if (H5Tget_class(type) != H5T_FLOAT) return false;
    FloatLayout layout{bytes, 0, 0, 0, 0, 0, H5Tget_ebias(type)};
    if (H5Tget_fields(type, &layout.sign, &layout.exponent_at, &layout.exponent_bits,
                      &layout.mantissa_at, &layout.mantissa_bits) < 0)
        return false;
    if (layout == half_layout)
        found = ElementType::f16;
    else if (layout == bfloat_layout)
        found = ElementType::bf16;
    else if (layout == single_layout)
        found = ElementType::f32;
    else if (layout == double_layout)
        found = ElementType::f64;
    else
        return false;
    return true;
}

Hdf5Handle hdf5_text_type()
{
    Hdf5Handle type = copy_of(H5T_C_S1);
    hdf5_check(H5Tset_size(type.id(), H5T_VARIABLE), "H5Tset_size", "make a text type");
    hdf5_check(H5Tset_cset(type.id(), H5T_CSET_UTF8), "H5Tset_cset", "make a text type");
    return type;
}

void hdf5_write_text_attribute(hid_t object, const std::string& name, const std::string& text)
{
    const char* characters = text.c_str();
    write_attribute(object, name, hdf5_text_type().id(), &characters);
}

void hdf5_write_number_attribute(hid_t object, const std::string& name, std::int64_t value)
{
    write_attribute(object, name, H5T_STD_I64LE, &value);
}

std::string hdf5_read_text_attribute(hid_t object, const std::string& name)
{
    const auto doing = [&] { return fmt::format("read attribute '{}'", name); };
    const Hdf5Handle attribute = attribute_of(object, name);
    const Hdf5Handle type = hdf5_own(H5Aget_type(attribute.id()), H5Tclose, "H5Aget_type", doing);
    const Hdf5Handle space =
        hdf5_own(H5Aget_space(attribute.id()), H5Sclose, "H5Aget_space", doing);
    TWINSCREEN_REQUIRE(
        H5Tis_variable_str(type.id()) > 0 && H5Sget_simple_extent_npoints(space.id()) == 1, store,
        "attribute '{}' is not a text", name);
    char* characters = nullptr;
    hdf5_check(H5Aread(attribute.id(), type.id(), &characters), "H5Aread", doing);
    const std::string text = characters != nullptr ? characters : "";
    H5Dvlen_reclaim(type.id(), space.id(), H5P_DEFAULT, &characters);
    return text;
}

std::int64_t hdf5_read_number_attribute(hid_t object, const std::string& name)
{
    const auto doing = [&] { return fmt::format("read attribute '{}'", name); };
    const Hdf5Handle attribute = attribute_of(object, name);
    const Hdf5Handle type = hdf5_own(H5Aget_type(attribute.id()), H5Tclose, "H5Aget_type", doing);
    const Hdf5Handle space =
        hdf5_own(H5Aget_space(attribute.id()), H5Sclose, "H5Aget_space", doing);
    TWINSCREEN_REQUIRE(
        H5Tget_class(type.id()) == H5T_INTEGER && H5Sget_simple_extent_npoints(space.id()) == 1,
        store, "attribute '{}' is not a number", name);
    std::int64_t value = 0;
    hdf5_check(H5Aread(attribute.id(), H5T_NATIVE_INT64, &value), "H5Aread", doing);
    return value;
}

}  // namespace twinscreen
