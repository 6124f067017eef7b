#include "inntd/fit.hpp"

#include <cmath>

#include "fit_workers.hpp"
#include "inntd/parallel.hpp"

namespace inntd {

template <class T>
struct CpFit<T>::State {
  bool narrow;  // all bases are, and there is one output
  TrainLayout<T> layout;
  AlignedArray<T> parameters, mean, square, gradient;
  std::vector<AlignedArray<T>> functions;  // of each axis (size, size), or null: coefficients are its parameters
  AlignedArray<T> coefficients, scratch;   // as `parameters`; empty where no axis has functions
  std::int64_t points = 0, block = 0;      // of all, and of one block
  SortedPoints<T> sorted_points;           // one of the two
  NarrowPoints<T> narrow_points;
  AlignedArray<T> values;   // (count, outputs or 1), in the order of the blocks
  AlignedArray<T> weights;  // (count), or null
  std::vector<std::unique_ptr<FitWorker<T>>> workers;
  std::vector<double> losses;  // one per thread

  State(const BasisTable<T>* tables, std::int64_t axes, std::int64_t modes, std::int64_t outputs)
      : narrow(outputs == 0 && NarrowPoints<T>::fit(tables, axes)),
        layout(tables, axes, modes, outputs, narrow),
        parameters(zeros<T>(layout.size())),
        mean(zeros<T>(layout.size())),
        square(zeros<T>(layout.size())),
        gradient(zeros<T>(layout.size())),
        functions(static_cast<std::size_t>(axes)) {}

  std::int64_t components() const { return std::max<std::int64_t>(layout.outputs(), 1); }
  T* array(What what) {
    switch (what) {
      case What::parameters:
        return parameters.get();
      case What::mean:
        return mean.get();
      case What::square:
        return square.get();
      case What::coefficients:
        return coefficients ? coefficients.get() : parameters.get();
      default:
        return gradient.get();
    }
  }

  std::int64_t blocks() const { return block == 0 ? 0 : (points + block - 1) / block; }
  std::int64_t size_of(std::int64_t b) const { return std::min(block, points - b * block); }

  void hire(int threads) {
    while (workers.size() < static_cast<std::size_t>(threads)) {
      if (narrow) {
        workers.push_back(std::make_unique<NarrowWorker<T>>(layout, parameters.get(), narrow_points));
      } else {
        workers.push_back(std::make_unique<SortedWorker<T>>(layout, parameters.get(), sorted_points));
      }
      losses.push_back(0.0);
    }
  }

  // Adds one block's share to a thread's gradient. `scale` is 2 / (points of the batch times outputs).
  double add_block(std::int64_t b, T scale, FitWorker<T>& worker) {
    const std::int64_t start = b * block, width = components();
    T* found = worker.values(b);
    double loss = 0.0;
    for (std::int64_t i = 0; i < size_of(b); ++i) {
      const T weight = weights ? weights[static_cast<std::size_t>(start + i)] : T(1);
      for (std::int64_t c = 0; c < width; ++c) {
        const T residual = found[i * width + c] - values[static_cast<std::size_t>((start + i) * width + c)];
        loss += static_cast<double>(weight) * static_cast<double>(residual) * static_cast<double>(residual);
        found[i * width + c] = scale * weight * residual;
      }
    }
    worker.add_gradient();
    return loss;
  }

  // Gradients of the mean loss over `batch` points, one per thread, as far as `count` blocks have a share in them;
  // returns the sum of squares. `block_of(i)` is the i-th block.
  template <class BlockOf>
  double add_blocks(std::int64_t count, const BlockOf& block_of, std::int64_t batch, int threads, int& busy) {
    const T scale = static_cast<T>(2.0 / static_cast<double>(batch * components()));
    busy = static_cast<int>(std::clamp<std::int64_t>(count, 1, std::max(threads, 1)));
    hire(busy);
    const auto body = [&](std::int64_t begin, std::int64_t end, int worker) {
      double loss = 0.0;
      for (std::int64_t i = begin; i < end; ++i) {
        loss += add_block(block_of(i), scale, *workers[static_cast<std::size_t>(worker)]);
      }
      losses[static_cast<std::size_t>(worker)] = loss;
    };
    if (busy == 1) {
      body(0, count, 0);
    } else {
      parallel_for(count, 1, busy, body);
    }
    double loss = 0.0;
    for (int w = 0; w < busy; ++w) loss += losses[static_cast<std::size_t>(w)];
    return loss;
  }

  template <class BlockOf>
  std::int64_t points_of(std::int64_t count, const BlockOf& block_of) const {
    std::int64_t size = 0;
    for (std::int64_t i = 0; i < count; ++i) size += size_of(block_of(i));
    return size;
  }

  // Moves the threads' gradients, added up, to `gradient`.
  void collect(int busy) {
    fold(busy);
    std::fill_n(gradient.get(), layout.size(), T(0));
    for (int w = 0; w < busy; ++w) {
      T* part = workers[static_cast<std::size_t>(w)]->gradient();
      for (std::int64_t i = 0; i < layout.size(); ++i) {
        gradient[static_cast<std::size_t>(i)] += part[i];
        part[i] = T(0);
      }
    }
  }

