#include "engine/twin/tap_readout.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "engine/twin/placed_tensor.hpp"
#include "engine/twin/torch_readouts.hpp"
#include "engine/twin/torch_tools.hpp"
#include "kernels/unit_responses.hpp"

namespace twinscreen {

namespace {

/// Values of a tap -> pooled features, and back.
class Pooling {
public:
    Pooling(TapSpec tap, const TapFeatures& features) : tap_(std::move(tap)), pool_(features.pool)
    {
        if (pool_ != TapFeatures::Pool::grid) return;
        if (tap_.row.rank == 1) {
            pool_ = TapFeatures::Pool::none;
            return;
        }
        TWINSCREEN_REQUIRE(tap_.row.rank == 3, config,
                           "tap '{}' computes {} per image: a grid of cells needs a map of "
                           "channels, height and width (use tap_pool = \"mean\")",
                           tap_.name, tap_.row.text());
        const std::array<std::size_t, 2> axes = pixel_axes();
        for (std::size_t side = 0; side < 2; ++side)
            cells_[side] = std::min(features.grid, tap_.row.extent[axes[side]]);
    }

    std::int64_t outputs() const noexcept
    {
        switch (pool_) {
            case TapFeatures::Pool::none: return tap_.row.count();
            case TapFeatures::Pool::mean: return channels_of(tap_);
            case TapFeatures::Pool::grid: return channels_of(tap_) * cells_[0] * cells_[1];
        }
        return 0;
    }
    const Shape& row() const noexcept { return tap_.row; }

    /// tap [rows, tap row] -> [rows, outputs]
    at::Tensor apply(const at::Tensor& tap) const
    {
        switch (pool_) {
            case TapFeatures::Pool::none: return tap.flatten(1);
            case TapFeatures::Pool::mean: return at::mean(by_pixels(tap), pixel_axis());
            case TapFeatures::Pool::grid:
                return at::_adaptive_avg_pool2d(as_map(tap), {cells_[0], cells_[1]}).flatten(1);
        }
        return tap;
    }

    /// cotangents [rows, outputs] -> values of `gradient` [rows, tap row], which is overwritten
    void pull_back(const at::Tensor& cotangents, const at::Tensor& gradient) const
    {
        const std::int64_t rows = gradient.size(0);
        switch (pool_) {
            case TapFeatures::Pool::none: gradient.copy_(cotangents.view(gradient.sizes())); return;
            case TapFeatures::Pool::mean: {
                const at::Tensor pixels = by_pixels(gradient);
                pixels.copy_(cotangents.div(static_cast<double>(pixels.size(pixel_axis())))
                                 .unsqueeze(pixel_axis())
                                 .expand_as(pixels));
                return;
            }
            case TapFeatures::Pool::grid: {
                const at::Tensor map = as_map(gradient);
                map.copy_(at::_adaptive_avg_pool2d_backward(
                    cotangents.view({rows, channels_of(tap_), cells_[0], cells_[1]}), map));
                return;
            }
        }
    }

private:
    std::array<std::size_t, 2> pixel_axes() const
    {
        return tap_.channels_first ? std::array<std::size_t, 2>{1, 2}
                                   : std::array<std::size_t, 2>{0, 1};
    }
    std::int64_t pixel_axis() const { return tap_.channels_first ? 2 : 1; }
    /// [rows, channels, pixels], or pixels first
    at::Tensor by_pixels(const at::Tensor& tap) const
    {
        const std::int64_t channels = channels_of(tap_);
        const std::int64_t pixels = tap_.row.count() / channels;
        return tap_.channels_first ? tap.view({tap.size(0), channels, pixels})
                                   : tap.view({tap.size(0), pixels, channels});
    }
    /// [rows, channels, height, width]
    at::Tensor as_map(const at::Tensor& tap) const
    {
        return tap_.channels_first ? tap : tap.permute({0, 3, 1, 2});
    }

