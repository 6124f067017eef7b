/* The core's entries of one index combination of the axes before d, times the functions of the others. */
static inline double @NAME@_contract(double rows[@D@][@R@], int d, long offset) {
  double sum = 0.0;
  int r;
  if (d == @D@) return @NAME@_core[offset];
  for (r = 0; r < @NAME@_axes[d].rank; ++r)
    sum += rows[d][r] * @NAME@_contract(rows, d + 1, offset * @NAME@_axes[d].rank + r);
  return sum;
}

static inline void @NAME@_rows(const @NAME@_axis *axis, double x, double *row, double *slope) {
  double values[@W@], slopes[@W@];
  const int first = @NAME@_tabulate(axis, x, values, slopes);
  int r;
  for (r = 0; r < axis->rank; ++r) {
    row[r] = @NAME@_combine(axis, r, first, values);
    if (slope) slope[r] = @NAME@_combine(axis, r, first, slopes);
  }
}

static inline double @NAME@(const double x[@D@]) {
  double rows[@D@][@R@], sum;
  int d;
  for (d = 0; d < @D@; ++d) @NAME@_rows(&@NAME@_axes[d], x[d], rows[d], 0);
  sum = @NAME@_contract(rows, 0, 0);
  return @RESULT@;
}

static inline double @NAME@_gradient(const double x[@D@], double g[@D@]) {
  double rows[@D@][@R@], slopes[@D@][@R@], sum;
  int d, r;
  for (d = 0; d < @D@; ++d) @NAME@_rows(&@NAME@_axes[d], x[d], rows[d], slopes[d]);
  sum = @NAME@_contract(rows, 0, 0);
  for (d = 0; d < @D@; ++d) {
    for (r = 0; r < @NAME@_axes[d].rank; ++r) { /* the derivative takes the place of the function, then goes back */
      const double kept = rows[d][r];
      rows[d][r] = slopes[d][r];
      slopes[d][r] = kept;
    }
    g[d] = @NAME@_contract(rows, 0, 0);
    for (r = 0; r < @NAME@_axes[d].rank; ++r) rows[d][r] = slopes[d][r];
  }
@CHAIN@  return @RESULT@;
}
