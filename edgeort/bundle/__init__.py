"""The bundle: everything that a device needs to run one model, as a folder or as one .zip with the same content.

    manifest.json       what it is, for which device, the hash of every file, its own digest
    model.plan          graph and packed weights; of other providers model/, with the settings of their engine
    lib/                the runtime, with this model's kernels only, or an adapter and another engine's libraries;
                        a CMake package and a pkg-config file; of a DLL the import library;
                        where it was asked for, a static library
    include/edgeort.h   its C API
    python/             one file that runs the model from Python, with NumPy alone
    bin/edgeort_bench   loads, runs, measures and checks the plan on the device
    golden/             inputs, and the outputs (or, where large, their digests) that every device must give, bit
                        for bit, or nearly where the provider does not promise that
    tokenizer/          the vocabulary of a model that reads text
    postprocess/        labels or characters that post-processing answers with
    requirements.txt    pip packages that the device needs, where a provider does not bring its engine
    README.md           how to check it on the device, and how programs call it
    run.py              of those that run by ONNX Runtime: the harness as a Python program
    manifest.json.sig   of a signed bundle, with model.plan.sig: `edgeort sign`
    licences/           ours and those of what is linked in

The same input gives the same bytes: no times, no paths, sorted names. A bundle is written beside its place and renamed.
"""

from __future__ import annotations

from edgeort.bundle.manifest import FORMAT, Manifest
from edgeort.bundle.reading import Bundle, looks_like_bundle, open_bundle
from edgeort.bundle.vocabulary import Vocabulary
from edgeort.bundle.writing import Contents, write_bundle

__all__ = ["FORMAT", "Bundle", "Contents", "Manifest", "Vocabulary", "looks_like_bundle", "open_bundle", "write_bundle"]
