#include "engine/twin/torch_readouts.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <set>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include "engine/twin/cpu_kernels.hpp"
#include "engine/twin/placed_tensor.hpp"
#include "engine/twin/tap_readout.hpp"
#include "engine/twin/torch_tools.hpp"

namespace twinscreen {

namespace {

std::size_t size_of(std::int64_t extent) { return static_cast<std::size_t>(extent); }

const std::vector<TapId> first_tap = {TapId{0}};

/// Weights of a linear measure of a linear map: row o is the sum of weight * row of unit.
std::vector<double> folded_rows(const LinearMeasure& measure, const std::vector<double>& rows,
                                std::size_t width)
{
    std::vector<double> folded(measure.outputs.size() * width, 0.0);
    for (std::size_t output = 0; output < measure.outputs.size(); ++output)
        for (const auto& [unit, weight] : measure.outputs[output])
            for (std::size_t i = 0; i < width; ++i)
                folded[output * width + i] += weight * rows.at(index_of(unit) * width + i);
    return folded;
}

std::vector<double> chosen_rows(std::span<const UnitId> units, const std::vector<double>& rows,
                                std::size_t width)
{
    std::vector<double> chosen;
    for (const UnitId unit : units)
        for (std::size_t i = 0; i < width; ++i)
            chosen.push_back(rows.at(index_of(unit) * width + i));
    return chosen;
}

class DenseReadout final : public Readout {
public:
    DenseReadout(std::vector<double> weights, std::vector<double> bias, Shape tap_row,
                 Precision precision, TapId tap)
        : rows_(std::move(weights)),
          bias_(std::move(bias)),
          tap_row_(tap_row),
          precision_(precision),
          tap_{tap},
          matrix_(tensor_of(rows_, {outputs(), tap_row.count()}, precision)),
          offset_(tensor_of(bias_, {outputs()}, precision))
    {
    }

    std::int64_t outputs() const noexcept override
    {
        return static_cast<std::int64_t>(bias_.size());
    }
    std::span<const TapId> taps() const noexcept override { return tap_; }
    std::unique_ptr<Readout> select(std::span<const UnitId> units) const override
    {
        return std::make_unique<DenseReadout>(chosen_rows(units, rows_, size_of(tap_row_.count())),
                                              chosen_rows(units, bias_, 1), tap_row_, precision_,
                                              tap_[0]);
    }
    std::unique_ptr<Readout> fold(const LinearMeasure& measure) const override
    {
        return std::make_unique<DenseReadout>(
            folded_rows(measure, rows_, size_of(tap_row_.count())), folded_rows(measure, bias_, 1),
            tap_row_, precision_, tap_[0]);
    }
    double macs_per_row() const noexcept override { return static_cast<double>(rows_.size()); }
    std::size_t memory_bytes() const noexcept override
    {
        return rows_.size() * (sizeof(double) + bytes_of(element_type_of(precision_)));
    }
    void apply(const Trace& trace, Batch responses, Executor&) override
    {
        const c10::NoGradGuard no_graph;
        at::Tensor out = tensor_view(responses);
        at::addmm_out(out, offset_.like(out), tap_matrix(trace), matrix_.like(out).t());
    }
    std::vector<TapGradient> pull_back(const Trace& trace, ConstBatch cotangents,
                                       Executor&) override
    {
        const c10::NoGradGuard no_graph;
        const std::int64_t rows = trace.tap(tap_[0]).shape.extent[0];
        std::vector<TapGradient> result(1);
        result[0].tap = tap_[0];
        result[0].values = OwnedBatch(element_type_of(precision_), tap_row_.with_rows(rows));
        at::Tensor out = tensor_view(result[0].values.view()).view({rows, tap_row_.count()});
        at::mm_out(out, tensor_view(cotangents), matrix_.host());
        return result;
    }

private:
    at::Tensor tap_matrix(const Trace& trace) const
    {
        const at::Tensor tap = tensor_view(trace.tap(tap_[0]));
        return tap.view({tap.size(0), tap_row_.count()});
    }

    std::vector<double> rows_;  // [outputs, tap values]
    std::vector<double> bias_;
    Shape tap_row_;
    Precision precision_;
    std::array<TapId, 1> tap_;
    PlacedTensor matrix_;
    PlacedTensor offset_;
};

class CombinedReadout final : public Readout {
public:
    CombinedReadout(std::unique_ptr<Readout> inner, std::vector<double> weights,
                    std::vector<double> bias, Precision precision)
        : inner_(std::move(inner)),
          rows_(std::move(weights)),
          bias_(std::move(bias)),
          precision_(precision),
          matrix_(tensor_of(rows_, {outputs(), inner_->outputs()}, precision)),
          offset_(tensor_of(bias_, {outputs()}, precision))
    {
    }

