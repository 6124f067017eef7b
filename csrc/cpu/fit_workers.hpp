// What one thread of the fit loop does with a block of points: values, then its share of the gradient.
#pragma once

#include "narrow_points.hpp"
#include "sorted_points.hpp"
#include "train_memory.hpp"

namespace inntd {

template <class T>
class FitWorker {
 public:
  explicit FitWorker(const TrainLayout<T>& layout) : layout_(layout), gradient_(zeros<T>(layout.size())) {}
  virtual ~FitWorker() = default;
  FitWorker(const FitWorker&) = delete;
  FitWorker& operator=(const FitWorker&) = delete;

  // The values of block b (points, outputs), where the caller then puts the derivatives of the loss by them.
  virtual T* values(std::int64_t b) = 0;
  // Adds the gradient of the block whose values were asked for last, with these derivatives.
  virtual void add_gradient() = 0;
  T* gradient() { return gradient_.get(); }

 protected:
  const TrainLayout<T>& layout_;
  AlignedArray<T> gradient_;
};

template <class T>
class SortedWorker final : public FitWorker<T> {
 public:
  SortedWorker(const TrainLayout<T>& layout, const T* parameters, const SortedPoints<T>& points)
      : FitWorker<T>(layout),
        points_(points),
        outputs_(parameters + layout.start(layout.dimension())),
        workspace_(layout, parameters, this->gradient(), points.block(), 1, 1) {}

  T* values(std::int64_t b) override {
    const TrainBlock<T>& block = workspace_.enter(points_, b);
    const std::int64_t outputs = this->layout_.outputs();
    kernel_.multiply(block, 1);
    kernel_.products(block, workspace_.whole(), workspace_.values());
    if (outputs > 0) kernel_.output_values(block, workspace_.whole(), outputs_, outputs, workspace_.values());
    return workspace_.values();
  }
  void add_gradient() override {
    const TrainBlock<T>& block = workspace_.block();
    const std::int64_t outputs = this->layout_.outputs();
    if (outputs > 0) {
      T* gradient = this->gradient() + this->layout_.start(this->layout_.dimension());
      kernel_.output_slopes(block, workspace_.whole(), outputs_, outputs, workspace_.values(), gradient);
    }
    kernel_.accumulate(block, 0, outputs > 0 ? nullptr : workspace_.values());
  }

 private:
  const TrainKernels<T>& kernel_ = kernels().of<T>().train;
  const SortedPoints<T>& points_;
  const T* outputs_;
  TrainWorkspace<T> workspace_;
};

template <class T>
class NarrowWorker final : public FitWorker<T> {
 public:
  NarrowWorker(const TrainLayout<T>& layout, const T* parameters, const NarrowPoints<T>& points)
      : FitWorker<T>(layout),
        points_(points),
        values_(aligned_array<T>(points.block())),
        scratch_(aligned_array<T>(2 * layout.dimension() * line_lanes<T>())),
        block_{nullptr,    nullptr,          layout.dimension(), layout.padded(), 0, layout.tile_stride(),
               parameters, this->gradient(), layout.mask(),      scratch_.get()} {}

  T* values(std::int64_t b) override {
    block_.row = points_.row(b);
    block_.weights = points_.weights(b);
    block_.count = points_.size(b);
    kernel_.narrow_values(block_, values_.get());
    return values_.get();
  }
  void add_gradient() override { kernel_.narrow_gradients(block_, values_.get()); }

 private:
  const TrainKernels<T>& kernel_ = kernels().of<T>().train;
  const NarrowPoints<T>& points_;
  AlignedArray<T> values_, scratch_;
  NarrowBlock<T> block_;
};

}  // namespace inntd
