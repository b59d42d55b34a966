#pragma once

#include <string>
#include <utility>
#include <vector>

#include "engine/base/error.hpp"
#include "engine/twin/graph/limits.hpp"

namespace twinscreen {

/// Collects what is wrong with a file, so that all of it is said at once.
class Mistakes {
public:
    explicit Mistakes(std::string file) : file_(std::move(file)) {}

    template <class... Values>
    void add(fmt::format_string<Values...> sentence, Values&&... values)
    {
        ++count_;
        if (sentences_.size() < most_graph_mistakes)
            sentences_.push_back(fmt::format(sentence, std::forward<Values>(values)...));
    }
    bool any() const noexcept { return count_ > 0; }
    void throw_if_any() const
    {
        if (!any()) return;
        std::string text = fmt::format("{}: {} mistake{}", file_, count_, count_ == 1 ? "" : "s");
        for (const std::string& sentence : sentences_) text += "\n  " + sentence;
        if (count_ > sentences_.size())
            text += fmt::format("\n  and {} more", count_ - sentences_.size());
        throw Error(Error::Kind::data, text);
    }

private:
    std::string file_;
    std::size_t count_ = 0;
    std::vector<std::string> sentences_;
};

}  // namespace twinscreen
