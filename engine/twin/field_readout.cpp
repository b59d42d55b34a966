#include "engine/twin/field_readout.hpp"

#include <algorithm>
#include <set>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "engine/twin/placed_tensor.hpp"
#include "engine/twin/torch_readouts.hpp"
#include "engine/twin/torch_tools.hpp"
#include "kernels/bilinear_sample.hpp"

namespace twinscreen {

namespace {

// At once: 4 MiB of f32, which stay in a processor's cache; on a GPU few large products.
constexpr std::int64_t pooled_values = 1 << 20;
constexpr std::int64_t pooled_values_on_device = 1 << 26;

/// Units first ... first + count - 1.
struct Block {
    std::int64_t first = 0;
    std::int64_t count = 0;
};

at::Tensor block_of(const at::Tensor& per_unit, Block block)
{
    return per_unit.narrow(0, block.first, block.count);
}

std::vector<double> doubles_of(const at::Tensor& tensor)
{
    const at::Tensor wide = tensor.to(at::kDouble).contiguous();
    return {wide.data_ptr<double>(), wide.data_ptr<double>() + wide.numel()};
}

/// g(t) = ln(1 + |t|) tanh(t)
at::Tensor compressed(const at::Tensor& t) { return at::log1p(t.abs()).mul_(t.tanh()); }

/// dg/dt
at::Tensor compression_slope(const at::Tensor& t)
{
    const at::Tensor size = t.abs();
    const at::Tensor tanh = size.tanh();
    return tanh / (1.0 + size) + at::log1p(size) * (1.0 - tanh * tanh);
}

constexpr int corners = 4;

/// What the units take of the pixels of one map. Columns are channels of images.
class Fields {
public:
    virtual ~Fields() = default;
    /// The maps [pixels, columns] in the layout in which `pooled` reads them fastest.
    virtual at::Tensor laid_out(const at::Tensor& maps) const = 0;
    /// maps [pixels, columns] -> [units, columns]
    virtual at::Tensor pooled(const at::Tensor& maps, Block units) const = 0;
    /// The transposed: adds what comes from pooled [units, columns] to maps [pixels, columns].
    virtual void spread(const at::Tensor& pooled, Block units, at::Tensor& maps) const = 0;
    virtual std::unique_ptr<Fields> select(const at::Tensor& units) const = 0;
    /// Pixels that one unit takes.
    virtual std::int64_t pixels() const = 0;
    virtual std::size_t bytes() const = 0;
};

class WholeFields final : public Fields {
public:
    /// field  [units, pixels]
    explicit WholeFields(at::Tensor field) : field_(std::move(field)) {}

    at::Tensor laid_out(const at::Tensor& maps) const override { return maps; }
    at::Tensor pooled(const at::Tensor& maps, Block units) const override
    {
        return at::mm(block_of(field_.like(maps), units), maps);
    }
    void spread(const at::Tensor& pooled, Block units, at::Tensor& maps) const override
    {
        maps.addmm_(block_of(field_.host(), units).t(), pooled);
    }
    std::unique_ptr<Fields> select(const at::Tensor& units) const override
    {
        return std::make_unique<WholeFields>(field_.host().index_select(0, units));
    }
    std::int64_t pixels() const override { return field_.host().size(1); }
    std::size_t bytes() const override { return field_.host().nbytes(); }

private:
    PlacedTensor field_;
};

class PointFields final : public Fields {
public:
    /// pixels, weights  [units, 4, 1]: the four pixels around each unit's place
    PointFields(at::Tensor pixels, at::Tensor weights)
        : pixels_(std::move(pixels)), weights_(std::move(weights))
    {
    }

