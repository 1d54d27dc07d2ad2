/* Fewer rows that span nearly what many do: the linear algebra of `narrowing.py`, in float64.

A replicate c has few[c] rows of what was missed, R, at most m, and kept[c] rows A = P X. images (count, rows, width):
those of R, then those of A, then zeros, in numbers of 32 or 64 `bits`, each row divided by 2^exponent. In
float64: rest (count, m, width) and values (count, side, width), zero beyond few and kept, divided by 2^most. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#define BLOCK 4
#define FAR -800 /* powers of two, below which rows are next to nothing beside others */

/* out (count x width) += by (count x inner, `stride` apart) times rows (inner x width). */
static void add_product(int64_t count, int64_t inner, int64_t width, int64_t stride, const double *by,
                        const double *restrict rows, double *restrict out)
{
    int64_t i = 0;
    for (; i + 4 <= count; i += 4) {
        double *o = out + i * width;
        const double *b = by + i * stride;
        int64_t k = 0;
        for (; k + 4 <= inner; k += 4) {
            const double *r = rows + k * width;
            double c[4][4];
            for (int x = 0; x < 4; x++)
                for (int y = 0; y < 4; y++) c[x][y] = b[x * stride + k + y];
            for (int64_t j = 0; j < width; j++)
                for (int x = 0; x < 4; x++)
                    o[x * width + j] += c[x][0] * r[j] + c[x][1] * r[width + j] + c[x][2] * r[2 * width + j] +
                                        c[x][3] * r[3 * width + j];
        }
        for (; k < inner; k++)
            for (int x = 0; x < 4; x++)
                for (int64_t j = 0; j < width; j++) o[x * width + j] += b[x * stride + k] * rows[k * width + j];
    }
    for (; i < count; i++)
        for (int64_t k = 0; k < inner; k++)
            for (int64_t j = 0; j < width; j++) out[i * width + j] += by[i * stride + k] * rows[k * width + j];
}

/* row (width) += the sum of by[k * stride] times row k of `rows` (inner x width). */
static void add_rows(int64_t inner, int64_t width, int64_t stride, const double *by, const double *rows,
                     double *restrict row)
{
    int64_t k = 0;
    for (; k + 4 <= inner; k += 4) {
        const double *r = rows + k * width;
        const double a = by[k * stride], b = by[(k + 1) * stride], c = by[(k + 2) * stride], d = by[(k + 3) * stride];
        for (int64_t j = 0; j < width; j++)
            row[j] += a * r[j] + b * r[width + j] + c * r[2 * width + j] + d * r[3 * width + j];
    }
    for (; k < inner; k++)
        for (int64_t j = 0; j < width; j++) row[j] += by[k * stride] * rows[k * width + j];
}

static void scale(int64_t width, double by, double *row)
{
    for (int64_t j = 0; j < width; j++) row[j] *= by;
}

/* Images in float64, all zero where one is not finite. finite, living: whether all are, and whether any is not zero. */
void look(int64_t count, int64_t rows, int64_t width, int64_t m, int64_t side, int64_t bits, const int64_t *few,
          const int64_t *kept, const void *images, const int64_t *exponent, double *rest, double *values,
          int64_t *most, int8_t *finite, int8_t *living)
{
    memset(rest, 0, count * m * width * sizeof(double)), memset(values, 0, count * side * width * sizeof(double));
    for (int64_t c = 0; c < count; c++) {
        const int64_t *shift = exponent + c * rows, used = few[c] + kept[c];
        most[c] = INT64_MIN, finite[c] = 1;
        for (int64_t i = 0; i < used; i++) {
            double size = 0, nothing = 0, *to = i < few[c] ? rest + (c * m + i) * width
                                                           : values + (c * side + i - few[c]) * width;
            for (int64_t j = 0; j < width; j++) {
                const int64_t at = (c * rows + i) * width + j;
                const double x = bits == 32 ? (double)((const float *)images)[at] : ((const double *)images)[at];
                to[j] = x, size = fabs(x) > size ? fabs(x) : size, nothing += x * 0;
            }
            finite[c] &= nothing == 0;
            if (size > 0 && shift[i] > most[c]) most[c] = shift[i];
        }
        living[c] = !finite[c] || most[c] > INT64_MIN;
        if (!finite[c] || !living[c]) most[c] = 0;
        for (int64_t i = 0; i < used; i++) {
            double *to = i < few[c] ? rest + (c * m + i) * width : values + (c * side + i - few[c]) * width;
            const int64_t by = shift[i] - most[c]; /* of rows of zeros it may be above zero */
            if (!finite[c]) memset(to, 0, width * sizeof(double));
            scale(width, ldexp(1, by < FAR ? FAR : by > 0 ? 0 : (int)by), to);
        }
    }
}

