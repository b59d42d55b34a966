#include "experiments/relational_control/responses/imported_responses.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/base/digest.hpp"
#include "engine/stimulus/hdf5_dataset.hpp"
#include "experiments/recording.hpp"

namespace twinscreen {
namespace {

constexpr std::size_t sampled_bytes = std::size_t{1} << 16U;

}  // namespace

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

ImportedResponses::File ImportedResponses::open(const ImportedFile& imported) const
{
    ReadFile file(imported.file);
    const ArrayHeader header = locate_responses(file, imported.dataset);
    require_complete(file, header);
    const std::string name = imported.file.string();
    TWINSCREEN_REQUIRE(header.shape.size() == 2 && header.values() > 0, data,
                       "{}: shape {} is not [images, units]", name, header.shape_text());
    TWINSCREEN_REQUIRE(header.type == ElementType::f32 || header.type == ElementType::f64 ||
                           header.type == ElementType::f16,
                       data, "{}: responses are {}, expected float16, float32 or float64", name,
                       name_of(header.type));
    TWINSCREEN_REQUIRE(
        files_.empty() || header.shape[0] == images_, data,
        "{}: responses to {} images, and {} has {} (all subjects and areas must have "
        "seen the same images)",
        name, header.shape[0], files_.front().file.path().string(), images_);
    constexpr std::uint64_t most_units = std::uint64_t{1} << 24U;
    TWINSCREEN_REQUIRE(header.shape[1] <= most_units, data, "{}: {} units (at most 2^24)", name,
                       header.shape[1]);
    const std::size_t units = header.shape[1];
    return {std::move(file), header, units, units_.rows(), {}};
}

ImportedResponses::ImportedResponses(const std::vector<ImportedFile>& files, ConfigSection& section)
    : units_{{{"id", "", std::vector<std::string>{}},
              {"subject", "", std::vector<std::string>{}},
              {"area", "", std::vector<std::string>{}},
              {"noise_ceiling", "", std::vector<double>{}}}}
{
    std::vector<ConfigSection> sections = section.children("responses");
    for (std::size_t at = 0; at < files.size(); ++at) {
        const char* key = "file";
        try {
            File file = open(files[at]);
            key = "noise_ceiling";
            file.ceilings = read_ceilings(files[at].noise_ceiling, file.units);
            images_ = file.header.shape[0];
            add_units(files[at], file);
            files_.push_back(std::move(file));
        } catch (const Error& error) {
            sections[at].complain(key, error.what());
        }
    }
}

void ImportedResponses::add_units(const ImportedFile& imported, const File& file)
{
    const auto texts = [&](const char* column) -> std::vector<std::string>& {
        return std::get<std::vector<std::string>>(units_.find(column)->values);
    };
    for (std::size_t unit = 0; unit < file.units; ++unit)
        texts("id").push_back(fmt::format("{}/{}/{}", imported.subject, imported.area, unit));
    texts("subject").insert(texts("subject").end(), file.units, imported.subject);
    texts("area").insert(texts("area").end(), file.units, imported.area);
    auto& ceilings = std::get<std::vector<double>>(units_.find("noise_ceiling")->values);
    ceilings.insert(ceilings.end(), file.ceilings.begin(), file.ceilings.end());
}

std::string ImportedResponses::identity() const
{
    Digest all;
    for (const File& file : files_) {
        const std::uint64_t size = file.header.values() * bytes_of(file.header.type);
        std::vector<std::byte> sample(std::min<std::uint64_t>(size, sampled_bytes));
        all.add(file.file.path().filename().string()).add(file.header.shape_text()).add(size);
        file.file.read(file.header.offset, sample);
        all.add_bytes(sample);
        file.file.read(file.header.offset + size - sample.size(), sample);
        all.add_bytes(sample).add_bytes(std::as_bytes(std::span(file.ceilings)));
    }
    return all.hex();
}

void ImportedResponses::read(std::uint64_t first, std::uint64_t count,
                             std::vector<float>& rows) const
{
    const std::size_t width = units_.rows();
    rows.resize(count * width);
    for (const File& file : files_) {
        const std::size_t row_bytes = file.units * bytes_of(file.header.type);
        std::vector<std::byte> bytes(count * row_bytes);
        file.file.read(file.header.offset + first * row_bytes, bytes);
        const std::vector<double> values = doubles_of(bytes, file.header.type);
        for (std::uint64_t row = 0; row < count; ++row)
            std::transform(
                values.begin() + static_cast<std::ptrdiff_t>(row * file.units),
                values.begin() + static_cast<std::ptrdiff_t>((row + 1) * file.units),
                rows.begin() + static_cast<std::ptrdiff_t>(row * width + file.first_unit),
                [](double value) { return static_cast<float>(value); });
    }
}

}  // namespace twinscreen
