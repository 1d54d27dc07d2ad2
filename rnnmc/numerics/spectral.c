/* The largest singular value of each of a batch of d x d matrices, in float64; after `step.h` with REAL_BITS 64.

Where a lane holds replicates (BY_REPLICATE), a number below is a lane, with an entry for each replicate; else it is a
double, and a lane holds columns of one replicate. With G = M^T M,

    G is brought to tridiagonal form by Householder reflections, last row first (Golub and Van Loan, Matrix
    Computations, 8.3), the update by one reflection and the product with the next in one pass over its lower triangle;
    its top eigenvalue is found by Laguerre's method, between two bounds (`top`).

Where a lane holds columns, `lanczos.c` comes first, and G is formed only for what it does not prove.

A vector of n numbers is padded with zeros to `lanes`; rows of a matrix are `stride` lanes apart, an odd number, so that
a column spreads over the cache. */

#if BY_REPLICATE
typedef lane number;
typedef mask truth;
#define LANES 1 /* numbers of a row in a lane */
#define TALL 2  /* rows taken together */
#define TILE 2  /* of a lower triangle, whole tiles on the diagonal are stored */
EACH lane spread(number x) { return x; }
EACH number sum(lane x) { return x; }
EACH number constant(double x) { return splat(x); }
EACH number pick(truth where, number a, number b) { return choose(where, a, b); }
EACH number root(number x) { return sqrt_(x); }
#else
typedef double number;
typedef int truth;
#define LANES W
#define TALL (W < 4 ? W : 4)
#define TILE W
EACH lane spread(number x) { return splat(x); }
EACH number sum(lane x)
{
    double entries[W];
    memcpy(entries, &x, BYTES);
    UNROLL for (int half = W / 2; half > 0; half /= 2)
        UNROLL for (int i = 0; i < half; i++) entries[i] += entries[i + half];
    return entries[0];
}
EACH number constant(double x) { return x; }
EACH number pick(truth where, number a, number b) { return where ? a : b; }
EACH number root(number x) { return sqrt(x); }
#endif
#define MANY 8 /* rows of m are padded with zeros to a multiple of this */
#define UP_TO(count, step) (((count) + (step) - 1) / (step) * (step))
#define NUMBER(lanes, i) (((number *)(lanes))[i])

#define MOST_ROUNDS 100 /* of `top`: more than halving alone would take */

/* What a batch is worked on with. m: a matrix, or a lane of them. g: room for another. vectors: for 5. */
typedef struct {
    int64_t d, lanes, stride;
    lane *g, *m, *vectors, *diagonal, *beside;
} Room;

/* Of a lane of matrices, in units of `unit`: the squares of spectral and Frobenius norm. */
typedef struct {
    lane spectral, frobenius, unit;
} Squares;

/* Largest eigenvalue of n x n symmetric tridiagonal, positive semidefinite matrices, one in each entry of a lane.
diagonal: n. beside: n, the squares of what stands beside it, the first of no account.

With x above every root t of the characteristic polynomial p, let s1 = sum 1 / (x - t) = p' / p and
s2 = sum 1 / (x - t)^2. The top root lies between x - s1 / s2 and Laguerre's step from x. Both close in on a simple root
at once, on roots close together slowly; every other round then halves what is between the bounds. */
static lane top(int64_t n, const lane *diagonal, const lane *beside)
{
    lane low = {0}, reach = {0}, square = {0}, before = {0};
    for (int64_t i = 0; i < n; i++) {
        const lane next = i + 1 < n ? beside[i + 1] : splat(0), after = sqrt_(next);
        low = larger(low, diagonal[i]);
        reach = larger(reach, diagonal[i] + before + after); /* Gershgorin's bound */
        square += diagonal[i] * diagonal[i] + (real)2 * next;
        before = after;
    }
    lane high = sqrt_(square);
    high = choose(reach < high, reach, high) * (real)(1 + 8 * EPS);
    for (int round = 0; round < MOST_ROUNDS; round++) {
        const mask open = high - low > high * (real)(16 * EPS);
        if (!any(open)) break;
        const lane x = round > 4 && round % 2 ? (low + high) * (real)0.5 : high, least = x * (real)0x1p-100;
        lane pivot = x - diagonal[0], over = (real)1 / pivot, slope = over, curve = {0}, s1 = over, s2 = over * over;
        mask above = pivot > least;
        for (int64_t i = 1; i < n; i++) { /* slope, curve: first and second derivative of the pivot, over the pivot */
            const lane part = beside[i] * over;
            const lane first = (real)1 + part * slope, second = part * (curve - (real)2 * slope * slope);
            pivot = x - diagonal[i] - part;
            above &= pivot > least;
            over = (real)1 / pivot;
            slope = first * over, curve = second * over;
            s1 += slope, s2 += slope * slope - curve;
        }
        const lane rest = (real)(n - 1) * ((real)n * s2 - s1 * s1);
        const lane step = (real)n / (s1 + sqrt_(choose(rest > splat(0), rest, splat(0))));
        const lane bound = choose(above, x - s1 / s2, x);
        low = choose(open & (bound > low), bound, low);
        high = choose(open & above, x - step, high);
    }
    return high;
}

