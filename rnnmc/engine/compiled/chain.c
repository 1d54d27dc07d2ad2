/* The chain along a segment of a trajectory, after `step.h` and the generated `step`. Arguments as the tensors of
`rnnmc.engine.compiled.follow`, in either layout; see there. */

/* Where entry (row, gate or name q, lane j) of replicates from r on lies in an array of so many rows and names. */
#if BY_REPLICATE
#define IN(rows, names, row, q, j) (((row) * (int64_t)(names) * N + (q) * N + (j)) * R + r)
#define COUNT(j) (R - r)
#if UNITS /* lanes hold units, each of all replicates: no unit reads another, so that each is a network of its own */
#define AHEAD 4
#define MORE , int64_t units, int64_t done, int64_t *died
#define DEVIATION(q, j) of_units(deviation + (q) * units, r, R, replicates)
#define INPUT(x, i) (even ? fetch((x) + (i) * replicates + first, W) : of_replicates((x) + (i) * replicates, r, replicates))
#else
#define DEVIATION(q, j) splat(deviation[(q) * N + (j)])
#define INPUT(x, i) fetch((x) + (i) * R + r, R - r)
#endif
#else
#define IN(rows, names, row, q, j) ((r * (int64_t)(rows) + (row)) * (names) * N + (q) * N + (j) * W)
#define COUNT(j) (N - (j) * W)
#define DEVIATION(q, j) fetch(deviation + (q) * N + (j) * W, N - (j) * W)
#define INPUT(x, i) (x)[r * inputs + (i)]
#endif
#ifndef MORE
#define MORE
#endif

#if UNITS
/* What the lanes from r on, of R, are given as units of this replicate, or as this unit of all replicates. */
EACH lane of_replicates(const real *each, int64_t r, int64_t replicates)
{
    if (replicates == 1) return splat(each[0]);
    lane value;
    for (int64_t i = 0; i < W; i++) value[i] = each[(r + i) % replicates];
    return value;
}
EACH lane of_units(const real *each, int64_t r, int64_t R, int64_t replicates)
{
    lane value = {0};
    for (int64_t i = 0; i < W && r + i < R; i++) value[i] = each[(r + i) / replicates];
    return value;
}
#endif

/* Sizes are compared as whole numbers: they have the order of the numbers that they are the bits of, NaN last. */
EACH lane as_large(lane size, lane x)
{
    const lane a = magnitude(x);
    return choose((mask)a > (mask)size, a, size);
}

/* The largest of the lanes of a replicate, in each of them. */
EACH lane over_lanes(lane size)
{
#if !BY_REPLICATE
    UNROLL for (int half = W / 2; half > 0; half /= 2) {
        lane turned;
        UNROLL for (int i = 0; i < W; i++) turned[i] = size[(i + half) % W];
        size = as_large(size, turned);
    }
#endif
    return size;
}

#define SIDE_BY_SIDE 4 /* entries that are looked at together: else each waits for the one before */

/* The largest |entry| of each replicate over so many rows, in every lane that holds some of it. */
EACH lane largest(const lane *rows, int64_t count)
{
    const int64_t entries = count * NJ, together = entries < SIDE_BY_SIDE ? entries : SIDE_BY_SIDE;
    lane size[SIDE_BY_SIDE];
    UNROLL for (int64_t k = 0; k < together; k++) size[k] = magnitude(rows[k]);
    int64_t i = together;
    for (; i + together <= entries; i += together)
        UNROLL for (int64_t k = 0; k < together; k++) size[k] = as_large(size[k], rows[i + k]);
    for (; i < entries; i++) size[0] = as_large(size[0], rows[i]);
    UNROLL for (int64_t k = 1; k < together; k++) size[0] = as_large(size[0], size[k]);
    return over_lanes(size[0]);
}

#if APART
/* The same of each direction alone, `size` (K), and of all of them. */
EACH lane largest_of_each(const lane *rows, lane *size)
{
    lane of_all = {0};
    for (int64_t k = 0; k < K; k++) {
        size[k] = splat(0);
        for (int64_t p = 0; p < PARTS; p++)
            for (int64_t j = 0; j < NJ; j++) size[k] = as_large(size[k], rows[p * K * NJ + AT(K, k, j)]);
        size[k] = over_lanes(size[k]);
        of_all = as_large(of_all, size[k]);
    }
    return of_all;
}

/* As `rnnmc.chain.product.any_lost`. before, size (K): of each direction, before and after a step. Of a single unit, what
it says of a direction that is zero is not known here: see `rnnmc.engine.units`. */
EACH mask any_lost(const lane *before, const lane *size)
{
    mask lost = {0}, all_zero = ~lost, none_before = ~lost;
    for (int64_t p = 0; p < PARTS; p++) {
        mask part_zero = ~(mask){0};
        for (int64_t k = p * N; k < (p + 1) * N; k++) part_zero &= size[k] == splat(0);
        for (int64_t k = p * N; k < (p + 1) * N; k++) {
            const mask lives = ~(before[k] == splat(0));
            const mask is_result = CAN_DIE || UNITS ? size[k] == splat(0) : part_zero;
            lost |= lives & (size[k] < splat(TINY / EPS)) & ~is_result;
            none_before &= ~lives;
        }
        all_zero &= part_zero;
    }
    return CAN_DIE || UNITS ? lost : lost | (all_zero & ~none_before);
}
#endif

