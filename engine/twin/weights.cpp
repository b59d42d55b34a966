#include "engine/twin/weights.hpp"

#include <cmath>
#include <cstring>
#include <optional>
#include <utility>

#include "engine/base/error.hpp"
#include "engine/config/section.hpp"

namespace twinscreen {

namespace {

std::string shape_text(const std::vector<std::int64_t>& shape)
{
    std::string text;
    for (const std::int64_t extent : shape)
        text += (text.empty() ? "" : ", ") + (extent < 0 ? "any" : std::to_string(extent));
    return "[" + text + "]";
}

bool fits(const std::vector<std::int64_t>& shape, const std::vector<std::int64_t>& expected)
{
    if (shape.size() != expected.size()) return false;
    for (std::size_t axis = 0; axis < shape.size(); ++axis)
        if (expected[axis] >= 0 && shape[axis] != expected[axis]) return false;
    return true;
}

template <class T>
std::vector<double> widened(std::span<const std::byte> bytes)
{
    std::vector<double> values(bytes.size() / sizeof(T));
    for (std::size_t i = 0; i < values.size(); ++i) {
        T value;
        std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
        values[i] = static_cast<double>(value);
    }
    return values;
}

}  // namespace

WeightReader::WeightReader(std::string bundle, const SafetensorsFile& file)
    : bundle_(std::move(bundle)), file_(file)
{
}

bool WeightReader::has(const std::string& tensor) const
{
    return file_.tensors().find(tensor) != file_.tensors().end();
}

Weights WeightReader::read(const std::string& tensor,
                           const std::vector<std::int64_t>& expected_shape) const
{
    const auto found = file_.tensors().find(tensor);
    if (found == file_.tensors().end()) {
        std::vector<std::string> names;
        for (const auto& [name, view] : file_.tensors()) names.push_back(name);
        const auto nearest = nearest_word(tensor, names);
        throw Error(Error::Kind::data,
                    fmt::format("bundle '{}': tensor '{}' is missing ({} holds {} tensors)",
                                bundle_, tensor, file_.path().filename().string(), names.size()),
                    nearest ? fmt::format("nearest name: '{}'", *nearest) : std::string());
    }
    const TensorView& view = found->second;
    TWINSCREEN_REQUIRE(view.type == ElementType::f32 || view.type == ElementType::f64, data,
                       "bundle '{}': tensor '{}' holds {}, expected float32 or float64", bundle_,
                       tensor, name_of(view.type));
    TWINSCREEN_REQUIRE(fits(view.shape, expected_shape), data,
                       "bundle '{}': tensor '{}' has shape {}, expected {}", bundle_, tensor,
                       view.shape_text(), shape_text(expected_shape));
    Weights weights{view.shape, view.type == ElementType::f32 ? widened<float>(view.bytes)
                                                              : widened<double>(view.bytes)};
    for (std::size_t i = 0; i < weights.values.size(); ++i)
        TWINSCREEN_REQUIRE(
            std::abs(weights.values[i]) <= std::numeric_limits<float>::max(), data,
            "bundle '{}': tensor '{}' holds {} at element {}, expected finite values", bundle_,
            tensor, weights.values[i], i);
    return weights;
}

}  // namespace twinscreen
