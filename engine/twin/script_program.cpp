#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include <caffe2/serialize/read_adapter_interface.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/runtime/interpreter.h>
#include <torch/csrc/jit/serialization/import.h>

#include "engine/twin/package_program.hpp"

namespace twinscreen {

namespace {

/// The bytes whose digest was checked, for the library's reader.
class BytesReader final : public caffe2::serialize::ReadAdapterInterface {
public:
    explicit BytesReader(SharedBytes bytes) : bytes_(std::move(bytes)) {}

    std::size_t size() const override { return bytes_->size(); }
    std::size_t read(std::uint64_t position, void* to, std::size_t count,
                     const char*) const override
    {
        if (position >= bytes_->size()) return 0;
        count = std::min(count, bytes_->size() - static_cast<std::size_t>(position));
        if (count > 0) std::memcpy(to, bytes_->data() + position, count);
        return count;
    }

private:
    SharedBytes bytes_;
};

/// The tensors of a value that is one, or a tuple or list of some.
std::vector<at::Tensor> tensors_in(const c10::IValue& value, const std::string& file)
{
    if (value.isTensor()) return {value.toTensor()};
    if (value.isTensorList()) return value.toTensorVector();
    std::vector<at::Tensor> tensors;
    std::string other = value.tagKind();
    if (value.isTuple()) {
        for (const c10::IValue& element : value.toTupleRef().elements()) {
            if (!element.isTensor()) {
                other = "Tuple with a " + element.tagKind();
                break;
            }
            tensors.push_back(element.toTensor());
        }
        if (tensors.size() == value.toTupleRef().elements().size()) return tensors;
    }
    throw Error(Error::Kind::data,
                fmt::format("{}: the program returns a {}, expected a tensor, or a tuple or list "
                            "of tensors",
                            file, other),
                "wrap the module in one that returns the tensors to tap");
}

class ScriptProgram final : public PackageProgram {
public:
    ScriptProgram(torch::jit::Module module, std::string file)
        : module_(std::move(module)), file_(std::move(file))
    {
    }

    std::vector<at::Tensor> run(const at::Tensor& images) override
    {
        const torch::jit::GraphOptimizerEnabledGuard as_written(false);
        try {
            return tensors_in(beside(images).forward({images}), file_);
        } catch (const Error&) {
            throw;
        } catch (const std::exception& thrown) {
            if (!images.is_cpu()) throw;  // the GPU's failure, for all that is known
            throw_as_error(file_, "the program failed", thrown);
        }
    }
    bool has_gradient() const noexcept override { return true; }

private:
    torch::jit::Module& beside(const at::Tensor& images)
    {
        if (images.is_cpu()) return module_;
        if (!on_device_) {
            on_device_ = module_.deepcopy();
            on_device_->to(images.device());
        }
        return *on_device_;
    }

    torch::jit::Module module_;
    std::optional<torch::jit::Module> on_device_;  // made when first needed
    std::string file_;
};

}  // namespace

std::unique_ptr<PackageProgram> load_script_program(const TrustedCode& code, Precision precision)
{
    // A GPU's failure inside a program stays what it is: a batch that does not fit can be halved.
    FLAGS_torch_jit_enable_rethrow_caught_exception = true;
    try {
        torch::jit::Module module =
            torch::jit::load(std::make_shared<BytesReader>(code.shared_bytes()), at::kCPU);
        TWINSCREEN_REQUIRE(module.find_method("forward"), data,
                           "{}: the program has no method 'forward'", code.path());
        module.eval();
        if (precision == Precision::f64) module.to(at::kDouble);
        for (at::Tensor parameter : module.parameters()) parameter.set_requires_grad(false);
        return std::make_unique<ScriptProgram>(std::move(module), code.path());
    } catch (const Error&) {
        throw;
    } catch (const std::exception& thrown) {
        throw_as_error(code.path(), "cannot be loaded as a TorchScript program", thrown);
    }
}

}  // namespace twinscreen
