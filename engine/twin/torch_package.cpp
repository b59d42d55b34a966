#include <algorithm>
#include <cstdint>
#include <limits>
#include <new>
#include <utility>

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <c10/core/Allocator.h>
#include <c10/core/GradMode.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include "engine/twin/backbone_cache.hpp"
#include "engine/twin/families.hpp"
#include "engine/twin/network_readouts.hpp"
#include "engine/twin/package_program.hpp"
#include "engine/twin/tensor_trace.hpp"
#include "engine/twin/torch_tools.hpp"

namespace twinscreen {

namespace {

/// The most memory that tensors of this thread take while it is the thread's memory reporter.
class PeakMemory final : public c10::MemoryReportingInfoBase {
public:
    void reportMemoryUsage(void*, std::int64_t bytes, std::size_t, std::size_t,
                           c10::Device) override
    {
        now_ += bytes;  // negative where memory is given back
        peak_ = std::max(peak_, now_);
    }
    bool memoryProfilingEnabled() const override { return true; }
    std::size_t bytes() const noexcept { return static_cast<std::size_t>(peak_); }

private:
    std::int64_t now_ = 0;
    std::int64_t peak_ = 0;
};

/// The two settings that decide bits beside transform and file.
std::string settings_of(const Package& package)
{
    std::string text = fmt::format("{}, batches of {}", text_of(package.format), package.batch);
    for (const NetworkTap& output : package.outputs)
        text += fmt::format("\n{} {}", output.name, output.row.text());
    return text;
}

std::unique_ptr<PackageProgram> program_of(const Package& package, const TrustedCode& code,
                                           Precision precision)
{
    switch (package.format) {
        case PackageFormat::torchscript: return load_script_program(code, precision);
        case PackageFormat::aotinductor: return load_compiled_program(code, precision);
    }
    return nullptr;
}

class PackageBackbone final : public Backbone {
public:
    PackageBackbone(const BundleDescription& bundle, const TrustedCode& code, Precision precision,
                    std::string digest)
        : program_(program_of(bundle.package, code, precision)),
          package_(bundle.package),
          file_(code.path()),
          transform_(bundle.transform),
          type_(precision == Precision::f32 ? at::kFloat : at::kDouble),
          digest_(std::move(digest)),
          memory_(code.bytes().size())
    {
        for (const NetworkTap& output : package_.outputs)
            taps_.push_back({output.name, output.row, output.row.rank >= 3});
        try_out();
    }

    const std::string& digest() const noexcept override { return digest_; }
    const InputTransform& input() const noexcept override { return transform_; }
    std::span<const Axis> covariates() const noexcept override { return {}; }
    std::span<const TapSpec> taps() const noexcept override { return taps_; }
    std::int64_t compute_batch() const noexcept override { return package_.batch; }
    /// The file, for its weights, and what one call took when it was tried out.
    std::size_t memory_bytes(std::span<const TapId>) const override { return memory_; }
    double macs_per_row(std::span<const TapId>) const override
    {
        return std::numeric_limits<double>::quiet_NaN();  // nobody can look into the program
    }

    std::unique_ptr<Trace> forward(const ForwardRequest& request, Executor&) override
    {
        TWINSCREEN_REQUIRE(!request.keep_for_gradient || program_->has_gradient(), data,
                           "{}: {} has no gradient. Export it as TorchScript for what needs one",
                           file_, text_of(package_.format));
        const c10::AutoGradMode with_graph(request.keep_for_gradient);
        const at::Tensor images =
            tensor_view(request.stimuli).clone().set_requires_grad(request.keep_for_gradient);
        const std::vector<at::Tensor> outputs = run_in_batches(images);
        std::vector<std::size_t> wanted;
        std::vector<at::Tensor> values;
        for (const TapId tap : request.wanted) {
            wanted.push_back(index_of(tap));
            values.push_back(outputs[index_of(tap)]);
        }
        return trace_of_values(images, wanted, values, request.keep_for_gradient);
    }

private:
    /// Outputs for any number of images, in calls of the batch that the program was made for: on a
    /// GPU too, so a package for one is best exported with a large batch.
    std::vector<at::Tensor> run_in_batches(const at::Tensor& images)
    {
        std::vector<std::vector<at::Tensor>> parts(taps_.size());
        for (std::int64_t first = 0; first < images.size(0); first += package_.batch) {
            const std::int64_t count = std::min(package_.batch, images.size(0) - first);
            const std::vector<at::Tensor> outputs = run(images.narrow(0, first, count));
            // Copies, as a program may return the same memory at every call.
            for (std::size_t i = 0; i < parts.size(); ++i)
                parts[i].push_back(count == images.size(0)
                                       ? outputs[i].narrow(0, 0, count)
                                       : outputs[i].narrow(0, 0, count).clone());
        }
        std::vector<at::Tensor> outputs;
        for (const std::vector<at::Tensor>& part : parts)
            outputs.push_back(part.size() == 1 ? part.front() : at::cat(part));
        return outputs;
    }