    at::Tensor laid_out(const at::Tensor& maps) const override { return maps.contiguous(); }
    at::Tensor pooled(const at::Tensor& maps, Block units) const override
    {
        const at::Tensor first = at::arange(0, corners * units.count, corners,
                                            at::TensorOptions(at::kLong).device(maps.device()));
        constexpr std::int64_t sum = 0;  // mode
        return std::get<0>(at::embedding_bag(maps, block_of(pixels_.beside(maps), units).flatten(),
                                             first, /*scale_grad_by_freq=*/false, sum,
                                             /*sparse=*/false,
                                             block_of(weights_.like(maps), units).flatten()));
    }
    void spread(const at::Tensor& pooled, Block units, at::Tensor& maps) const override
    {
        for (int corner = 0; corner < corners; ++corner)
            maps.index_add_(0, pixels_of(corner, units), pooled * weights_of(corner, units));
    }
    std::unique_ptr<Fields> select(const at::Tensor& units) const override
    {
        return std::make_unique<PointFields>(pixels_.host().index_select(0, units),
                                             weights_.host().index_select(0, units));
    }
    std::int64_t pixels() const override { return corners; }
    std::size_t bytes() const override
    {
        return pixels_.host().nbytes() + weights_.host().nbytes();
    }

private:
    at::Tensor pixels_of(int corner, Block units) const
    {
        return block_of(pixels_.host(), units).select(1, corner).squeeze(1).contiguous();
    }
    at::Tensor weights_of(int corner, Block units) const
    {
        return block_of(weights_.host(), units).select(1, corner);
    }

    PlacedTensor pixels_;
    PlacedTensor weights_;
};

struct FieldTap {
    Shape row;  // [channels, height, width]
    std::unique_ptr<Fields> fields;
    std::int64_t first_feature = 0;

    std::int64_t channels() const { return row.extent[0]; }
};

class FieldReadout final : public Readout {
public:
    /// weights  [units, channels of all taps];  bias  [units];  taps, ids  one each per tap
    FieldReadout(std::vector<TapId> ids, std::vector<FieldTap> taps, at::Tensor weights,
                 at::Tensor bias, bool compresses, Precision precision)
        : ids_(std::move(ids)),
          taps_(std::move(taps)),
          weights_(std::move(weights)),
          bias_(std::move(bias)),
          compresses_(compresses),
          precision_(precision)
    {
    }

    std::int64_t outputs() const noexcept override { return bias_.host().size(0); }
    std::span<const TapId> taps() const noexcept override { return ids_; }
    std::unique_ptr<Readout> select(std::span<const UnitId> units) const override
    {
        std::vector<std::int64_t> numbers;
        for (const UnitId unit : units) numbers.push_back(index_of(unit));
        const at::Tensor chosen = at::tensor(numbers, at::kLong);
        std::vector<FieldTap> taps;
        for (const FieldTap& tap : taps_)
            taps.push_back({tap.row, tap.fields->select(chosen), tap.first_feature});
        return std::make_unique<FieldReadout>(
            ids_, std::move(taps), weights_.host().index_select(0, chosen),
            bias_.host().index_select(0, chosen), compresses_, precision_);
    }
    std::unique_ptr<Readout> fold(const LinearMeasure& measure) const override
    {
        if (compresses_) return nullptr;
        std::set<UnitId> needed;
        for (const auto& output : measure.outputs)
            for (const auto& [unit, weight] : output) needed.insert(unit);
        // A dense output reads every value of the map with a weight of its own, from memory.
        constexpr double dense_penalty = 4.0;
        const double units =
            macs_per_row() * static_cast<double>(needed.size()) / static_cast<double>(outputs());
        const double whole = static_cast<double>(measure.outputs.size()) *
                             static_cast<double>(taps_.front().row.count());
        if (taps_.size() == 1 && dense_penalty * whole <= units) return dense(measure);
        return combination(*this, measure, precision_);
    }
    double macs_per_row() const noexcept override
    {
        double macs = 0.0;
        for (const FieldTap& tap : taps_)
            macs += static_cast<double>(outputs() * tap.channels() * (tap.fields->pixels() + 1));
        return macs;
    }
    std::size_t memory_bytes() const noexcept override
    {
        std::size_t bytes = weights_.host().nbytes() + bias_.host().nbytes();
        for (const FieldTap& tap : taps_) bytes += tap.fields->bytes();
        return bytes;
    }

