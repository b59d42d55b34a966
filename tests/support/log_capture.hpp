#pragma once

#include <sstream>
#include <string>

#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

namespace twinscreen::test {

/// Collects what is logged while it lives, instead of stderr.
class LogCapture {
public:
    LogCapture() : before_(spdlog::default_logger())
    {
        spdlog::set_default_logger(std::make_shared<spdlog::logger>(
            "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(lines_)));
    }
    ~LogCapture() { spdlog::set_default_logger(before_); }
    LogCapture(const LogCapture&) = delete;
    LogCapture& operator=(const LogCapture&) = delete;

    /// Everything since the last call.
    std::string take()
    {
        std::string text = lines_.str();
        lines_.str("");
        return text;
    }

private:
    std::ostringstream lines_;
    std::shared_ptr<spdlog::logger> before_;
};

}  // namespace twinscreen::test
