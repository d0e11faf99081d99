// Finding the library of another engine at run time.
#pragma once

namespace edgeort {

// Opens the first of `names` (ends with a null) that is found: in the folders of $EDGEORT_LIBRARIES, which may also name the file itself in
// another version, beside the code that calls, in ../lib of it, then where the system looks. Null: not found.
void* load_library(const char* const* names);
// The address of a function in it, or null.
void* find_symbol(void* library, const char* name);
// The folder of the code that calls, with its last separator.
bool own_folder(char* out, int size);

}  // namespace edgeort
