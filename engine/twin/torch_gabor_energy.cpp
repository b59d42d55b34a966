#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include "engine/base/digest.hpp"
#include "engine/base/memory.hpp"
#include "engine/twin/backbone_cache.hpp"
#include "engine/twin/families.hpp"
#include "engine/twin/gabor_energy.hpp"
#include "engine/twin/placed_tensor.hpp"
#include "engine/twin/tensor_trace.hpp"
#include "engine/twin/torch_tools.hpp"
#include "kernels/unit_responses.hpp"

namespace twinscreen {

namespace {

constexpr std::int64_t gabor_batch = 64;  // amortises one pass over the filter matrix

/// Contrast image [size, size] -> response of every filter [2 * pairs].
class GaborBackbone final : public Backbone {
public:
    GaborBackbone(const GaborPopulation& population, InputTransform transform, std::string digest,
                  Precision precision)
        : digest_(std::move(digest)),
          transform_(std::move(transform)),
          type_(element_type_of(precision)),
          pixels_(static_cast<std::int64_t>(population.pixels())),
          columns_(static_cast<std::int64_t>(2 * population.pairs())),
          filters_(tensor_of(population.filters(), {pixels_, columns_}, precision)),
          taps_{{"filters", Shape{columns_}}}
    {
    }

    const std::string& digest() const noexcept override { return digest_; }
    const InputTransform& input() const noexcept override { return transform_; }
    std::span<const Axis> covariates() const noexcept override { return {}; }
    std::span<const TapSpec> taps() const noexcept override { return taps_; }
    std::int64_t compute_batch() const noexcept override { return gabor_batch; }
    std::size_t memory_bytes(std::span<const TapId>) const override
    {
        return static_cast<std::size_t>((pixels_ + gabor_batch) * columns_) * bytes_of(type_);
    }
    double macs_per_row(std::span<const TapId>) const override
    {
        return double(pixels_) * double(columns_);
    }

    std::unique_ptr<Trace> forward(const ForwardRequest& request, Executor&) override
    {
        const c10::NoGradGuard no_graph;
        const std::int64_t rows = request.stimuli.shape.extent[0];
        const at::Tensor images = tensor_view(request.stimuli).view({rows, pixels_});
        TensorTrace::PullBack pull_back;
        if (request.keep_for_gradient)
            pull_back = [this, rows](std::span<const TapGradient> cotangents) {
                return gradient_of(rows, cotangents);
            };
        return std::make_unique<TensorTrace>(
            std::map<std::size_t, at::Tensor>{{0, at::mm(images, filters_.like(images))}},
            std::move(pull_back));
    }

private:
    OwnedBatch gradient_of(std::int64_t rows, std::span<const TapGradient> cotangents) const
    {
        const c10::NoGradGuard no_graph;
        OwnedBatch gradient(type_, transform_.row_shape().with_rows(rows));
        at::Tensor sum = tensor_view(gradient.view()).view({rows, pixels_});
        sum.zero_();
        for (const TapGradient& cotangent : cotangents)
            sum.addmm_(tensor_view(cotangent.values.view()), filters_.host().t());
        return gradient;
    }

    std::string digest_;
    InputTransform transform_;
    ElementType type_;
    std::int64_t pixels_;
    std::int64_t columns_;
    PlacedTensor filters_;  // [pixels, 2 * pairs]
    std::vector<TapSpec> taps_;
};

/// Settings of the nonlinear stage.
struct Normalisation {
    bool on = true;
    double semi_saturation = 0.2;
    double max_rate = 60.0;
    std::size_t pairs = 0;
    std::size_t pool = 0;  // pairs per position
};

/// Energies, half-squares and divisive normalisation (Heeger 1992, eqs. 2-6):
/// response = max_rate * drive / (semi_saturation^2 + sum of the pool's energies).
class GaborReadout final : public Readout {
public:
    GaborReadout(std::vector<GaborPopulation::Cell> cells, Normalisation rule)
        : cells_(std::move(cells)), rule_(rule)
    {
        for (const auto& cell : cells_)
            tuning_.push_back({cell.pair, cell.pair / rule_.pool, cell.complex,
                               std::cos(cell.phase), std::sin(cell.phase)});
    }

