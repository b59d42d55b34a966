#pragma once

/// A named step at which a test build can be killed or held, and a device that it can let fail;
/// nothing in the program that people run. The name is a literal that occurs once, so that a test
/// can list all of them.
#ifdef TWINSCREEN_FAILPOINTS
namespace twinscreen {
void reach_failpoint(const char* name) noexcept;
/// 0, or the CUDA error that the device is to report now.
int injected_device_fault() noexcept;
}  // namespace twinscreen
#define TWINSCREEN_FAILPOINT(name) ::twinscreen::reach_failpoint(name)
#define TWINSCREEN_INJECTED_DEVICE_FAULT() ::twinscreen::injected_device_fault()
#else
#define TWINSCREEN_FAILPOINT(name) static_cast<void>(0)
#define TWINSCREEN_INJECTED_DEVICE_FAULT() 0
#endif
