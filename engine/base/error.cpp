#include "engine/base/error.hpp"

#include <cstdio>
#include <new>
#include <utility>

namespace twinscreen {

Error::Error(Kind kind, std::string message, std::string hint)
    : kind_(kind), message_(std::move(message)), hint_(std::move(hint))
{
    compose();
}

int Error::exit_code() const noexcept
{
    switch (kind_) {
        case Kind::config: return 2;
        case Kind::data: return 3;
        case Kind::store: return 4;
        case Kind::device: return 5;
        case Kind::communication: return 6;
        case Kind::internal: return 70;
    }
    return 70;
}

Error& Error::add_context(std::string line)
{
    context_.push_back(std::move(line));
    compose();
    return *this;
}

void Error::compose()
{
    text_ = message_;
    for (const std::string& line : context_) text_ += "\n  " + line;
    if (!hint_.empty()) text_ += "\n  " + hint_;
}

Error as_error(const std::exception& exception)
{
    if (const auto* known = dynamic_cast<const Error*>(&exception)) return *known;
    const std::string text = exception.what();
    // LibTorch has its own words for it.
    const bool out_of_memory = dynamic_cast<const std::bad_alloc*>(&exception) != nullptr ||
                               text.find("can't allocate memory") != std::string::npos;
    if (!out_of_memory) return {Error::Kind::internal, "internal error: " + text};
    return {Error::Kind::device, fmt::format("not enough memory ({})", text),
            "twinscreen plan shows what a rank needs; start fewer ranks on this machine, or use "
            "one with more memory"};
}

void detail::assertion_failed(const char* expression, const char* file, int line)
{
    std::fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expression);
    std::abort();
}

}  // namespace twinscreen
