#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "experiments/relational_control/responses/response_file.hpp"

namespace twinscreen {

/// Responses that lie in files: one for each area of each subject, or finished screens.
class ImportedResponses {
public:
    /// Opens every file and reads the noise ceilings. Throws nothing: mistakes are complained of
    /// in the elements of `responses`; then the result must not be used.
    ImportedResponses(const std::vector<ImportedFile>& files, ConfigSection& section);

    std::uint64_t images() const noexcept { return images_; }
    /// Columns id, subject, area, noise_ceiling, and those that screens have beside them; units of
    /// the files one after the other.
    const Table& units() const noexcept { return units_; }
    /// Complains of files whose responses are known to be to other stimuli than these, given as
    /// stores record them.
    void require_stimuli(const std::string& identity, ConfigSection& section) const;
    /// Facts of the files by which other files are noticed.
    std::string identity() const;
    /// Responses to images first ... first + count - 1, [count, units] row-major. Independent.
    void read(std::uint64_t first, std::uint64_t count, std::vector<float>& rows) const;

private:
    void open(const ImportedFile& imported);

    std::vector<std::unique_ptr<ResponseFile>> files_;
    Table units_;
    std::uint64_t images_ = 0;
};

}  // namespace twinscreen
