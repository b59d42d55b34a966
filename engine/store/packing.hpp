#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "engine/base/error.hpp"

namespace twinscreen {

/// Numbers and texts one after the other, to come through the pipe of a child process.
class Packer {
public:
    template <class Number>
    Packer& add_number(Number number)
    {
        static_assert(sizeof(Number) == sizeof(std::uint64_t));
        bytes_.append(reinterpret_cast<const char*>(&number), sizeof(number));
        return *this;
    }
    Packer& add(std::uint64_t number) { return add_number(number); }
    Packer& add(const std::string& text)
    {
        add(static_cast<std::uint64_t>(text.size()));
        bytes_ += text;
        return *this;
    }
    std::string take() { return std::move(bytes_); }

private:
    std::string bytes_;
};

/// Throws Error(store) where the bytes end too early.
class Unpacker {
public:
    explicit Unpacker(std::string bytes) : bytes_(std::move(bytes)) {}
    template <class Number>
    Number number_as()
    {
        static_assert(sizeof(Number) == sizeof(std::uint64_t));
        Number value{};
        std::memcpy(&value, next(sizeof(value)), sizeof(value));
        return value;
    }
    std::uint64_t number() { return number_as<std::uint64_t>(); }
    std::string text()
    {
        const std::uint64_t size = number();
        return {next(size), static_cast<std::size_t>(size)};
    }

private:
    const char* next(std::uint64_t count)
    {
        TWINSCREEN_REQUIRE(count <= bytes_.size() - at_, store,
                           "the answer of the examining process is incomplete");
        const char* here = bytes_.data() + at_;
        at_ += static_cast<std::size_t>(count);
        return here;
    }

    std::string bytes_;
    std::size_t at_ = 0;
};

}  // namespace twinscreen
