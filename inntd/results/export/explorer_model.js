"use strict";
// The model: pieces of polynomials along each axis, combined by products (CP) or by a core (Tucker).

function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const view = new DataView(bytes.buffer), numbers = new Float64Array(bytes.length / 8);
  for (let i = 0; i < numbers.length; ++i) numbers[i] = view.getFloat64(8 * i, true);
  return numbers;
}

class Model {
  constructor(data) {
    this.axes = data.axes.map((axis) => ({
      ...axis, breaks: unpack(axis.breaks), coefficients: unpack(axis.coefficients), factor: unpack(axis.factor),
      kinds: axis.pieces[0], first: axis.pieces[1],
    }));
    this.core = data.core === null ? null : unpack(data.core);
    this.exponential = data.exponential;
  }

  // The functions of one axis at x: as many numbers as its rank, put into out from offset on.
  row(d, x, out, offset = 0) {
    const axis = this.axes[d], { breaks, width, degree, rank } = axis, pieces = breaks.length - 1;
    x = Math.min(Math.max(x, breaks[0]), breaks[pieces]);
    let low = 0, high = pieces;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (breaks[middle] <= x) low = middle; else high = middle;
    }
    const a = breaks[low], b = breaks[low + 1], xi = (2 * x - a - b) / (b - a);
    const start = axis.kinds[low] * (degree + 1) * width;
    for (let r = 0; r < rank; ++r) out[offset + r] = 0;
    for (let k = 0; k < width; ++k) {
      let value = 0;
      for (let q = degree; q >= 0; --q) value = value * xi + axis.coefficients[start + q * width + k];
      const from = (axis.first[low] + k) * rank;
      for (let r = 0; r < rank; ++r) out[offset + r] += value * axis.factor[from + r];
    }
  }

  // The functions of one axis at many points, row by row.
  rows(d, points) {
    const rank = this.axes[d].rank, table = new Float64Array(points.length * rank);
    points.forEach((x, i) => this.row(d, x, table, i * rank));
    return table;
  }

  // What is left of the sum with all axes but some held still: weights of the modes, or a smaller core.
  weights(held, free) {
    const axes = this.axes;
    if (this.core === null) {
      const rank = axes[0].rank, weights = new Float64Array(rank).fill(1), row = new Float64Array(rank);
      axes.forEach((axis, d) => {
        if (free.includes(d)) return;
        this.row(d, held[d], row);
        for (let m = 0; m < rank; ++m) weights[m] *= row[m];
      });
      return weights;
    }
    let core = this.core, before = 1, after = core.length;
    axes.forEach((axis, d) => {
      const rank = axis.rank;
      after /= rank;
      if (free.includes(d)) {
        before *= rank;
        return;
      }
      const row = new Float64Array(rank), smaller = new Float64Array(before * after);
      this.row(d, held[d], row);
      for (let i = 0; i < before; ++i)
        for (let r = 0; r < rank; ++r)
          for (let j = 0; j < after; ++j) smaller[i * after + j] += row[r] * core[(i * rank + r) * after + j];
      core = smaller;
    });
    return core;
  }

  // Values along one axis: its table of rows times the weights.
  curve(d, table, held) {
    const rank = this.axes[d].rank, weights = this.weights(held, [d]), values = new Float64Array(table.length / rank);
    for (let i = 0; i < values.length; ++i) {
      let sum = 0;
      for (let m = 0; m < rank; ++m) sum += table[i * rank + m] * weights[m];
      values[i] = sum;
    }
    return this.finished(values);
  }

  // Values over two axes, row by row of the second: one product of two tables.
  map(d, tableD, e, tableE, held) {
    const rankD = this.axes[d].rank, rankE = this.axes[e].rank, weights = this.weights(held, [d, e]);
    const across = tableD.length / rankD, up = tableE.length / rankE, values = new Float64Array(across * up);
    const mixed = new Float64Array(rankD); // of one row: its functions with weights or core
    for (let j = 0; j < up; ++j) {
      for (let m = 0; m < rankD; ++m) {
        if (this.core === null) {
          mixed[m] = tableE[j * rankE + m] * weights[m];
          continue;
        }
        mixed[m] = 0;
        for (let r = 0; r < rankE; ++r)
          mixed[m] += tableE[j * rankE + r] * weights[d < e ? m * rankE + r : r * rankD + m];
      }
      for (let i = 0, at = 0; i < across; ++i) {
        let sum = 0;
        for (let m = 0; m < rankD; ++m) sum += tableD[at++] * mixed[m];
        values[j * across + i] = sum;
      }
    }
    return this.finished(values);
  }

  // The value at one point.
  value(point) {
    const d = 0, rank = this.axes[0].rank, row = new Float64Array(rank), weights = this.weights(point, [d]);
    this.row(d, point[0], row);
    let sum = 0;
    for (let m = 0; m < rank; ++m) sum += row[m] * weights[m];
    return this.exponential ? Math.exp(sum) : sum;
  }

  finished(values) {
    if (this.exponential) for (let i = 0; i < values.length; ++i) values[i] = Math.exp(values[i]);
    return values;
  }
}
