#include "engine/base/sha256.hpp"

#include <string>

#include <gtest/gtest.h>

namespace twinscreen {
namespace {

std::string sha256_of_text(const std::string& text)
{
    return sha256_of(std::as_bytes(std::span(text)));
}

TEST(Sha256, GivesTheDigestsOfTheStandard)
{
    // FIPS 180-4, examples of NIST; the last spans several blocks.
    EXPECT_EQ(sha256_of_text(""),
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(sha256_of_text("abc"),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(sha256_of_text(std::string(1'000'000, 'a')),
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

}  // namespace
}  // namespace twinscreen