    std::int64_t outputs() const noexcept override
    {
        return static_cast<std::int64_t>(bias_.size());
    }
    std::span<const TapId> taps() const noexcept override { return inner_->taps(); }
    std::unique_ptr<Readout> select(std::span<const UnitId> units) const override
    {
        return with_rows(chosen_rows(units, rows_, size_of(inner_->outputs())),
                         chosen_rows(units, bias_, 1));
    }
    std::unique_ptr<Readout> fold(const LinearMeasure& measure) const override
    {
        return with_rows(folded_rows(measure, rows_, size_of(inner_->outputs())),
                         folded_rows(measure, bias_, 1));
    }
    double macs_per_row() const noexcept override
    {
        return inner_->macs_per_row() + static_cast<double>(rows_.size());
    }
    std::size_t memory_bytes() const noexcept override
    {
        return inner_->memory_bytes() + rows_.size() * 2 * sizeof(double);
    }
    void apply(const Trace& trace, Batch responses, Executor& executor) override
    {
        const c10::NoGradGuard no_graph;
        at::Tensor out = tensor_view(responses);
        const at::Tensor units = at::empty({out.size(0), inner_->outputs()}, out.options());
        inner_->apply(trace, batch_view(units), executor);
        at::addmm_out(out, offset_.like(out), units, matrix_.like(out).t());
    }
    std::vector<TapGradient> pull_back(const Trace& trace, ConstBatch cotangents,
                                       Executor& executor) override
    {
        const c10::NoGradGuard no_graph;
        const OwnedBatch units = batch_of(at::mm(tensor_view(cotangents), matrix_.host()));
        return inner_->pull_back(trace, units.view(), executor);
    }

private:
    std::unique_ptr<Readout> with_rows(std::vector<double> rows, std::vector<double> bias) const
    {
        std::vector<UnitId> all;
        for (std::int64_t unit = 0; unit < inner_->outputs(); ++unit)
            all.push_back(UnitId{static_cast<std::uint32_t>(unit)});
        return std::make_unique<CombinedReadout>(inner_->select(all), std::move(rows),
                                                 std::move(bias), precision_);
    }

    std::unique_ptr<Readout> inner_;
    std::vector<double> rows_;  // [outputs, inner outputs]
    std::vector<double> bias_;  // [outputs]
    Precision precision_;
    PlacedTensor matrix_;
    PlacedTensor offset_;
};

class MixingPoolReadout final : public Readout {
public:
    MixingPoolReadout(MixingPool weights, Shape tap_row, Precision precision)
        : weights_(std::move(weights)),
          tap_row_(tap_row),
          precision_(precision),
          pixels_(tap_row.extent[0] * tap_row.extent[1]),
          channels_(tap_row.extent[2]),
          mixing_(tensor_of(weights_.mixing, {channels_, outputs()}, precision)),
          mixing_bias_(tensor_of(weights_.mixing_bias, {outputs()}, precision)),
          pool_(tensor_of(weights_.pool, {pixels_, outputs()}, precision)),
          offset_(tensor_of(weights_.bias, {outputs()}, precision)),
          packed_mixing_(packed_for(cpu_kernels(), weights_.mixing, weights_.mixing_bias)),
          padded_pool_(padded_rows(cpu_kernels(), weights_.pool, static_cast<int>(outputs())))
    {
    }

