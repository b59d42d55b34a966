#pragma once

#include <span>
#include <string>
#include <vector>

#include "engine/base/error.hpp"
#include "engine/base/shared_reads.hpp"
#include "engine/config/section.hpp"

namespace twinscreen {

/// SHA-256 digests of files that somebody trusts, 64 hexadecimal digits each.
using TrustedDigests = std::vector<std::string>;

/// Every element is a SHA-256 as `sha256sum` prints it, in either case.
const Rule<TrustedDigests>& digests_rule();

/// A file that runs as code when it is loaded and that nobody has said to trust. It was not loaded.
class UntrustedCode : public Error {
public:
    using Error::Error;
};

/// The bytes of a file that runs as code when it is loaded. There is none without a person who
/// listed the digest of exactly these bytes: what loads such files takes a TrustedCode.
class TrustedCode {
public:
    /// what    "a TorchScript program", for messages
    /// throws  UntrustedCode(config) with the digest found
    TrustedCode(FileContent file, const std::string& what, const TrustedDigests& trusted);

    std::string path() const { return file_.path.string(); }
    std::span<const std::byte> bytes() const noexcept { return *file_.bytes; }
    SharedBytes shared_bytes() const noexcept { return file_.bytes; }
    const std::string& sha256() const noexcept { return sha256_; }

private:
    FileContent file_;
    std::string sha256_;
};

}  // namespace twinscreen
