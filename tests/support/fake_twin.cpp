#include "tests/support/fake_twin.hpp"

#include <algorithm>
#include <atomic>
#include <limits>
#include <map>
#include <numeric>

namespace twinscreen::test {
namespace {

std::atomic<std::int64_t> calls{0};

class FakeTrace final : public Trace {
public:
    explicit FakeTrace(OwnedBatch tap) : tap_(std::move(tap)) {}
    ConstBatch tap(TapId) const override { return tap_.view(); }
    OwnedBatch pull_back(std::span<const TapGradient>, Executor&) override { return {}; }

private:
    OwnedBatch tap_;
};

class FakeBackbone final : public Backbone {
public:
    explicit FakeBackbone(const FakeTwinOptions& options)
        : digest_(options.backbone), batch_(options.compute_batch), covariates_(options.covariates)
    {
        input_.channels = 1;
        input_.height = input_.width = 2;
        input_.fit = InputTransform::Fit::exact;
        input_.mean = {0.0F};
        input_.scale = {1.0F};
    }
    const std::string& digest() const noexcept override { return digest_; }
    const InputTransform& input() const noexcept override { return input_; }
    std::span<const Axis> covariates() const noexcept override { return covariates_; }
    std::span<const TapSpec> taps() const noexcept override { return taps_; }
    std::int64_t compute_batch() const noexcept override { return batch_; }
    std::size_t memory_bytes(std::span<const TapId>) const override { return 64; }
    double macs_per_row(std::span<const TapId>) const override { return 1000.0; }

