#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <sys/mman.h>
#include <unistd.h>
#include <utility>

#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>

#include "engine/twin/package_program.hpp"

namespace twinscreen {

namespace {

/// A nameless file in memory: the library takes a path, and nobody can put other bytes behind this
/// one after the digest of these was checked.
class NamelessFile {
public:
    explicit NamelessFile(std::span<const std::byte> bytes)
        : descriptor_(memfd_create("twinscreen-package", MFD_CLOEXEC))
    {
        TWINSCREEN_REQUIRE(descriptor_ >= 0, device, "no file in memory could be made ({})",
                           std::strerror(errno));
        while (!bytes.empty()) {
            const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
            if (written < 0 && errno == EINTR) continue;
            const int reason = errno;
            if (written <= 0) ::close(descriptor_);
            TWINSCREEN_REQUIRE(written > 0, device,
                               "a file in memory of {} more bytes could not be written ({})",
                               bytes.size(), std::strerror(reason));
            bytes = bytes.subspan(static_cast<std::size_t>(written));
        }
    }
    ~NamelessFile() { ::close(descriptor_); }
    NamelessFile(const NamelessFile&) = delete;
    NamelessFile& operator=(const NamelessFile&) = delete;

    std::string path() const { return fmt::format("/proc/self/fd/{}", descriptor_); }

private:
    int descriptor_;
};

class CompiledProgram final : public PackageProgram {
public:
    explicit CompiledProgram(const TrustedCode& code) : file_(code.path())
    {
        // Compiled code takes its input's shape and type for granted unless it is told to look:
        // else a wrong `batch` in twin.toml would read beyond the images.
        ::setenv("AOTI_RUNTIME_CHECK_INPUTS", "1", /*overwrite=*/1);
        const NamelessFile bytes(code.bytes());
        loader_ = std::make_unique<torch::inductor::AOTIModelPackageLoader>(bytes.path());
    }

    std::vector<at::Tensor> run(const at::Tensor& images) override
    {
        TWINSCREEN_REQUIRE(images.is_cpu(), device,
                           "{}: a compiled program is machine code of the processor. Export it as "
                           "TorchScript, or set [run] device = \"cpu\"",
                           file_);
        // Its code takes the types for granted that it was compiled with.
        const c10::impl::ExcludeDispatchKeyGuard as_compiled(c10::autocast_dispatch_keyset);
        try {
            return loader_->run({images});
        } catch (const std::exception& thrown) {
            throw_as_error(file_, "the compiled program failed", thrown);
        }
    }
    bool has_gradient() const noexcept override { return false; }

private:
    std::string file_;
    std::unique_ptr<torch::inductor::AOTIModelPackageLoader> loader_;
};

}  // namespace

std::unique_ptr<PackageProgram> load_compiled_program(const TrustedCode& code, Precision precision)
{
    TWINSCREEN_REQUIRE(precision == Precision::f32, config,
                       "{}: compiled programs compute in float32 only", code.path());
    try {
        return std::make_unique<CompiledProgram>(code);
    } catch (const Error&) {
        throw;
    } catch (const std::exception& thrown) {
        throw_as_error(code.path(), "cannot be loaded as a package of AOTInductor", thrown);
    }
}

}  // namespace twinscreen