/* Whether P_t and its images change places after a step; few entries are copied from register to register. */
#define SWAPPED (!BY_REPLICATE || PARTS * K * NJ > 64)

EACH mask is_unsafe(lane size) { return ~((size > splat(1 / SAFE)) & (size < splat(SAFE))); }

/* `shift`: the exponent of the power of two by which what has this size is divided, zero unless it is `unsafe`. (Of a
function the compiler makes other machine code of the same numbers, which would be another route.) */
#define SHIFT(shift, size, unsafe)                                                                                    \
    const mask rescaled = (unsafe) & ((size) > splat(0)) & ((size) < splat(INFINITY));                                \
    const lane clamped = choose((size) > splat(TINY), size, splat(TINY));                                             \
    mask shift = (((mask)clamped >> MANTISSA) - BIAS) & rescaled;                                                     \
    shift += shift == BIAS /* 2^-BIAS has no normal number */

void follow(int64_t R, int64_t steps, int64_t inputs, const real *recurrent, const real *inner_bias, const real *bias,
            const real *input_weights, const real *deviation, const real *x, real *state, real *directions,
            int64_t *exponent, uint8_t *finite, uint8_t *resolved MORE)
{
#if BY_REPLICATE
    lane u[RECURRENT * M * NJ + 1], s[PARTS * NJ], work[WORK * NJ + 1];
#if SWAPPED
    lane images[2][PARTS * K * NJ], *d = images[0], *pushed = images[1];
#else
    lane d[PARTS * K * NJ], pushed[PARTS * K * NJ];
#endif
    lane inner[INNER * NJ + 1], fixed[FIXED * NJ + 1], offset[GATES * NJ];
#if !UNITS
    lane drive[GATES * NJ];
#endif
    lane *v = inputs ? aligned_alloc(128, ((inputs * GATES * NJ + 1) * sizeof(lane) + 127) / 128 * 128) : 0;
#if UNITS
    const int64_t replicates = R / units;
#endif
#else
    const int64_t sizes[] = {RECURRENT * M * NJ, PARTS * NJ, PARTS * K * NJ, PARTS * K * NJ, WORK * NJ, INNER * NJ,
                             GATES * NJ, GATES * NJ, inputs * GATES * NJ, FIXED * NJ};
    lane *places[10];
    int64_t total = 0;
    for (int i = 0; i < 10; i++) total += sizes[i] + 1;
    lane *room = aligned_alloc(128, (total * sizeof(lane) + 127) / 128 * 128);
    for (int64_t i = 0, at = 0; i < 10; at += sizes[i] + 1, i++) places[i] = room + at;
    lane *u = places[0], *s = places[1], *d = places[2], *pushed = places[3], *work = places[4], *inner = places[5];
    lane *offset = places[6], *drive = places[7], *v = places[8], *fixed = places[9];
#endif
    for (int64_t r = 0; r < R; r += BY_REPLICATE ? W : 1) {
#if UNITS
        const int64_t first = r % replicates;
        const int even = replicates % W == 0;
#endif
        const int64_t here = BY_REPLICATE ? (R - r < W ? R - r : W) : 1;
        for (int64_t j = 0; j < NJ; j++) {
            for (int64_t q = 0; q < RECURRENT; q++)
                for (int64_t i = 0; i < M; i++)
                    u[q * M * NJ + AT(M, i, j)] = fetch(recurrent + IN(M, RECURRENT, i, q, j), COUNT(j));
            for (int64_t q = 0; q < INNER; q++) inner[q * NJ + j] = fetch(inner_bias + IN(1, INNER, 0, q, j), COUNT(j));
            for (int64_t q = 0; q < GATES; q++) {
                offset[q * NJ + j] = fetch(bias + IN(1, GATES, 0, q, j), COUNT(j));
                for (int64_t i = 0; i < inputs; i++)
                    v[(i * GATES + q) * NJ + j] = fetch(input_weights + IN(inputs, GATES, i, q, j), COUNT(j));
            }
            for (int64_t p = 0; p < PARTS; p++) {
                s[p * NJ + j] = fetch(state + p * N * R + IN(1, 1, 0, 0, j), COUNT(j));
                for (int64_t k = 0; k < K; k++)
                    d[p * K * NJ + AT(K, k, j)] = fetch(directions + p * K * N * R + IN(K, 1, k, 0, j), COUNT(j));
            }
        }
        prepare(u, inner, fixed);
        mask is_finite = {0}, is_resolved = {0};
        for (int64_t i = 0; i < here; i++) is_finite[i] = -(bits)finite[r + i], is_resolved[i] = -(bits)resolved[r + i];
        lane chain = splat(1); /* zero once the chain is */
        if (!BOUNDED) chain = largest(d, PARTS * K);
#if APART
        lane before[K];
        largest_of_each(d, before);
#endif

#if UNITS
        lane ahead[AHEAD][GATES];
#endif
        for (int64_t t = 0; t < steps; t++) {
#if UNITS /* of several steps at once, so that input weights are read less often */
            if (t % AHEAD == 0) {
                const real *at[AHEAD];
                for (int64_t k = 0; k < AHEAD; k++) {
                    const int64_t there = t + k < steps ? t + k : steps - 1;
                    at[k] = x + there * (deviation ? R * GATES : replicates * inputs);
                    for (int64_t q = 0; q < GATES; q++) {
                        ahead[k][q] = offset[q];
                        if (deviation) ahead[k][q] += fetch(at[k] + IN(1, GATES, 0, q, 0), COUNT(0)) * DEVIATION(q, 0);
                    }
                }
                for (int64_t i = 0; i < inputs; i++) {
                    lane given[AHEAD];
                    UNROLL for (int64_t k = 0; k < AHEAD; k++) given[k] = INPUT(at[k], i);
                    UNROLL for (int64_t q = 0; q < GATES; q++)
                        UNROLL for (int64_t k = 0; k < AHEAD; k++) ahead[k][q] += given[k] * v[i * GATES + q];
                }
            }
            const lane *drive = ahead[t % AHEAD];
#else
            for (int64_t q = 0; q < GATES; q++)
                for (int64_t j = 0; j < NJ; j++) {
                    lane total = offset[q * NJ + j];
                    if (deviation) {
                        const real *field = x + t * R * GATES * N;
                        total += fetch(field + IN(1, GATES, 0, q, j), COUNT(j)) * DEVIATION(q, j);
                    }
                    for (int64_t i = 0; i < inputs; i++)
                        total += INPUT(x + t * R * inputs, i) * v[(i * GATES + q) * NJ + j];
                    drive[q * NJ + j] = total;
                }
#endif
            step(u, inner, fixed, drive, d, s, pushed, work);
            if (!BOUNDED) {
                const lane size = largest(s, PARTS);
                is_finite &= (size < splat(INFINITY)) | (chain == splat(0));
                if (CAN_DIE) is_resolved &= (size == splat(0)) | ~(size < splat(TINY / EPS));
            }
#if APART
            lane of_each[K];
            const lane size = largest_of_each(pushed, of_each), scale = splat(1);
            const mask unsafe = {0};
            is_resolved &= ~any_lost(before, of_each);
            for (int64_t k = 0; k < K; k++) {
#if UNITS
                const mask dies = ~(before[k] == splat(0)) & (of_each[k] == splat(0));
                if (any(dies))
                    for (int64_t i = 0; i < here; i++)
                        if (dies[i]) died[k * R + r + i] = done + t + 1;
#endif
                before[k] = of_each[k];
                const mask far = is_unsafe(of_each[k]);
                if (any(far)) {
                    SHIFT(shift, of_each[k], far);
                    for (int64_t i = 0; i < here; i++)
                        exponent[BY_REPLICATE ? k * R + r + i : r * K + k] += shift[i];
                    for (int64_t p = 0; p < PARTS; p++)
                        for (int64_t j = 0; j < NJ; j++) pushed[p * K * NJ + AT(K, k, j)] *= power_of_two(-shift);
                }
            }
#else
            lane size = largest(pushed, PARTS * K);
            const mask unsafe = is_unsafe(size);
            lane scale = splat(1);
            if (any(unsafe)) {
                mask lost = size < splat(TINY / EPS);
                if (CAN_DIE) lost &= size != splat(0);
                is_resolved &= ~lost;
                SHIFT(shift, size, unsafe);
                scale = power_of_two(-shift);
                for (int64_t i = 0; i < here; i++) exponent[r + i] += shift[i];
            }
#endif
            if (!BOUNDED) chain = size;
#if SWAPPED
            if (any(unsafe)) for (int64_t i = 0; i < PARTS * K * NJ; i++) pushed[i] *= scale;
            lane *other = d;
            d = pushed, pushed = other;
#else
            UNROLL for (int64_t i = 0; i < PARTS * K * NJ; i++) d[i] = pushed[i] * scale;
#endif
        }
        for (int64_t i = 0; i < here; i++) finite[r + i] = is_finite[i] != 0, resolved[r + i] = is_resolved[i] != 0;
        for (int64_t j = 0; j < NJ; j++)
            for (int64_t p = 0; p < PARTS; p++) {
                keep(state + p * N * R + IN(1, 1, 0, 0, j), s[p * NJ + j], COUNT(j));
                for (int64_t k = 0; k < K; k++)
                    keep(directions + p * K * N * R + IN(K, 1, k, 0, j), d[p * K * NJ + AT(K, k, j)], COUNT(j));
            }
    }
#if BY_REPLICATE
    free(v);
#else
    free(room);
#endif
}
