/* The trajectory of the state along a segment, after `step.h` and the generated `walk`; what directions need of each
step is kept. Arguments as the tensors of `rnnmc.engine.swept.trajectory`; a row of all arrays is of one replicate. */
#define COUNT(j) (N - (j) * W > 0 ? N - (j) * W : 0)

int64_t lane_bytes(void) { return BYTES; }

/* A matrix (N rows, `names` of them side by side in memory) into panels; or its transpose. */
static void pack(lane *u, const real *recurrent)
{
    for (int64_t q = 0; q < RECURRENT; q++)
        for (int64_t j = 0; j < NJ; j++)
            for (int64_t i = 0; i < N; i++)
                u[q * N * NJ + AT(N, i, j)] = fetch(recurrent + (i * RECURRENT + q) * N + j * W, COUNT(j));
}
static void pack_transposed(lane *u, const real *recurrent)
{
    real *to = (real *)u;
    memset(u, 0, RECURRENT * N * NJ * sizeof(lane));
    for (int64_t q = 0; q < RECURRENT; q++)
        for (int64_t i = 0; i < N; i++)
            for (int64_t j = 0; j < N; j++)
                to[(q * N * NJ + AT(N, j, i / W)) * W + i % W] = recurrent[(i * RECURRENT + q) * N + j];
}

/* kept: (R, room, KEPT, NJ lanes), of which this segment begins at step `first`. overflow: (R,) the first step after
which the state was not finite, faded: after which it had underflowed; both as they were where that has not been. */
void walk_on(int64_t R, int64_t steps, int64_t inputs, const real *recurrent, const real *inner_bias, const real *bias,
             const real *input_weights, const real *deviation, const real *x, real *state, real *kept_steps,
             int64_t room, int64_t first, int64_t *overflow, int64_t *faded)
{
    const int64_t sizes[] = {RECURRENT * N * NJ, PARTS * NJ, INNER * NJ, FIXED * NJ, GATES * NJ, GATES * NJ,
                             inputs * GATES * NJ, KEPT * NJ, WORK * NJ};
    lane *places[9];
    int64_t total = 0;
    for (int i = 0; i < 9; i++) total += sizes[i] + 1;
    lane *all = aligned_alloc(128, (total * sizeof(lane) + 127) / 128 * 128);
    for (int64_t i = 0, at = 0; i < 9; at += sizes[i] + 1, i++) places[i] = all + at;
    lane *u = places[0], *s = places[1], *inner = places[2], *fixed = places[3], *offset = places[4];
    lane *drive = places[5], *v = places[6], *here = places[7], *work = places[8];
    for (int64_t r = 0; r < R; r++) {
        pack(u, recurrent + r * N * RECURRENT * N);
        for (int64_t j = 0; j < NJ; j++) {
            for (int64_t q = 0; q < INNER; q++)
                inner[q * NJ + j] = fetch(inner_bias + (r * INNER + q) * N + j * W, COUNT(j));
            for (int64_t q = 0; q < GATES; q++) {
                offset[q * NJ + j] = fetch(bias + (r * GATES + q) * N + j * W, COUNT(j));
                for (int64_t i = 0; i < inputs; i++)
                    v[(i * GATES + q) * NJ + j] =
                        fetch(input_weights + ((r * inputs + i) * GATES + q) * N + j * W, COUNT(j));
            }
            for (int64_t p = 0; p < PARTS; p++)
                s[p * NJ + j] = fetch(state + (p * R + r) * N + j * W, COUNT(j));
        }
        prepare(u, inner, fixed);
        for (int64_t t = 0; t < steps; t++) {
            for (int64_t q = 0; q < GATES; q++)
                for (int64_t j = 0; j < NJ; j++) {
                    lane sum = offset[q * NJ + j];
                    if (deviation) {
                        const real *field = x + ((t * R + r) * GATES + q) * N + j * W;
                        sum += fetch(field, COUNT(j)) * fetch(deviation + q * N + j * W, COUNT(j));
                    }
                    for (int64_t i = 0; i < inputs; i++)
                        sum += x[(t * R + r) * inputs + i] * v[(i * GATES + q) * NJ + j];
                    drive[q * NJ + j] = sum;
                }
            walk(u, inner, fixed, drive, s, here, work);
            memcpy(kept_steps + (r * room + first + t) * KEPT * NJ * W, here, KEPT * NJ * sizeof(lane));
            if (!BOUNDED) {
                lane size = {0};
                for (int64_t i = 0; i < PARTS * NJ; i++) size = larger(size, s[i]);
                real largest = size[0];
                for (int64_t i = 1; i < W; i++) largest = largest >= size[i] || largest != largest ? largest : size[i];
                if (!(largest < INFINITY) && overflow[r] > first + t) overflow[r] = first + t + 1;
                if (CAN_DIE && largest > 0 && largest < TINY / EPS && faded[r] > first + t) faded[r] = first + t + 1;
            }
        }
        for (int64_t p = 0; p < PARTS; p++)
            for (int64_t j = 0; j < NJ; j++) keep(state + (p * R + r) * N + j * W, s[p * NJ + j], COUNT(j));
    }
    free(all);
}