  static AdamStep<T> adam_step(double rate, std::int64_t done, const AdamSettings& settings) {
    const double step = static_cast<double>(done + 1);
    return {static_cast<T>(rate),
            static_cast<T>(settings.beta1),
            static_cast<T>(settings.beta2),
            static_cast<T>(1.0 - std::pow(settings.beta1, step)),
            static_cast<T>(1.0 - std::pow(settings.beta2, step)),
            static_cast<T>(settings.epsilon),
            static_cast<T>(settings.decay)};
  }

  std::int64_t rows(std::int64_t d) const { return layout.tables()[static_cast<std::size_t>(d)].size; }

  // One matrix (size, size) for all axes that have one; `body(d, matrix, begin)`, where the axis' rows begin.
  template <class Body>
  void for_functions(const Body& body) {
    for (std::int64_t d = 0; d < layout.dimension(); ++d) {
      const AlignedArray<T>& matrix = functions[static_cast<std::size_t>(d)];
      if (matrix) body(d, matrix.get(), layout.start(d));
    }
  }

  // The parameters of the coefficients.
  void expand() {
    std::copy_n(coefficients.get(), layout.size(), parameters.get());
    const int padded = static_cast<int>(layout.padded());
    for_functions([&](std::int64_t d, const T* matrix, std::int64_t begin) {
      T* out = parameters.get() + begin;
      std::fill_n(out, rows(d) * padded, T(0));
      kernels().of<T>().dense.multiply_add(rows(d), static_cast<int>(rows(d)), padded, matrix,
                                           coefficients.get() + begin, nullptr, T(1), out);
    });
    for (std::int64_t d = 0; d < layout.dimension(); ++d) layout.repeat(parameters.get(), d);
  }

  // The gradient by the coefficients, in place of that by the parameters.
  void contract(T* by_parameters) {
    const int padded = static_cast<int>(layout.padded());
    for_functions([&](std::int64_t d, const T* matrix, std::int64_t begin) {
      const std::int64_t size = rows(d);
      kernels().of<T>().dense.gram(size, static_cast<int>(size), padded, matrix, by_parameters + begin, nullptr,
                                   scratch.get());
      std::copy_n(scratch.get(), size * padded, by_parameters + begin);
    });
  }

  void set_functions(std::int64_t d, const T* matrix) {
    if (!coefficients) {
      coefficients = zeros<T>(layout.size());
      scratch = aligned_array<T>(layout.size());
      std::copy_n(parameters.get(), layout.size(), coefficients.get());
    }
    AlignedArray<T>& own = functions[static_cast<std::size_t>(d)];
    own = aligned_array<T>(rows(d) * rows(d));
    std::copy_n(matrix, rows(d) * rows(d), own.get());
  }

  // All axes' repeated rows, of each thread's gradient.
  void fold(int busy) {
    for (int w = 0; w < busy; ++w) {
      for (std::int64_t d = 0; d < layout.dimension(); ++d) {
        layout.fold(workers[static_cast<std::size_t>(w)]->gradient(), d);
      }
    }
  }

  void clear_gradients() {
    for (auto& worker : workers) std::fill_n(worker->gradient(), layout.size(), T(0));
  }

  // Moves the threads' gradients to the first one's.
  void add_up(int busy) {
    T* sum = workers[0]->gradient();
    for (int w = 1; w < busy; ++w) {
      T* part = workers[static_cast<std::size_t>(w)]->gradient();
      for (std::int64_t i = 0; i < layout.size(); ++i) {
        sum[i] += part[i];
        part[i] = T(0);
      }
    }
  }

  // A step of Adam on the coefficients with the gradient by the parameters, which becomes zero.
  void step_coefficients(T* by_parameters, const AdamStep<T>& step) {
    contract(by_parameters);
    kernels().of<T>().train.adam(coefficients.get(), mean.get(), square.get(), &by_parameters, 1, 0, layout.size(),
                                 step);
    expand();
  }