/* g = m^T m: its lower triangle, and whole tiles on the diagonal. */
static void gram(const Room *room)
{
    const int64_t d = room->d, stride = room->stride;
    for (int64_t i = 0; i < UP_TO(d, TILE); i += TALL)
        for (int64_t j = 0; j * LANES < UP_TO(i + TALL, TILE); j += 2) {
            lane sums[TALL][2] = {0};
            for (int64_t k = 0; k < d; k++) {
                const lane *row = room->m + k * stride, a = row[j], b = row[j + 1];
                UNROLL for (int64_t r = 0; r < TALL; r++) {
                    const lane c = spread(NUMBER(row, i + r));
                    sums[r][0] += c * a, sums[r][1] += c * b;
                }
            }
            UNROLL for (int64_t r = 0; r < TALL; r++)
                UNROLL for (int64_t c = 0; c < 2; c++) room->g[(i + r) * stride + j + c] = sums[r][c];
        }
}

/* Lanes `from` to `to` of TALL rows, the first of them i, less v w^T + w v^T. What they now are, transposed, times x is
added to `across`; if these lanes lie below the diagonal, what they now are times x goes to `down`. */
EACH void updated(lane *rows, int64_t stride, int64_t from, int64_t to, int below, int64_t i, const lane *v,
                  const lane *w, const lane *x, lane *across, lane *down)
{
    lane x_i[TALL], v_i[TALL], w_i[TALL], sums[TALL] = {0};
    UNROLL for (int64_t r = 0; r < TALL; r++)
        x_i[r] = spread(NUMBER(x, i + r)), v_i[r] = spread(NUMBER(v, i + r)), w_i[r] = spread(NUMBER(w, i + r));
    for (int64_t j = from; j < to; j++) {
        const lane x_j = x[j], v_j = v[j], w_j = w[j];
        lane total = across[j];
        UNROLL for (int64_t r = 0; r < TALL; r++) {
            const lane entry = rows[r * stride + j] - v_i[r] * w_j - w_i[r] * v_j;
            rows[r * stride + j] = entry;
            total += entry * x_i[r];
            if (below) sums[r] += entry * x_j;
        }
        across[j] = total;
    }
    if (below) UNROLL for (int64_t r = 0; r < TALL; r++) NUMBER(down, i + r) = sum(sums[r]);
}

