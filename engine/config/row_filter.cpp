#include "engine/config/row_filter.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "engine/base/error.hpp"
#include "engine/config/section.hpp"
#include "engine/config/utf8.hpp"

namespace twinscreen {

namespace {

using Mask = std::vector<char>;  // [rows] 1 where the expression holds
using Literal = std::variant<double, std::string>;

constexpr int deepest_nesting = 64;  // of parentheses and "not": the parser recurses

bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
}

struct Token {
    enum class Kind { end, name, number, text, sign };
    Kind kind = Kind::end;
    std::string text;  ///< without quotes
    double number = 0;
    std::size_t offset = 0;
};

[[noreturn]] void refuse(std::string_view expression, std::size_t offset, const std::string& reason,
                         const std::string& hint = {})
{
    std::size_t column = 1;
    for (std::size_t at = 0; at < offset; ++column)
        at += std::max<std::size_t>(detail::utf8_length(expression, at), 1);
    // A filter of several lines is shown as one: its lines are short and the caret must fit.
    std::string line(expression);
    for (char& c : line)
        if (c == '\n' || c == '\r') c = ' ';
    throw Error(Error::Kind::config,
                fmt::format("filter, column {}: {}\n{}", column, reason,
                            detail::with_caret(line, column, "    ", "    ")),
                hint);
}

class Lexer {
public:
    explicit Lexer(std::string_view expression) : expression_(expression) {}

