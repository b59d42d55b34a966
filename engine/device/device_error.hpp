#pragma once

#include <string_view>

#include "engine/base/error.hpp"

namespace twinscreen {

/// What a failed call of the CUDA runtime means for a person: Error(device) with the cause in plain
/// words and the next step. Results sealed before it are good.
///
/// code   a cudaError_t
/// text   what CUDA says about it
/// doing  "copying a batch to the GPU"
Error device_error(int code, std::string_view text, std::string_view doing);

/// The device has no memory left: less at once may fit.
class OutOfDeviceMemory : public Error {
public:
    explicit OutOfDeviceMemory(const Error& error) : Error(error) {}
};

/// Throws device_error, as OutOfDeviceMemory where it is that.
[[noreturn]] void throw_device_error(int code, std::string_view text, std::string_view doing);

}  // namespace twinscreen
