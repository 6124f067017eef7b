// Evaluation of many points from prepared axes, kPointBlock points at a time.
//
// The steps of a block: find each point's piece and local coordinate on every axis; tabulate the basis functions
// (axes in rows form); multiply the axes' functions for as many modes as fit the registers; add up the modes.
//
// Reading rows of modes at random from the first two cache levels sets the speed: per point and axis width (rows) or
// degree + 1 (pieces) times the modes. Grouping the points of a block by piece, so that two share every row they read,
// was measured and dropped: sorting and products kept in memory cost what the reads saved.
#pragma once

#include "inntd/contract.hpp"

namespace inntd {
namespace {

template <class T>
void prepare_rows(const ModelAxis<T>& axis, std::int64_t begin, std::int64_t end) {
  const std::int64_t modes = axis.modes;
  const std::int64_t padded = round_up_to_line<T>(modes);
  for (std::int64_t row = begin; row < end; ++row) {
    const T* source = axis.factor + row % axis.table.size * modes;
    T* target = axis.prepared + row * padded;
    for (std::int64_t m = 0; m < modes; ++m) target[m] = source[m];
    for (std::int64_t m = modes; m < padded; ++m) target[m] = T(0);
  }
}

// C[q][m] = sum_k c[q][k] F[first + k][m] on each piece: 2 (degree + 1) width modes operations.
template <class T>
void prepare_pieces(const ModelAxis<T>& axis, std::int64_t begin, std::int64_t end) {
  const BasisTable<T>& table = axis.table;
  const std::int64_t modes = axis.modes;
  const std::int64_t padded = round_up_to_line<T>(modes);
  for (std::int64_t piece = begin; piece < end; ++piece) {
    const T* c = table.coefficients + std::int64_t{table.kind[piece]} * (table.degree + 1) * table.width;
    T* target = axis.prepared + piece * (table.degree + 1) * padded;
    for (int q = 0; q <= table.degree; ++q, target += padded, c += table.width) {
      for (std::int64_t m = 0; m < padded; ++m) target[m] = T(0);
      for (int k = 0; k < table.width; ++k) {
        const T* source = axis.factor + (table.first[piece] + k) % table.size * modes;
        for (std::int64_t m = 0; m < modes; ++m) target[m] += c[k] * source[m];
      }
    }
  }
}

template <class T>
void prepare_axis(const ModelAxis<T>& axis, std::int64_t begin, std::int64_t end) {
  if (axis.form == AxisForm::rows) {
    prepare_rows(axis, begin, end);
  } else {
    prepare_pieces(axis, begin, end);
  }
}

// Basis functions of the block's points on one axis, as a vector over the functions, for Orders derivatives in xi:
// weights (orders, kPointBlock, padded width).
template <class T, int Bytes, int Orders>
void tabulate_block(const ModelAxis<T>& axis, const std::int64_t* piece, const T* xi, T* weights) {
  using Row = typename VectorOf<T, Bytes>::type;
  const std::int64_t vectors = axis.padded_width * static_cast<std::int64_t>(sizeof(T)) / Bytes;
  const int degree = axis.table.degree;
  const auto* polynomials = reinterpret_cast<const Row*>(axis.polynomials);
  auto* out = reinterpret_cast<Row*>(weights);
  constexpr int together = 4;  // points: as many chains of dependent operations run side by side
  for (std::int64_t i = 0; i < kPointBlock; i += together) {
    const Row* block[together];
    for (int j = 0; j < together; ++j) {
      block[j] = polynomials + std::int64_t{axis.table.kind[piece[i + j]]} * (degree + 1) * vectors;
    }
    for (std::int64_t v = 0; v < vectors; ++v) {
      Row value[together], first[together], half_second[together];
      for (int j = 0; j < together; ++j) {
        value[j] = block[j][degree * vectors + v];
        first[j] = half_second[j] = Row{};
      }
      for (int q = degree - 1; q >= 0; --q) {
        for (int j = 0; j < together; ++j) {
          if constexpr (Orders > 1) {
            half_second[j] = half_second[j] * xi[i + j] + first[j];
            first[j] = first[j] * xi[i + j] + value[j];
          }
          value[j] = value[j] * xi[i + j] + block[j][q * vectors + v];
        }
      }
      for (int j = 0; j < together; ++j) {
        out[(i + j) * vectors + v] = value[j];
        if constexpr (Orders > 1) {
          out[(kPointBlock + i + j) * vectors + v] = first[j];
          out[(2 * kPointBlock + i + j) * vectors + v] = half_second[j] + half_second[j];
        }
      }
    }
  }
}

// Pieces, local coordinates, first rows and, in rows form, basis functions of one block of points on axis d. The last
// block repeats a point to be full: every point goes through the same instructions, whatever its place.
template <class T, int Orders>
void locate_axis(const ModelAxis<T>& axis, std::int64_t d, std::int64_t dimension, const T* points, std::int64_t count,
                 const CpWorkspace<T>& work) {
  const BasisTable<T>& table = axis.table;
  const std::int64_t padded = round_up_to_line<T>(axis.modes);
  const bool rows = axis.form == AxisForm::rows;
  T* xi = work.xi + d * kPointBlock;
  T* scale = work.scale + d * kPointBlock;
  const T** source = work.source + d * kPointBlock;
  for (std::int64_t i = 0; i < count; ++i) work.x[i] = static_cast<double>(points[i * dimension + d]);
  for (std::int64_t i = count; i < kPointBlock; ++i) work.x[i] = work.x[0];
  locate_local(table, work.x, kPointBlock, work.piece, work.local);
  for (std::int64_t i = 0; i < kPointBlock; ++i) xi[i] = static_cast<T>(work.local[i]);
  if (Orders > 1) {
    for (std::int64_t i = 0; i < kPointBlock; ++i) {
      scale[i] = static_cast<T>(2.0 / (table.breaks[work.piece[i] + 1] - table.breaks[work.piece[i]]));
    }
  }
  for (std::int64_t i = 0; i < kPointBlock; ++i) {
    const std::int64_t row = rows ? table.first[work.piece[i]] : work.piece[i] * (table.degree + 1);
    source[i] = axis.prepared + row * padded;
  }
  if (!rows) return;
  T* weights = work.weights + d * Orders * kPointBlock * work.weight_width;
  const std::int64_t bytes = axis.padded_width * static_cast<std::int64_t>(sizeof(T));
  if (bytes % kRegisterBytes == 0) {
    tabulate_block<T, kRegisterBytes, Orders>(axis, work.piece, xi, weights);
  } else if (bytes == 32) {
    tabulate_block<T, 32, Orders>(axis, work.piece, xi, weights);
  } else {
    tabulate_block<T, 16, Orders>(axis, work.piece, xi, weights);
  }
}

template <class T, int Orders>
void locate_block(const ModelAxis<T>* axes, std::int64_t dimension, const T* points, std::int64_t count,
                  const CpWorkspace<T>& work) {
  for (std::int64_t d = 0; d < dimension; ++d) locate_axis<T, Orders>(axes[d], d, dimension, points, count, work);
}

// Function of point i on axis d for N vectors of modes.
template <class T, int N>
INNTD_INLINE void axis_function(const ModelAxis<T>& axis, std::int64_t d, std::int64_t i, std::int64_t vectors,
                                std::int64_t first, const CpWorkspace<T>& work, Vector<T>* f) {
  const auto* row = reinterpret_cast<const Vector<T>*>(work.source[d * kPointBlock + i]) + first;
  if (axis.form == AxisForm::rows) {
    const T* weight = work.weights + d * kPointBlock * work.weight_width + i * axis.padded_width;
    for (int n = 0; n < N; ++n) f[n] = row[n] * weight[0];
    for (int k = 1; k < axis.table.width; ++k) {
      row += vectors;
      for (int n = 0; n < N; ++n) f[n] += row[n] * weight[k];
    }
  } else {
    const T xi = work.xi[d * kPointBlock + i];
    row += axis.table.degree * vectors;
    for (int n = 0; n < N; ++n) f[n] = row[n];
    for (int q = axis.table.degree; q > 0; --q) {
      row -= vectors;
      for (int n = 0; n < N; ++n) f[n] = f[n] * xi + row[n];
    }
  }
}

template <class T, int N>
void add_values(const ModelAxis<T>* axes, std::int64_t dimension, std::int64_t vectors, std::int64_t first,
                std::int64_t count, const CpWorkspace<T>& work) {
  auto* totals = reinterpret_cast<Vector<T>*>(work.totals);
  for (std::int64_t i = 0; i < count; ++i) {
    Vector<T> product[N];
    axis_function<T, N>(axes[0], 0, i, vectors, first, work, product);
    for (std::int64_t d = 1; d < dimension; ++d) {
      Vector<T> f[N];
      axis_function<T, N>(axes[d], d, i, vectors, first, work, f);
      for (int n = 0; n < N; ++n) product[n] *= f[n];
    }
    Vector<T> total = product[0];
    for (int n = 1; n < N; ++n) total += product[n];
    totals[i] = first == 0 ? total : totals[i] + total;
  }
}

template <class T>
void block_values(const ModelAxis<T>* axes, std::int64_t dimension, std::int64_t modes, const T* points,
                  std::int64_t begin, std::int64_t end, T* out, const CpWorkspace<T>& work) {
  const std::int64_t vectors = round_up_to_line<T>(modes) / vector_lanes<T>();
  const auto* totals = reinterpret_cast<const Vector<T>*>(work.totals);
  for (std::int64_t start = begin; start < end; start += kPointBlock) {
    const std::int64_t count = end - start < kPointBlock ? end - start : kPointBlock;
    locate_block<T, 1>(axes, dimension, points + start * dimension, count, work);
    for (std::int64_t first = 0; first < vectors;) {
      const std::int64_t left = vectors - first;
      if (left >= 4) {
        add_values<T, 4>(axes, dimension, vectors, first, count, work);
        first += 4;
      } else if (left >= 2) {
        add_values<T, 2>(axes, dimension, vectors, first, count, work);
        first += 2;
      } else {
        add_values<T, 1>(axes, dimension, vectors, first, count, work);
        first += 1;
      }
    }
    for (std::int64_t i = 0; i < count; ++i) out[start + i] = sum_lanes<T>(totals[i]);
  }
}

// Function and first two derivatives in xi of point i on axis d for N vectors of modes.
template <class T, int N>
INNTD_INLINE void axis_jet(const ModelAxis<T>& axis, std::int64_t d, std::int64_t i, std::int64_t vectors,
                           std::int64_t first, const CpWorkspace<T>& work, Vector<T>* f, Vector<T>* f1, Vector<T>* f2) {
  const auto* row = reinterpret_cast<const Vector<T>*>(work.source[d * kPointBlock + i]) + first;
  for (int n = 0; n < N; ++n) f[n] = f1[n] = f2[n] = Vector<T>{};
  if (axis.form == AxisForm::rows) {
    const std::int64_t order = kPointBlock * axis.padded_width;
    const T* weight = work.weights + d * 3 * kPointBlock * work.weight_width + i * axis.padded_width;
    for (int k = 0; k < axis.table.width; ++k, row += vectors) {
      for (int n = 0; n < N; ++n) {
        f[n] += row[n] * weight[k];
        f1[n] += row[n] * weight[order + k];
        f2[n] += row[n] * weight[2 * order + k];
      }
    }
  } else {
    const T xi = work.xi[d * kPointBlock + i];
    row += axis.table.degree * vectors;
    for (int q = axis.table.degree; q >= 0; --q, row -= vectors) {
      for (int n = 0; n < N; ++n) {
        f2[n] = f2[n] * xi + f1[n];
        f1[n] = f1[n] * xi + f[n];
        f[n] = f[n] * xi + row[n];
      }
    }
    for (int n = 0; n < N; ++n) f2[n] += f2[n];
  }
}

// Products over all axes but one come from prefixes and suffixes: a division would give NaN at a zero factor.
template <class T, int N>
void add_jets(const ModelAxis<T>* axes, std::int64_t dimension, std::int64_t vectors, std::int64_t first,
              std::int64_t count, const CpWorkspace<T>& work) {
  auto* rows = reinterpret_cast<Vector<T>*>(work.rows);
  for (std::int64_t i = 0; i < count; ++i) {
    auto* totals = reinterpret_cast<Vector<T>*>(work.totals) + i * (2 * dimension + 1);
    Vector<T> product[N];
    for (int n = 0; n < N; ++n) product[n] = Vector<T>{} + T(1);
    for (std::int64_t d = 0; d < dimension; ++d) {
      Vector<T> f[N], f1[N], f2[N];
      axis_jet<T, N>(axes[d], d, i, vectors, first, work, f, f1, f2);
      Vector<T>* kept = rows + 3 * N * d;
      for (int n = 0; n < N; ++n) {
        kept[n] = f[n];
        kept[N + n] = f1[n] * product[n];
        kept[2 * N + n] = f2[n] * product[n];
        product[n] *= f[n];
      }
    }
    Vector<T> total = product[0];
    for (int n = 1; n < N; ++n) total += product[n];
    totals[0] = first == 0 ? total : totals[0] + total;
    for (int n = 0; n < N; ++n) product[n] = Vector<T>{} + T(1);
    for (std::int64_t d = dimension - 1; d >= 0; --d) {
      const Vector<T>* kept = rows + 3 * N * d;
      Vector<T> gradient = kept[N] * product[0], second = kept[2 * N] * product[0];
      for (int n = 1; n < N; ++n) {
        gradient += kept[N + n] * product[n];
        second += kept[2 * N + n] * product[n];
      }
      totals[2 * d + 1] = first == 0 ? gradient : totals[2 * d + 1] + gradient;
      totals[2 * d + 2] = first == 0 ? second : totals[2 * d + 2] + second;
      for (int n = 0; n < N; ++n) product[n] *= kept[n];
    }
  }
}

template <class T>
void block_jet(const ModelAxis<T>* axes, std::int64_t dimension, std::int64_t modes, const T* points,
               std::int64_t begin, std::int64_t end, T* out, T* gradient, T* second, const CpWorkspace<T>& work) {
  const std::int64_t vectors = round_up_to_line<T>(modes) / vector_lanes<T>();
  const auto* totals = reinterpret_cast<const Vector<T>*>(work.totals);
  for (std::int64_t start = begin; start < end; start += kPointBlock) {
    const std::int64_t count = end - start < kPointBlock ? end - start : kPointBlock;
    locate_block<T, 3>(axes, dimension, points + start * dimension, count, work);
    for (std::int64_t first = 0; first < vectors;) {
      const std::int64_t left = vectors - first;
      if (kRegisters >= 32 && left >= 4) {
        add_jets<T, 4>(axes, dimension, vectors, first, count, work);
        first += 4;
      } else if (left >= 2) {
        add_jets<T, 2>(axes, dimension, vectors, first, count, work);
        first += 2;
      } else {
        add_jets<T, 1>(axes, dimension, vectors, first, count, work);
        first += 1;
      }
    }
    for (std::int64_t i = 0; i < count; ++i) {
      const Vector<T>* sums = totals + i * (2 * dimension + 1);
      out[start + i] = sum_lanes<T>(sums[0]);
      for (std::int64_t d = 0; d < dimension; ++d) {
        const T scale = work.scale[d * kPointBlock + i];
        gradient[(start + i) * dimension + d] = sum_lanes<T>(sums[2 * d + 1]) * scale;
        second[(start + i) * dimension + d] = sum_lanes<T>(sums[2 * d + 2]) * scale * scale;
      }
    }
  }
}

}  // namespace
}  // namespace inntd
