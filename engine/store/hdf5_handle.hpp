#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <hdf5.h>

#include "engine/base/error.hpp"
#include "engine/base/types.hpp"

namespace twinscreen {

/// Owns one HDF5 identifier; closes it without throwing. The calls of this header and the HDF5
/// library itself are for one thread per process.
class Hdf5Handle {
public:
    using CloseCall = herr_t (*)(hid_t);

    Hdf5Handle() = default;
    Hdf5Handle(hid_t id, CloseCall close_call) noexcept : id_(id), close_call_(close_call) {}
    Hdf5Handle(Hdf5Handle&& other) noexcept
        : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_call_(other.close_call_)
    {
    }
    Hdf5Handle& operator=(Hdf5Handle&& other) noexcept
    {
        std::swap(id_, other.id_);
        std::swap(close_call_, other.close_call_);
        return *this;
    }
    ~Hdf5Handle()
    {
        if (is_open()) close_call_(id_);
    }

    hid_t id() const noexcept { return id_; }
    bool is_open() const noexcept { return id_ >= 0; }
    /// Closes now and returns what the library answers, for callers who want to check it.
    herr_t close() noexcept
    {
        const hid_t id = std::exchange(id_, H5I_INVALID_HID);
        return id >= 0 ? close_call_(id) : 0;
    }
    /// Gives the identifier up without closing it.
    hid_t release() noexcept { return std::exchange(id_, H5I_INVALID_HID); }

private:
    hid_t id_ = H5I_INVALID_HID;
    CloseCall close_call_ = nullptr;
};

/// Starts the library without its clean-up at exit.
void hdf5_start() noexcept;
/// Before any other call, per thread: the library prints no errors by itself, loads no plug-ins and
/// follows no links into other files.
void hdf5_prepare() noexcept;
/// The library's own account of its last failure, innermost cause first.
std::string hdf5_error_text();
/// Throws Error(store): "could not <doing> (<call>: <the library's own text>)".
[[noreturn]] void hdf5_fail(std::string_view call, std::string_view doing);

/// Passes a good result on, throws for a negative one. `doing` completes "could not ...", as text
/// or as a function that makes the text only when it is needed.
template <class Result, class Doing>
Result hdf5_check(Result result, std::string_view call, Doing&& doing)
{
    if (result < 0) {
        if constexpr (std::is_invocable_v<Doing>)
            hdf5_fail(call, doing());
        else
            hdf5_fail(call, doing);
    }
    return result;
}

/// hdf5_check for calls that make an identifier.
template <class Doing>
Hdf5Handle hdf5_own(hid_t id, Hdf5Handle::CloseCall close_call, std::string_view call,
                    Doing&& doing)
{
    return {hdf5_check(id, call, std::forward<Doing>(doing)), close_call};
}

/// File access for one process, without HDF5's own file lock and without its buffer for small
/// writes: what a write call accepted has left the process.
Hdf5Handle hdf5_serial_access();
/// The type as stored: little-endian; float16 as numpy and h5py write it.
Hdf5Handle hdf5_type(ElementType type);
/// The inverse of `hdf5_type`; false when the stored type is none of ours.
bool hdf5_element_type(hid_t type, ElementType& found);
/// Variable-length UTF-8 text, which h5py and xarray read as str.
Hdf5Handle hdf5_text_type();

void hdf5_write_text_attribute(hid_t object, const std::string& name, const std::string& text);
void hdf5_write_number_attribute(hid_t object, const std::string& name, std::int64_t value);
std::string hdf5_read_text_attribute(hid_t object, const std::string& name);
std::int64_t hdf5_read_number_attribute(hid_t object, const std::string& name);

}  // namespace twinscreen
