static inline double @NAME@(const double x[@D@]) {
  double values[@D@][@W@], sum = 0.0;
  int first[@D@], d, m;
  for (d = 0; d < @D@; ++d) first[d] = @NAME@_tabulate(&@NAME@_axes[d], x[d], values[d], 0);
  for (m = 0; m < @M@; ++m) {
    double product = 1.0;
    for (d = 0; d < @D@; ++d) product *= @NAME@_combine(&@NAME@_axes[d], m, first[d], values[d]);
    sum += product;
  }
  return @RESULT@;
}

static inline double @NAME@_gradient(const double x[@D@], double g[@D@]) {
  double values[@D@][@W@], slopes[@D@][@W@], sum = 0.0;
  int first[@D@], d, m;
  for (d = 0; d < @D@; ++d) {
    first[d] = @NAME@_tabulate(&@NAME@_axes[d], x[d], values[d], slopes[d]);
    g[d] = 0.0;
  }
  for (m = 0; m < @M@; ++m) {
    double own[@D@], before[@D@], product = 1.0, after = 1.0; /* products without division: a factor may vanish */
    for (d = 0; d < @D@; ++d) {
      own[d] = @NAME@_combine(&@NAME@_axes[d], m, first[d], values[d]);
      before[d] = product;
      product *= own[d];
    }
    sum += product;
    for (d = @D@ - 1; d >= 0; --d) {
      g[d] += before[d] * @NAME@_combine(&@NAME@_axes[d], m, first[d], slopes[d]) * after;
      after *= own[d];
    }
  }
@CHAIN@  return @RESULT@;
}