    TapSpec tap_;
    TapFeatures::Pool pool_;
    std::array<std::int64_t, 2> cells_{};
};

/// Calls `row(values, others)` for each row of two matrices of one type.
template <class Row>
void for_each_row(const at::Tensor& values, const at::Tensor& others, const Row& row)
{
    const auto in_type = [&]<class T>(T) {
        for (std::int64_t at = 0; at < values.size(0); ++at)
            row(std::span<const T>(values[at].data_ptr<T>(),
                                   static_cast<std::size_t>(values.size(1))),
                std::span<T>(others[at].data_ptr<T>(), static_cast<std::size_t>(others.size(1))));
    };
    if (values.scalar_type() == at::kFloat)
        in_type(float{});
    else
        in_type(double{});
}

class TapReadout final : public Readout {
public:
    /// chosen  numbers of the features that are outputs
    TapReadout(std::vector<std::int64_t> chosen, const std::shared_ptr<const Pooling>& pooling,
               std::shared_ptr<const SparseProjection> projection, TapId tap, Precision precision)
        : chosen_(std::move(chosen)),
          pooling_(pooling),
          projection_(std::move(projection)),
          tap_{tap},
          precision_(precision),
          index_(at::tensor(chosen_, at::kLong))
    {
    }

    std::int64_t outputs() const noexcept override
    {
        return static_cast<std::int64_t>(chosen_.size());
    }
    std::span<const TapId> taps() const noexcept override { return tap_; }
    std::unique_ptr<Readout> select(std::span<const UnitId> units) const override
    {
        std::vector<std::int64_t> chosen;
        for (const UnitId unit : units) chosen.push_back(chosen_.at(index_of(unit)));
        return std::make_unique<TapReadout>(std::move(chosen), pooling_, projection_, tap_[0],
                                            precision_);
    }
    std::unique_ptr<Readout> fold(const LinearMeasure& measure) const override
    {
        return combination(*this, measure, precision_);
    }
    double macs_per_row() const noexcept override
    {
        return projection_ ? 4.0 * static_cast<double>(projection_->inputs()) : 0.0;
    }
    std::size_t memory_bytes() const noexcept override
    {
        return chosen_.size() * 2 * sizeof(std::int64_t) +
               (projection_ ? projection_->memory_bytes() : 0);
    }
    void apply(const Trace& trace, Batch responses, Executor& executor) override
    {
        const c10::NoGradGuard no_graph;
        at::Tensor values = pooling_->apply(tensor_view(trace.tap(tap_[0])));
        if (projection_)
            values = executor.wants_whole_batches()
                         ? projected_together(values.contiguous(), executor)
                         : projected(values.contiguous());
        at::Tensor out = tensor_view(responses);
        at::index_select_out(out, values, 1, index_.beside(values));
    }
    std::vector<TapGradient> pull_back(const Trace& trace, ConstBatch cotangents,
                                       Executor&) override
    {
        const c10::NoGradGuard no_graph;
        const std::int64_t rows = trace.tap(tap_[0]).shape.extent[0];
        const at::Tensor given = tensor_view(cotangents);
        at::Tensor features =
            at::zeros({rows, features_count()}, given.options()).index_add(1, index_.host(), given);
        if (projection_) features = spread(features);
        std::vector<TapGradient> result(1);
        result[0].tap = tap_[0];
        result[0].values = OwnedBatch(element_type_of(precision_), pooling_->row().with_rows(rows));
        pooling_->pull_back(features, tensor_view(result[0].values.view()));
        return result;
    }

private:
    std::int64_t features_count() const
    {
        return projection_ ? projection_->outputs() : pooling_->outputs();
    }
    at::Tensor projected(const at::Tensor& values) const
    {
        at::Tensor result = at::empty({values.size(0), projection_->outputs()}, values.options());
        for_each_row(values, result, [&](auto from, auto to) { projection_->project(from, to); });
        return result;
    }
    at::Tensor projected_together(const at::Tensor& values, Executor& executor)
    {
        if (!by_output_) by_output_ = std::make_unique<ProjectionByOutput>(*projection_);
        const at::Tensor result =
            at::empty({values.size(0), projection_->outputs()}, values.options());
        by_output_->project(batch_view(values), batch_view(result), executor);
        return result;
    }
    at::Tensor spread(const at::Tensor& cotangents) const
    {
        at::Tensor result =
            at::empty({cotangents.size(0), projection_->inputs()}, cotangents.options());
        for_each_row(cotangents, result,
                     [&](auto from, auto to) { projection_->pull_back(from, to); });
        return result;
    }