/* A Cholesky factor of gram with pivots: U (rank x r) with U^T U = gram but for a rest whose trace is at most `small`.
Returns the rank, or -1 where it would be above `most`. left: room for r. */
static int64_t by_pivots(int64_t r, int64_t side, const double *gram, double small, int64_t most, double *u,
                         int64_t *pivots, double *left)
{
    for (int64_t i = 0; i < r; i++) left[i] = gram[i * side + i];
    for (int64_t k = 0; k < r; k++) {
        int64_t p = 0;
        double rest = 0;
        for (int64_t i = 0; i < r; i++) p = left[i] > left[p] ? i : p, rest += left[i] > 0 ? left[i] : 0;
        if (!(rest > small)) return k;
        if (k == most) return -1;
        double *row = u + k * r;
        for (int64_t j = 0; j < r; j++) row[j] = -gram[p * side + j];
        add_rows(k, r, r, u + p, u, row);
        scale(r, -1 / sqrt(left[p]), row);
        for (int64_t j = 0; j < k; j++) row[pivots[j]] = 0;
        for (int64_t j = 0; j < r; j++) left[j] -= row[j] * row[j];
        pivots[k] = p;
        for (int64_t j = 0; j <= k; j++) left[pivots[j]] = -1;
    }
    return r;
}

