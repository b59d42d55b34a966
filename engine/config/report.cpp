#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "engine/config/document_state.hpp"
#include "engine/config/utf8.hpp"

namespace twinscreen::detail {

namespace {

constexpr std::size_t most_shown = 50;

/// The lines of a text, visited in ascending order.
class Lines {
public:
    explicit Lines(std::string_view text) : rest_(text)
    {
        if (rest_.starts_with(utf8_byte_order_mark))
            rest_.remove_prefix(utf8_byte_order_mark.size());
    }

    std::string_view line(std::uint32_t number)
    {
        for (; number_ < number && !rest_.empty(); ++number_)
            rest_.remove_prefix(std::min(rest_.find('\n'), rest_.size() - 1) + 1);
        std::string_view line = rest_.substr(0, rest_.find('\n'));
        if (line.ends_with('\r')) line.remove_suffix(1);
        return line;
    }

private:
    std::string_view rest_;
    std::uint32_t number_ = 1;
};

auto order(const Diagnostic& diagnostic)
{
    return std::tie(diagnostic.where.assignment, diagnostic.where.line, diagnostic.where.column);
}

bool same(const Diagnostic& a, const Diagnostic& b)
{
    return a.where == b.where && a.message == b.message;
}

std::vector<Diagnostic> sorted_without_repeats(std::vector<Diagnostic> diagnostics)
{
    std::ranges::stable_sort(
        diagnostics, [](const Diagnostic& a, const Diagnostic& b) { return order(a) < order(b); });
    std::vector<Diagnostic> unique;
    for (Diagnostic& diagnostic : diagnostics) {
        // Repeats stand at the same place, so only the tail of equal places is searched.
        bool repeated = false;
        for (auto other = unique.rbegin();
             other != unique.rend() && other->where == diagnostic.where; ++other)
            repeated = repeated || same(*other, diagnostic);
        if (!repeated) unique.push_back(std::move(diagnostic));
    }
    return unique;
}

std::string rendered(const Diagnostic& diagnostic, const DocumentState& document, Lines& lines)
{
    std::string text;
    const Origin& where = diagnostic.where;
    if (where.assignment >= 0) {
        const std::string& assignment =
            document.assignments[static_cast<std::size_t>(where.assignment)];
        text = fmt::format("--set {}: error: {}\n", printable(assignment), diagnostic.message);
    } else {
        const std::string_view line = lines.line(where.line);
        text = fmt::format("{}:{}:{}: error: {}\n", document.name, where.line, where.column,
                           diagnostic.message);
        if (!line.empty())
            text +=
                with_caret(line, where.column, fmt::format("{:>5} | ", where.line), "      | ") +
                "\n";
    }
    if (!diagnostic.hint.empty()) text += fmt::format("      = {}\n", diagnostic.hint);
    return text;
}

}  // namespace

std::string report(const DocumentState& document)
{
    const auto diagnostics = sorted_without_repeats(document.diagnostics);
    Lines lines(document.text);
    std::string text;
    for (std::size_t i = 0; i < std::min(diagnostics.size(), most_shown); ++i)
        text += rendered(diagnostics[i], document, lines);
    if (diagnostics.size() > most_shown)
        text += fmt::format("... and {} more\n", diagnostics.size() - most_shown);
    return text + fmt::format("{} error{} in {}; nothing was run", diagnostics.size(),
                              diagnostics.size() == 1 ? "" : "s", document.name);
}

}  // namespace twinscreen::detail
