// What the system tells about itself, as JSON members without the braces around them.
#pragma once

namespace edgeort {

void print_facts();
void print_string(const char* text, long size);

}  // namespace edgeort