    Token next()
    {
        at_ = expression_.find_first_not_of(" \t\r\n", at_);
        Token token;
        if (at_ == std::string_view::npos) at_ = expression_.size();
        token.offset = at_;
        if (at_ == expression_.size()) return token;
        const char c = expression_[at_];
        if (c == '\'' || c == '"' || c == '`') return quoted_text(c);
        if ((c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.') return number();
        if (is_name_character(c)) return name();
        return sign();
    }

private:
    Token quoted_text(char quote)
    {
        const std::size_t close = expression_.find(quote, at_ + 1);
        if (close == std::string_view::npos)
            refuse(expression_, at_, fmt::format("text without its closing {}", quote));
        Token token;
        token.kind = quote == '`' ? Token::Kind::name : Token::Kind::text;
        token.offset = at_;
        token.text = expression_.substr(at_ + 1, close - at_ - 1);
        at_ = close + 1;
        return token;
    }

    Token number()
    {
        Token token;
        token.kind = Token::Kind::number;
        token.offset = at_;
        std::size_t end = at_;
        while (end < expression_.size() &&
               (is_name_character(expression_[end]) ||
                ((expression_[end] == '-' || expression_[end] == '+') &&
                 (end == at_ || expression_[end - 1] == 'e' || expression_[end - 1] == 'E'))))
            ++end;
        token.text = expression_.substr(at_, end - at_);
        const char* first = token.text.data() + (token.text[0] == '+' ? 1 : 0);
        const char* last = token.text.data() + token.text.size();
        const auto [stop, failed] = std::from_chars(first, last, token.number);
        if (failed != std::errc{} || stop != last)
            refuse(expression_, at_, fmt::format("{} is not a number", detail::quoted(token.text)));
        at_ = end;
        return token;
    }

    Token name()
    {
        Token token;
        token.kind = Token::Kind::name;
        token.offset = at_;
        while (at_ < expression_.size() && is_name_character(expression_[at_]))
            token.text += expression_[at_++];
        return token;
    }

    Token sign()
    {
        for (const std::string_view known :
             {"==", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", ","})
            if (expression_.substr(at_).starts_with(known)) {
                at_ += known.size();
                return {Token::Kind::sign, std::string(known), 0, at_ - known.size()};
            }
        const char c = expression_[at_];
        const std::string hint = c == '='   ? "equality is written =="
                                 : c == '&' ? "write 'and'"
                                 : c == '|' ? "write 'or'"
                                 : c == '!' ? "write 'not'"
                                            : "";
        const std::size_t length = std::max<std::size_t>(detail::utf8_length(expression_, at_), 1);
        refuse(expression_, at_,
               fmt::format("unexpected {}", detail::quoted(expression_.substr(at_, length))), hint);
    }

    std::string_view expression_;
    std::size_t at_ = 0;
};

template <class T>
bool compare(const T& left, std::string_view sign, const T& right)
{
    if (sign == "==") return left == right;
    if (sign == "!=") return left != right;
    if (sign == "<") return left < right;
    if (sign == "<=") return left <= right;
    if (sign == ">") return left > right;
    return left >= right;
}

/// An integer against a number without rounding the integer: every double at or beyond 2^63 is
/// above it, below -2^63 below it, and any other has a whole part that fits.
bool compare_whole(std::int64_t left, std::string_view sign, double right)
{
    if (right >= 0x1p63) return compare(0, sign, 1);
    if (right < -0x1p63) return compare(1, sign, 0);
    const auto whole = static_cast<std::int64_t>(right);
    if (left != whole) return compare(left, sign, whole);
    return compare(0.0, sign, right - static_cast<double>(whole));
}

/// Recursive descent; every rule returns the mask of its rows, so that mistakes are found in one
/// pass even where the table has no rows.
class Parser {
public:
    Parser(const Table& table, std::string_view expression)
        : table_(table), expression_(expression), lexer_(expression), token_(lexer_.next())
    {
    }

    Mask parse()
    {
        Mask mask = alternatives();
        if (token_.kind != Token::Kind::end) refuse_token("expected 'and', 'or' or the end");
        return mask;
    }

private:
    bool at_word(std::string_view word) const
    {
        return token_.kind == Token::Kind::name && token_.text == word &&
               expression_[token_.offset] != '`';
    }
    bool at_sign(std::string_view sign) const
    {
        return token_.kind == Token::Kind::sign && token_.text == sign;
    }
    void advance() { token_ = lexer_.next(); }

    [[noreturn]] void refuse_token(const std::string& expectation, const std::string& hint = {})
    {
        const std::string seen =
            token_.kind == Token::Kind::end ? "the end" : detail::quoted(token_.text);
        refuse(expression_, token_.offset, fmt::format("{}, found {}", expectation, seen), hint);
    }

    Mask alternatives()
    {
        Mask mask = conditions();
        while (at_word("or")) {
            advance();
            const Mask other = conditions();
            for (std::size_t row = 0; row < mask.size(); ++row) mask[row] |= other[row];
        }
        return mask;
    }

    Mask conditions()
    {
        Mask mask = condition();
        while (at_word("and")) {
            advance();
            const Mask other = condition();
            for (std::size_t row = 0; row < mask.size(); ++row) mask[row] &= other[row];
        }
        return mask;
    }

    Mask condition()
    {
        const bool negated = at_word("not");
        if (!negated && !at_sign("(")) return comparison();
        if (++depth_ > deepest_nesting)
            refuse_token(fmt::format("nested more than {} deep", deepest_nesting));
        advance();
        Mask mask = negated ? condition() : alternatives();
        if (negated) {
            for (char& kept : mask) kept = kept == 0;
        } else {
            if (!at_sign(")")) refuse_token("expected 'and', 'or' or ')'");
            advance();
        }
        --depth_;
        return mask;
    }

    Mask comparison()
    {
        const TableColumn& column = this->column();
        const bool negated = at_word("not");
        if (negated) advance();
        if (at_word("in")) {
            Mask mask = membership(column);
            if (negated)
                for (char& kept : mask) kept = kept == 0;
            return mask;
        }
        if (negated) refuse_token("expected 'in'");
        const std::string sign = token_.text;
        if (token_.kind != Token::Kind::sign ||
            std::string_view("== != <= >=").find(sign) == std::string_view::npos)
            refuse_token("expected == != < <= > >= or 'in'",
                         at_word("is") || at_word("like") ? "equality is written ==" : "");
        advance();
        return matches(column, sign, literal(column));
    }

    const TableColumn& column()
    {
        if (token_.kind != Token::Kind::name)
            refuse_token("expected the name of a column", known_columns());
        const TableColumn* column = table_.find(token_.text);
        if (column == nullptr) {
            std::vector<std::string> names;
            for (const TableColumn& known : table_.columns) names.push_back(known.name);
            const auto nearest = nearest_word(token_.text, names);
            const std::string meant =
                nearest ? fmt::format("did you mean '{}'? ", *nearest) : std::string{};
            refuse(expression_, token_.offset,
                   fmt::format("unknown column {}", detail::quoted(token_.text)),
                   meant + known_columns());
        }
        advance();
        return *column;
    }

    std::string known_columns() const
    {
        constexpr std::size_t shown = 30;
        std::string names;
        for (std::size_t i = 0; i < std::min(table_.columns.size(), shown); ++i)
            names += (i == 0 ? "" : ", ") + detail::printable(table_.columns[i].name);
        if (table_.columns.size() > shown) names += ", ...";
        return names.empty() ? "the table has no columns" : "columns: " + names;
    }

    Mask membership(const TableColumn& column)
    {
        advance();
        if (!at_sign("[")) refuse_token("expected '[' and a list");
        advance();
        Mask mask(table_.rows(), 0);
        while (!at_sign("]")) {
            const Mask other = matches(column, "==", literal(column));
            for (std::size_t row = 0; row < mask.size(); ++row) mask[row] |= other[row];
            if (at_sign(","))
                advance();
            else if (!at_sign("]"))
                refuse_token("expected ',' or ']'");
        }
        advance();
        return mask;
    }

    /// The literal at this place, of the kind that the column holds.
    Literal literal(const TableColumn& column)
    {
        const bool text = token_.kind == Token::Kind::text;
        if (!text && token_.kind != Token::Kind::number)
            refuse_token("expected a number or a quoted text",
                         token_.kind == Token::Kind::name
                             ? fmt::format("a text is written in quotes: '{}'",
                                           detail::printable(token_.text))
                             : "");
        if (text != column.is_text())
            refuse(expression_, token_.offset,
                   fmt::format("column '{}' holds {}, it cannot be compared with {}",
                               detail::printable(column.name), text ? "numbers" : "texts",
                               text ? "a text" : "a number"),
                   text ? "write the number without quotes"
                        : fmt::format("write the text in quotes: '{}'", token_.text));
        Literal value = text ? Literal(token_.text) : Literal(token_.number);
        advance();
        return value;
    }

    static Mask matches(const TableColumn& column, std::string_view sign, const Literal& literal)
    {
        Mask mask(column.size(), 0);
        const auto fill = [&](const auto& holds) {
            for (std::size_t row = 0; row < mask.size(); ++row) mask[row] = holds(row) ? 1 : 0;
        };
        if (const auto* texts = std::get_if<std::vector<std::string>>(&column.values)) {
            const auto& right = std::get<std::string>(literal);
            fill([&](std::size_t row) { return compare((*texts)[row], sign, right); });
        } else if (const auto* wholes = std::get_if<std::vector<std::int64_t>>(&column.values)) {
            const double right = std::get<double>(literal);
            fill([&](std::size_t row) { return compare_whole((*wholes)[row], sign, right); });
        } else {
            const auto& numbers = std::get<std::vector<double>>(column.values);
            const double right = std::get<double>(literal);
            fill([&](std::size_t row) { return compare(numbers[row], sign, right); });
        }
        return mask;
    }

    const Table& table_;
    std::string_view expression_;
    Lexer lexer_;
    Token token_;
    int depth_ = 0;
};

}  // namespace

std::vector<std::size_t> filter_rows(const Table& table, const std::string& expression)
{
    const bool blank = expression.find_first_not_of(" \t\r\n") == std::string::npos;
    const Mask mask = blank ? Mask(table.rows(), 1) : Parser(table, expression).parse();
    std::vector<std::size_t> rows;
    for (std::size_t row = 0; row < mask.size(); ++row)
        if (mask[row] != 0) rows.push_back(row);
    return rows;
}

}  // namespace twinscreen
