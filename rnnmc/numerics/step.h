/* What every compiled kernel stands on: lanes of numbers, the squashing functions on them, and products.

Said before this file: REAL_BITS (32 or 64); BY_REPLICATE, 1 where a lane holds replicates and 0 where it holds units of
one replicate; N, the width; PARTS of the state; GATES, RECURRENT and INNER, how many there are; WORK, rows of matrices
that a step makes; FIXED, vectors that it finds made; DIAGONAL, BOUNDED and CAN_DIE as in `rnnmc.cells.cell.Cell`. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__AVX512F__)
#define BYTES 64
#define SUMS 16
#elif defined(__AVX__)
#define BYTES 32
#define SUMS 8
#else
#define BYTES 16
#define SUMS 8
#endif
#define W (BYTES * 8 / REAL_BITS)
#define EACH static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

#if REAL_BITS == 64
typedef double real;
typedef int64_t bits;
#define MANTISSA 52
#define BIAS 1023
#define TINY 0x1p-1022
#define EPS 0x1p-52
#define ROUND 0x1.8p52
#define LOG2_E 1.4426950408889634
#define LN2_HIGH 0x1.62e42feep-1
#define LN2_LOW 0x1.a39ef35793c76p-33
#define RANGE 1400.0 /* beyond it all is zero or infinite, within it no factor of two is */
#else
typedef float real;
typedef int32_t bits;
#define MANTISSA 23
#define BIAS 127
#define TINY 0x1p-126f
#define EPS 0x1p-23f
#define ROUND 0x1.8p23f
#define LOG2_E 1.44269504f
#define LN2_HIGH 0x1.62e4p-1f
#define LN2_LOW 0x1.7f7d1cp-20f
#define RANGE 174.0f /* beyond it all is zero or infinite, within it no factor of two is */
#endif
#define SAFE ((real)65536)
#define SIGN ((bits)(1ull << (REAL_BITS - 1)))
typedef real lane __attribute__((vector_size(BYTES)));
typedef bits mask __attribute__((vector_size(BYTES)));

#if BY_REPLICATE
#define NJ N
#define PANEL N
#define COLUMNS (N % 4 == 0 ? 4 : N % 3 == 0 ? 3 : N % 2 == 0 ? 2 : 1)
#else
#ifdef EVEN_PANELS /* said where lanes that no unit fills do no harm */
#define NJ ((N + 2 * W - 1) / (2 * W) * 2)
#else
#define NJ ((N + W - 1) / W)
#endif
#define PANEL (NJ % 2 == 0 ? 2 : 1)
#define COLUMNS PANEL
#endif
#define K (PARTS * N)               /* directions */
#define M (DIAGONAL ? 1 : N)        /* rows of a recurrent matrix */
/* Where lane j of a row lies among so many rows: in panels, so that a product reads memory in order. */
#define AT(rows, row, j) ((j) / PANEL * (rows) * PANEL + (row) * PANEL + (j) % PANEL)

EACH lane splat(real x) { return (lane){0} + x; }
EACH lane choose(mask where, lane a, lane b) { return (lane)((where & (mask)a) | (~where & (mask)b)); }
EACH lane magnitude(lane x) { return (lane)((mask)x & ~((mask){0} + SIGN)); }
EACH lane with_sign_of(lane x, lane sign) { return (lane)((mask)x | ((mask)sign & ((mask){0} + SIGN))); }
EACH lane power_of_two(mask exponent) { return (lane)((exponent + BIAS) << MANTISSA); }
EACH int any(mask where)
{
    int64_t words[BYTES / 8], all = 0;
    memcpy(words, &where, BYTES);
    UNROLL for (int i = 0; i < BYTES / 8; i++) all |= words[i];
    return all != 0;
}

/* The larger of a size and |x|, NaN once there was one. */
EACH lane larger(lane size, lane x)
{
    lane a = magnitude(x);
    return choose(~(a <= size) & (size == size), a, size);
}

