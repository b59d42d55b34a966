#include "engine/store/writer_thread.hpp"

#include <utility>

#include "engine/base/background_thread.hpp"

namespace twinscreen {

WriterThread::WriterThread(std::size_t queue_bytes)
    : bound_(queue_bytes), thread_([this] { work(); })
{
}

WriterThread::~WriterThread()
{
    {
        const std::lock_guard lock(mutex_);
        stops_ = true;
        queue_.clear();
    }
    posted_.notify_all();
    thread_.join();
}

void WriterThread::post(std::size_t bytes, Job job)
{
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] {
        return failure_ || (queue_.empty() && !is_busy_) || queued_bytes_ + bytes <= bound_;
    });
    if (failure_) std::rethrow_exception(failure_);
    queue_.push_back({bytes, std::move(job)});
    queued_bytes_ += bytes;
    posted_.notify_one();
}

void WriterThread::drain()
{
    std::unique_lock lock(mutex_);
    wait_until_idle(lock);
}

void WriterThread::run(Job job)
{
    std::unique_lock lock(mutex_);
    wait_until_idle(lock);
    queue_.push_back({0, std::move(job)});
    posted_.notify_one();
    wait_until_idle(lock);
}

void WriterThread::wait_until_idle(std::unique_lock<std::mutex>& lock)
{
    done_.wait(lock, [&] { return queue_.empty() && !is_busy_; });
    if (failure_) std::rethrow_exception(failure_);
}

void WriterThread::work()
{
    give_way();
    std::unique_lock lock(mutex_);
    while (true) {
        posted_.wait(lock, [&] { return stops_ || !queue_.empty(); });
        if (stops_) return;
        Entry entry = std::move(queue_.front());
        queue_.pop_front();
        is_busy_ = true;
        lock.unlock();
        std::exception_ptr failure;
        try {
            std::future<void> answer = entry.job.get_future();
            entry.job();
            answer.get();
        } catch (...) {
            failure = std::current_exception();
        }
        entry.job = Job();  // frees the rows before their bytes are counted as free
        lock.lock();
        is_busy_ = false;
        queued_bytes_ -= entry.bytes;
        if (failure) {
            failure_ = failure;
            for (const Entry& dropped : queue_) queued_bytes_ -= dropped.bytes;
            queue_.clear();
        }
        done_.notify_all();
    }
}

}  // namespace twinscreen
