/* Standard normal numbers from random bits, two from two, by Box and Muller (1958) in single precision.

One word is a uniform number u in (0, 1), whose logarithm gives the radius sqrt(-2 ln u), up to 6.7; another is the angle,
its top two bits the quadrant. In every `L` pairs the words of the radii come first, and so do the cosines. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#define L 16
#define EACH static inline __attribute__((always_inline))
typedef float lane __attribute__((vector_size(4 * L)));
typedef int32_t whole __attribute__((vector_size(4 * L)));
typedef uint32_t word __attribute__((vector_size(4 * L)));

EACH lane choose(whole where, lane a, lane b) { return (lane)((where & (whole)a) | (~where & (whole)b)); }

/* ln((x + 1/2) / 2^32), from (ln(1 + f) - f + f^2 / 2) / f^3 interpolated at Chebyshev points to 1e-8. */
EACH lane log_of_uniform(word x)
{
    lane u = __builtin_convertvector(x, lane) + 0.5f;
    whole power = ((whole)u - 0x3f3504f3) >> 23; /* of two, which leaves 1 + f in [sqrt(1/2), sqrt(2)) */
    whole near_one = x > 3100000000u; /* where 1 - u has the digits that u has lost */
    lane f = choose(near_one, (__builtin_convertvector(~x, lane) + 0.5f) * -0x1p-32f,
                    (lane)((whole)u - (power << 23)) - 1.0f);
    power = (near_one & 32) | (~near_one & power);
    lane q = -0.07902743785f * f + 0.1262231986f;
    q = q * f - 0.1299818376f;
    q = q * f + 0.1421449592f;
    q = q * f - 0.1664128146f;
    q = q * f + 0.2000104509f;
    q = q * f - 0.2500030642f;
    q = q * f + 0.3333333073f;
    return __builtin_convertvector(power - 32, lane) * 0.69314718056f + (f + f * f * (f * q - 0.5f));
}

EACH void pair(word of_radius, word of_angle, lane *first, lane *second)
{
    lane squared = -2.0f * log_of_uniform(of_radius), radius;
    for (int i = 0; i < L; i++) radius[i] = sqrtf(squared[i]);
    whole quadrant = (whole)(of_angle >> 30), rest = (whole)(of_angle & 0x3fffffffu) - (1 << 29);
    lane t = __builtin_convertvector(rest, lane) * 1.4629180793e-9f; /* pi / 2 / 2^30: |t| <= pi / 4 */
    lane z = t * t;
    lane sine = t + t * z * (-0.1666666666f + z * (0.008333331874f + z * (-0.000198400865f + z * 2.724989523e-6f)));
    lane cosine = 1.0f + z * (-0.4999999997f + z * (0.04166665064f + z * (-0.00138875889f + z * 2.446375473e-5f)));
    whole odd = (quadrant & 1) != 0;
    whole sign_of_first = ((quadrant + 1) & 2) << 30, sign_of_second = (quadrant & 2) << 30;
    *first = radius * (lane)((whole)choose(odd, sine, cosine) ^ sign_of_first);
    *second = radius * (lane)((whole)choose(odd, cosine, sine) ^ sign_of_second);
}

void normals(int64_t pairs, const uint32_t *from, float *to)
{
    for (int64_t at = 0; at < pairs; at += L, from += 2 * L, to += 2 * L) {
        const int64_t here = pairs - at < L ? pairs - at : L;
        word of_radius = {0}, of_angle = {0};
        lane first, second;
        if (here == L) {
            memcpy(&of_radius, from, 4 * L);
            memcpy(&of_angle, from + L, 4 * L);
            pair(of_radius, of_angle, &first, &second);
            memcpy(to, &first, 4 * L);
            memcpy(to + L, &second, 4 * L);
        } else {
            memcpy(&of_radius, from, 4 * here);
            memcpy(&of_angle, from + here, 4 * here);
            pair(of_radius, of_angle, &first, &second);
            memcpy(to, &first, 4 * here);
            memcpy(to + here, &second, 4 * here);
        }
    }
}
