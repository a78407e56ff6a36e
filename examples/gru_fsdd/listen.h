/* Spoken digits from sound, with the front end and the network of this folder. */
#ifndef LISTEN_H
#define LISTEN_H

#include <stdint.h>

#define LISTEN_HOP 160u  /* samples of a call: 20 ms at 8 kHz */
#define LISTEN_SCORES 10u /* one a digit; the largest is the answer */
#define LISTEN_NOT_YET (-1)

/* Takes the next LISTEN_HOP samples; 0 and the scores of the last 40 calls, or LISTEN_NOT_YET before there were so many.
 * To save instructions call the network more seldom, for example when it has become quiet after speech. */
int listen(const int16_t *samples, uint8_t *scores);

#endif
