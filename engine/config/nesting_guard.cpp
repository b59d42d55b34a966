#include "engine/config/nesting_guard.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace twinscreen::detail {

namespace {

class NestingGuard {
public:
    explicit NestingGuard(std::string_view text) : text_(text) {}

    std::optional<std::size_t> first_too_deep()
    {
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == '#') {
                skip_comment();
            } else if (c == '"' || c == '\'') {
                skip_string(c);
            } else {
                follow(c);
                if (level_ + dots_ > deepest_nesting) return at_;
                ++at_;
            }
        }
        return std::nullopt;
    }

private:
    void skip_comment() { at_ = std::min(text_.find('\n', at_), text_.size()); }

    void skip_string(char quote)
    {
        line_started_ = true;
        const std::string three(3, quote);
        if (text_.compare(at_, 3, three) == 0) {
            at_ += 3;
            while (at_ < text_.size() && text_.compare(at_, 3, three) != 0) skip_character(quote);
            at_ = std::min(at_ + 3, text_.size());
            while (at_ < text_.size() && text_[at_] == quote) ++at_;
            return;
        }
        ++at_;
        while (at_ < text_.size() && text_[at_] != quote && text_[at_] != '\n')
            skip_character(quote);
        if (at_ < text_.size() && text_[at_] == quote) ++at_;
    }

    void skip_character(char quote) { at_ += quote == '"' && text_[at_] == '\\' ? 2 : 1; }

    void follow(char c)
    {
        if (c == '\n') {
            end_line();
            return;
        }
        if (c == '[' || c == '{')
            open_bracket(c);
        else if ((c == ']' || c == '}') && !open_.empty())
            close_bracket();
        else if (c == '.')
            ++dots_;
        else if (c == ',')
            dots_ = 0;
        else if (c == '=' && open_.empty())
            level_ = std::exchange(dots_, 0);
        if (c != ' ' && c != '\t') line_started_ = true;
    }

    void end_line()
    {
        if (in_header_) open_.clear();
        if (open_.empty()) level_ = 0;
        dots_ = 0;
        in_header_ = false;
        line_started_ = false;
    }

    void open_bracket(char kind)
    {
        if (kind == '[' && !line_started_ && open_.empty()) in_header_ = true;
        open_.push_back(level_);
        level_ += std::exchange(dots_, 0) + 1;
    }

    void close_bracket()
    {
        level_ = open_.back();
        open_.pop_back();
        dots_ = 0;
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::size_t level_ = 0;  // of the place, without the dots of the key being read
    std::size_t dots_ = 0;
    std::vector<std::size_t> open_;  // level outside of each open bracket
    bool line_started_ = false;
    bool in_header_ = false;
};

}  // namespace

std::optional<std::size_t> first_too_deep(std::string_view text)
{
    return NestingGuard(text).first_too_deep();
}

}  // namespace twinscreen::detail
