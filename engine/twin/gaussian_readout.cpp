#include "engine/twin/gaussian_readout.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/twin/cpu_kernels.hpp"
#include "engine/twin/mouse_network.hpp"
#include "kernels/bilinear_sample.hpp"
#include "kernels/unit_responses.hpp"

namespace twinscreen {

namespace {

constexpr std::size_t channels = mouse_channels;
constexpr std::int64_t map_size = std::int64_t{mouse_tap_height} * mouse_tap_width * mouse_channels;

/// Samples of all units in the order in which the inner loop reads them.
struct Samples {
    std::vector<int> pixels;     // [units, 4]
    std::vector<float> weights;  // [units, 4]
};

class GaussianReadout final : public Readout {
public:
    explicit GaussianReadout(GaussianWeights weights)
        : weights_(std::move(weights)),
          features_(weights_.features.begin(), weights_.features.end()),
          bias_(weights_.bias.begin(), weights_.bias.end()),
          table_{PlacedArray<double>(weights_.positions), PlacedArray<float>(features_),
                 PlacedArray<float>(bias_)}
    {
        taps_.push_back(TapId{0});
        if (weights_.shifted)
            taps_.push_back(TapId{1});
        else
            still_ = samples_at(0.0, 0.0);
    }

    std::int64_t outputs() const noexcept override
    {
        return static_cast<std::int64_t>(weights_.bias.size());
    }
    std::span<const TapId> taps() const noexcept override { return taps_; }
    std::unique_ptr<Readout> select(std::span<const UnitId> units) const override
    {
        GaussianWeights chosen;
        chosen.shifted = weights_.shifted;
        for (const UnitId id : units) {
            const std::size_t unit = index_of(id);
            chosen.bias.push_back(weights_.bias.at(unit));
            const double* position = &weights_.positions[2 * unit];
            chosen.positions.insert(chosen.positions.end(), position, position + 2);
            const double* features = &weights_.features[channels * unit];
            chosen.features.insert(chosen.features.end(), features, features + channels);
        }
        return std::make_unique<GaussianReadout>(std::move(chosen));
    }
    std::unique_ptr<Readout> fold(const LinearMeasure&) const override { return nullptr; }
    double macs_per_row() const noexcept override
    {
        return 5.0 * static_cast<double>(weights_.features.size());
    }
    std::size_t memory_bytes() const noexcept override
    {
        return weights_.bias.size() * (channels * 12 + 64);
    }

    void apply(const Trace& trace, Batch responses, Executor& executor) override
    {
        if (responses.type == ElementType::f32 && executor.wants_whole_batches())
            sampled_responses(table_, trace.tap(taps_[0]),
                              weights_.shifted ? trace.tap(taps_[1]) : ConstBatch{}, responses,
                              executor);
        else if (responses.type == ElementType::f32)
            apply_fast(trace, values_of<float>(responses));
        else
            apply_exact(trace, values_of<double>(responses));
    }
    std::vector<TapGradient> pull_back(const Trace& trace, ConstBatch cotangents,
                                       Executor&) override
    {
        std::vector<TapGradient> result(1);
        result[0].values = cotangents.type == ElementType::f32
                               ? pulled_back<float>(trace, values_of<float>(cotangents))
                               : pulled_back<double>(trace, values_of<double>(cotangents));
        return result;
    }

private:
    std::array<double, 2> shift_of(const Trace& trace, std::size_t row) const
    {
        if (!weights_.shifted) return {0.0, 0.0};
        const ConstBatch shifts = trace.tap(taps_[1]);
        if (shifts.type == ElementType::f32) {
            const auto values = values_of<float>(shifts);
            return {double(values[2 * row]), double(values[2 * row + 1])};
        }
        const auto values = values_of<double>(shifts);
        return {values[2 * row], values[2 * row + 1]};
    }

    Samples samples_at(double shift_x, double shift_y) const
    {
        Samples samples;
        samples.pixels.reserve(4 * bias_.size());
        samples.weights.reserve(4 * bias_.size());
        for (std::size_t unit = 0; unit < bias_.size(); ++unit) {
            const BilinearSample sample = unit_sample(unit, {shift_x, shift_y});
            samples.pixels.insert(samples.pixels.end(), sample.pixels.begin(), sample.pixels.end());
            for (const double weight : sample.weights)
                samples.weights.push_back(static_cast<float>(weight));
        }
        return samples;
    }

    BilinearSample unit_sample(std::size_t unit, const std::array<double, 2>& shift) const
    {
        return bilinear_sample(weights_.positions[2 * unit] + shift[0],
                               weights_.positions[2 * unit + 1] + shift[1], mouse_tap_height,
                               mouse_tap_width);
    }

