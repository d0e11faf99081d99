// What WordPiece has to know of Unicode: classes of characters, lower case without accents, UTF-8.
#pragma once
#include "plan_layout.h"

namespace edgeort {

static constexpr u32 kInvalid = 0xFFFFFFFF;
static constexpr int kMaxUtf8 = 4;

// Reads one character and moves on; kInvalid, one byte on, for what is no UTF-8 (overlong forms and surrogates, too).
u32 read_utf8(const u8*& at, const u8* end);
// Writes it and returns its length.
int write_utf8(u32 code, u8* out);

bool is_control(u32 code);
bool is_space(u32 code);
bool is_cjk(u32 code);          // each is a word, as BERT has it
bool is_punctuation(u32 code);  // all that is neither letter nor digit in ASCII, else P*

static constexpr int kMaxFolded = 3;
// Lower case without accents: NFD, less its nonspacing marks, each in lower case. Returns the number of characters: 0 for a mark.
int fold(u32 code, u32 (&out)[kMaxFolded]);

}  // namespace edgeort
