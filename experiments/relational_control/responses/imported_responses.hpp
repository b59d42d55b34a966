#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/read_file.hpp"
#include "engine/base/table.hpp"
#include "engine/base/types.hpp"
#include "engine/stimulus/npy.hpp"
#include "experiments/relational_control/study/control_settings.hpp"

namespace twinscreen {

/// Where the responses of a .npy file, or of a dataset of an HDF5 file, lie. Throws Error(data).
ArrayHeader locate_responses(const ReadFile& file, const std::string& dataset);

/// Signal-to-noise ratio of each unit, .npy [units]; NaN without a file. Throws Error(data).
std::vector<double> read_ceilings(const std::filesystem::path& path, std::size_t units);

/// Responses that lie in files, one file for each area of each subject, [images, units].
class ImportedResponses {
public:
    /// Opens every file and reads the noise ceilings. Throws nothing: mistakes are complained of
    /// in the elements of `responses`; then the result must not be used.
    ImportedResponses(const std::vector<ImportedFile>& files, ConfigSection& section);

    std::uint64_t images() const noexcept { return images_; }
    /// Columns id, subject, area, noise_ceiling; units of the files one after the other.
    const Table& units() const noexcept { return units_; }
    /// Facts of the files by which other files are noticed: names, sizes, shapes, first and last
    /// bytes, and all noise ceilings.
    std::string identity() const;
    /// Responses to images first ... first + count - 1, [count, units] row-major. Independent.
    void read(std::uint64_t first, std::uint64_t count, std::vector<float>& rows) const;

private:
    struct File {
        ReadFile file;
        ArrayHeader header;
        std::size_t units = 0;
        std::size_t first_unit = 0;
        std::vector<double> ceilings;
    };
    File open(const ImportedFile& imported) const;
    void add_units(const ImportedFile& imported, const File& file);

    std::vector<File> files_;
    Table units_;
    std::uint64_t images_ = 0;
};

}  // namespace twinscreen
