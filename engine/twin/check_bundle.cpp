#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/twin/bundle.hpp"
#include "engine/twin/load_bundle.hpp"
#include "engine/twin/safetensors.hpp"

namespace twinscreen {

namespace {

constexpr double tolerance = 1e-4;  // of the largest value of an output

std::vector<float> floats_of(const SafetensorsFile& file, const std::string& name,
                             const std::vector<std::int64_t>& shape)
{
    const auto found = file.tensors().find(name);
    TWINSCREEN_REQUIRE(found != file.tensors().end(), data, "{}: has no tensor '{}'",
                       file.path().string(), name);
    const TensorView& view = found->second;
    TWINSCREEN_REQUIRE(view.type == ElementType::f32 && view.shape == shape, data,
                       "{}: tensor '{}' is {} {}, expected float32 [{}]", file.path().string(),
                       name, name_of(view.type), view.shape_text(), fmt::join(shape, ", "));
    std::vector<float> values(static_cast<std::size_t>(view.count()));
    if (!values.empty()) std::memcpy(values.data(), view.bytes.data(), view.bytes.size());
    return values;
}

std::vector<std::int64_t> extents_of(const Shape& shape)
{
    return {shape.extent.begin(), shape.extent.begin() + shape.rank};
}

/// The largest difference relative to the largest value; infinite where something is not a number.
double difference(std::span<const float> found, std::span<const float> expected)
{
    double worst = 0.0;
    double largest = 0.0;
    for (std::size_t i = 0; i < found.size(); ++i) {
        if (!std::isfinite(found[i])) return std::numeric_limits<double>::infinity();
        worst = std::max(worst, std::abs(static_cast<double>(found[i]) - expected[i]));
        largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
    }
    return worst == 0.0 ? 0.0 : worst / largest;
}

/// Taps of the backbone for which the file has `output.<name>`.
std::vector<TapId> sampled_taps(const Backbone& backbone, const SafetensorsFile& samples)
{
    std::vector<TapId> taps;
    const auto known = backbone.taps();
    for (std::size_t tap = 0; tap < known.size(); ++tap)
        if (samples.tensors().count("output." + known[tap].name) > 0)
            taps.push_back(TapId{static_cast<std::uint32_t>(tap)});
    TWINSCREEN_REQUIRE(!taps.empty() && taps.size() + 1 == samples.tensors().size(), data,
                       "{}: expected 'input' and 'output.<node>' of nodes with a row of numbers "
                       "per image, and nothing else",
                       samples.path().string());
    return taps;
}

std::string compare(Backbone& backbone, const SafetensorsFile& samples)
{
    const auto input = samples.tensors().find("input");
    TWINSCREEN_REQUIRE(input != samples.tensors().end() && !input->second.shape.empty() &&
                           input->second.shape[0] >= 1,
                       data, "{}: has no tensor 'input' with rows", samples.path().string());
    const std::int64_t rows = input->second.shape[0];
    const Shape shape = backbone.input().row_shape().with_rows(rows);
    const std::vector<float> images = floats_of(samples, "input", extents_of(shape));
    const std::vector<TapId> taps = sampled_taps(backbone, samples);
    const auto executor = make_host_executor();
    std::string far;
    double worst = 0.0;
    for (std::int64_t first = 0; first < rows; first += backbone.compute_batch()) {
        const std::int64_t count = std::min(backbone.compute_batch(), rows - first);
        ForwardRequest request;
        request.stimuli = rows_of(ConstBatch(images.data(), ElementType::f32, shape), first, count);
        request.wanted = taps;
        const auto trace = backbone.forward(request, *executor);
        for (const TapId tap : taps) {
            const TapSpec& spec = backbone.taps()[index_of(tap)];
            const std::vector<float> expected =
                floats_of(samples, "output." + spec.name, extents_of(spec.row.with_rows(rows)));
            const auto values = static_cast<std::size_t>(spec.row.count());
            const double here =
                difference(values_of<float>(trace->tap(tap)),
                           std::span(expected).subspan(static_cast<std::size_t>(first) * values,
                                                       static_cast<std::size_t>(count) * values));
            worst = std::max(worst, here);
            if (here > tolerance)
                far += fmt::format(
                    "\n  '{}' differs by {:.2g} of its largest value (samples {} to {})", spec.name,
                    here, first, first + count - 1);
        }
    }
    TWINSCREEN_REQUIRE(far.empty(), data, "{}: the network does not compute what the bundle says{}",
                       samples.path().string(), far);
    return fmt::format("{} samples, {} output{}: largest difference {:.1e} of the largest value",
                       rows, taps.size(), taps.size() == 1 ? "" : "s", worst);
}

}  // namespace

std::vector<std::string> check_bundle(const std::filesystem::path& folder,
                                      const TrustedDigests& trusted)
{
    SharedReads reads;
    const LoadedBundle bundle = open_bundle(folder, Precision::f32, reads, {}, {}, trusted);
    const Twin& twin = bundle.twin;
    std::vector<std::string> found = {fmt::format(
        "twin '{}' of family {}: {} units", twin.spec.name, twin.spec.family, twin.units.rows())};
    if (bundle.samples.empty()) return found;
    found.push_back(
        compare(*twin.parts.front().backbone,
                SafetensorsFile(read_whole(ReadFile(bundle.samples, Links::refuse), any_size))));
    return found;
}

}  // namespace twinscreen
