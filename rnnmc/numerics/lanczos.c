/* The spectral norm of a matrix by the Lanczos process, with a proof; after `spectral.c`, where a lane holds columns.

Each Lanczos vector is made orthogonal to all before it, twice. In the basis of these vectors, completed, G = M^T M is

    [ T      b e ]
    [ b e^T  C   ]

where T is tridiagonal, e a unit vector and C positive semidefinite: none of its eigenvalues exceeds its trace, which is
what T has left of that of G. So the top eigenvalue of G is at least that of T, and at most that of T bordered by b and
the trace left. Of a long chain, whose matrix is nearly of low rank, a few steps leave next to nothing. */

#define TOLERANCE 1e-12         /* relative, on the square of the norm: half as much on the norm */
#define CAUTION 1e-12           /* of the trace: more than rounding makes of what is left of it */
#define MOST_STEPS(d) ((d) / 3) /* they then cost most of what they may save */
#define SLOWER 2.5              /* the later steps take less of the trace than the first: so many times, measured */

static double inner(const lane *a, const lane *b, int64_t lanes)
{
    lane sums[2] = {0};
    for (int64_t j = 0; j < lanes; j += 2) UNROLL for (int64_t c = 0; c < 2; c++) sums[c] += a[j + c] * b[j + c];
    return sum(sums[0] + sums[1]);
}

/* out = m^T m q; each row of m comes into the first-level cache once. */
static void product(const Room *room, const lane *q, lane *out)
{
    const int64_t stride = room->stride, lanes = room->lanes;
    memset(out, 0, lanes * sizeof(lane));
    for (int64_t i = 0; i < room->d; i += MANY) {
        const lane *rows = room->m + i * stride;
        lane sums[MANY] = {0};
        for (int64_t j = 0; j < lanes; j++)
            UNROLL for (int64_t r = 0; r < MANY; r++) sums[r] += rows[r * stride + j] * q[j];
        UNROLL for (int64_t r = 0; r < MANY; r++) sums[r] = splat(sum(sums[r]));
        for (int64_t j = 0; j < lanes; j++) {
            lane total = out[j];
            UNROLL for (int64_t r = 0; r < MANY; r++) total += sums[r] * rows[r * stride + j];
            out[j] = total;
        }
    }
}

/* Whether x is above all eigenvalues of the n x n matrix of `top`, bordered by the root of beside[n] and, on the
diagonal, by `left`. */
static int is_above(double x, int64_t n, const lane *diagonal, const lane *beside, double left)
{
    double pivot = x - diagonal[0][0];
    for (int64_t i = 1; i < n && pivot > 0; i++) pivot = x - diagonal[i][0] - beside[i][0] / pivot;
    return pivot > 0 && x - left - beside[n][0] / pivot > 0;
}

/* The square of the norm of m, from its row `heaviest`; -1 where MOST_STEPS do not prove it, or soon seem not to, and
where this row leads to no more than some of the matrix. trace: of G. diagonal, beside: room for d + 1. */
static double by_lanczos(const Room *room, int64_t heaviest, double trace, lane *diagonal, lane *beside)
{
    const int64_t stride = room->stride, lanes = room->lanes, most = MOST_STEPS(room->d);
    const lane *start = room->m + heaviest * stride;
    double left = trace, square = inner(start, start, lanes);
    for (int64_t k = 1, check = 1; k <= most; k++) {
        lane *last = room->g + (k - 1) * stride, *next = last + stride;
        const lane *from = k == 1 ? start : last, over = splat(1 / sqrt(square));
        for (int64_t j = 0; j < lanes; j++) last[j] = from[j] * over;
        product(room, last, next);
        double along = 0;
        for (int twice = 0; twice < 2; twice++)
            for (int64_t i = 0; i < k; i++) {
                const lane *other = room->g + i * stride;
                const double part = inner(other, next, lanes);
                for (int64_t j = 0; j < lanes; j++) next[j] -= splat(part) * other[j];
                if (i == k - 1) along += part;
            }
        square = inner(next, next, lanes);
        diagonal[k - 1] = splat(along), beside[k] = splat(square);
        left -= along;
        const int ends = square <= CAUTION * trace * CAUTION * trace; /* what is next would be made of rounding */
        if (k < check && !ends) continue;
        const double found = top(k, diagonal, beside)[0], bound = (left > 0 ? left : 0) + CAUTION * trace;
        if (is_above(found * (1 + TOLERANCE), k, diagonal, beside, bound)) return found;
        if (ends || k + SLOWER * k * (bound - found) / (trace - left) > most) return -1;
        check = k + 1 + k / 4;
    }
    return -1;
}