    std::int64_t outputs() const noexcept override
    {
        return static_cast<std::int64_t>(weights_.bias.size());
    }
    std::span<const TapId> taps() const noexcept override { return first_tap; }
    std::unique_ptr<Readout> select(std::span<const UnitId> units) const override
    {
        MixingPool chosen;
        chosen.mixing = chosen_columns(units, weights_.mixing);
        chosen.mixing_bias = chosen_columns(units, weights_.mixing_bias);
        chosen.pool = chosen_columns(units, weights_.pool);
        chosen.bias = chosen_columns(units, weights_.bias);
        return std::make_unique<MixingPoolReadout>(std::move(chosen), tap_row_, precision_);
    }
    std::unique_ptr<Readout> fold(const LinearMeasure& measure) const override
    {
        std::set<UnitId> needed;
        for (const auto& output : measure.outputs)
            for (const auto& [unit, weight] : output) needed.insert(unit);
        // A dense output reads every value of the map with a weight of its own, 4 bytes per
        // multiply-accumulate; mixing reuses its weights for all pixels and runs at the speed of
        // the arithmetic.
        constexpr std::size_t dense_penalty = 4;
        if (dense_penalty * measure.outputs.size() <= needed.size()) return dense(measure);
        return combination(*this, measure, precision_);
    }
    double macs_per_row() const noexcept override
    {
        return static_cast<double>(pixels_ * (channels_ + 1) * outputs());
    }
    std::size_t memory_bytes() const noexcept override
    {
        return (weights_.mixing.size() + weights_.pool.size()) * (2 * sizeof(double));
    }
    void apply(const Trace& trace, Batch responses, Executor& executor) override
    {
        const ConstBatch tap = trace.tap(first_tap[0]);
        if (precision_ == Precision::f32 && !executor.wants_whole_batches())
            apply_fast(tap, values_of<float>(responses));
        else
            apply_as_tensors(tap, responses);
    }
    std::vector<TapGradient> pull_back(const Trace& trace, ConstBatch cotangents,
                                       Executor&) override
    {
        const c10::NoGradGuard no_graph;
        const std::int64_t rows = trace.tap(first_tap[0]).shape.extent[0];
        std::vector<TapGradient> result(1);
        result[0].values = OwnedBatch(element_type_of(precision_), tap_row_.with_rows(rows));
        const at::Tensor given = tensor_view(cotangents).unsqueeze(1) * pool_.host().unsqueeze(0);
        at::Tensor out = tensor_view(result[0].values.view()).view({rows * pixels_, channels_});
        at::mm_out(out, given.view({rows * pixels_, outputs()}), mixing_.host().t());
        return result;
    }

private:
    std::vector<double> chosen_columns(std::span<const UnitId> units,
                                       const std::vector<double>& matrix) const
    {
        std::vector<double> chosen;
        for (std::size_t row = 0; row < matrix.size(); row += size_of(outputs()))
            for (const UnitId unit : units) chosen.push_back(matrix.at(row + index_of(unit)));
        return chosen;
    }

    /// One weight per value of the map and output.
    std::unique_ptr<Readout> dense(const LinearMeasure& measure) const
    {
        const std::size_t width = size_of(tap_row_.count());
        const std::size_t units = size_of(outputs());
        const std::size_t channels = size_of(channels_);
        std::vector<double> rows(measure.outputs.size() * width, 0.0);
        std::vector<double> bias(measure.outputs.size(), 0.0);
        for (std::size_t output = 0; output < measure.outputs.size(); ++output)
            for (const auto& [id, weight] : measure.outputs[output]) {
                const std::size_t unit = index_of(id);
                bias[output] += weight * weights_.bias[unit];
                for (std::size_t pixel = 0; pixel < size_of(pixels_); ++pixel) {
                    const double pooled = weight * weights_.pool[pixel * units + unit];
                    bias[output] += pooled * weights_.mixing_bias[unit];
                    double* to = &rows[output * width + pixel * channels];
                    for (std::size_t c = 0; c < channels; ++c)
                        to[c] += pooled * weights_.mixing[c * units + unit];
                }
            }
        return std::make_unique<DenseReadout>(std::move(rows), std::move(bias), tap_row_,
                                              precision_, first_tap[0]);
    }

    /// Mixes and pools strip by strip, so that mixed maps stay in the cache.
    void apply_fast(const ConstBatch& tap, std::span<float> responses) const
    {
        const auto strip = static_cast<int>(tap_row_.extent[1]);
        const float* maps = values_of<float>(tap).data();
        at::parallel_for(0, tap.shape.extent[0], 1, [&](std::int64_t first, std::int64_t last) {
            const auto columns = static_cast<std::size_t>(packed_mixing_.padded_columns);
            std::vector<float> mixed(static_cast<std::size_t>(strip) * columns);
            std::vector<float> sums(columns);
            for (std::int64_t row = first; row < last; ++row) {
                std::fill(sums.begin(), sums.end(), 0.0F);
                for (std::int64_t pixel = 0; pixel < pixels_; pixel += strip) {
                    Contraction c;
                    c.input = maps + (row * pixels_ + pixel) * channels_;
                    c.row_stride = channels_;
                    c.segment_length = static_cast<int>(channels_);
                    c.weights = packed_mixing_.weights.data();
                    c.bias = packed_mixing_.bias.data();
                    c.output = mixed.data();
                    c.output_stride = packed_mixing_.padded_columns;
                    c.rows = strip;
                    c.padded_columns = packed_mixing_.padded_columns;
                    cpu_kernels().contract(c);
                    cpu_kernels().add_products(
                        mixed.data(), padded_pool_.data() + pixel * packed_mixing_.padded_columns,
                        strip, packed_mixing_.padded_columns, sums.data());
                }
                for (std::size_t unit = 0; unit < size_of(outputs()); ++unit)
                    responses[size_of(row * outputs()) + unit] =
                        sums[unit] + static_cast<float>(weights_.bias[unit]);
            }
        });
    }