/* g (as from `gram`, spoilt) to tridiagonal form. diagonal, beside: d, as in `top`. */
static void tridiagonal(const Room *room, number *diagonal, number *beside)
{
    const int64_t stride = room->stride;
    lane *v = room->vectors, *w = v + stride, *x = w + stride, *across = x + stride, *down = across + stride;
    memset(v, 0, 2 * stride * sizeof(lane));
    for (int64_t m = room->d - 1; m >= 0; m--) { /* what is left of g: rows and columns 0 ... m, less v w^T + w v^T */
        lane *last = room->g + m * stride;
        const lane v_m = spread(NUMBER(v, m)), w_m = spread(NUMBER(w, m));
        for (int64_t j = 0; j * LANES <= m; j++) last[j] -= v_m * w[j] + w_m * v[j];
        diagonal[m] = NUMBER(last, m);
        if (m == 0) break;

        const int64_t padded = UP_TO(m, TILE), lanes = padded / LANES;
        for (int64_t i = m; i < padded; i++) NUMBER(last, i) = constant(0);
        lane squares = {0}, along = {0};
        for (int64_t j = 0; j < lanes; j++) x[j] = last[j], across[j] = splat(0), squares += x[j] * x[j];
        const number square = sum(squares), size = root(square), end = NUMBER(x, m - 1), zero = constant(0);
        const number scale = (real)1 / (square + size * pick(end < zero, -end, end));
        const lane factor = spread(pick(square > constant(0x1p-900), scale, zero)); /* 1 - factor x x^T reflects */
        NUMBER(x, m - 1) = end + pick(end < zero, -size, size);
        beside[m] = square;

        for (int64_t i = 0; i < m; i += TALL) {
            const int64_t tile = i / TILE * TILE / LANES;
            updated(room->g + i * stride, stride, 0, tile, 1, i, v, w, x, across, down);
            updated(room->g + i * stride, stride, tile, tile + TILE / LANES, 0, i, v, w, x, across, down);
        }
        for (int64_t j = 0; j < lanes; j++) w[j] = factor * (across[j] + down[j]);
        for (int64_t i = m; i < padded; i++) NUMBER(w, i) = zero;
        for (int64_t j = 0; j < lanes; j++) along += w[j] * x[j];
        const lane half = (real)0.5 * factor * spread(sum(along));
        for (int64_t j = 0; j < lanes; j++) w[j] -= half * x[j];
        lane *other = v;
        v = x, x = other;
    }
}

/* m times a power of two that brings its largest entry near 1, or zero where an entry is not finite. Gives the unit in
which m now is, NaN where an entry was not finite, and the sum of squares of each row. */
static lane scaled(const Room *room, number *squares)
{
    const int64_t d = room->d, stride = room->stride, lanes = room->lanes;
    mask largest[4] = {0}; /* as integers, sizes have the same order, with infinity and NaN on top */
    for (int64_t i = 0; i < d; i += 2)
        for (int64_t j = 0; j < lanes; j += 2)
            UNROLL for (int64_t c = 0; c < 4; c++) {
                const mask size = (mask)magnitude(room->m[(i + c / 2) * stride + j + c % 2]);
                largest[c] = (mask)choose(size > largest[c], (lane)size, (lane)largest[c]);
            }
    lane size = larger(larger((lane)largest[0], (lane)largest[1]), larger((lane)largest[2], (lane)largest[3]));
#if !BY_REPLICATE
    lane of_all = splat(size[0]);
    for (int64_t i = 1; i < W; i++) of_all = larger(of_all, splat(size[i]));
    size = of_all;
#endif
    const mask finite = size < splat(INFINITY), most = (mask){0} + BIAS - 1;
    mask shift = ((mask)size >> MANTISSA) - BIAS;
    shift = (mask)choose(shift < -most, (lane)-most, choose(shift > most, (lane)most, (lane)shift));
    const lane scale = power_of_two(-shift);
    for (int64_t i = 0; i < d; i++) {
        lane *row = room->m + i * stride, sums[2] = {0};
        for (int64_t j = 0; j < lanes; j += 2)
            UNROLL for (int64_t c = 0; c < 2; c++) {
                row[j + c] = choose(finite, row[j + c] * scale, splat(0));
                sums[c] += row[j + c] * row[j + c];
            }
        squares[i] = sum(sums[0] + sums[1]);
    }
    return choose(finite, power_of_two(shift), splat(NAN));
}

