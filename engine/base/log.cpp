#include "engine/base/log.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>

namespace twinscreen {

void start_log(int rank)
{
    auto logger = std::make_shared<spdlog::logger>(
        "twinscreen", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    logger->set_pattern(fmt::format("%H:%M:%S rank {} %l: %v", rank));
    logger->set_level(rank == 0 ? spdlog::level::info : spdlog::level::warn);
    spdlog::set_default_logger(std::move(logger));
}

}  // namespace twinscreen