    /// As many rows at a time as keep the mixed maps, a value per pixel and unit, small.
    void apply_as_tensors(const ConstBatch& tap, Batch responses) const
    {
        const c10::NoGradGuard no_graph;
        constexpr std::int64_t most_values = 1 << 26;
        const std::int64_t rows = tap.shape.extent[0];
        const std::int64_t step = std::max<std::int64_t>(most_values / (pixels_ * outputs()), 1);
        const at::Tensor maps = tensor_view(tap).view({rows, pixels_, channels_});
        const at::Tensor out = tensor_view(responses);
        for (std::int64_t first = 0; first < rows; first += step) {
            const std::int64_t count = std::min(step, rows - first);
            const at::Tensor mixed =
                at::addmm(mixing_bias_.like(maps),
                          maps.narrow(0, first, count).view({count * pixels_, channels_}),
                          mixing_.like(maps))
                    .view({count, pixels_, outputs()})
                    .mul_(pool_.like(maps));
            out.narrow(0, first, count).copy_(mixed.sum(1).add_(offset_.like(maps)));
        }
    }

    MixingPool weights_;
    Shape tap_row_;  // [height, width, channels]
    Precision precision_;
    std::int64_t pixels_;
    std::int64_t channels_;
    PlacedTensor mixing_;
    PlacedTensor mixing_bias_;
    PlacedTensor pool_;
    PlacedTensor offset_;
    PackedMatrix packed_mixing_;
    std::vector<float> padded_pool_;
};

}  // namespace

std::unique_ptr<Readout> dense_readout(const std::vector<double>& weights,
                                       const std::vector<double>& bias, const Shape& tap_row,
                                       Precision precision, TapId tap)
{
    return std::make_unique<DenseReadout>(weights, bias, tap_row, precision, tap);
}

std::unique_ptr<Readout> read_dense_readout(const NetworkEntry& entry, const Backbone& backbone,
                                            std::span<const TapId> taps,
                                            const WeightReader& weights, Precision precision)
{
    const bool takes_values = taps.size() == 1 && entry.features == TapFeatures{};
    std::unique_ptr<Readout> features;
    if (!takes_values) {
        std::vector<std::unique_ptr<Readout>> parts;
        for (const TapId tap : taps)
            parts.push_back(tap_readout(backbone, tap, entry.features, precision));
        features = joined_readout(std::move(parts), precision);
    }
    const std::int64_t inputs = features ? features->outputs() : entry.tap_row.count();
    const Weights kernel = weights.read(entry.prefix + "readout.kernel", {inputs, entry.units});
    std::vector<double> bias = weights.read(entry.prefix + "readout.bias", {entry.units}).values;
    const std::size_t width = size_of(inputs);
    const std::size_t units = size_of(entry.units);
    std::vector<double> rows(kernel.values.size());
    for (std::size_t i = 0; i < rows.size(); ++i)
        rows[i % units * width + i / units] = kernel.values[i];
    if (takes_values) return dense_readout(rows, bias, entry.tap_row, precision, taps[0]);
    return combined_readout(std::move(features), std::move(rows), std::move(bias), precision);
}

std::unique_ptr<Readout> mixing_pool_readout(MixingPool weights, const Shape& tap_row,
                                             Precision precision)
{
    return std::make_unique<MixingPoolReadout>(std::move(weights), tap_row, precision);
}

std::unique_ptr<Readout> combined_readout(std::unique_ptr<Readout> inner,
                                          std::vector<double> weights, std::vector<double> bias,
                                          Precision precision)
{
    return std::make_unique<CombinedReadout>(std::move(inner), std::move(weights), std::move(bias),
                                             precision);
}

std::unique_ptr<Readout> combination(const Readout& readout, const LinearMeasure& measure,
                                     Precision precision)
{
    std::map<UnitId, std::size_t> position;  // of the units that the measure needs
    for (const auto& output : measure.outputs)
        for (const auto& [unit, weight] : output) position.emplace(unit, 0);
    std::vector<UnitId> needed;
    for (auto& [unit, at] : position) {
        at = needed.size();
        needed.push_back(unit);
    }
    std::vector<double> rows(measure.outputs.size() * needed.size(), 0.0);
    for (std::size_t output = 0; output < measure.outputs.size(); ++output)
        for (const auto& [unit, weight] : measure.outputs[output])
            rows[output * needed.size() + position.at(unit)] += weight;
    return combined_readout(readout.select(needed), std::move(rows),
                            std::vector<double>(measure.outputs.size(), 0.0), precision);
}

}  // namespace twinscreen
