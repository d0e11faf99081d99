/* edgeort_text: from text to the ids that a transformer takes. C99; in the library of bundles that have a vocabulary.
 *
 *   char error[EDGEORT_ERROR_BYTES];
 *   edgeort_wordpiece* words = edgeort_wordpiece_open("vocab.txt", 0, error);
 *   int64_t ids[128];
 *   int n = edgeort_wordpiece_encode(words, text, strlen(text), ids, 128);
 *   edgeort_wordpiece_close(words);
 */
#ifndef EDGEORT_TEXT_H
#define EDGEORT_TEXT_H

#include "edgeort.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A WordPiece tokenizer as BERT defines it. After edgeort_wordpiece_open it is only read: threads may share it. */
typedef struct edgeort_wordpiece edgeort_wordpiece;

/* Opens a vocabulary: UTF-8, a token a line, the first has id 0; it must have [UNK], [CLS] and [SEP]. The file is mapped and must not
 * change. Unless `cased`, text is brought to lower case without accents first. NULL on failure, with the reason in
 * error[EDGEORT_ERROR_BYTES], which may be NULL. */
EDGEORT_API edgeort_wordpiece* edgeort_wordpiece_open(const char* path, int cased, char* error);
/* Frees everything; NULL is allowed. */
EDGEORT_API void edgeort_wordpiece_close(edgeort_wordpiece* words);

/* Writes the ids of `bytes` bytes of UTF-8 text between those of [CLS] and [SEP], and returns their number: `capacity` at most, which
 * must be 2 or more (else -1); what is longer is cut before [SEP]. Bytes that are no UTF-8 are left out. */
EDGEORT_API int edgeort_wordpiece_encode(const edgeort_wordpiece* words, const char* text, size_t bytes, int64_t* ids, int capacity);
/* The id of a token such as "[PAD]", or -1. */
EDGEORT_API int64_t edgeort_wordpiece_id(const edgeort_wordpiece* words, const char* token);

#ifdef __cplusplus
}
#endif
#endif