    void apply(const Trace& trace, Batch responses, Executor&) override
    {
        const c10::NoGradGuard no_graph;
        const at::Tensor out = tensor_view(responses).t();  // [units, rows]
        out.copy_(bias_.like(out).unsqueeze(1).expand_as(out));
        for (std::size_t i = 0; i < taps_.size(); ++i) {
            const at::Tensor maps = inside_maps(columns_of(tap_of(trace, i), i), i);
            for (const Block units : blocks(maps)) {
                const at::Tensor pooled = taps_[i].fields->pooled(maps, units);
                at::Tensor features = by_channel(compresses_ ? compressed(pooled) : pooled, i);
                block_of(out, units).add_(features.mul_(weights_of(i, units, maps)).sum(2));
            }
        }
    }
    std::vector<TapGradient> pull_back(const Trace& trace, ConstBatch cotangents,
                                       Executor&) override
    {
        const c10::NoGradGuard no_graph;
        const at::Tensor given = tensor_view(cotangents).t().contiguous();  // [units, rows]
        std::vector<TapGradient> result(taps_.size());
        for (std::size_t i = 0; i < taps_.size(); ++i) {
            const at::Tensor maps = columns_of(tap_of(trace, i), i);
            result[i].tap = ids_[i];
            result[i].values =
                OwnedBatch(element_type_of(precision_), taps_[i].row.with_rows(given.size(1)));
            columns_of(tensor_view(result[i].values.view()), i).copy_(gradient(maps, given, i));
        }
        return result;
    }

private:
    /// One weight per value of the map and output: the gradient of the measure.
    std::unique_ptr<Readout> dense(const LinearMeasure& measure) const
    {
        const c10::NoGradGuard no_graph;
        const auto count = static_cast<std::int64_t>(measure.outputs.size());
        std::vector<double> parts(measure.outputs.size() * static_cast<std::size_t>(outputs()));
        for (std::size_t output = 0; output < measure.outputs.size(); ++output)
            for (const auto& [unit, weight] : measure.outputs[output])
                parts.at(index_of(unit) * measure.outputs.size() + output) += weight;
        const at::Tensor cotangents = tensor_of(parts, {outputs(), count}, precision_);
        const FieldTap& tap = taps_.front();
        const at::Tensor maps = at::zeros(
            {tap.row.count() / tap.channels(), count * tap.channels()}, weights_.host().options());
        return dense_readout(doubles_of(gradient(maps, cotangents, 0).t()),
                             doubles_of(cotangents.t().mv(bias_.host())), tap.row, precision_,
                             ids_[0]);
    }

    at::Tensor tap_of(const Trace& trace, std::size_t i) const
    {
        return tensor_view(trace.tap(ids_[i]));
    }
    /// A view [pixels, rows * channels] of a tap [rows, channels, height, width].
    at::Tensor columns_of(const at::Tensor& tap, std::size_t i) const
    {
        const FieldTap& known = taps_[i];
        return tap.view({tap.size(0) * known.channels(), known.row.count() / known.channels()}).t();
    }
    /// g of the maps [pixels, columns]
    at::Tensor inside_maps(const at::Tensor& maps, std::size_t i) const
    {
        return taps_[i].fields->laid_out(compresses_ ? compressed(maps) : maps);
    }
    /// [units, rows, channels] of [units, columns]
    at::Tensor by_channel(const at::Tensor& pooled, std::size_t i) const
    {
        return pooled.view({pooled.size(0), -1, taps_[i].channels()});
    }
    /// [units, 1, channels], beside the maps
    at::Tensor weights_of(std::size_t i, Block units, const at::Tensor& maps) const
    {
        return block_of(weights_.like(maps), units)
            .narrow(1, taps_[i].first_feature, taps_[i].channels())
            .unsqueeze(1);
    }
    std::vector<Block> blocks(const at::Tensor& maps) const
    {
        const std::int64_t values = maps.is_cpu() ? pooled_values : pooled_values_on_device;
        const std::int64_t units = std::max<std::int64_t>(values / maps.size(1), 16);
        std::vector<Block> result;
        for (std::int64_t first = 0; first < outputs(); first += units)
            result.push_back({first, std::min(units, outputs() - first)});
        return result;
    }
    /// At the maps [pixels, columns], from cotangents [units, rows].
    at::Tensor gradient(const at::Tensor& maps, const at::Tensor& cotangents, std::size_t i) const
    {
        at::Tensor at_maps = at::zeros(maps.sizes(), maps.options());
        const at::Tensor inside = inside_maps(maps, i);
        for (const Block units : blocks(maps)) {
            at::Tensor at_pooled =
                (block_of(cotangents, units).unsqueeze(2) * weights_of(i, units, maps))
                    .view({units.count, maps.size(1)});
            if (compresses_)
                at_pooled.mul_(compression_slope(taps_[i].fields->pooled(inside, units)));
            taps_[i].fields->spread(at_pooled, units, at_maps);
        }
        return compresses_ ? at_maps.mul_(compression_slope(maps)) : at_maps;
    }

