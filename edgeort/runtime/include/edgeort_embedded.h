/* edgeort_embedded: the model that lies in the library itself. C99; in the library of bundles built with --embed-model.
 *
 *   char error[EDGEORT_ERROR_BYTES];
 *   edgeort_model* model = edgeort_open_embedded(NULL, error);
 */
#ifndef EDGEORT_EMBEDDED_H
#define EDGEORT_EMBEDDED_H

#include "edgeort.h"

#ifdef __cplusplus
extern "C" {
#endif

/* edgeort_open of the library's own model, without a file. It is constant data of the library: the system maps it, programs that run at
 * once share its pages, and no copy is made. Any number of models may be opened, on any threads. */
EDGEORT_API edgeort_model* edgeort_open_embedded(const edgeort_options* options, char* error);

#ifdef __cplusplus
}
#endif
#endif
