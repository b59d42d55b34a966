#include "engine/twin/trusted_code.hpp"

#include <algorithm>
#include <cctype>
#include <utility>

#include "engine/base/sha256.hpp"

namespace twinscreen {

namespace {

bool is_sha256(const std::string& text)
{
    return text.size() == 64 && std::all_of(text.begin(), text.end(),
                                            [](unsigned char c) { return std::isxdigit(c) != 0; });
}

std::string lower_case(std::string text)
{
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

}  // namespace

const Rule<TrustedDigests>& digests_rule()
{
    static const Rule<TrustedDigests> rule{
        [](const TrustedDigests& digests) {
            return !digests.empty() && std::all_of(digests.begin(), digests.end(), is_sha256);
        },
        "a SHA-256, 64 hexadecimal digits as sha256sum prints them, or a list of these"};
    return rule;
}

TrustedCode::TrustedCode(FileContent file, const std::string& what, const TrustedDigests& trusted)
    : file_(std::move(file)), sha256_(sha256_of(*file_.bytes))
{
    for (const std::string& digest : trusted)
        if (lower_case(digest) == sha256_) return;
    const std::string reason =
        trusted.empty() ? "nobody has said to trust it"
                        : fmt::format(
                              "that is not what is trusted, {}: the file was exported again, or "
                              "somebody has changed it",
                              fmt::join(trusted, " or "));
    throw UntrustedCode(
        Error::Kind::config,
        fmt::format("{}: is {}, which can do whatever you can once it is loaded; it was not "
                    "loaded. Its SHA-256 is {} ({})",
                    path(), what, sha256_, reason),
        fmt::format("if you know where the file is from and trust it: trusted_sha256 = \"{}\" in "
                    "the [[twins]] table (on the command line of check and list: "
                    "--trusted-sha256 {})",
                    sha256_, sha256_));
}

}  // namespace twinscreen
