#pragma once

#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace twinscreen {

/// A failure that a person reads: the problem with its value, the reason, the next step.
class Error : public std::exception {
public:
    /// Decides the exit code: config 2, data 3, store 4, device 5, communication 6, internal 70.
    enum class Kind { config, data, device, communication, store, internal };

    Error(Kind kind, std::string message, std::string hint = {});

    Kind kind() const noexcept { return kind_; }
    int exit_code() const noexcept;
    /// Message, context lines, then the hint.
    const char* what() const noexcept override { return text_.c_str(); }
    /// "while running shard 118 on rank 3"
    Error& add_context(std::string line);

private:
    void compose();

    Kind kind_;
    std::string message_;
    std::string hint_;
    std::vector<std::string> context_;
    std::string text_;
};

/// Any exception as one for a person: running out of memory is the machine's limit, everything
/// else is our own mistake.
Error as_error(const std::exception& exception);

/// Exit code of a job that was stopped by a signal and goes on when started again.
inline constexpr int exit_resumable = 75;

namespace detail {
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);
}

}  // namespace twinscreen

/// For data and environment, always on: throws an Error of the named kind with a fmt message.
#define TWINSCREEN_REQUIRE(condition, error_kind, ...)                       \
    do {                                                                     \
        if (!(condition))                                                    \
            throw ::twinscreen::Error(::twinscreen::Error::Kind::error_kind, \
                                      fmt::format(__VA_ARGS__));             \
    } while (false)

/// For our own mistakes; checked in debug builds.
#ifdef NDEBUG
#define TWINSCREEN_ASSERT(condition) static_cast<void>(0)
#else
#define TWINSCREEN_ASSERT(condition)    \
    ((condition) ? static_cast<void>(0) \
                 : ::twinscreen::detail::assertion_failed(#condition, __FILE__, __LINE__))
#endif
