#pragma once

#include <filesystem>

namespace twinscreen {

/// Keeps a second job out of an output folder. Held by rank 0 for the life of the job; the
/// operating system releases it when the process ends, however it ends.
class FolderLock {
public:
    /// Makes the folder if needed. Throws Error(store) when another job holds it, naming that
    /// job's host, process and start, or when the folder cannot be written.
    explicit FolderLock(const std::filesystem::path& folder);
    ~FolderLock();
    FolderLock(const FolderLock&) = delete;
    FolderLock& operator=(const FolderLock&) = delete;

private:
    int descriptor_ = -1;
};

}  // namespace twinscreen