EACH lane exp_(lane x)
{
    x = choose(x < splat(-RANGE), splat(-RANGE), choose(x > splat(RANGE), splat(RANGE), x));
    lane shifted = x * (real)LOG2_E + (real)ROUND, k = shifted - (real)ROUND;
    mask whole = (mask)shifted - (mask)splat(ROUND);
    lane r = x - k * (real)LN2_HIGH - k * (real)LN2_LOW;
#if REAL_BITS == 64 /* (e^r - 1 - r) / r^2 on |r| < ln 2 / 2, interpolated at Chebyshev points: 2e-17 */
    lane q = 0.0000000251003854955103191 * r + 2.76200884454097482e-7;
    q = q * r + 2.75572684599970648e-6;
    q = q * r + 0.0000248015212959543751;
    q = q * r + 0.000198412698630536169;
    q = q * r + 0.00138888889172137169;
    q = q * r + 0.00833333333333006183;
    q = q * r + 0.0416666666666241279;
    q = q * r + 0.166666666666666675;
    q = q * r + 0.500000000000000102;
#else /* the same: 2e-10 */
    lane q = 0.000198909908f * r + 0.00139336500f;
    q = q * r + 0.00833331093f;
    q = q * r + 0.0416664649f;
    q = q * r + 0.166666667f;
    q = q * r + 0.500000001f;
#endif
    lane p = (real)1 + (r + r * r * q);
    mask half = whole >> 1; /* in two factors, neither of which leaves the range where the result does not */
    return p * power_of_two(half) * power_of_two(whole - half);
}

/* Sigmoid and tanh with their derivatives share one exponential and one quotient, which the compiler finds. */
EACH lane one_over(lane e) { return (real)1 / ((real)1 + e); }
EACH lane sigmoid_(lane x)
{
    lane e = exp_(-magnitude(x));
    return choose(x < splat(0), e, splat(1)) * one_over(e);
}
EACH lane sech2_(lane x)
{
    lane e = exp_((real)-2 * magnitude(x)), over = one_over(e);
    return (real)4 * e * (over * over);
}
EACH lane tanh_(lane x)
{
    lane a = magnitude(x), e = exp_((real)-2 * a), far = ((real)1 - e) * one_over(e), z = x * x;
#if REAL_BITS == 64 /* (tanh(x) / x - 1) / x^2 on x^2 < 0.39, interpolated at Chebyshev points: 4e-17 */
    lane q = -0.0000172448744948443302 * z + 0.00007959955735264808;
    q = q * z - 0.000230776162695198579;
    q = q * z + 0.00058743728600943819;
    q = q * z - 0.00145530929753464202;
    q = q * z + 0.00359205897747345532;
    q = q * z - 0.00886322983092570875;
    q = q * z + 0.0218694882605591146;
    q = q * z - 0.0539682539613955708;
    q = q * z + 0.133333333333266577;
    q = q * z - 0.333333333333333226;
#else /* the same: 6e-10 */
    lane q = 0.00229274482f * z - 0.00834394552f;
    q = q * z + 0.0217689187f;
    q = q * z - 0.0539592596f;
    q = q * z + 0.133333036f;
    q = q * z - 0.333333332f;
#endif
    return choose(a < splat((real)0.625), x + x * z * q, with_sign_of(far, x));
}
EACH lane cosh_(lane x)
{
    lane e = exp_(magnitude(x));
    return (real)0.5 * (e + (real)1 / e);
}
EACH lane relu_(lane x) { return choose(x <= splat(0), splat(0), x); }
EACH lane reciprocal_(lane x) { return (real)1 / x; }
EACH lane square_(lane x) { return x * x; }
EACH lane abs_(lane x) { return magnitude(x); }
EACH lane positive(lane x) { return choose(x > splat(0), splat(1), splat(0)); }
#define ONE_BY_ONE(name, function) \
    EACH lane name(lane x) { for (int i = 0; i < W; i++) x[i] = (real)function((double)x[i]); return x; }
ONE_BY_ONE(cos_, cos)
ONE_BY_ONE(sin_, sin)
ONE_BY_ONE(sqrt_, sqrt)
ONE_BY_ONE(log1p_, log1p)

#if BY_REPLICATE
EACH lane identity(int64_t i, int64_t j) { return splat(i == j); }
#else
EACH lane identity(int64_t i, int64_t j)
{
    lane row = {0};
    if (i / W == j) row[i % W] = 1;
    return row;
}
#endif

