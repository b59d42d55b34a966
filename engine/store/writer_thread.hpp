#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <future>
#include <mutex>
#include <thread>

namespace twinscreen {

/// One thread that works off jobs in the order in which they were posted, with a queue bounded in
/// bytes. After the first job that throws, later jobs are dropped and every call throws its error
/// again. All calls from one thread.
class WriterThread {
public:
    using Job = std::packaged_task<void()>;

    explicit WriterThread(std::size_t queue_bytes);
    /// Drops what is queued, waits for the job at work.
    ~WriterThread();
    WriterThread(const WriterThread&) = delete;
    WriterThread& operator=(const WriterThread&) = delete;

    /// Blocks while `bytes` more would exceed the bound, unless the queue is empty.
    void post(std::size_t bytes, Job job);
    /// Returns when every posted job is done.
    void drain();
    /// Drains, then runs one job on the thread and waits for it.
    void run(Job job);

private:
    struct Entry {
        std::size_t bytes;
        Job job;
    };

    void work();
    void wait_until_idle(std::unique_lock<std::mutex>& lock);

    std::size_t bound_;
    std::mutex mutex_;
    std::condition_variable posted_;
    std::condition_variable done_;
    std::deque<Entry> queue_;
    std::size_t queued_bytes_ = 0;  ///< of the queue and of the job at work
    bool is_busy_ = false;
    bool stops_ = false;
    std::exception_ptr failure_;
    std::thread thread_;
};

}  // namespace twinscreen
