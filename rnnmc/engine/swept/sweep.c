/* Directions along a trajectory that was walked, ROWS at a time; BACKWARD by the transposed Jacobians. Arguments as the
tensors of `rnnmc.engine.swept.trajectory`.

which: (count,) the replicates, of those in recurrent, inner_bias and kept. given: (count, blocks * ROWS, PARTS * N)
directions, as they are after `first` steps. times: (count, logged) rising steps: forwards, after which the images are
told; backwards the only one is the step from which they go back, to the first. images: (count, logged, blocks * ROWS, PARTS * N), divided by
2^exponent, of the same shape less the last. lost: (count, blocks * ROWS) the first step that shrank a direction so far
that digits were lost; dead: after which it was exactly zero; both as they were where that has not been. */
void SWEEP(int64_t count, const int64_t *which, int64_t blocks, int64_t logged, const int64_t *times, int64_t first,
           const real *recurrent, const real *inner_bias, const real *kept_steps, int64_t room, const real *given,
           real *images, int64_t *exponent, int64_t *lost, int64_t *dead)
{
    const int64_t sizes[] = {AS_IT_IS * RECURRENT * N * NJ, TRANSPOSED * RECURRENT * N * NJ, INNER * NJ, FIXED * NJ,
                             PARTS * ROWS * NJ, PARTS * ROWS * NJ, WORK * ROWS * NJ};
    lane *places[7];
    int64_t total = 0;
    for (int i = 0; i < 7; i++) total += sizes[i] + 1;
    lane *all = aligned_alloc(128, (total * sizeof(lane) + 127) / 128 * 128);
    for (int64_t i = 0, at = 0; i < 7; at += sizes[i] + 1, i++) places[i] = all + at;
    lane *u = places[0], *ut = places[1], *inner = places[2], *fixed = places[3], *d = places[4], *pushed = places[5];
    lane *work = places[6];
    for (int64_t c = 0; c < count; c++) {
        const int64_t r = which[c];
        if (AS_IT_IS) pack(u, recurrent + r * N * RECURRENT * N);
        if (TRANSPOSED) pack_transposed(ut, recurrent + r * N * RECURRENT * N);
        for (int64_t q = 0; q < INNER; q++)
            for (int64_t j = 0; j < NJ; j++)
                inner[q * NJ + j] = fetch(inner_bias + (r * INNER + q) * N + j * W, COUNT(j));
        prepare(u, inner, fixed);
        for (int64_t b = 0; b < blocks; b++) {
            const int64_t row = (c * blocks + b) * ROWS;
            int64_t shifts[ROWS] = {0}, empty[ROWS], h = 0, living = 0;
            for (int64_t k = 0; k < ROWS; k++) {
                const real *from = given + (row + k) * PARTS * N;
                empty[k] = 1;
                for (int64_t i = 0; i < PARTS * N; i++) empty[k] &= from[i] == 0;
                living += !empty[k];
                for (int64_t p = 0; p < PARTS; p++)
                    for (int64_t j = 0; j < NJ; j++)
                        d[p * ROWS * NJ + AT(ROWS, k, j)] = fetch(from + p * N + j * W, COUNT(j));
            }
            const int64_t last = times[c * logged + logged - 1];
            for (int64_t done = (BACKWARD ? 0 : first) + 1; done <= last; done++) {
                const int64_t step = BACKWARD ? last - done : done - 1;
                const lane *kept = (const lane *)kept_steps + (r * room + step) * KEPT * NJ;
                if (living) {
                    PUSH(u, ut, inner, fixed, kept, d, pushed, work);
                    living = 0;
                    for (int64_t j = N / W; j < NJ; j++)
                        for (int64_t k = 0; k < PARTS * ROWS; k++) {
                            lane *at = pushed + k / ROWS * ROWS * NJ + AT(ROWS, k % ROWS, j);
                            *at = inside(*at, j);
                        }
                    for (int64_t k = 0; k < ROWS; k++) {
                        mask most = {0};
                        for (int64_t p = 0; p < PARTS; p++)
                            for (int64_t j = 0; j < NJ; j++) {
                                const mask size = (mask)magnitude(pushed[p * ROWS * NJ + AT(ROWS, k, j)]);
                                const mask more = size > most;
                                most = (more & size) | (~more & most);
                            }
                        bits each[W], top = 0;
                        memcpy(each, &most, BYTES);
                        for (int64_t i = 0; i < W; i++) top = top > each[i] ? top : each[i];
                        living += top != 0;
                        real largest;
                        memcpy(&largest, &top, sizeof(real));
                        if (largest > 1 / SAFE && largest < SAFE) continue;
                        if (top == 0 && dead[row + k] >= done) dead[row + k] = done;
                        if (largest < TINY / EPS && !(empty[k] || (CAN_DIE && top == 0)) && lost[row + k] > done)
                            lost[row + k] = done;
                        if (!(largest > 0 && largest < INFINITY)) continue;
                        bits shift = ((largest > TINY ? top : (bits)1 << MANTISSA) >> MANTISSA) - BIAS;
                        shift += shift == BIAS; /* 2^-BIAS has no normal number */
                        shifts[k] += shift;
                        const lane scale = power_of_two((mask){0} - shift);
                        for (int64_t p = 0; p < PARTS; p++)
                            for (int64_t j = 0; j < NJ; j++) pushed[p * ROWS * NJ + AT(ROWS, k, j)] *= scale;
                    }
                    lane *other = d;
                    d = pushed, pushed = other;
                }
                if (BACKWARD ? done < last : done < times[c * logged + h]) continue;
                for (int64_t k = 0; k < ROWS; k++) {
                    const int64_t to = ((c * logged + h) * blocks + b) * ROWS + k;
                    exponent[to] = shifts[k];
                    for (int64_t p = 0; p < PARTS; p++)
                        for (int64_t j = 0; j < NJ; j++)
                            keep(images + (to * PARTS + p) * N + j * W, d[p * ROWS * NJ + AT(ROWS, k, j)], COUNT(j));
                }
                h++;
            }
        }
    }
    free(all);
}
