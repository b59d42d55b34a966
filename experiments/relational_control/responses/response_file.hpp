#pragma once

#include <cstdint>
#include <memory>

#include "engine/base/digest.hpp"
#include "engine/base/table.hpp"
#include "experiments/relational_control/study/control_settings.hpp"

namespace twinscreen {

/// Responses of some units to every image of a study, in a file.
class ResponseFile {
public:
    virtual ~ResponseFile() = default;
    virtual std::string name() const = 0;
    virtual std::uint64_t images() const = 0;
    /// At least the columns id, subject, area (texts) and noise_ceiling (numbers, NaN: unknown).
    virtual const Table& units() const = 0;
    /// Identity of the stimuli, as stores record it; empty: unknown.
    virtual std::string stimuli() const { return {}; }
    /// What tells other responses from these.
    virtual void add_identity(Digest& digest) const = 0;
    /// Responses to images first ... first + count - 1, to rows that are `stride` values apart.
    virtual void read(std::uint64_t first, std::uint64_t count, float* rows,
                      std::size_t stride) = 0;
};

/// Values [rows, width] to rows that are `stride` values apart.
inline void copy_rows(const std::vector<double>& values, std::size_t width, float* rows,
                      std::size_t stride)
{
    for (auto from = values.begin(); from != values.end(); rows += stride)
        for (std::size_t unit = 0; unit < width; ++unit) rows[unit] = static_cast<float>(*from++);
}

/// One area of one subject, [images, units], in a .npy file or an HDF5 dataset. Throws Error(data)
/// that begins with the path of the file that does not fit.
std::unique_ptr<ResponseFile> open_array_responses(const ImportedFile& imported);

/// All units of a finished screen of this program, with its unit table. Throws Error(store).
std::unique_ptr<ResponseFile> open_screen_responses(const ImportedFile& imported);

}  // namespace twinscreen
