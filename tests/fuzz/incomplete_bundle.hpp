#pragma once

#include <string>
#include <utility>

#include "engine/base/error.hpp"
#include "engine/twin/bundle.hpp"
#include "kernels/runtime.hpp"
#include "tests/fuzz/input_file.hpp"

namespace twinscreen::fuzz {

/// A bundle of the workplace without one of its files, which every input brings anew.
class IncompleteBundle {
public:
    IncompleteBundle(const std::string& bundle, std::string missing) : missing_(std::move(missing))
    {
        for (const auto& file : std::filesystem::directory_iterator(workplace() / bundle))
            if (file.path().filename() != missing_)
                std::filesystem::copy_file(file.path(), folder_.path() / file.path().filename());
    }
    void load(std::span<const std::byte> content) const
    {
        folder_.write(missing_, content);
        try {
            static_cast<void>(load_bundle(folder_.path()));
        } catch (const Error&) {  // what a bad file has to give
        }
    }

private:
    KernelRuntime kernels_;
    InputFolder folder_;
    std::string missing_;
};

}  // namespace twinscreen::fuzz