/* out (rows x N) = plus + a (rows x N) b (N x N); plus may speak of k and j. SUMS sums at a time stay in registers. */
#define BLOCK_OF_ROWS(out, rows, a, b, plus, first, count)                                                            \
    for (int64_t j0 = 0; j0 < NJ; j0 += COLUMNS)                                                                      \
        for (int64_t k0 = (first); k0 + (count) <= (rows); k0 += (count)) {                                           \
            lane sum[(count) > 0 ? (count) : 1][COLUMNS];                                                             \
            UNROLL for (int64_t r = 0; r < (count); r++) UNROLL for (int64_t c = 0; c < COLUMNS; c++) {               \
                const int64_t k = k0 + r, j = j0 + c;                                                                 \
                (void)k, (void)j;                                                                                     \
                sum[r][c] = (plus);                                                                                   \
            }                                                                                                         \
            OVER_INNER(rows, a, b, count)                                                                             \
            UNROLL for (int64_t r = 0; r < (count); r++) UNROLL for (int64_t c = 0; c < COLUMNS; c++)                 \
                (out)[AT(rows, k0 + r, j0 + c)] = sum[r][c];                                                          \
        }
/* Keeps x in a register: else the compiler reads it from memory again for each product that it is in. */
#if N < 3
#define HELD(x) (void)(x)
#elif defined(__x86_64__)
#define HELD(x) __asm__("" : "+v"(x))
#elif defined(__aarch64__)
#define HELD(x) __asm__("" : "+w"(x))
#else
#define HELD(x) (void)(x)
#endif
#if BY_REPLICATE
#define OVER_INNER(rows, a, b, count)                                                                                 \
    for (int64_t i = 0; i < N; i++) {                                                                                 \
        lane right[COLUMNS];                                                                                          \
        UNROLL for (int64_t c = 0; c < COLUMNS; c++) {                                                                \
            right[c] = (b)[AT(N, i, j0 + c)];                                                                         \
            HELD(right[c]);                                                                                           \
        }                                                                                                             \
        UNROLL for (int64_t r = 0; r < (count); r++) {                                                                \
            lane left = (a)[AT(rows, k0 + r, i)];                                                                     \
            HELD(left);                                                                                               \
            UNROLL for (int64_t c = 0; c < COLUMNS; c++) sum[r][c] += left * right[c];                                \
        }                                                                                                             \
    }
#else
#define OVER_INNER(rows, a, b, count)                                                                                 \
    for (int64_t p = 0; p < N; p += PANEL * W) {                                                                      \
        const real *left = (const real *)(a) + (p * (rows)) + k0 * PANEL * W;                                         \
        const lane *right = (b) + AT(N, p, j0);                                                                       \
        const int64_t inner = N - p < PANEL * W ? N - p : PANEL * W;                                                  \
        for (int64_t i = 0; i < inner; i++)                                                                           \
            UNROLL for (int64_t r = 0; r < (count); r++) UNROLL for (int64_t c = 0; c < COLUMNS; c++)                 \
                sum[r][c] += left[r * PANEL * W + i] * right[i * PANEL + c];                                          \
    }
#endif
#define AT_ONCE(rows) ((rows) < SUMS / COLUMNS ? (rows) : SUMS / COLUMNS)
#define PRODUCT(out, rows, a, b, plus)                                                                                \
    BLOCK_OF_ROWS(out, rows, a, b, plus, 0, AT_ONCE(rows))                                                            \
    if ((rows) % AT_ONCE(rows) > 0) {                                                                                 \
        BLOCK_OF_ROWS(out, rows, a, b, plus, (rows) / AT_ONCE(rows) * AT_ONCE(rows), (rows) % AT_ONCE(rows))          \
    }

/* The first `count` entries of a lane, from and to memory. */
EACH lane fetch(const real *from, int64_t count)
{
    lane value = {0};
    if (count >= W) memcpy(&value, from, BYTES);
    else memcpy(&value, from, count * sizeof(real));
    return value;
}
EACH void keep(real *to, lane value, int64_t count)
{
    if (count >= W) memcpy(to, &value, BYTES);
    else memcpy(to, &value, count * sizeof(real));
}
