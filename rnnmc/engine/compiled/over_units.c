/* What the C of some cells needs beside `step.h`, after it: comparisons, constants, sums over units, transposes. */
EACH lane indicator(mask holds) { return choose(holds, splat(1), splat(0)); }

/* Lane j of a constant that has a value for each unit; what is there of a lane that units fill; the sum of such lanes. */
#if BY_REPLICATE
EACH lane of_unit(const real *values, int64_t j) { return splat(values[j]); }
EACH lane inside(lane x, int64_t j) { return x; }
EACH lane across(lane x) { return x; }
#else
EACH lane of_unit(const real *values, int64_t j)
{
    lane value = {0};
    for (int64_t i = 0; i < W; i++) value[i] = values[j * W + i < N ? j * W + i : N - 1];
    return value;
}
EACH lane inside(lane x, int64_t j)
{
    if (N - j * W >= W) return x;
    mask units;
    for (int64_t i = 0; i < W; i++) units[i] = -(bits)(j * W + i < N);
    return choose(units, x, splat(0));
}
EACH lane across(lane x)
{
    real total = 0;
    for (int64_t i = 0; i < W; i++) total += x[i];
    return splat(total);
}
#endif

/* out (rows x N): in each row, the sum over units of what `of` says of row k and lane j, the same for all units. */
#define SUM(out, rows, of)                                                                                            \
    for (int64_t k = 0; k < (rows); k++) {                                                                            \
        lane total = {0};                                                                                             \
        for (int64_t j = 0; j < NJ; j++) total += inside((of), j);                                                    \
        total = across(total);                                                                                        \
        for (int64_t j = 0; j < NJ; j++) (out)[AT(rows, k, j)] = total;                                               \
    }
/* out (N x N) = a transposed */
#if BY_REPLICATE
#define TRANSPOSE(out, a)                                                                                             \
    for (int64_t i = 0; i < N; i++) for (int64_t j = 0; j < N; j++) (out)[AT(N, i, j)] = (a)[AT(N, j, i)];
#else
#define TRANSPOSE(out, a)                                                                                             \
    for (int64_t i = 0; i < N * NJ; i++) (out)[i] = splat(0);                                                         \
    for (int64_t i = 0; i < N; i++) for (int64_t j = 0; j < N; j++)                                                   \
        ((real *)((out) + AT(N, i, j / W)))[j % W] = ((const real *)((a) + AT(N, j, i / W)))[i % W];
#endif