    void apply_fast(const Trace& trace, std::span<float> responses) const
    {
        const ConstBatch core = trace.tap(taps_[0]);
        const float* maps = values_of<float>(core).data();
        const auto rows = static_cast<std::size_t>(core.shape.extent[0]);
        for (std::size_t row = 0; row < rows; ++row) {
            const std::array<double, 2> shift = shift_of(trace, row);
            Samples moved;
            if (weights_.shifted) moved = samples_at(shift[0], shift[1]);
            const Samples& samples = weights_.shifted ? moved : still_;
            SampledReadout s;
            s.map = maps + static_cast<std::int64_t>(row) * map_size;
            s.channels = mouse_channels;
            s.pixels = samples.pixels.data();
            s.weights = samples.weights.data();
            s.features = features_.data();
            s.bias = bias_.data();
            s.output = &responses[row * bias_.size()];
            s.units = outputs();
            s.activation = Activation::elu;
            s.offset = 1.0F;
            cpu_kernels().sample(s);
        }
    }

    /// bias + features . sampled map, before the nonlinearity
    template <class T>
    double drive(const T* map, std::size_t unit, const BilinearSample& sample) const
    {
        double sum = weights_.bias[unit];
        const double* features = &weights_.features[channels * unit];
        for (std::size_t corner = 0; corner < 4; ++corner) {
            const T* pixel = map + static_cast<std::size_t>(sample.pixels[corner]) * channels;
            double dot = 0.0;
            for (std::size_t c = 0; c < channels; ++c) dot += features[c] * double(pixel[c]);
            sum += sample.weights[corner] * dot;
        }
        return sum;
    }

    void apply_exact(const Trace& trace, std::span<double> responses) const
    {
        const std::span<const double> maps = values_of<double>(trace.tap(taps_[0]));
        for (std::size_t i = 0; i < responses.size(); ++i) {
            const std::size_t row = i / bias_.size();
            const std::size_t unit = i % bias_.size();
            const double x =
                drive(maps.data() + row * map_size, unit, unit_sample(unit, shift_of(trace, row)));
            responses[i] = (x > 0.0 ? x : std::expm1(x)) + 1.0;
        }
    }

    template <class T>
    OwnedBatch pulled_back(const Trace& trace, std::span<const T> cotangents) const
    {
        const ConstBatch core = trace.tap(taps_[0]);
        OwnedBatch gradient(core.type, core.shape);
        const std::span<T> result = gradient.values<T>();
        std::fill(result.begin(), result.end(), T(0));
        const std::span<const T> maps = values_of<T>(core);
        for (std::size_t i = 0; i < cotangents.size(); ++i) {
            if (cotangents[i] == T(0)) continue;
            const std::size_t row = i / bias_.size();
            const std::size_t unit = i % bias_.size();
            const BilinearSample sample = unit_sample(unit, shift_of(trace, row));
            const std::size_t map = row * static_cast<std::size_t>(map_size);
            const double x = drive(maps.data() + map, unit, sample);
            const double slope = (x > 0.0 ? 1.0 : std::exp(x)) * double(cotangents[i]);
            const double* features = &weights_.features[channels * unit];
            for (std::size_t corner = 0; corner < 4; ++corner) {
                T* pixel =
                    &result[map + static_cast<std::size_t>(sample.pixels[corner]) * channels];
                for (std::size_t c = 0; c < channels; ++c)
                    pixel[c] += static_cast<T>(slope * sample.weights[corner] * features[c]);
            }
        }
        return gradient;
    }

    GaussianWeights weights_;
    std::vector<float> features_;
    std::vector<float> bias_;
    SampledUnitTable table_;
    std::vector<TapId> taps_;
    Samples still_;  // of unshifted positions
};

}  // namespace

GaussianWeights read_gaussian(const WeightReader& reader, std::int64_t units, bool shifted)
{
    constexpr std::size_t hidden = 30;
    const auto places = reader.read("readout.source_grid", {units, 2}).values;
    const auto w0 = reader.read("readout.mu_transform.0.weight", {hidden, 2}).values;
    const auto b0 = reader.read("readout.mu_transform.0.bias", {hidden}).values;
    const auto w2 = reader.read("readout.mu_transform.2.weight", {2, hidden}).values;
    const auto b2 = reader.read("readout.mu_transform.2.bias", {2}).values;
    const auto features = reader.read("readout._features", {1, mouse_channels, 1, units}).values;
    GaussianWeights weights;
    weights.shifted = shifted;
    weights.bias = reader.read("readout.bias", {units}).values;
    const auto count = static_cast<std::size_t>(units);
    for (std::size_t unit = 0; unit < count; ++unit) {
        std::array<double, 2> position = {b2[0], b2[1]};
        for (std::size_t h = 0; h < hidden; ++h) {
            const double x =
                b0[h] + w0[2 * h] * places[2 * unit] + w0[2 * h + 1] * places[2 * unit + 1];
            const double active = x > 0.0 ? x : std::expm1(x);
            position[0] += w2[h] * active;
            position[1] += w2[hidden + h] * active;
        }
        for (const double coordinate : position)
            weights.positions.push_back(std::clamp(std::tanh(coordinate), -1.0, 1.0));
        for (std::size_t c = 0; c < channels; ++c)
            weights.features.push_back(features[c * count + unit]);
    }
    return weights;
}

std::unique_ptr<Readout> gaussian_readout(GaussianWeights weights)
{
    return std::make_unique<GaussianReadout>(std::move(weights));
}

}  // namespace twinscreen