    /// Outputs of a full batch, whose first rows are the images.
    std::vector<at::Tensor> run(const at::Tensor& images)
    {
        const std::int64_t missing = package_.batch - images.size(0);
        TWINSCREEN_REQUIRE(missing >= 0, internal, "{} images for a batch of {}", images.size(0),
                           package_.batch);
        std::vector<std::int64_t> rest = images.sizes().vec();
        rest[0] = missing;
        // Always a copy, as programs may write into what they are given.
        std::vector<at::Tensor> outputs =
            program_->run(at::cat({images, at::zeros(rest, images.options())}));
        if (at::autocast::is_autocast_enabled(images.device().type()))
            for (at::Tensor& output : outputs)
                if (output.defined()) output = in_full(output);
        require_outputs(outputs, images.device());
        return outputs;
    }

    /// All that twin.toml says otherwise, at once.
    void require_outputs(const std::vector<at::Tensor>& outputs, const at::Device& device) const
    {
        std::string mistakes;
        if (outputs.size() != taps_.size())
            mistakes += fmt::format("\n  it returns {} tensors, twin.toml declares {} outputs",
                                    outputs.size(), taps_.size());
        for (std::size_t i = 0; i < std::min(outputs.size(), taps_.size()); ++i) {
            const at::Tensor& output = outputs[i];
            const Shape declared = taps_[i].row.with_rows(package_.batch);
            const std::vector<std::int64_t> expected(declared.extent.begin(),
                                                     declared.extent.begin() + declared.rank);
            if (!output.defined() || output.sizes().vec() != expected)
                mistakes += fmt::format(
                    "\n  output '{}' has shape [{}], twin.toml declares [{}] ({} rows)",
                    taps_[i].name,
                    output.defined() ? fmt::format("{}", fmt::join(output.sizes().vec(), ", "))
                                     : "",
                    fmt::join(expected, ", "), package_.batch);
            else if (output.scalar_type() != type_ || output.device() != device ||
                     output.layout() != at::kStrided)
                mistakes += fmt::format("\n  output '{}' holds {} on {}, expected {} on {}",
                                        taps_[i].name, at::toString(output.scalar_type()),
                                        output.device().str(), at::toString(type_), device.str());
        }
        TWINSCREEN_REQUIRE(mistakes.empty(), data,
                           "{}: the program does not return what twin.toml says{}", file_,
                           mistakes);
    }

    /// Finds out before a campaign starts what the program returns, how much memory that takes, and
    /// that it returns the same again.
    void try_out()
    {
        const c10::AutoGradMode without_graph(false);
        const Shape shape = transform_.row_shape().with_rows(package_.batch);
        const at::Tensor images =
            at::linspace(-1.0, 1.0, shape.count(), at::TensorOptions().dtype(type_))
                .view(at::IntArrayRef(shape.extent.data(), static_cast<std::size_t>(shape.rank)));
        const auto peak = std::make_shared<PeakMemory>();
        std::vector<at::Tensor> first;
        {
            const c10::DebugInfoGuard counted(c10::DebugInfoKind::PROFILER_STATE, peak);
            first = run(images);
        }
        memory_ += peak->bytes();
        for (at::Tensor& output : first) output = output.clone();
        const std::vector<at::Tensor> second = run(images);
        for (std::size_t i = 0; i < first.size(); ++i)
            TWINSCREEN_REQUIRE(at::allclose(first[i], second[i], 0.0, 0.0, /*equal_nan=*/true),
                               data,
                               "{}: output '{}' of the same images differs from one call to the "
                               "next (the program draws random numbers or keeps a state)",
                               file_, taps_[i].name);
    }

    std::unique_ptr<PackageProgram> program_;
    Package package_;
    std::string file_;
    InputTransform transform_;
    at::ScalarType type_;
    std::string digest_;
    std::size_t memory_;
    std::vector<TapSpec> taps_;
};

}  // namespace

void throw_as_error(const std::string& file, const std::string& doing, const std::exception& thrown)
{
    if (dynamic_cast<const std::bad_alloc*>(&thrown) != nullptr) throw std::bad_alloc();
    const auto* torch_error = dynamic_cast<const c10::Error*>(&thrown);
    std::string text =
        torch_error != nullptr ? torch_error->what_without_backtrace() : std::string(thrown.what());
    if (text.find("can't allocate memory") != std::string::npos) throw std::bad_alloc();
    while (!text.empty() && text.back() == '\n') text.pop_back();
    throw Error(Error::Kind::data, fmt::format("{}: {} ({})", file, doing, text));
}

std::vector<TwinPart> package_parts(const BundleDescription& bundle, const TrustedCode& code,
                                    const SafetensorsFile& tensors, Precision precision)
{
    const std::string digest =
        backbone_digest(bundle.transform, precision, settings_of(bundle.package), {{code.bytes()}});
    const std::shared_ptr<Backbone> backbone = shared_backbone(
        digest, [&] { return std::make_shared<PackageBackbone>(bundle, code, precision, digest); });
    const std::vector<std::vector<TapId>> taps = taps_of_readouts(
        bundle, backbone->taps(), code.path(), "program", "is no output of the program");
    const WeightReader reader(bundle.spec.name, tensors);
    std::vector<TwinPart> parts;
    for (std::size_t i = 0; i < taps.size(); ++i)
        parts.push_back(
            {backbone, readout_of(bundle.networks[i], *backbone, taps[i], reader, precision)});
    return parts;
}

}  // namespace twinscreen
