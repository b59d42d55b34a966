#include "experiments/relational_control/exchange_base.hpp"

#include <algorithm>

namespace twinscreen {

CurrentSet::CurrentSet(PairSimilarity& similarity, std::uint32_t set_size)
    : similarity_(similarity),
      size_(set_size),
      stride_(padded_row(set_size)),
      ids_(set_size),
      row_sums_(set_size),
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
    next_score_ =
        correlation(set_sums(next_.x.data(), next_.y.data(), size_, stride_), pair_count(size_));
    take();
}

void CurrentSet::take()
{
    std::swap(now_, next_);
    ids_ = now_.ids;
    score_ = next_score_;
    similarity_.hold(ids_);
    origin_ = {now_.x[stride_], now_.y[stride_]};
    sums_ = set_sums(now_.x.data(), now_.y.data(), size_, stride_);
    for (std::size_t row = 0; row < size_; ++row) {
        std::copy_n(&now_.x[row * stride_], size_, row_x_.begin());
        std::copy_n(&now_.y[row * stride_], size_, row_y_.begin());
        row_x_[row] = origin_.x;
        row_y_[row] = origin_.y;
        row_sums_[row] = sums_of_row(row_x_.data(), row_y_.data(), size_, origin_);
    }
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
        std::copy_n(&new_x_[at * size_], size_, row_x_.begin());
        std::copy_n(&new_y_[at * size_], size_, row_y_.begin());
        row_x_[position] = origin_.x;  // the id that goes adds nothing
        row_y_[position] = origin_.y;
        const PairSums added = sums_of_row(row_x_.data(), row_y_.data(), size_, origin_);
        scores[at] = correlation(sums_ - row_sums_[position] + added, pair_count(size_));
    }
}

double CurrentSet::score_after(std::size_t exchange)
{
    const auto [position, id, chance] = proposed_[exchange];
    // Where the new id stands, and where the others stood.
    std::uint32_t place = 0;
    for (std::uint32_t at = 0; at < size_; ++at)
        if (at != position && ids_[at] < id) ++place;
    const auto stood = [&](std::uint32_t at) {
        const std::uint32_t among_others = at < place ? at : at - 1;
        return among_others < position ? among_others : among_others + 1;
    };
    for (std::uint32_t row = 0; row < size_; ++row) {
        const bool is_new = row == place;
        next_.ids[row] = is_new ? id : ids_[stood(row)];
        const std::size_t from = is_new ? 0 : std::size_t{stood(row)} * stride_;
        const float* x = is_new ? &new_x_[exchange * size_] : &now_.x[from];
        const float* y = is_new ? &new_y_[exchange * size_] : &now_.y[from];
        float* to_x = &next_.x[std::size_t{row} * stride_];
        float* to_y = &next_.y[std::size_t{row} * stride_];
        for (std::uint32_t column = 0; column < size_; ++column) {
            if (column == place) continue;
            to_x[column] = x[stood(column)];
            to_y[column] = y[stood(column)];
        }
        if (is_new) continue;
        to_x[place] = new_x_[exchange * size_ + stood(row)];
        to_y[place] = new_y_[exchange * size_ + stood(row)];
    }
    next_score_ =
        correlation(set_sums(next_.x.data(), next_.y.data(), size_, stride_), pair_count(size_));
    return next_score_;
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
    state.take(ids);
    current_.begin(ids);
}

}  // namespace twinscreen
