#pragma once

#include <cstddef>
#include <string_view>

namespace twinscreen {

/// What this process may still allocate [bytes]: the least of the memory that the system has to
/// give, the process's own limit and its control group's.
std::size_t available_memory();

/// Throws Error(device) that names `what`, the bytes wanted and the bytes available. Without this a
/// system that promises more memory than it has kills the process without a word.
void require_memory(std::string_view what, double bytes);

}  // namespace twinscreen
