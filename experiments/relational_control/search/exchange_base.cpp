#include "experiments/relational_control/search/exchange_base.hpp"

#include <algorithm>

namespace twinscreen {

CurrentSet::CurrentSet(PairSimilarity& similarity, std::uint32_t set_size)
    : similarity_(similarity),
      size_(set_size),
      stride_(padded_row(set_size)),
      row_sums_(set_size),
      is_row_summed_(set_size),
      row_x_(stride_),
      row_y_(stride_)
{
    for (Pairs* pairs : {&now_, &next_}) {
        pairs->ids.resize(size_);
        pairs->x.resize(std::size_t{size_} * stride_);
        pairs->y.resize(std::size_t{size_} * stride_);
    }
}

void CurrentSet::begin(std::span<const std::uint32_t> ids)
{
    similarity_.hold(ids);
    std::vector<float> x(std::size_t{size_} * size_);
    std::vector<float> y(x.size());
    similarity_.compare_with_held(ids, x, y);
    next_.ids.assign(ids.begin(), ids.end());
    for (std::size_t row = 0; row < size_; ++row) {
        std::copy_n(&x[row * size_], size_, &next_.x[row * stride_]);
        std::copy_n(&y[row * size_], size_, &next_.y[row * stride_]);
    }
    score_next();
    take();
}

void CurrentSet::take()
{
    std::swap(now_, next_);
    similarity_.hold(now_.ids);
    std::ranges::fill(is_row_summed_, false);
}

const PairSums& CurrentSet::row_sums_of(std::uint32_t position)
{
    if (!is_row_summed_[position]) {
        const std::size_t from = std::size_t{position} * stride_;
        row_sums_[position] = sums_without(position, &now_.x[from], &now_.y[from]);
        is_row_summed_[position] = true;
    }
    return row_sums_[position];
}

PairSums CurrentSet::sums_without(std::uint32_t position, const float* x, const float* y)
{
    std::copy_n(x, size_, row_x_.begin());
    std::copy_n(y, size_, row_y_.begin());
    row_x_[position] = now_.origin.x;  // adds nothing
    row_y_[position] = now_.origin.y;
    return sums_of_row(row_x_.data(), row_y_.data(), size_, now_.origin);
}

void CurrentSet::propose(std::span<const Exchange> exchanges, std::span<double> scores)
{
    proposed_.assign(exchanges.begin(), exchanges.end());
    new_ids_.clear();
    for (const Exchange& exchange : exchanges) new_ids_.push_back(exchange.id);
    new_x_.resize(exchanges.size() * size_);
    new_y_.resize(exchanges.size() * size_);
    similarity_.compare_with_held(new_ids_, new_x_, new_y_);
    for (std::size_t at = 0; at < exchanges.size(); ++at) {
        const std::uint32_t position = exchanges[at].position;
        const PairSums added = sums_without(position, &new_x_[at * size_], &new_y_[at * size_]);
        scores[at] = correlation(now_.sums - row_sums_of(position) + added, pair_count(size_));
    }
}

double CurrentSet::score_after(std::size_t exchange)
{
    const std::uint32_t position = proposed_[exchange].position;
    const std::uint32_t id = proposed_[exchange].id;
    const auto before =
        static_cast<std::uint32_t>(std::ranges::lower_bound(now_.ids, id) - now_.ids.begin());
    const std::uint32_t place = position < before ? before - 1 : before;
    // What moves up or down between the place of the id that goes and that of the new one.
    const auto move = [&](const auto* from, const auto& value, auto* to) {
        const std::uint32_t first = std::min(position, place);
        const std::uint32_t last = std::max(position, place);
        std::copy_n(from, first, to);
        if (place < position)
            std::copy_n(from + first, last - first, to + first + 1);
        else
            std::copy_n(from + first + 1, last - first, to + first);
        std::copy_n(from + last + 1, size_ - last - 1, to + last + 1);
        to[place] = value;
    };
    move(now_.ids.data(), id, next_.ids.data());
    const float* new_x = &new_x_[exchange * size_];
    const float* new_y = &new_y_[exchange * size_];
    for (std::uint32_t row = 0; row < size_; ++row) {
        if (row == position) continue;
        // Where this row of the current set goes.
        std::uint32_t to = row < position ? row : row - 1;
        if (to >= place) ++to;
        const std::size_t from = std::size_t{row} * stride_;
        move(&now_.x[from], new_x[row], &next_.x[std::size_t{to} * stride_]);
        move(&now_.y[from], new_y[row], &next_.y[std::size_t{to} * stride_]);
    }
    move(new_x, 0.0F, &next_.x[std::size_t{place} * stride_]);
    move(new_y, 0.0F, &next_.y[std::size_t{place} * stride_]);
    score_next();
    return next_.score;
}

void CurrentSet::score_next()
{
    next_.origin = {next_.x[stride_], next_.y[stride_]};
    next_.sums = set_sums(next_.x.data(), next_.y.data(), size_, stride_);
    next_.score = correlation(next_.sums, pair_count(size_));
}

ExchangeBase::ExchangeBase(const SearchSettings& settings, PairSimilarity& similarity)
    : SearchBase(settings, similarity), current_(similarity, settings.set_size)
{
    first_sets();
    current_.begin(best_ids());
}

void ExchangeBase::propose(std::uint32_t first, std::uint32_t count)
{
    exchanges_.resize(count);
    scores_.resize(count);
    for (std::uint32_t at = 0; at < count; ++at)
        exchanges_[at] = draw_exchange(draws(DrawStream::exchange, generation() + 1, first + at),
                                       items(), current_.ids().data(), settings().set_size);
    current_.propose(exchanges_, scores_);
}

void ExchangeBase::take()
{
    current_.take();
    offer_best(current_.ids(), current_.score());
}

void ExchangeBase::save_rest(StateWriter& state) const
{
    state.add(std::vector<std::uint32_t>(current_.ids().begin(), current_.ids().end()));
}

void ExchangeBase::load_rest(StateReader& state)
{
    std::vector<std::uint32_t> ids(settings().set_size);
    take_sets(state, ids);
    current_.begin(ids);
}

}  // namespace twinscreen
