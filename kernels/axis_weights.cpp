#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/resample.hpp"

namespace twinscreen {
namespace {

constexpr int fixed_bits = 22;  // 32 - 8 bits of a pixel - 2 bits of head room, as Pillow has it

double box(double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }

double triangle(double x) { return std::max(0.0, 1.0 - std::abs(x)); }

/// Keys (1981), cubic convolution with free parameter a.
double cubic(double x, double a)
{
    x = std::abs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
    return 0.0;
}

/// Inputs and weights of one output while the table is being built.
struct Taps {
    int first = 0;
    std::vector<double> weight;
};

/// A kernel widened by the reduction factor, cut at the border and normalised.
template <class Kernel>
Taps antialiased(const ResampledAxis& axis, int output, double radius, Kernel kernel)
{
    const double scale = static_cast<double>(axis.input) / axis.output;
    const double widening = std::max(scale, 1.0);
    const double support = radius * widening;
    const double centre = (output + 0.5) * scale;
    Taps taps;
    taps.first = std::max(static_cast<int>(centre - support + 0.5), 0);
    const int end = std::min(static_cast<int>(centre + support + 0.5), axis.input);
    const double inverse = 1.0 / widening;
    double sum = 0.0;
    for (int input = taps.first; input < end; ++input) {
        taps.weight.push_back(kernel((input - centre + 0.5) * inverse));
        sum += taps.weight.back();
    }
    for (double& weight : taps.weight) weight /= sum;
    return taps;
}

/// Mean over the inputs that the output touches (adaptive average pooling).
Taps area(const ResampledAxis& axis, int output)
{
    const auto in = static_cast<std::int64_t>(axis.input);
    const std::int64_t first = output * in / axis.output;
    const std::int64_t end = ((output + 1) * in + axis.output - 1) / axis.output;
    return {static_cast<int>(first), std::vector<double>(static_cast<std::size_t>(end - first),
                                                         1.0 / static_cast<double>(end - first))};
}

/// `reach` inputs on each side of the sampled point, inputs outside replaced by the border.
template <class Kernel>
Taps interpolated(const ResampledAxis& axis, int output, int reach, bool clamp_point, Kernel kernel)
{
    const double scale = static_cast<double>(axis.input) / axis.output;
    double point = (output + 0.5) * scale - 0.5;
    if (clamp_point) point = std::max(point, 0.0);
    const int base = static_cast<int>(std::floor(point));
    const int low = std::clamp(base - reach + 1, 0, axis.input - 1);
    const int high = std::clamp(base + reach, 0, axis.input - 1);
    Taps taps{low, std::vector<double>(static_cast<std::size_t>(high - low + 1), 0.0)};
    for (int input = base - reach + 1; input <= base + reach; ++input) {
        const int used = std::clamp(input, 0, axis.input - 1);
        taps.weight[static_cast<std::size_t>(used - low)] += kernel(input - point);
    }
    return taps;
}

Taps taps_of(ResizeFilter filter, const ResampledAxis& axis, int output)
{
    const auto cubic_pil = [](double x) { return cubic(x, -0.5); };
    const auto cubic_torch = [](double x) { return cubic(x, -0.75); };
    switch (filter) {
        case ResizeFilter::pil_box: return antialiased(axis, output, 0.5, box);
        case ResizeFilter::pil_bilinear:
        case ResizeFilter::torch_bilinear_antialias:
            return antialiased(axis, output, 1.0, triangle);
        case ResizeFilter::pil_bicubic:
        case ResizeFilter::torch_bicubic_antialias:
            return antialiased(axis, output, 2.0, cubic_pil);
        case ResizeFilter::torch_area: return area(axis, output);
        case ResizeFilter::torch_bilinear: return interpolated(axis, output, 1, true, triangle);
        case ResizeFilter::torch_bicubic: return interpolated(axis, output, 2, false, cubic_torch);
    }
    return {};
}

AxisWeights compute(ResizeFilter filter, const ResampledAxis& axis)
{
    std::vector<Taps> all;
    std::size_t longest = 0;
    for (int output = 0; output < axis.kept_count; ++output) {
        all.push_back(taps_of(filter, axis, axis.kept_first + output));
        longest = std::max(longest, all.back().weight.size());
    }
    AxisWeights result;
    result.taps = static_cast<int>(longest);
    result.weight.resize(all.size() * longest, 0.0F);
    if (rounds_each_pass(filter)) result.fixed.resize(all.size() * longest, 0);
    for (std::size_t output = 0; output < all.size(); ++output) {
        const Taps& taps = all[output];
        result.first.push_back(taps.first);
        result.count.push_back(static_cast<int>(taps.weight.size()));
        for (std::size_t tap = 0; tap < taps.weight.size(); ++tap) {
            const double weight = taps.weight[tap];
            result.weight[output * longest + tap] = static_cast<float>(weight);
            if (result.fixed.empty()) continue;
            const double half = weight < 0.0 ? -0.5 : 0.5;
            result.fixed[output * longest + tap] =
                static_cast<std::int32_t>(half + weight * (1 << fixed_bits));
        }
    }
    return result;
}

/// The last few tables of one thread: a campaign knows few sizes.
class WeightCache {
public:
    std::shared_ptr<const AxisWeights> find(ResizeFilter filter, const ResampledAxis& axis)
    {
        for (const Entry& entry : entries_)
            if (entry.weights != nullptr && entry.filter == filter && entry.axis == axis)
                return entry.weights;
        Entry& slot = entries_[next_++ % entries_.size()];
        slot = {filter, axis, std::make_shared<const AxisWeights>(compute(filter, axis))};
        return slot.weights;
    }

private:
    struct Entry {
        ResizeFilter filter{};
        ResampledAxis axis;
        std::shared_ptr<const AxisWeights> weights;  // shared: callers may outlive the slot
    };
    std::array<Entry, 16> entries_;
    std::size_t next_ = 0;
};

}  // namespace

std::shared_ptr<const AxisWeights> axis_weights(ResizeFilter filter, const ResampledAxis& axis)
{
    thread_local WeightCache cache;
    return cache.find(filter, axis);
}

bool rounds_each_pass(ResizeFilter filter) noexcept
{
    switch (filter) {
        case ResizeFilter::pil_box:
        case ResizeFilter::pil_bilinear:
        case ResizeFilter::pil_bicubic: return true;
        case ResizeFilter::torch_area:
        case ResizeFilter::torch_bilinear:
        case ResizeFilter::torch_bilinear_antialias:
        case ResizeFilter::torch_bicubic:
        case ResizeFilter::torch_bicubic_antialias: return false;
    }
    return false;
}

}  // namespace twinscreen