  void update(const AdamStep<T>& step, int busy, int threads) {
    constexpr std::int64_t grain = 1 << 14;  // fewer parameters than this are not worth waking a thread
    const TrainKernels<T>& kernel = kernels().of<T>().train;
    std::vector<T*> gradients;
    for (int w = 0; w < busy; ++w) gradients.push_back(workers[static_cast<std::size_t>(w)]->gradient());
    if (coefficients) {
      add_up(busy);
      step_coefficients(gradients[0], step);
      return;
    }
    const auto body = [&](std::int64_t begin, std::int64_t end, int) {
      kernel.adam(parameters.get(), mean.get(), square.get(), gradients.data(), busy, begin, end, step);
    };
    if (threads <= 1 || layout.size() < 2 * grain) {
      body(0, layout.size(), 0);
    } else {
      parallel_for(layout.size(), grain, threads, body);
    }
    for (std::int64_t d = 0; d < layout.dimension(); ++d) layout.repeat(parameters.get(), d);
  }
};

template <class T>
CpFit<T>::CpFit(const BasisTable<T>* tables, std::int64_t axes, std::int64_t modes, std::int64_t outputs)
    : state_(std::make_unique<State>(tables, axes, modes, outputs)) {}

template <class T>
CpFit<T>::~CpFit() = default;

template <class T>
std::int64_t CpFit<T>::axes() const {
  return state_->layout.dimension();
}
template <class T>
std::int64_t CpFit<T>::modes() const {
  return state_->layout.modes();
}
template <class T>
std::int64_t CpFit<T>::outputs() const {
  return state_->layout.outputs();
}
template <class T>
std::int64_t CpFit<T>::blocks() const {
  return state_->blocks();
}
template <class T>
std::int64_t CpFit<T>::block() const {
  return state_->block;
}

template <class T>
std::int64_t CpFit<T>::count() const {
  return state_->points;
}

template <class T>
void CpFit<T>::put(What what, std::int64_t d, const T* factor) {
  state_->layout.put(state_->array(what), d, factor);
  if (what == What::coefficients && state_->coefficients) state_->expand();
}

template <class T>
void CpFit<T>::set_functions(std::int64_t d, const T* matrix) {
  state_->set_functions(d, matrix);
}

template <class T>
void CpFit<T>::take(What what, std::int64_t d, T* factor) const {
  state_->layout.take(state_->array(what), d, factor);
}

template <class T>
void CpFit<T>::set_data(const double* points, const double* values, const double* weights, const std::int64_t* chosen,
                        std::int64_t count, std::int64_t block) {
  State& state = *state_;
  const std::int64_t width = state.components();
  state.points = count;
  if (state.narrow) {
    state.block = std::min(block, count);
    state.narrow_points.set(state.layout, points, chosen, count, state.block);
  } else {
    state.block = cached_block(state.layout, std::min({block, count, kMaxBlock}));
    state.sorted_points.sort(state.layout.tables(), points, chosen, count, state.block);
  }
  state.values = aligned_array<T>(count * width);
  state.weights = weights == nullptr ? nullptr : aligned_array<T>(count);
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t c = 0; c < width; ++c) {
      state.values[static_cast<std::size_t>(i * width + c)] = static_cast<T>(values[chosen[i] * width + c]);
    }
    if (weights != nullptr) state.weights[static_cast<std::size_t>(i)] = static_cast<T>(weights[chosen[i]]);
  }
  state.workers.clear();
  state.losses.clear();
}

template <class T>
double CpFit<T>::run(const std::int32_t* order, std::int64_t length, std::int64_t blocks_per_step, const double* rates,
                     std::int64_t done, const AdamSettings& settings, int threads) {
  State& state = *state_;
  double total = 0.0;
  for (std::int64_t begin = 0, i = 0; begin < length; begin += blocks_per_step, ++i) {
    const std::int64_t count = std::min(blocks_per_step, length - begin);
    int busy = 1;
    const auto block_of = [&](std::int64_t k) { return std::int64_t{order[begin + k]}; };
    const double loss = state.add_blocks(count, block_of, state.points_of(count, block_of), threads, busy);
    if (!std::isfinite(loss)) {  // the parameters of the last good step stay
      state.clear_gradients();
      return loss;
    }
    total += loss;
    state.fold(busy);
    state.update(State::adam_step(rates[i], done + i, settings), busy, threads);
  }
  return total / static_cast<double>(state.components());
}

template <class T>
double CpFit<T>::gradient(int threads) {
  State& state = *state_;
  int busy = 1;
  const std::int64_t count = state.points;
  const double loss = state.add_blocks(state.blocks(), [](std::int64_t b) { return b; }, count, threads, busy);
  state.collect(busy);
  return loss / static_cast<double>(count * state.components());
}

template <class T>
double CpFit<T>::partial_gradient(const std::int32_t* order, std::int64_t length, std::int64_t batch, int threads) {
  State& state = *state_;
  int busy = 1;
  const double loss =
      state.add_blocks(length, [&](std::int64_t k) { return std::int64_t{order[k]}; }, batch, threads, busy);
  state.collect(busy);
  return loss / static_cast<double>(state.components());
}

template <class T>
void CpFit<T>::apply(double rate, std::int64_t done, const AdamSettings& settings) {
  State& state = *state_;
  T* gradient = state.gradient.get();
  if (state.coefficients) {
    state.step_coefficients(gradient, State::adam_step(rate, done, settings));
    return;
  }
  kernels().of<T>().train.adam(state.parameters.get(), state.mean.get(), state.square.get(), &gradient, 1, 0,
                               state.layout.size(), State::adam_step(rate, done, settings));
  for (std::int64_t d = 0; d < state.layout.dimension(); ++d) state.layout.repeat(state.parameters.get(), d);
}

template class CpFit<float>;
template class CpFit<double>;

}  // namespace inntd
