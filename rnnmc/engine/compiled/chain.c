/* The chain along a segment of a trajectory, after `step.h` and the generated `step`. Arguments as the tensors of
`rnnmc.engine.compiled.follow`, in either layout; see there. */

/* Where entry (row, gate or name q, lane j) of replicates from r on lies in an array of so many rows and names. */
#if BY_REPLICATE
#define IN(rows, names, row, q, j) (((row) * (int64_t)(names) * N + (q) * N + (j)) * R + r)
#define COUNT(j) (R - r)
#define DEVIATION(q, j) splat(deviation[(q) * N + (j)])
#define INPUT(x, i) fetch((x) + (i) * R + r, R - r)
#else
#define IN(rows, names, row, q, j) ((r * (int64_t)(rows) + (row)) * (names) * N + (q) * N + (j) * W)
#define COUNT(j) (N - (j) * W)
#define DEVIATION(q, j) fetch(deviation + (q) * N + (j) * W, N - (j) * W)
#define INPUT(x, i) (x)[r * inputs + (i)]
#endif

/* The largest |entry| of each replicate over so many rows, in every lane that holds some of it. */
EACH lane largest(const lane *rows, int64_t count)
{
    lane size = {0};
    for (int64_t i = 0; i < count * NJ; i++) size = larger(size, rows[i]);
#if !BY_REPLICATE
    lane of_all = splat(size[0]);
    for (int64_t i = 1; i < W; i++) of_all = larger(of_all, splat(size[i]));
    size = of_all;
#endif
    return size;
}

#if APART
/* The largest of a replicate's lanes, in each of them. */
EACH lane over_lanes(lane size)
{
    lane of_all = size;
#if !BY_REPLICATE
    for (int64_t i = 0; i < W; i++) of_all = larger(of_all, splat(size[i]));
#endif
    return of_all;
}

/* The same of each direction alone, `size` (K), and of all of them. */
EACH lane largest_of_each(const lane *rows, lane *size)
{
    lane of_all = {0};
    for (int64_t k = 0; k < K; k++) {
        size[k] = splat(0);
        for (int64_t p = 0; p < PARTS; p++)
            for (int64_t j = 0; j < NJ; j++) size[k] = larger(size[k], rows[p * K * NJ + AT(K, k, j)]);
        size[k] = over_lanes(size[k]);
        of_all = larger(of_all, size[k]);
    }
    return of_all;
}

/* As `rnnmc.chain.product.any_lost`. before, size (K): of each direction, before and after a step. */
EACH mask any_lost(const lane *before, const lane *size)
{
    mask lost = {0}, all_zero = ~lost, none_before = ~lost;
    for (int64_t p = 0; p < PARTS; p++) {
        mask part_zero = ~(mask){0};
        for (int64_t k = p * N; k < (p + 1) * N; k++) part_zero &= size[k] == splat(0);
        for (int64_t k = p * N; k < (p + 1) * N; k++) {
            const mask lives = ~(before[k] == splat(0));
            const mask is_result = CAN_DIE ? size[k] == splat(0) : part_zero;
            lost |= lives & (size[k] < splat(TINY / EPS)) & ~is_result;
            none_before &= ~lives;
        }
        all_zero &= part_zero;
    }
    return CAN_DIE ? lost : lost | (all_zero & ~none_before);
}
#endif

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
            int64_t *exponent, uint8_t *finite, uint8_t *resolved)
{
#if BY_REPLICATE
    lane u[RECURRENT * M * NJ + 1], s[PARTS * NJ], d[PARTS * K * NJ], pushed[PARTS * K * NJ], work[WORK * NJ + 1];
    lane inner[INNER * NJ + 1], fixed[FIXED * NJ + 1], offset[GATES * NJ], drive[GATES * NJ];
    lane *v = inputs ? aligned_alloc(128, (inputs * GATES * NJ + 1) * sizeof(lane)) : 0;
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

        for (int64_t t = 0; t < steps; t++) {
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
#if BY_REPLICATE
            UNROLL for (int64_t i = 0; i < PARTS * K * NJ; i++) d[i] = pushed[i] * scale;
#else
            if (any(unsafe)) for (int64_t i = 0; i < PARTS * K * NJ; i++) pushed[i] *= scale;
            lane *other = d;
            d = pushed, pushed = other;
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