    std::int64_t outputs() const noexcept override
    {
        return static_cast<std::int64_t>(cells_.size());
    }
    std::span<const TapId> taps() const noexcept override { return taps_; }
    std::unique_ptr<Readout> select(std::span<const UnitId> units) const override
    {
        std::vector<GaborPopulation::Cell> kept;
        for (const UnitId unit : units) kept.push_back(cells_.at(index_of(unit)));
        return std::make_unique<GaborReadout>(std::move(kept), rule_);
    }
    std::unique_ptr<Readout> fold(const LinearMeasure&) const override { return nullptr; }
    double macs_per_row() const noexcept override
    {
        return 2.0 * double(rule_.pairs) + 4.0 * double(cells_.size());
    }
    std::size_t memory_bytes() const noexcept override
    {
        return cells_.size() * (sizeof(GaborPopulation::Cell) + sizeof(Tuning));
    }

    void apply(const Trace& trace, Batch responses, Executor& executor) override
    {
        if (executor.wants_whole_batches())
            gabor_responses(stage(), table(), trace.tap(taps_[0]), responses, executor);
        else if (responses.type == ElementType::f32)
            apply_typed<float>(trace, responses);
        else
            apply_typed<double>(trace, responses);
    }
    std::vector<TapGradient> pull_back(const Trace& trace, ConstBatch cotangents,
                                       Executor&) override
    {
        std::vector<TapGradient> result;
        result.push_back({taps_[0], cotangents.type == ElementType::f32
                                        ? pull_back_typed<float>(trace, cotangents)
                                        : pull_back_typed<double>(trace, cotangents)});
        return result;
    }

private:
    /// A cell as the inner loops want it.
    struct Tuning {
        std::size_t pair;
        std::size_t position;  // of the pair, whose gain it shares
        bool complex;
        double cosine;  // of the phase of a simple cell
        double sine;
    };

    GaborStage stage() const
    {
        return {rule_.on, rule_.semi_saturation, rule_.max_rate,
                static_cast<std::int64_t>(rule_.pairs), static_cast<std::int64_t>(rule_.pool)};
    }

    const GaborCellTable& table()
    {
        if (table_) return *table_;
        std::vector<std::int32_t> pair;
        std::vector<std::int32_t> place;
        std::vector<double> cosine;
        std::vector<double> sine;
        for (const Tuning& cell : tuning_) {
            pair.push_back(static_cast<std::int32_t>(cell.pair));
            place.push_back(static_cast<std::int32_t>(cell.position));
            cosine.push_back(cell.complex ? std::nan("") : cell.cosine);
            sine.push_back(cell.sine);
        }
        table_.emplace(GaborCellTable{
            PlacedArray<std::int32_t>(std::move(pair)), PlacedArray<std::int32_t>(std::move(place)),
            PlacedArray<double>(std::move(cosine)), PlacedArray<double>(std::move(sine))});
        return *table_;
    }

    template <class T>
    struct Drive {
        T value;   // energy or half-square
        T d_even;  // derivatives by the two filter responses
        T d_odd;
    };

    template <class T>
    static Drive<T> drive_of(const Tuning& cell, T even, T odd)
    {
        if (cell.complex) return {even * even + odd * odd, 2 * even, 2 * odd};
        const T cosine = static_cast<T>(cell.cosine);
        const T sine = static_cast<T>(cell.sine);
        const T linear = std::max(T(0), cosine * even + sine * odd);
        return {linear * linear, 2 * linear * cosine, 2 * linear * sine};
    }

    /// 1 / (semi_saturation^2 + pooled energy) of every position, times the largest rate.
    template <class T>
    std::vector<T> gains(const T* filters) const
    {
        const std::size_t positions = rule_.pairs / rule_.pool;
        std::vector<T> gain(positions, T(1));
        if (!rule_.on) return gain;
        const double floor = rule_.semi_saturation * rule_.semi_saturation;
        for (std::size_t position = 0; position < positions; ++position) {
            double pooled = 0.0;
            const T* of_pool = filters + 2 * position * rule_.pool;
            for (std::size_t i = 0; i < 2 * rule_.pool; ++i)
                pooled += double(of_pool[i]) * double(of_pool[i]);
            gain[position] = static_cast<T>(rule_.max_rate / (floor + pooled));
        }
        return gain;
    }

    template <class T>
    void apply_typed(const Trace& trace, Batch responses) const
    {
        const std::span<const T> filters = values_of<T>(trace.tap(taps_[0]));
        const std::span<T> out = values_of<T>(responses);
        for (std::size_t row = 0; row * cells_.size() < out.size(); ++row) {
            const T* answer = &filters[row * 2 * rule_.pairs];
            const std::vector<T> gain = gains(answer);
            T* to = &out[row * cells_.size()];
            for (const Tuning& cell : tuning_) {
                const T even = answer[2 * cell.pair];
                const T odd = answer[2 * cell.pair + 1];
                *to++ = gain[cell.position] * drive_of(cell, even, odd).value;
            }
        }
    }