/* Rows of A are turned and made fewer where `worth` times as many are enough; kept[c] is how many there are then, and
what they lack is added to rest, which holds R itself. small: (count,), see `by_pivots`. inside: (count, m, side), what
normal rows have along X. */
void drop(int64_t count, int64_t width, int64_t m, int64_t side, double worth, const double *gram, const double *small,
          double *values, double *rest, double *inside, int64_t *kept)
{
    for (int64_t c = 0; c < count; c++) {
        const int64_t r = kept[c], wide = width + m;
        double *a = values + c * side * width, *g = inside + c * m * side, *missed = rest + c * m * width;
        double *u = malloc((2 * r * r + (BLOCK + 1) * r) * sizeof(double)), *left = u + r * r;
        double *by = left + r, *b = by + BLOCK * r;
        int64_t *pivots = malloc(2 * r * sizeof(int64_t)), *others = pivots + r, more = 0;
        const int64_t k = by_pivots(r, side, gram + c * side * side, small[c], (int64_t)(worth * r), u, pivots, left);
        if (k > 0) {
            for (int64_t i = 0; i < r; i++)
                if (left[i] != -1) others[more++] = i;
            /* the other rows are next to B^T times those chosen: U_chosen B = U_others; BLOCK rows at a time */
            for (int64_t end = k; end > 0; end -= BLOCK) {
                const int64_t first = end > BLOCK ? end - BLOCK : 0;
                for (int64_t i = first; i < end; i++) {
                    for (int64_t j = 0; j < more; j++) b[i * more + j] = u[i * r + others[j]];
                    for (int64_t l = end; l < k; l++) by[(i - first) * r + l - end] = -u[i * r + pivots[l]];
                }
                add_product(end - first, k - end, more, r, by, b + end * more, b + first * more);
                for (int64_t i = end - 1; i >= first; i--) {
                    for (int64_t l = i + 1; l < end; l++) by[l] = -u[i * r + pivots[l]];
                    add_rows(end - i - 1, more, 1, by + i + 1, b + (i + 1) * more, b + i * more);
                    scale(more, 1 / u[i * r + pivots[i]], b + i * more);
                }
            }
            /* rows [1 B], made orthonormal by the factor L of 1 + B B^T; each has its normal rows beside it */
            double *both = calloc((k + more) * wide, sizeof(double)), *from = both + k * wide;
            double *size = calloc(k * k + more * k, sizeof(double)), *turned = size + k * k;
            for (int64_t i = 0; i < k + more; i++) {
                const int64_t row = i < k ? pivots[i] : others[i - k];
                memcpy(both + i * wide, a + row * width, width * sizeof(double));
                for (int64_t q = 0; q < m; q++) both[i * wide + width + q] = g[q * side + row];
            }
            for (int64_t q = 0; q < m; q++) add_rows(r, width, 1, g + q * side, a, missed + q * width);
            add_product(k, more, wide, more, b, from, both);
            for (int64_t i = 0; i < k; i++)
                for (int64_t j = 0; j < more; j++) turned[j * k + i] = b[i * more + j];
            add_product(k, more, k, more, b, turned, size);
            for (int64_t i = 0; i < k; i++) size[i * k + i] += 1;
            for (int64_t first = 0; first < k; first += BLOCK) {
                const int64_t end = first + BLOCK < k ? first + BLOCK : k;
                for (int64_t i = first; i < end; i++)
                    for (int64_t l = 0; l < first; l++) by[(i - first) * r + l] = -size[l * k + i];
                add_product(end - first, first, k, r, by, size, size + first * k);
                add_product(end - first, first, wide, r, by, both, both + first * wide);
                for (int64_t i = first; i < end; i++) {
                    for (int64_t l = first; l < i; l++) by[l] = -size[l * k + i];
                    add_rows(i - first, k, 1, by + first, size + first * k, size + i * k);
                    add_rows(i - first, wide, 1, by + first, both + first * wide, both + i * wide);
                    const double over = 1 / sqrt(size[i * k + i]);
                    scale(k, over, size + i * k), scale(wide, over, both + i * wide);
                }
            }
            memset(a, 0, r * width * sizeof(double)), memset(g, 0, m * side * sizeof(double));
            for (int64_t i = 0; i < k; i++) {
                memcpy(a + i * width, both + i * wide, width * sizeof(double));
                for (int64_t q = 0; q < m; q++) g[q * side + i] = both[i * wide + width + q];
            }
            for (int64_t q = 0; q < m; q++) {
                for (int64_t i = 0; i < k; i++) by[i] = -g[q * side + i];
                add_rows(k, width, 1, by, a, missed + q * width);
            }
            kept[c] = k;
            free(size), free(both);
        }
        free(pivots), free(u);
    }
}

/* Rows to be carried on, as images with their exponents. */
void carry(int64_t count, int64_t rows, int64_t width, int64_t m, int64_t side, int64_t bits, const int64_t *few,
           const int64_t *kept, const double *rest, const double *values, const int64_t *most, void *images,
           int64_t *exponent)
{
    memset(images, 0, count * rows * width * bits / 8), memset(exponent, 0, count * rows * sizeof(int64_t));
    for (int64_t c = 0; c < count; c++)
        for (int64_t i = 0; i < few[c] + kept[c]; i++) {
            const double *from = i < few[c] ? rest + (c * m + i) * width : values + (c * side + i - few[c]) * width;
            const int64_t at = (c * rows + i) * width;
            double size = 0;
            for (int64_t j = 0; j < width; j++) size = fabs(from[j]) > size ? fabs(from[j]) : size;
            int shift = 0;
            frexp(size, &shift);
            const double by = ldexp(1, -shift);
            if (bits == 32)
                for (int64_t j = 0; j < width; j++) ((float *)images)[at + j] = (float)(by * from[j]);
            else
                for (int64_t j = 0; j < width; j++) ((double *)images)[at + j] = by * from[j];
            exponent[c * rows + i] = most[c] + shift;
        }
}
