#pragma once

namespace twinscreen {

/// Starts Kokkos for the life of this object and ends it again. One per process, made by main
/// before the first kernel; does nothing where Kokkos runs already.
class KernelRuntime {
public:
    KernelRuntime();
    ~KernelRuntime();
    KernelRuntime(const KernelRuntime&) = delete;
    KernelRuntime& operator=(const KernelRuntime&) = delete;

private:
    bool started_here_ = false;
};

}  // namespace twinscreen
