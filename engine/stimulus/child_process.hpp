#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

namespace twinscreen {

/// Runs `work` in a forked child and returns the text it returns; an exception of the child is
/// thrown again here as Error(data). A crash, or more than `limit` of time, becomes an Error(data)
/// that starts with `what`. Only for work that needs no other thread of this process.
std::string run_in_child(const std::string& what, std::optional<std::chrono::seconds> limit,
                         const std::function<std::string()>& work);

}  // namespace twinscreen
