#pragma once

#include <exception>
#include <memory>
#include <string>
#include <vector>

#include <ATen/ATen.h>

#include "engine/twin/trusted_code.hpp"
#include "engine/twin/twin.hpp"

namespace twinscreen {

/// A program of PyTorch's from a file that is trusted. One thread.
class PackageProgram {
public:
    virtual ~PackageProgram() = default;
    /// images   [batch, input row], which the program may overwrite
    /// returns  its outputs in order; what they are is not checked
    /// throws   Error(data) for what the program or the library complains of
    virtual std::vector<at::Tensor> run(const at::Tensor& images) = 0;
    /// False where a backward pass is impossible.
    virtual bool has_gradient() const noexcept = 0;
};

/// torch.jit.save, on the host. Run by the interpreter as it is written: the optimising executor
/// would rewrite it after the first calls, and with it the bits.
std::unique_ptr<PackageProgram> load_script_program(const TrustedCode& code, Precision precision);
/// torch._inductor.aoti_compile_and_package, for the host: a library of machine code.
std::unique_ptr<PackageProgram> load_compiled_program(const TrustedCode& code, Precision precision);

/// What the library threw, as one sentence. Running out of memory stays what it is.
///
/// doing  "cannot be loaded"
[[noreturn]] void throw_as_error(const std::string& file, const std::string& doing,
                                 const std::exception& thrown);

}  // namespace twinscreen
