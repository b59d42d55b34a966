#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "engine/base/types.hpp"

namespace twinscreen {

/// Named axes of a new HDF5 file, as netCDF-4, h5netcdf and xarray understand them: dimension
/// scales without values in the root group, attached to every dataset (HDF5 Dimension Scale
/// Specification 2005; netCDF-4 marks a dimension without a variable in the scale's NAME).
///
/// The attributes are written by hand: H5DSattach_scale reads and rewrites the growing list of
/// references of a scale for each dataset.
class DimensionScales {
public:
    /// `file` is an HDF5 file identifier, open for as long as this object is used.
    explicit DimensionScales(std::int64_t file) : file_(file) {}

    /// Axes with the same name and extent share one scale; another extent is an internal error.
    void attach(std::int64_t dataset, const std::string& path, const std::vector<Axis>& axes);
    /// Writes the lists of references; nothing can be attached afterwards.
    void finish();

private:
    struct Use {
        std::uint64_t dataset;  ///< object reference
        std::int32_t axis;
    };
    struct Scale {
        std::int64_t extent = 0;
        std::string first_path;
        std::uint64_t reference = 0;
        std::vector<Use> uses;
    };

    Scale& scale_of(const Axis& axis, const std::string& path);

    std::int64_t file_;
    std::map<std::string, Scale> scales_;
};

}  // namespace twinscreen