    template <class T>
    OwnedBatch pull_back_typed(const Trace& trace, ConstBatch cotangents) const
    {
        const std::int64_t rows = cotangents.shape.extent[0];
        const std::size_t columns = 2 * rule_.pairs;
        const std::span<const T> filters = values_of<T>(trace.tap(taps_[0]));
        const std::span<const T> given = values_of<T>(cotangents);
        OwnedBatch gradient(element_type_of_value<T>(),
                            Shape{rows, static_cast<std::int64_t>(columns)});
        const std::span<T> result = gradient.values<T>();
        std::fill(result.begin(), result.end(), T(0));
        for (std::size_t row = 0; row < static_cast<std::size_t>(rows); ++row)
            pull_back_row(&filters[row * columns], &given[row * cells_.size()],
                          &result[row * columns]);
        return gradient;
    }

    template <class T>
    static constexpr ElementType element_type_of_value()
    {
        return twinscreen::element_type_of<T>();
    }

    template <class T>
    void pull_back_row(const T* answer, const T* given, T* result) const
    {
        const std::vector<T> gain = gains(answer);
        std::vector<T> of_pool(gain.size(), T(0));  // sum of cotangent * response of each position
        for (std::size_t i = 0; i < tuning_.size(); ++i) {
            const Tuning& cell = tuning_[i];
            const std::size_t position = cell.position;
            const auto drive = drive_of(cell, answer[2 * cell.pair], answer[2 * cell.pair + 1]);
            result[2 * cell.pair] += given[i] * gain[position] * drive.d_even;
            result[2 * cell.pair + 1] += given[i] * gain[position] * drive.d_odd;
            of_pool[position] += given[i] * gain[position] * drive.value;
        }
        if (!rule_.on) return;
        for (std::size_t column = 0; column < 2 * rule_.pairs; ++column) {
            const std::size_t position = column / (2 * rule_.pool);
            const T shrink = gain[position] / static_cast<T>(rule_.max_rate);
            result[column] -= 2 * answer[column] * shrink * of_pool[position];
        }
    }