    std::vector<TapId> ids_;
    std::vector<FieldTap> taps_;
    PlacedTensor weights_;
    PlacedTensor bias_;
    bool compresses_;
    Precision precision_;
};

std::unique_ptr<Fields> read_whole_fields(const NetworkEntry& entry, std::size_t number,
                                          const WeightReader& weights, Precision precision)
{
    const Shape& row = entry.taps[number].row;
    const std::int64_t pixels = row.extent[1] * row.extent[2];
    const std::string given = fmt::format("{}readout.field.{}", entry.prefix, number);
    const std::string logits = fmt::format("{}readout.field_logits.{}", entry.prefix, number);
    const bool has_logits = weights.has(logits);
    TWINSCREEN_REQUIRE(!(has_logits && weights.has(given)), data,
                       "bundle '{}': there are both '{}' and '{}', expected one of them",
                       weights.bundle(), given, logits);
    const Weights read = weights.read(has_logits ? logits : given, {entry.units, pixels});
    if (!has_logits)
        return std::make_unique<WholeFields>(
            tensor_of(read.values, {entry.units, pixels}, precision));
    const at::Tensor wide = tensor_of(read.values, {entry.units, pixels}, Precision::f64);
    return std::make_unique<WholeFields>(
        at::softmax(wide, 1).to(precision == Precision::f32 ? at::kFloat : at::kDouble));
}

std::unique_ptr<Fields> point_fields(const std::vector<double>& positions, const Shape& row,
                                     Precision precision)
{
    std::vector<std::int64_t> pixels;
    std::vector<double> weights;
    for (std::size_t i = 0; i < positions.size(); i += 2) {
        const BilinearSample sample =
            bilinear_sample(positions[i], positions[i + 1], static_cast<int>(row.extent[1]),
                            static_cast<int>(row.extent[2]));
        pixels.insert(pixels.end(), sample.pixels.begin(), sample.pixels.end());
        weights.insert(weights.end(), sample.weights.begin(), sample.weights.end());
    }
    const std::vector<std::int64_t> shape = {static_cast<std::int64_t>(positions.size()) / 2, 4, 1};
    return std::make_unique<PointFields>(at::tensor(pixels, at::kLong).view(shape),
                                         tensor_of(weights, shape, precision));
}

}  // namespace

const std::vector<std::string>& field_readouts()
{
    static const std::vector<std::string> names = {"factorised", "sampled", "fwrf"};
    return names;
}

bool is_field_readout(const std::string& readout)
{
    const std::vector<std::string>& names = field_readouts();
    return std::find(names.begin(), names.end(), readout) != names.end();
}

std::vector<std::string> field_tensors(const NetworkEntry& entry)
{
    std::vector<std::string> names = {"weight", "bias"};
    if (entry.readout == "sampled") names.emplace_back("position");
    for (std::size_t tap = 0; tap < entry.taps.size() && entry.readout != "sampled"; ++tap) {
        names.push_back(fmt::format("field.{}", tap));
        names.push_back(fmt::format("field_logits.{}", tap));
    }
    for (std::string& name : names) name = entry.prefix + "readout." + name;
    return names;
}

std::unique_ptr<Readout> read_field_readout(const NetworkEntry& entry, const WeightReader& weights,
                                            Precision precision, std::span<const TapId> taps)
{
    const std::string prefix = entry.prefix + "readout.";
    const bool is_sampled = entry.readout == "sampled";
    std::vector<double> positions;
    if (is_sampled) positions = weights.read(prefix + "position", {entry.units, 2}).values;
    std::vector<FieldTap> fields;
    std::int64_t features = 0;
    for (std::size_t number = 0; number < entry.taps.size(); ++number) {
        const Shape& row = entry.taps[number].row;
        fields.push_back({row,
                          is_sampled ? point_fields(positions, row, precision)
                                     : read_whole_fields(entry, number, weights, precision),
                          features});
        features += row.extent[0];
    }
    const Weights weight = weights.read(prefix + "weight", {entry.units, features});
    const Weights bias = weights.read(prefix + "bias", {entry.units});
    return std::make_unique<FieldReadout>(
        std::vector<TapId>(taps.begin(), taps.end()), std::move(fields),
        tensor_of(weight.values, weight.shape, precision),
        tensor_of(bias.values, bias.shape, precision), entry.readout == "fwrf", precision);
}

}  // namespace twinscreen