    std::vector<std::int64_t> chosen_;
    std::shared_ptr<const Pooling> pooling_;              // shared by selections
    std::shared_ptr<const SparseProjection> projection_;  // likewise; null: not projected
    std::unique_ptr<ProjectionByOutput> by_output_;       // made when first needed
    std::array<TapId, 1> tap_;
    Precision precision_;
    PlacedTensor index_;
};

class JoinedReadout final : public Readout {
public:
    JoinedReadout(std::vector<std::unique_ptr<Readout>> parts, Precision precision)
        : parts_(std::move(parts)), precision_(precision)
    {
        for (const auto& part : parts_) {
            outputs_ += part->outputs();
            for (const TapId tap : part->taps())
                if (std::find(taps_.begin(), taps_.end(), tap) == taps_.end()) taps_.push_back(tap);
        }
    }

    std::int64_t outputs() const noexcept override { return outputs_; }
    std::span<const TapId> taps() const noexcept override { return taps_; }
    std::unique_ptr<Readout> select(std::span<const UnitId> units) const override
    {
        std::vector<std::unique_ptr<Readout>> chosen;
        std::int64_t first = 0;
        for (const auto& part : parts_) {
            std::vector<UnitId> mine;
            for (const UnitId unit : units) {
                const std::int64_t at = static_cast<std::int64_t>(index_of(unit)) - first;
                if (at >= 0 && at < part->outputs())
                    mine.push_back(UnitId{static_cast<std::uint32_t>(at)});
            }
            first += part->outputs();
            if (!mine.empty()) chosen.push_back(part->select(mine));
        }
        return std::make_unique<JoinedReadout>(std::move(chosen), precision_);
    }
    std::unique_ptr<Readout> fold(const LinearMeasure& measure) const override
    {
        return combination(*this, measure, precision_);
    }
    double macs_per_row() const noexcept override
    {
        double macs = 0.0;
        for (const auto& part : parts_) macs += part->macs_per_row();
        return macs;
    }
    std::size_t memory_bytes() const noexcept override
    {
        std::size_t bytes = 0;
        for (const auto& part : parts_) bytes += part->memory_bytes();
        return bytes;
    }
    void apply(const Trace& trace, Batch responses, Executor& executor) override
    {
        const c10::NoGradGuard no_graph;
        at::Tensor out = tensor_view(responses);
        std::int64_t first = 0;
        for (const auto& part : parts_) {
            const at::Tensor mine = at::empty({out.size(0), part->outputs()}, out.options());
            part->apply(trace, batch_view(mine), executor);
            out.narrow(1, first, part->outputs()).copy_(mine);
            first += part->outputs();
        }
    }
    std::vector<TapGradient> pull_back(const Trace& trace, ConstBatch cotangents,
                                       Executor& executor) override
    {
        const c10::NoGradGuard no_graph;
        std::vector<TapGradient> gradients;
        std::int64_t first = 0;
        for (const auto& part : parts_) {
            const OwnedBatch mine =
                batch_of(tensor_view(cotangents).narrow(1, first, part->outputs()).contiguous());
            first += part->outputs();
            for (TapGradient& gradient : part->pull_back(trace, mine.view(), executor))
                add_to(gradients, std::move(gradient));
        }
        return gradients;
    }

private:
    static void add_to(std::vector<TapGradient>& all, TapGradient gradient)
    {
        for (TapGradient& known : all) {
            if (known.tap != gradient.tap) continue;
            tensor_view(known.values.view()).add_(tensor_view(gradient.values.view()));
            return;
        }
        all.push_back(std::move(gradient));
    }

    std::vector<std::unique_ptr<Readout>> parts_;
    std::vector<TapId> taps_;
    Precision precision_;
    std::int64_t outputs_ = 0;
};

}  // namespace

std::unique_ptr<Readout> tap_readout(const Backbone& backbone, TapId tap,
                                     const TapFeatures& features, Precision precision)
{
    const auto pooling = std::make_shared<const Pooling>(backbone.taps()[index_of(tap)], features);
    std::shared_ptr<const SparseProjection> projection;
    if (features.projected > 0 && pooling->outputs() > features.projected)
        projection = std::make_shared<const SparseProjection>(pooling->outputs(),
                                                              features.projected, features.draw);
    std::vector<std::int64_t> all(
        static_cast<std::size_t>(projection ? projection->outputs() : pooling->outputs()));
    std::iota(all.begin(), all.end(), std::int64_t{0});
    return std::make_unique<TapReadout>(std::move(all), pooling, std::move(projection), tap,
                                        precision);
}

std::unique_ptr<Readout> joined_readout(std::vector<std::unique_ptr<Readout>> parts,
                                        Precision precision)
{
    return std::make_unique<JoinedReadout>(std::move(parts), precision);
}

}  // namespace twinscreen