    std::vector<GaborPopulation::Cell> cells_;
    std::vector<Tuning> tuning_;  // of the cells, in their order
    Normalisation rule_;
    std::optional<GaborCellTable> table_;  // made when first needed
    std::vector<TapId> taps_{TapId{0}};
};

GaborParameters read_parameters(ConfigSection& section)
{
    GaborParameters p;
    const auto integer = [&](const char* key, int fallback, const char* unit, std::int64_t low,
                             std::int64_t high) {
        return static_cast<int>(
            section.get_or<std::int64_t>(key, fallback, unit, in_range(low, high)));
    };
    p.size = integer("size", p.size, "pixels", 8, 512);
    p.degrees_per_pixel =
        section.get_or("degrees_per_pixel", p.degrees_per_pixel, "deg", in_range(1e-4, 10.0));
    p.positions = integer("positions", p.positions, "", 1, 64);
    p.spacing = section.get_or("spacing", p.spacing, "deg", above(0.0));
    p.orientations = integer("orientations", p.orientations, "", 1, 180);
    p.phases = integer("phases", p.phases, "", 0, 360);
    p.bandwidth = section.get_or("bandwidth", p.bandwidth, "octaves", in_range(0.1, 4.0));
    // Above, the upper half of a filter's band would alias into frequencies it should not see.
    const double highest = 0.5 / p.degrees_per_pixel / std::exp2(p.bandwidth / 2.0);
    p.spatial_frequencies = section.get_or(
        "spatial_frequencies", p.spatial_frequencies, "cycles/deg",
        Rule<std::vector<double>>{
            [=](const std::vector<double>& values) {
                return !values.empty() && std::all_of(values.begin(), values.end(), [=](double f) {
                    return f > 0.0 && f < highest;
                });
            },
            fmt::format("above 0 and below {:.3g} cycles/deg, where half of the bandwidth reaches "
                        "the Nyquist frequency of the canvas",
                        highest)});
    p.aspect = section.get_or("aspect", p.aspect, "", in_range(0.2, 10.0));
    p.normalisation = section.get_or("normalisation", p.normalisation);
    p.semi_saturation =
        section.get_or("semi_saturation", p.semi_saturation, "contrast", in_range(1e-3, 10.0));
    p.max_rate = section.get_or("max_rate", p.max_rate, "spikes/s", above(0.0));
    p.background = section.get_or("background", p.background, "0..255", in_range(1.0, 254.0));
    const double outermost = (p.positions - 1) / 2.0 * p.spacing;
    const double half_canvas = p.size * p.degrees_per_pixel / 2.0;
    if (outermost >= half_canvas)
        section.complain("spacing",
                         fmt::format("{} positions {:g} deg apart reach {:g} deg from the centre, "
                                     "the canvas ends at {:g} deg",
                                     p.positions, p.spacing, outermost, half_canvas),
                         "use fewer positions, less spacing or a larger size");
    return p;
}

InputTransform transform_of(const GaborParameters& p)
{
    InputTransform transform;
    transform.channels = 1;
    transform.height = p.size;
    transform.width = p.size;
    transform.fit = InputTransform::Fit::cover;
    transform.filter = ResizeFilter::pil_bilinear;
    // Weber contrast: (grey level - background) / background
    transform.mean = {static_cast<float>(p.background)};
    transform.scale = {static_cast<float>(p.background)};
    transform.background = static_cast<float>(p.background);
    transform.degrees_per_pixel = p.degrees_per_pixel;
    return transform;
}

Table facts_of(const GaborParameters& p)
{
    Table facts;
    facts.columns = {
        {"property", "",
         std::vector<std::string>{"size", "degrees_per_pixel", "background", "luminance_range",
                                  "normalisation of pixels", "fit", "filter", "frame_rate"}},
        {"value", "",
         std::vector<std::string>{
             fmt::format("{0} x {0}", p.size), fmt::format("{:g}", p.degrees_per_pixel),
             fmt::format("{:g}", p.background), "0..255", "(grey - background) / background",
             "cover", "pil_bilinear", "none"}},
        {"source", "",
         std::vector<std::string>{"campaign", "campaign", "campaign", "assumed", "definition",
                                  "assumed", "assumed", "static model"}},
    };
    return facts;
}

std::string parameter_text(const GaborParameters& p)
{
    return fmt::format(
        "gabor_energy 1 size={} dpp={} positions={} spacing={} orientations={} frequencies={} "
        "phases={} bandwidth={} aspect={} normalisation={} semi_saturation={} max_rate={} "
        "background={}",
        p.size, p.degrees_per_pixel, p.positions, p.spacing, p.orientations,
        fmt::join(p.spatial_frequencies, ","), p.phases, p.bandwidth, p.aspect, p.normalisation,
        p.semi_saturation, p.max_rate, p.background);
}

}  // namespace

Twin gabor_energy_twin(ConfigSection& section, Precision precision)
{
    const GaborParameters parameters = read_parameters(section);
    if (section.has_mistakes()) return {};
    // Filters in double, and as the network holds them; of a cell about 400 bytes: a row of the
    // unit table (four texts, seven numbers) and what the readout keeps of it.
    require_memory("the gabor_energy population",
                   parameters.filter_values() * (sizeof(double) + sizeof(float)) +
                       parameters.cell_count() * 400.0);
    const GaborPopulation population(parameters);
    const InputTransform transform = transform_of(parameters);
    const auto bytes = std::as_bytes(std::span<const double>(population.filters()));
    const std::string digest =
        backbone_digest(transform, precision, "gabor_energy", std::vector{bytes});
    Twin twin;
    twin.spec.name = "gabor_energy";
    twin.spec.family = "gabor_energy";
    twin.spec.response_unit = parameters.normalisation ? "spikes/s" : "energy";
    twin.spec.licence = "Apache-2.0";
    twin.spec.citation = "Adelson & Bergen 1985; Heeger 1992";
    twin.spec.digest = Digest().add(digest).add(parameter_text(parameters)).hex();
    twin.spec.stimulus_facts = facts_of(parameters);
    twin.units = population.unit_table();
    const Normalisation rule{parameters.normalisation, parameters.semi_saturation,
                             parameters.max_rate, population.pairs(),
                             population.pairs_per_position()};
    TwinPart part;
    part.backbone = shared_backbone(digest, [&] {
        return std::make_shared<GaborBackbone>(population, transform, digest, precision);
    });
    part.readout = std::make_unique<GaborReadout>(population.cells(), rule);
    twin.parts.push_back(std::move(part));
    return twin;
}

}  // namespace twinscreen
