#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "experiments/relational_control/generative/code_search.hpp"

namespace twinscreen {
namespace {

/// Strategy parameters for samples of one size, as Hansen (2016), table 1, has them for positive
/// weights. Names are his.
struct Strategy {
    Strategy(std::size_t length, std::size_t samples, bool is_diagonal)
    {
        const auto n = static_cast<double>(length);
        const auto lambda = static_cast<double>(samples);
        const std::size_t mu = std::max<std::size_t>(samples / 2, 1);
        double sum = 0.0, squares = 0.0;
        for (std::size_t i = 0; i < mu; ++i) {
            weights.push_back(std::log((lambda + 1.0) / 2.0) -
                              std::log(static_cast<double>(i) + 1.0));
            sum += weights.back();
        }
        for (double& weight : weights) {
            weight /= sum;
            squares += weight * weight;
        }
        mu_eff = 1.0 / squares;
        c_sigma = (mu_eff + 2.0) / (n + mu_eff + 5.0);
        d_sigma = 1.0 + 2.0 * std::max(0.0, std::sqrt((mu_eff - 1.0) / (n + 1.0)) - 1.0) + c_sigma;
        c_c = (4.0 + mu_eff / n) / (n + 4.0 + 2.0 * mu_eff / n);
        c_1 = 2.0 / ((n + 1.3) * (n + 1.3) + mu_eff);
        c_mu = 2.0 * (mu_eff - 2.0 + 1.0 / mu_eff) / ((n + 2.0) * (n + 2.0) + mu_eff);
        if (is_diagonal) {
            c_1 *= (n + 2.0) / 3.0;
            c_mu *= (n + 2.0) / 3.0;
        }
        c_1 = std::min(c_1, 1.0);
        c_mu = std::min(c_mu, 1.0 - c_1);
        chi_n = std::sqrt(n) * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n * n));
    }

    std::vector<double> weights;
    double mu_eff = 0.0, c_sigma = 0.0, d_sigma = 0.0, c_c = 0.0, c_1 = 0.0, c_mu = 0.0;
    double chi_n = 0.0;  ///< expected norm of a standard normal vector
};

class CovarianceSearch final : public CodeSearch {
public:
    explicit CovarianceSearch(const CodeSearchSettings& settings)
        : settings_(settings),
          n_(settings.code_length),
          is_diagonal_(n_ > longest_full_code),
          mean_(n_, 0.0),
          path_sigma_(n_, 0.0),
          path_c_(n_, 0.0),
          covariance_(is_diagonal_ ? n_ : n_ * n_, 0.0)
    {
        for (std::size_t i = 0; i < n_; ++i) covariance_[is_diagonal_ ? i : i * n_ + i] = 1.0;
        factorise();
    }

    std::span<const double> ask() override
    {
        const std::uint32_t count = generation_ == 0 ? settings_.codes : settings_.children();
        normals_.resize(count * n_);
        codes_.resize(count * n_);
        std::vector<double> step(n_);
        for (std::uint32_t code = 0; code < count; ++code) {
            const std::span<double> z = std::span(normals_).subspan(code * n_, n_);
            draw_normals(code_address(settings_, DrawStream::generator_code, generation_, code), z);
            times_factor(z.data(), step.data());
            for (std::size_t i = 0; i < n_; ++i)
                codes_[code * n_ + i] = mean_[i] + sigma_ * step[i];
        }
        return codes_;
    }

