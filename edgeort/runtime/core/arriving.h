// A model whose plan is still arriving, in order, at its place in memory. It is opened as soon as the graph is there, and what else
// prepare reads; a run goes from node to node as the constants that they read come. Modules for browsers alone export this.
//
// What is checked is checked on bytes that have come, which do not change any more: a plan that arrives is trusted no more than a whole
// one.
#pragma once
#include "model.h"

namespace edgeort {

// Finds what each node of a model that was opened needs.
Status begin_arriving(Model& model);

}  // namespace edgeort

extern "C" {

// How large the plan is that begins at `data`, of which `here` bytes have come; 0 while that is not known, or where it is no plan.
size_t edgeort_arriving_size(const void* data, size_t here);

// edgeort_open_memory of a plan of which `here` bytes have come. NULL on failure: then *needed bytes have to be there before it can be
// tried again, or it is 0, and the reason in error.
edgeort_model* edgeort_open_arriving(const void* data, size_t size, size_t here, const edgeort_options* options, char* error,
                                     size_t* needed);

// Begins a run of such a model, or runs its next node, if what that reads is among the `here` bytes. Returns how many have to be there
// before the next call does more; 0: the run is done, and all of the plan has come; -status: it failed, as edgeort_run does.
// Until the run is done, no other call but edgeort_last_error may follow.
size_t edgeort_run_arriving(edgeort_model* model, size_t here);
}