/* m, from `here` replicates: one where a lane holds columns, which then lie one after the other. bits: of an entry at
`from`, 32 or 64. strides: of a replicate, row and column, in entries. */
#define FILL(real_)                                                                                                   \
    for (int64_t i = 0; i < room->d; i++)                                                                             \
        for (int64_t r = 0; r < here; r++) {                                                                          \
            const real_ *row = (const real_ *)from + (first + r) * strides[0] + i * strides[1];                       \
            double *to = (double *)(room->m + i * room->stride) + r;                                                  \
            for (int64_t j = 0; j < room->d; j++) to[j * (W / LANES)] = row[BY_REPLICATE ? j * strides[2] : j];       \
        }
static void fill(const Room *room, const void *from, int64_t bits, const int64_t *strides, int64_t first, int64_t here)
{
    if (bits == 32) { FILL(float) } else { FILL(double) }
}

#if BY_REPLICATE

static Squares measured(const Room *room, const void *from, int64_t bits, const int64_t *strides, int64_t first,
                        int64_t here)
{
    fill(room, from, bits, strides, first, here);
    Squares found = {.unit = scaled(room, room->diagonal)};
    for (int64_t i = 0; i < room->d; i++) found.frobenius += room->diagonal[i];
    gram(room);
    tridiagonal(room, room->diagonal, room->beside);
    found.spectral = top(room->d, room->diagonal, room->beside);
    return found;
}

#else

static double by_lanczos(const Room *room, int64_t heaviest, double trace, lane *diagonal, lane *beside);

static Squares measured(const Room *room, const void *from, int64_t bits, const int64_t *strides, int64_t first,
                        int64_t here)
{
    const int64_t d = room->d;
    lane *own_diagonal = room->beside + d + 1, *own_beside = own_diagonal + d + 1;
    Squares found = {0};
    for (int64_t r = 0; r < here; r++) {
        fill(room, from, bits, strides, first + r, 1);
        double *squares = (double *)room->vectors, trace = 0;
        found.unit[r] = scaled(room, squares)[0];
        int64_t heaviest = 0;
        for (int64_t i = 0; i < d; i++) {
            trace += squares[i];
            if (squares[i] > squares[heaviest]) heaviest = i;
        }
        found.frobenius[r] = trace;
        found.spectral[r] = trace > 0 ? by_lanczos(room, heaviest, trace, own_diagonal, own_beside) : 0;
        if (found.spectral[r] >= 0) continue;
        gram(room);
        tridiagonal(room, (double *)own_diagonal, (double *)own_beside);
        for (int64_t i = 0; i < d; i++) {
            room->diagonal[i][r] = NUMBER(own_diagonal, i);
            room->beside[i][r] = NUMBER(own_beside, i);
        }
    }
    const mask open = found.spectral < splat(0);
    if (any(open)) found.spectral = choose(open, top(d, room->diagonal, room->beside), found.spectral);
    return found;
}

#endif

/* Spectral norm, and Frobenius norm over sqrt d, of R matrices, as `rnnmc.numerics.norms.norms_of`. Arguments as of
`fill`. */
void norms(int64_t R, int64_t d, int64_t bits, const int64_t *strides, const void *from, double *spectral, double *rms)
{
    const int64_t lanes = UP_TO(UP_TO(d, TILE) / LANES, 2), stride = lanes + 1, matrix = UP_TO(d, MANY) * stride;
    const int64_t cleared = matrix + 5 * stride + 4 * (d + 1); /* padding, and what no replicate may have written yet */
    Room room = {d, lanes, stride, aligned_alloc(128, UP_TO((matrix + cleared) * sizeof(lane), 128))};
    room.m = room.g + matrix, room.vectors = room.m + matrix;
    room.diagonal = room.vectors + 5 * stride, room.beside = room.diagonal + d + 1;
    memset(room.m, 0, cleared * sizeof(lane));
    for (int64_t r = 0; r < R; r += W) {
        const int64_t here = R - r < W ? R - r : W;
        const Squares found = measured(&room, from, bits, strides, r, here);
        keep(spectral + r, sqrt_(found.spectral) * found.unit, here);
        keep(rms + r, sqrt_(found.frobenius / (real)d) * found.unit, here);
    }
    free(room.g);
}
