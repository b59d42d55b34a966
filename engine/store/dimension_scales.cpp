#include "engine/store/dimension_scales.hpp"

#include <cstddef>

#include "engine/store/hdf5_handle.hpp"

namespace twinscreen {

namespace {

static_assert(sizeof(hid_t) == sizeof(std::int64_t) && sizeof(hobj_ref_t) == sizeof(std::uint64_t));

/// As H5DSset_scale writes them: fixed length, with the terminating zero.
void write_fixed_text(hid_t object, const char* name, const std::string& text)
{
    const auto doing = [&] { return fmt::format("write attribute '{}'", name); };
    const Hdf5Handle type = hdf5_own(H5Tcopy(H5T_C_S1), H5Tclose, "H5Tcopy", doing);
    hdf5_check(H5Tset_size(type.id(), text.size() + 1), "H5Tset_size", doing);
    const Hdf5Handle space = hdf5_own(H5Screate(H5S_SCALAR), H5Sclose, "H5Screate", doing);
    const Hdf5Handle attribute =
        hdf5_own(H5Acreate2(object, name, type.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT),
                 H5Aclose, "H5Acreate2", doing);
    hdf5_check(H5Awrite(attribute.id(), type.id(), text.c_str()), "H5Awrite", doing);
}

void write_list(hid_t object, const char* name, hid_t type, std::size_t count, const void* values)
{
    const auto doing = [&] { return fmt::format("write attribute '{}'", name); };
    const hsize_t extent = count;
    const Hdf5Handle space =
        hdf5_own(H5Screate_simple(1, &extent, nullptr), H5Sclose, "H5Screate_simple", doing);
    const Hdf5Handle attribute =
        hdf5_own(H5Acreate2(object, name, type, space.id(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose,
                 "H5Acreate2", doing);
    hdf5_check(H5Awrite(attribute.id(), type, values), "H5Awrite", doing);
}

hobj_ref_t reference_to(hid_t file, const std::string& path)
{
    hobj_ref_t reference = 0;
    hdf5_check(H5Rcreate(&reference, file, path.c_str(), H5R_OBJECT, -1), "H5Rcreate",
               [&] { return fmt::format("refer to {}", path); });
    return reference;
}

}  // namespace

DimensionScales::Scale& DimensionScales::scale_of(const Axis& axis, const std::string& path)
{
    const auto [found, is_new] = scales_.try_emplace(axis.name);
    Scale& scale = found->second;
    if (!is_new) {
        TWINSCREEN_REQUIRE(scale.extent == axis.extent, internal,
                           "axis '{}' has extent {} in {}, but {} in {}", axis.name, axis.extent,
                           path, scale.extent, scale.first_path);
        return scale;
    }
    const auto doing = [&] { return fmt::format("create dimension '{}'", axis.name); };
    const hsize_t extent = static_cast<hsize_t>(axis.extent);
    const Hdf5Handle space =
        hdf5_own(H5Screate_simple(1, &extent, nullptr), H5Sclose, "H5Screate_simple", doing);
    const Hdf5Handle creation =
        hdf5_own(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "H5Pcreate", doing);
    hdf5_check(H5Pset_obj_track_times(creation.id(), false), "H5Pset_obj_track_times", doing);
    const Hdf5Handle dataset =
        hdf5_own(H5Dcreate2(file_, axis.name.c_str(), H5T_IEEE_F32BE, space.id(), H5P_DEFAULT,
                            creation.id(), H5P_DEFAULT),
                 H5Dclose, "H5Dcreate2", doing);
    write_fixed_text(dataset.id(), "CLASS", "DIMENSION_SCALE");
    write_fixed_text(
        dataset.id(), "NAME",
        fmt::format("This is a netCDF dimension but not a netCDF variable.{:10}", axis.extent));
    scale.extent = axis.extent;
    scale.first_path = path;
    scale.reference = reference_to(file_, axis.name);
    return scale;
}

void DimensionScales::attach(std::int64_t dataset, const std::string& path,
                             const std::vector<Axis>& axes)
{
    if (axes.empty()) return;
    const std::uint64_t own_reference = reference_to(file_, path);
    std::vector<hobj_ref_t> references(axes.size());
    std::vector<hvl_t> lists(axes.size());
    std::vector<const char*> labels(axes.size());
    for (std::size_t i = 0; i < axes.size(); ++i) {
        Scale& scale = scale_of(axes[i], path);
        scale.uses.push_back({own_reference, static_cast<std::int32_t>(i)});
        references[i] = scale.reference;
        lists[i] = {1, &references[i]};
        labels[i] = axes[i].name.c_str();
    }
    const Hdf5Handle list_type = hdf5_own(H5Tvlen_create(H5T_STD_REF_OBJ), H5Tclose,
                                          "H5Tvlen_create", "make a list of references");
    write_list(dataset, "DIMENSION_LIST", list_type.id(), lists.size(), lists.data());
    write_list(dataset, "DIMENSION_LABELS", hdf5_text_type().id(), labels.size(), labels.data());
}

void DimensionScales::finish()
{
    const char* doing = "make a list of references";
    const Hdf5Handle type =
        hdf5_own(H5Tcreate(H5T_COMPOUND, sizeof(Use)), H5Tclose, "H5Tcreate", doing);
    hdf5_check(H5Tinsert(type.id(), "dataset", offsetof(Use, dataset), H5T_STD_REF_OBJ),
               "H5Tinsert", doing);
    hdf5_check(H5Tinsert(type.id(), "dimension", offsetof(Use, axis), H5T_STD_I32LE), "H5Tinsert",
               doing);
    for (const auto& [name, scale] : scales_) {
        const Hdf5Handle dataset =
            hdf5_own(H5Dopen2(file_, name.c_str(), H5P_DEFAULT), H5Dclose, "H5Dopen2", doing);
        write_list(dataset.id(), "REFERENCE_LIST", type.id(), scale.uses.size(), scale.uses.data());
    }
    scales_.clear();
}

}  // namespace twinscreen
