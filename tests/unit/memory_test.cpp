#include "engine/base/memory.hpp"

#include <new>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/base/error.hpp"

namespace twinscreen {
namespace {

using testing::HasSubstr;

TEST(Memory, WhatIsAvailableIsEnoughAndMoreIsRefusedWithBothNumbers)
{
    require_memory("a small twin", 1.0);

    try {
        require_memory("twin 'huge'", 1e18);
        FAIL() << "an exabyte was promised";
    } catch (const Error& error) {
        EXPECT_EQ(error.exit_code(), 5);
        EXPECT_THAT(error.what(), HasSubstr("twin 'huge' needs 931322574.6 GiB of memory, "));
        EXPECT_THAT(error.what(), HasSubstr(" GiB are available. "));
    }
}

TEST(Errors, AnExceptionOfAnotherKindBecomesASentence)
{
    EXPECT_EQ(as_error(Error(Error::Kind::store, "full")).exit_code(), 4);
    EXPECT_EQ(as_error(std::bad_alloc()).exit_code(), 5);
    EXPECT_THAT(as_error(std::bad_alloc()).what(), HasSubstr("not enough memory"));
    EXPECT_EQ(as_error(std::runtime_error("odd")).exit_code(), 70);
    EXPECT_STREQ(as_error(std::runtime_error("odd")).what(), "internal error: odd");
}

}  // namespace
}  // namespace twinscreen
