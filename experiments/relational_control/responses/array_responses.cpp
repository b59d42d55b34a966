#include "experiments/relational_control/responses/array_responses.hpp"

#include <algorithm>
#include <limits>

#include "engine/stimulus/hdf5_dataset.hpp"
#include "experiments/recording.hpp"
#include "experiments/relational_control/responses/response_file.hpp"

namespace twinscreen {

ArrayHeader locate_responses(const ReadFile& file, const std::string& dataset)
{
    if (file.path().extension() == ".npy") return read_npy_header(file);
    return locate_hdf5_dataset(file, dataset);
}

std::vector<double> read_ceilings(const std::filesystem::path& path, std::size_t units)
{
    if (path.empty()) return std::vector<double>(units, std::numeric_limits<double>::quiet_NaN());
    const ReadFile file(path);
    const ArrayHeader header = read_npy_header(file);
    require_complete(file, header);
    TWINSCREEN_REQUIRE(header.shape.size() == 1 && header.shape[0] == units, data,
                       "{}: shape {} is not the [{}] of the responses", path.string(),
                       header.shape_text(), units);
    std::vector<std::byte> bytes(header.values() * bytes_of(header.type));
    file.read(header.offset, bytes);
    return doubles_of(bytes, header.type);
}

namespace {

/// A file is known by this many samples of its bytes, from the first to the last: reading all of it
/// on every rank would take as long as the study.
constexpr std::uint64_t samples = 64;
constexpr std::size_t sampled_bytes = std::size_t{4} << 10U;

class ArrayResponses final : public ResponseFile {
public:
    explicit ArrayResponses(const ImportedFile& imported)
        : file_(imported.file), header_(locate_responses(file_, imported.dataset))
    {
        check_header();
        const std::size_t width = header_.shape[1];
        ceilings_ = read_ceilings(imported.noise_ceiling, width);
        std::vector<std::string> ids;
        for (std::size_t unit = 0; unit < width; ++unit)
            ids.push_back(fmt::format("{}/{}/{}", imported.subject, imported.area, unit));
        units_ = {{{"id", "", std::move(ids)},
                   {"subject", "", std::vector<std::string>(width, imported.subject)},
                   {"area", "", std::vector<std::string>(width, imported.area)},
                   {"noise_ceiling", "", ceilings_}}};
    }

    std::string name() const override { return file_.path().string(); }
    std::uint64_t images() const override { return header_.shape[0]; }
    const Table& units() const override { return units_; }

    /// Name, size, shape, samples of the bytes, and all noise ceilings.
    void add_identity(Digest& digest) const override
    {
        const std::uint64_t size = header_.values() * bytes_of(header_.type);
        std::vector<std::byte> sample(std::min<std::uint64_t>(size, sampled_bytes));
        digest.add(file_.path().filename().string()).add(header_.shape_text()).add(size);
        for (std::uint64_t at = 0; at < samples; ++at) {
            file_.read(header_.offset + (size - sample.size()) * at / (samples - 1), sample);
            digest.add_bytes(sample);
        }
        digest.add_bytes(std::as_bytes(std::span(ceilings_)));
    }

    void read(std::uint64_t first, std::uint64_t count, float* rows, std::size_t stride) override
    {
        const std::size_t width = units_.rows();
        const std::size_t row_bytes = width * bytes_of(header_.type);
        std::vector<std::byte> bytes(count * row_bytes);
        file_.read(header_.offset + first * row_bytes, bytes);
        copy_rows(doubles_of(bytes, header_.type), width, rows, stride);
    }

private:
    void check_header() const
    {
        require_complete(file_, header_);
        TWINSCREEN_REQUIRE(header_.shape.size() == 2 && header_.values() > 0, data,
                           "{}: shape {} is not [images, units]", name(), header_.shape_text());
        TWINSCREEN_REQUIRE(header_.type == ElementType::f32 || header_.type == ElementType::f64 ||
                               header_.type == ElementType::f16,
                           data, "{}: responses are {}, expected float16, float32 or float64",
                           name(), name_of(header_.type));
        constexpr std::uint64_t most_units = std::uint64_t{1} << 24U;
        TWINSCREEN_REQUIRE(header_.shape[1] <= most_units, data, "{}: {} units (at most 2^24)",
                           name(), header_.shape[1]);
    }

    ReadFile file_;
    ArrayHeader header_;
    std::vector<double> ceilings_;
    Table units_;
};

}  // namespace

std::unique_ptr<ResponseFile> open_array_responses(const ImportedFile& imported)
{
    return std::make_unique<ArrayResponses>(imported);
}

}  // namespace twinscreen