    std::unique_ptr<Trace> forward(const ForwardRequest& request, Executor&) override
    {
        ++calls;
        const auto rows = request.stimuli.shape.extent[0];
        TWINSCREEN_REQUIRE(rows == batch_, internal, "got {} rows, expected {}", rows, batch_);
        OwnedBatch tap(ElementType::f32, {rows, 1});
        const auto pixels = values_of<float>(request.stimuli);
        for (std::size_t row = 0; row < static_cast<std::size_t>(rows); ++row) {
            const auto four = pixels.subspan(row * 4, 4);
            float sum = std::accumulate(four.begin(), four.end(), 0.0F);
            for (const NamedBatch& covariate : request.covariates) {
                const auto extent = static_cast<std::size_t>(covariate.values.shape.extent[1]);
                for (const float value :
                     values_of<float>(covariate.values).subspan(row * extent, extent))
                    sum += value;
            }
            tap.values<float>()[row] = sum;
        }
        return std::make_unique<FakeTrace>(std::move(tap));
    }

private:
    std::string digest_;
    std::int64_t batch_;
    std::vector<Axis> covariates_;
    InputTransform input_;
    std::vector<TapSpec> taps_{{"pixels", {1}}};
};

class FakeReadout final : public Readout {
public:
    FakeReadout(std::vector<double> weights, bool linear)
        : weights_(std::move(weights)), linear_(linear)
    {
    }
    std::int64_t outputs() const noexcept override
    {
        return static_cast<std::int64_t>(weights_.size());
    }
    std::span<const TapId> taps() const noexcept override { return taps_; }
    std::unique_ptr<Readout> select(std::span<const UnitId> units) const override
    {
        std::vector<double> kept;
        for (const UnitId unit : units) kept.push_back(weights_.at(index_of(unit)));
        return std::make_unique<FakeReadout>(std::move(kept), linear_);
    }
    std::unique_ptr<Readout> fold(const LinearMeasure& measure) const override
    {
        if (!linear_) return nullptr;
        std::vector<double> folded;
        for (const auto& output : measure.outputs) {
            double sum = 0.0;
            for (const auto& [unit, weight] : output) sum += weight * weights_.at(index_of(unit));
            folded.push_back(sum);
        }
        return std::make_unique<FakeReadout>(std::move(folded), true);
    }
    double macs_per_row() const noexcept override { return static_cast<double>(outputs()); }
    std::size_t memory_bytes() const noexcept override { return weights_.size() * 8; }
    void apply(const Trace& trace, Batch responses, Executor&) override
    {
        const auto sums = values_of<float>(trace.tap(TapId{0}));
        const auto out = values_of<float>(responses);
        for (std::size_t row = 0; row < sums.size(); ++row)
            for (std::size_t unit = 0; unit < weights_.size(); ++unit) {
                const double value = weights_[unit] * static_cast<double>(sums[row]);
                out[row * weights_.size() + unit] =
                    static_cast<float>(linear_ ? value : value * value);
            }
    }
    std::vector<TapGradient> pull_back(const Trace&, ConstBatch, Executor&) override { return {}; }

private:
    std::vector<double> weights_;
    bool linear_;
    std::vector<TapId> taps_{TapId{0}};
};

class FakeSource final : public StimulusSource {
public:
    FakeSource(std::uint64_t count, std::vector<std::uint64_t> bad)
        : count_(count), bad_(std::move(bad))
    {
    }
    std::uint64_t count() const noexcept override { return count_; }
    bool drawn_for_canvas() const noexcept override { return false; }
    Picture draw(ItemId item, const InputTransform&) const override
    {
        TWINSCREEN_REQUIRE(std::find(bad_.begin(), bad_.end(), index_of(item)) == bad_.end(), data,
                           "item {} is broken", index_of(item));
        Picture picture;
        picture.height = picture.width = 2;
        picture.channels = 1;
        picture.pixels = OwnedBatch(ElementType::u8, {2, 2, 1});
        for (std::uint8_t& pixel : picture.pixels.values<std::uint8_t>())
            pixel = static_cast<std::uint8_t>(index_of(item) % 256);
        return picture;
    }
    void check(const InputTransform&) const override {}
    Table describe(ItemRange items) const override
    {
        std::vector<double> values(items.count);
        std::iota(values.begin(), values.end(), static_cast<double>(index_of(items.first)));
        return {{{"value", "grey level", std::move(values)}}};
    }
    std::string identity() const override { return fmt::format("fake {}", count_); }
    std::string summary() const override { return fmt::format("{} fake pictures", count_); }

private:
    std::uint64_t count_;
    std::vector<std::uint64_t> bad_;
};

}  // namespace

Twin make_fake_twin(const FakeTwinOptions& options)
{
    static std::map<std::string, std::weak_ptr<Backbone>> known;
    std::shared_ptr<Backbone> backbone = known[options.backbone].lock();
    if (!backbone) known[options.backbone] = backbone = std::make_shared<FakeBackbone>(options);
    std::vector<double> weights(options.units);
    std::iota(weights.begin(), weights.end(), 1.0);
    std::vector<std::string> ids;
    for (std::size_t unit = 0; unit < options.units; ++unit)
        ids.push_back(fmt::format("u{}", unit));
    std::vector<std::string> areas = options.areas;
    areas.resize(options.units, "V1");
    const std::vector<double> unknown(options.units, std::numeric_limits<double>::quiet_NaN());

    Twin twin;
    twin.spec.name = options.name;
    twin.spec.family = "fake";
    twin.spec.digest = options.name;
    twin.units = {{{"id", "", ids},
                   {"subject", "", std::vector<std::string>(options.units, "s1")},
                   {"area", "", areas},
                   {"heldout_r", "", unknown},
                   {"noise_ceiling", "", unknown},
                   {"x", "deg", unknown},
                   {"y", "deg", unknown}}};
    twin.parts.push_back({backbone, std::make_unique<FakeReadout>(weights, options.linear)});
    return twin;
}

std::int64_t forward_calls() { return calls.load(); }

std::unique_ptr<StimulusSource> make_fake_source(std::uint64_t count,
                                                 std::vector<std::uint64_t> bad)
{
    return std::make_unique<FakeSource>(count, std::move(bad));
}

}  // namespace twinscreen::test
