#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#include "engine/base/error.hpp"

namespace twinscreen {

/// Values one after the other as bytes of this machine.
class StateWriter {
public:
    template <class T>
    void add(const T& value)
    {
        static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
        add_bytes(&value, sizeof value);
    }
    template <class T>
    void add(const std::vector<T>& values)
    {
        add(values.size());
        add_bytes(values.data(), values.size() * sizeof(T));
    }
    const std::vector<std::byte>& bytes() const noexcept { return bytes_; }

private:
    void add_bytes(const void* from, std::size_t count)
    {
        const std::size_t before = bytes_.size();
        bytes_.resize(before + count);
        if (count > 0) std::memcpy(bytes_.data() + before, from, count);
    }

    std::vector<std::byte> bytes_;
};

/// Takes them out again, in the same order. Throws Error (store) where bytes are missing.
class StateReader {
public:
    explicit StateReader(std::span<const std::byte> bytes) : rest_(bytes) {}

    template <class T>
    void take(T& value)
    {
        static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
        take_bytes(&value, sizeof value);
    }
    /// As many values as `values` has; throws where the state has another number.
    template <class T>
    void take(std::vector<T>& values)
    {
        std::size_t count = 0;
        take(count);
        TWINSCREEN_REQUIRE(count == values.size(), store,
                           "the saved search has {} values where {} are expected", count,
                           values.size());
        take_bytes(values.data(), count * sizeof(T));
    }
    bool is_empty() const noexcept { return rest_.empty(); }

private:
    void take_bytes(void* to, std::size_t count)
    {
        TWINSCREEN_REQUIRE(count <= rest_.size(), store,
                           "the saved search ends early ({} bytes are missing)",
                           count - rest_.size());
        if (count > 0) std::memcpy(to, rest_.data(), count);
        rest_ = rest_.subspan(count);
    }

    std::span<const std::byte> rest_;
};

}  // namespace twinscreen
