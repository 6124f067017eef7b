/* @TITLE@
 *
 * double @NAME@(const double x[@D@]);                           the value
 * double @NAME@_gradient(const double x[@D@], double g[@D@]);     the value; its derivatives go to g
 *
@AXES@
 *
 * Coordinates beyond an end are moved to it; the nearest value of a discrete axis is taken; NaN gives NaN.
 * C99 without dependencies@MATH@. Written by inntd @VERSION@.
 */
#ifndef INNTD_@UPPER@_H
#define INNTD_@UPPER@_H

@INCLUDE@typedef struct {
  int pieces, width, degree, rows, rank;
  const double *breaks;       /* (pieces + 1) */
  const int *kind;            /* (pieces) which polynomials */
  const int *first;           /* (pieces) the first function that is not zero */
  const double *coefficients; /* (kinds, degree + 1, width) */
  const double *factor;       /* (rank, rows) */
} @NAME@_axis;

@DATA@
/* The functions that are not zero at x, and their derivatives unless slopes is null; returns the first one's number. */
static inline int @NAME@_tabulate(const @NAME@_axis *axis, double x, double *values, double *slopes) {
  const double *breaks = axis->breaks, *c;
  double a, b, xi;
  int low = 0, high = axis->pieces, k, q;
  if (x < breaks[0]) x = breaks[0];
  if (x > breaks[high]) x = breaks[high];
  while (high - low > 1) {
    const int middle = low + (high - low) / 2;
    if (breaks[middle] <= x) low = middle;
    else high = middle;
  }
  a = breaks[low];
  b = breaks[low + 1];
  xi = (2.0 * x - a - b) / (b - a);
  c = axis->coefficients + axis->kind[low] * (axis->degree + 1) * axis->width;
  for (k = 0; k < axis->width; ++k) {
    double value = 0.0, slope = 0.0;
    for (q = axis->degree; q >= 0; --q) {
      slope = slope * xi + value;
      value = value * xi + c[q * axis->width + k];
    }
    values[k] = value;
    if (slopes) slopes[k] = slope * 2.0 / (b - a);
  }
  return axis->first[low];
}

/* One function of an axis, from the values of its basis. */
static inline double @NAME@_combine(const @NAME@_axis *axis, int mode, int first, const double *values) {
  const double *u = axis->factor + (long)mode * axis->rows + first;
  double sum = 0.0;
  int k;
  for (k = 0; k < axis->width; ++k) sum += values[k] * u[k];
  return sum;
}

@EVALUATION@
#endif