    void tell(std::span<const double> merits) override
    {
        const Strategy strategy(n_, merits.size(), is_diagonal_);
        std::vector<std::size_t> order(merits.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::stable_sort(order.begin(), order.end(),
                         [&](std::size_t a, std::size_t b) { return merits[a] > merits[b]; });
        order.resize(strategy.weights.size());
        std::vector<double> z(n_, 0.0), y(n_);
        for (std::size_t rank = 0; rank < order.size(); ++rank)
            for (std::size_t i = 0; i < n_; ++i)
                z[i] += strategy.weights[rank] * normals_[order[rank] * n_ + i];
        times_factor(z.data(), y.data());
        adapt_paths(strategy, z, y);
        adapt_covariance(strategy, order);
        for (std::size_t i = 0; i < n_; ++i) mean_[i] += sigma_ * y[i];
        sigma_ *= std::exp(std::min(
            1.0, strategy.c_sigma / strategy.d_sigma * (norm(path_sigma_) / strategy.chi_n - 1.0)));
        sigma_ = std::clamp(sigma_, 1e-10, 1e10);
        factorise();
        ++generation_;
    }

    void save(StateWriter& state) const override
    {
        state.add(generation_);
        state.add(sigma_);
        for (const auto* values : {&mean_, &path_sigma_, &path_c_, &covariance_})
            state.add(*values);
    }
    void load(StateReader& state) override
    {
        state.take(generation_);
        state.take(sigma_);
        for (auto* values : {&mean_, &path_sigma_, &path_c_, &covariance_}) state.take(*values);
        factorise();
    }

private:
    static double norm(const std::vector<double>& values)
    {
        return std::sqrt(std::inner_product(values.begin(), values.end(), values.begin(), 0.0));
    }

    void adapt_paths(const Strategy& s, const std::vector<double>& z, const std::vector<double>& y)
    {
        const double to_sigma = std::sqrt(s.c_sigma * (2.0 - s.c_sigma) * s.mu_eff);
        for (std::size_t i = 0; i < n_; ++i)
            path_sigma_[i] = (1.0 - s.c_sigma) * path_sigma_[i] + to_sigma * z[i];
        const double settled = std::sqrt(
            1.0 - std::pow(1.0 - s.c_sigma, 2.0 * (static_cast<double>(generation_) + 1)));
        const bool is_steady =
            norm(path_sigma_) / settled < (1.4 + 2.0 / (static_cast<double>(n_) + 1.0)) * s.chi_n;
        lost_variance_ = is_steady ? 0.0 : s.c_c * (2.0 - s.c_c);
        const double to_c = is_steady ? std::sqrt(s.c_c * (2.0 - s.c_c) * s.mu_eff) : 0.0;
        for (std::size_t i = 0; i < n_; ++i) path_c_[i] = (1.0 - s.c_c) * path_c_[i] + to_c * y[i];
    }

    void adapt_covariance(const Strategy& s, const std::vector<std::size_t>& best)
    {
        const double kept = 1.0 - s.c_1 - s.c_mu + s.c_1 * lost_variance_;
        for (double& value : covariance_) value *= kept;
        add_outer(s.c_1, path_c_.data());
        std::vector<double> step(n_);
        for (std::size_t rank = 0; rank < best.size(); ++rank) {
            times_factor(&normals_[best[rank] * n_], step.data());
            add_outer(s.c_mu * s.weights[rank], step.data());
        }
    }

    /// Lower triangle of C + weight v v^T.
    void add_outer(double weight, const double* v)
    {
        if (is_diagonal_) {
            for (std::size_t i = 0; i < n_; ++i) covariance_[i] += weight * v[i] * v[i];
            return;
        }
        for (std::size_t i = 0; i < n_; ++i) {
            const double scaled = weight * v[i];
            double* row = &covariance_[i * n_];
            for (std::size_t j = 0; j <= i; ++j) row[j] += scaled * v[j];
        }
    }

    /// A with A A^T = C: a lower triangle, or the roots of a diagonal.
    void factorise()
    {
        factor_ = covariance_;
        if (is_diagonal_) {
            for (double& value : factor_) value = std::sqrt(value);
            return;
        }
        // A tiny share of the mean variance keeps the pivots of a degenerate matrix positive.
        double least = 0.0;
        for (std::size_t i = 0; i < n_; ++i) least += covariance_[i * n_ + i];
        least *= 1e-14 / static_cast<double>(n_);
        for (std::size_t i = 0; i < n_; ++i) {
            double* row = &factor_[i * n_];
            for (std::size_t j = 0; j <= i; ++j) {
                const double* other = &factor_[j * n_];
                double value = row[j];
                for (std::size_t k = 0; k < j; ++k) value -= row[k] * other[k];
                row[j] = i == j ? std::sqrt(std::max(value, least)) : value / other[j];
            }
        }
    }

    void times_factor(const double* z, double* y) const
    {
        for (std::size_t i = 0; i < n_; ++i) {
            if (is_diagonal_) {
                y[i] = factor_[i] * z[i];
                continue;
            }
            double sum = 0.0;
            for (std::size_t j = 0; j <= i; ++j) sum += factor_[i * n_ + j] * z[j];
            y[i] = sum;
        }
    }

    CodeSearchSettings settings_;
    std::size_t n_;
    bool is_diagonal_;
    std::uint32_t generation_ = 0;
    double sigma_ = 1.0;
    double lost_variance_ = 0.0;  // of the rank-one update, where the path stood still
    std::vector<double> mean_;
    std::vector<double> path_sigma_;
    std::vector<double> path_c_;
    std::vector<double> covariance_;  // [n, n], lower triangle; or its diagonal [n]
    std::vector<double> factor_;
    std::vector<double> normals_;  // [asked, n]
    std::vector<double> codes_;    // [asked, n]
};

}  // namespace

std::unique_ptr<CodeSearch> make_covariance_search(const CodeSearchSettings& settings)
{
    return std::make_unique<CovarianceSearch>(settings);
}

}  // namespace twinscreen
